//! The folders of the Server: there and writable, or a line that says what to do (`containers.md` 2.2 step 2).

use std::path::{Path, PathBuf};

use settings::Folders;

/// Makes what is missing and tries to write in each folder; every problem is one line.
///
/// # Errors
/// The lines.
pub fn check(folders: &Folders) -> Result<(), Vec<String>> {
    let all = [
        &folders.data,
        &folders.repository,
        &folders.artifacts,
        &folders.task_logs,
        &folders.cache,
    ];
    let problems: Vec<String> = all.into_iter().filter_map(|folder| problem(folder)).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn problem(folder: &Path) -> Option<String> {
    let attempt = std::fs::create_dir_all(folder).and_then(|()| {
        tempfile::Builder::new()
            .prefix(".write-test-")
            .tempfile_in(folder)
            .map(drop)
    });
    let error = attempt.err()?;
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let owner = owner(folder);
    Some(format!(
        "The folder {} is not writable for uid {uid}, gid {gid}{owner}: {error}. Mount a named volume there, run the \
         container with `-u \"$(id -u):0\"`, or make the folder writable: `chown {uid}:{gid} FOLDER` on the host.",
        folder.display()
    ))
}

fn owner(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(folder) {
        Ok(found) => format!(
            " (it belongs to uid {}, gid {}, mode {:o})",
            found.uid(),
            found.gid(),
            found.mode() & 0o7777
        ),
        Err(_) => String::new(),
    }
}

/// The embedded database's file.
#[must_use]
pub fn embedded_database(folders: &Folders) -> PathBuf {
    folders.data.join("mantle.db")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_folders_are_made() {
        let root = tempfile::tempdir().expect("a folder");
        let folders = Folders::under(root.path());
        assert_eq!(check(&folders), Ok(()));
        assert!(folders.task_logs.is_dir());
    }

    #[test]
    fn a_folder_that_cannot_be_is_named_with_the_way_out() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("repository"), "a file").expect("a file");
        let problems = check(&Folders::under(root.path())).expect_err("no folder");
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("repository") && problems[0].contains("chown"),
            "{problems:?}"
        );
    }
}
