//! The folder of one script, `<home>/Work/<ticket>` (`tentacle-protocol.md` 6.9).

use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use contracts::{ScriptFile, ScriptTicket};
use security::Secret;
use security::sensitive_file::{self, KeySize};

use crate::durable_file;

const BOOTSTRAP: &str = "Bootstrap.sh";
const LOG: &str = "Output.log";
const STATE: &str = "scriptstate.json";
/// Encrypting a file holds it in memory; such files are variables, not packages.
const LARGEST_ENCRYPTED: u64 = 64 << 20;

/// Every workspace of an agent.
#[derive(Debug, Clone)]
pub(crate) struct Workspaces {
    root: PathBuf,
}

/// One workspace; its folder need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workspace {
    folder: PathBuf,
}

impl Workspaces {
    pub(crate) fn new(home: &Path) -> Workspaces {
        Workspaces {
            root: home.join("Work"),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The workspace of a ticket; tickets are compared without case, so an existing folder in another case is it.
    pub(crate) fn of(&self, ticket: &ScriptTicket) -> Workspace {
        let exact = self.root.join(ticket.as_str());
        if exact.is_dir() {
            return Workspace { folder: exact };
        }
        let other = self.all().into_iter().find(|workspace| {
            workspace
                .name()
                .is_some_and(|name| name.eq_ignore_ascii_case(ticket.as_str()))
        });
        other.unwrap_or(Workspace { folder: exact })
    }

    /// Every workspace on disk.
    pub(crate) fn all(&self) -> Vec<Workspace> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| Workspace { folder: entry.path() })
            .collect()
    }
}

impl Workspace {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The ticket as the folder spells it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.folder.file_name().and_then(|name| name.to_str())
    }

    pub(crate) fn bootstrap(&self) -> PathBuf {
        self.folder.join(BOOTSTRAP)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// Makes the folder, mode 0700.
    pub(crate) fn create(&self) -> io::Result<()> {
        durable_file::private_folder(&self.folder)
    }

    /// Removes the folder with all that the script left there; one that is not there is removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Writes the body; Windows line ends become Unix ones.
    pub(crate) fn write_body(&self, body: &str) -> io::Result<()> {
        let mut file = durable_file::create_private(&self.bootstrap())?;
        file.write_all(body.replace("\r\n", "\n").as_bytes())
    }

    /// Puts a file that the script brings along, encrypted when it has a password. Blocks.
    pub(crate) fn write_file(&self, file: ScriptFile) -> io::Result<()> {
        let path = self.folder.join(relative(&file.name)?);
        durable_file::private_folder(durable_file::folder_of(&path))?;
        match file.encryption_password {
            None => file.contents.persist_blocking(&path),
            Some(password) => {
                if file.contents.length() > LARGEST_ENCRYPTED {
                    let text = format!("the file '{}' is too large to be encrypted", file.name);
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
                }
                let mut clear = zeroize::Zeroizing::new(Vec::new());
                io::Read::read_to_end(&mut file.contents.open()?, &mut clear)?;
                let sealed =
                    sensitive_file::encrypt_original(&Secret::new(password.0), &clear, KeySize::Aes128);
                durable_file::create_private(&path)?.write_all(&sealed)
            }
        }
    }
}

/// A path inside the workspace that is none of its own files.
fn relative(name: &str) -> io::Result<PathBuf> {
    let path = PathBuf::from(name.replace('\\', "/"));
    let inside = path.components().all(|part| matches!(part, Component::Normal(_))) && !name.contains('\0');
    let own = [BOOTSTRAP, LOG, STATE].iter().any(|own| path == Path::new(own));
    if inside && !own && path.file_name().is_some() {
        return Ok(path);
    }
    let text = format!("'{name}' is not the name of a file inside the script's workspace");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use halibut::DataStream;

    use super::*;

    fn ticket(text: &str) -> ScriptTicket {
        ScriptTicket::parse(text).unwrap()
    }

    fn file(name: &str, password: Option<&str>) -> ScriptFile {
        ScriptFile {
            name: name.to_owned(),
            contents: DataStream::from_bytes(&b"hello"[..]),
            encryption_password: password.map(|text| contracts::script_service::Password(text.to_owned())),
        }
    }

    #[test]
    fn files_stand_in_the_workspace_and_nowhere_else() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let workspace = Workspaces::new(home.path()).of(&ticket("t1"));
        workspace.create().unwrap();
        workspace.write_body("a\r\nb\n").unwrap();
        workspace.write_file(file("sub\\greeting.txt", None)).unwrap();
        workspace
            .write_file(file("secret.txt", Some("correct horse")))
            .unwrap();
        for name in ["", ".", "../x", "/x", "a/../../x", "Output.log"] {
            assert!(workspace.write_file(file(name, None)).is_err(), "{name}");
        }
        assert_eq!(fs::read(workspace.bootstrap()).unwrap(), b"a\nb\n");
        assert_eq!(
            fs::read(workspace.folder().join("sub/greeting.txt")).unwrap(),
            b"hello"
        );
        let sealed = fs::read(workspace.folder().join("secret.txt")).unwrap();
        assert!(sealed.starts_with(b"IV__") && sealed.len() == 36);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(workspace.folder()), 0o700);
        for name in ["Bootstrap.sh", "secret.txt", "sub/greeting.txt"] {
            assert_eq!(mode(&workspace.folder().join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_ticket_in_another_case_is_the_same_ticket() {
        let home = tempfile::tempdir().unwrap();
        let workspaces = Workspaces::new(home.path());
        let first = workspaces.of(&ticket("AbC"));
        first.create().unwrap();
        assert_eq!(workspaces.of(&ticket("aBc")), first);
        first.remove().unwrap();
        first.remove().unwrap();
        assert!(workspaces.all().is_empty());
    }
}
