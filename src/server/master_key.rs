//! The master key: where it comes from, and what is decided when (`containers.md` 2.3).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use security::MasterKey;
use settings::{ExitCode, Folders, MasterKeyLog, ServerSettings};

use crate::failure::Failure;

/// The name of the key's file, in the mounted folder or in the data volume.
const FILE: &str = "OctopusServer";

/// A key, and where it came from.
pub struct Found {
    /// The key.
    pub key: MasterKey,
    /// Whether it was just made, so that it must be shown once.
    pub is_new: bool,
    /// The file it stands in, if it stands in one of ours.
    pub file: Option<PathBuf>,
}

/// The key for an empty database: the given one, one that a broken-off start left on the volume, or a new
/// one, whose file is safe on disk before this returns.
///
/// # Errors
/// A malformed key, a folder that cannot be written.
pub fn for_new_database(settings: &ServerSettings, folders: &Folders) -> Result<Found, Failure> {
    if let Some(key) = given(settings)? {
        return Ok(Found {
            key,
            is_new: false,
            file: None,
        });
    }
    if let Some((key, file)) = kept(folders)? {
        return Ok(Found {
            key,
            is_new: false,
            file: Some(file),
        });
    }
    let mounted = is_mounted(&folders.master_key);
    if settings.master_key_log == MasterKeyLog::Never && !mounted {
        return Err(Failure::new(
            ExitCode::MasterKey,
            format!(
                "MASTER_KEY_LOG=never, and no folder is mounted at {}: a generated master key would be in no place that you \
                 know. Mount a folder there, or give a key in MASTER_KEY (`openssl rand 16 | base64`).",
                folders.master_key.display()
            ),
        ));
    }
    let key = MasterKey::generate();
    let file = file_in(if mounted {
        &folders.master_key
    } else {
        &folders.data
    });
    // On the data volume it has the rights of the database beside it: whoever goes on with that one needs the key.
    let mode = if mounted { 0o600 } else { 0o640 };
    write(&file, &key, mode).map_err(|error| {
        Failure::new(
            ExitCode::Folder,
            format!(
                "The master key could not be written to {}: {error}. Make the folder writable for uid {}, or give a key in \
                 MASTER_KEY.",
                file.display(),
                rustix::process::geteuid().as_raw()
            ),
        )
    })?;
    Ok(Found {
        key,
        is_new: true,
        file: Some(file),
    })
}

/// The key for a database that is there. Whether it fits is for the caller to find out.
///
/// # Errors
/// No key at all, or a malformed one.
pub fn for_existing_database(settings: &ServerSettings, folders: &Folders) -> Result<MasterKey, Failure> {
    if let Some(key) = given(settings)? {
        match kept(folders) {
            Ok(Some((other, file))) if !key.is(&other) => tracing::warn!(
                "The master key in {} is not the one that was given. The given one is used; the file is left alone.",
                file.display()
            ),
            Ok(_) => {}
            Err(failure) => tracing::warn!("The given master key is used. {}", failure.message),
        }
        return Ok(key);
    }
    kept(folders)?.map(|(key, _)| key).ok_or_else(|| {
        Failure::new(
            ExitCode::MasterKey,
            "The database exists, and no master key was given. Pass the one that it was made with in MASTER_KEY or \
             MASTER_KEY_FILE; `docker exec OLD-CONTAINER mantle show-master-key` prints it. Nothing was written to the \
             database.",
        )
    })
}

/// Whether there is a folder for the key that the operator knows. The image has an empty one, so that a named volume
/// gets its owner; that one counts only when something is mounted on it.
fn is_mounted(folder: &Path) -> bool {
    if !folder.is_dir() || folder != Folders::of_image().master_key {
        return folder.is_dir();
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    is_mount_point(&mounts, folder)
}

/// Whether a table of mounts (`proc_pid_mountinfo(5)`) has one at a folder: its fifth field.
fn is_mount_point(mounts: &str, folder: &Path) -> bool {
    mounts.lines().any(|line| {
        line.split(' ')
            .nth(4)
            .is_some_and(|point| Path::new(point) == folder)
    })
}

/// Shows a new key: once, three lines that people search for. A key in a mounted folder is not shown, its
/// path is.
pub fn show(found: &Found, settings: &ServerSettings, folders: &Folders) {
    let Some(file) = &found.file else { return };
    if !found.is_new {
        return;
    }
    println!("Display master key");
    if file.starts_with(&folders.master_key) || settings.master_key_log == MasterKeyLog::Never {
        println!(" | the key is in {}", file.display());
    } else {
        println!(" | {}", found.key.to_base64().expose());
    }
    println!("done.");
}

fn given(settings: &ServerSettings) -> Result<Option<MasterKey>, Failure> {
    let Some(text) = &settings.master_key else {
        return Ok(None);
    };
    MasterKey::from_base64(text.expose())
        .map(Some)
        .map_err(|error| Failure::new(ExitCode::MasterKey, format!("MASTER_KEY: {error}")))
}

fn kept(folders: &Folders) -> Result<Option<(MasterKey, PathBuf)>, Failure> {
    for folder in [&folders.master_key, &folders.data] {
        let file = file_in(folder);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let key = MasterKey::from_base64(text.trim()).map_err(|error| {
                    Failure::new(ExitCode::MasterKey, format!("{}: {error}", file.display()))
                })?;
                return Ok(Some((key, file)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::new(
                    ExitCode::MasterKey,
                    format!("The master key in {} cannot be read: {error}.", file.display()),
                ));
            }
        }
    }
    Ok(None)
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Synced with its folder before it has its name.
fn write(file: &Path, key: &MasterKey, mode: u32) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let temporary = folder.join(format!(".{FILE}.new"));
    if let Err(error) = std::fs::remove_file(&temporary)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    open.write_all(key.to_base64().expose().as_bytes())?;
    open.write_all(b"\n")?;
    open.sync_all()?;
    std::fs::rename(&temporary, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_known_by_its_place() {
        let mounts = "36 35 98:0 / /data rw,noatime master:1 - ext4 /dev/sda1 rw\n\
                      37 35 98:0 /x /masterKey rw - ext4 /dev/sda1 rw\n";
        assert!(is_mount_point(mounts, Path::new("/masterKey")));
        assert!(!is_mount_point(mounts, Path::new("/x")));
        assert!(!is_mount_point("", Path::new("/masterKey")));
    }
}
