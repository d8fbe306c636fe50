//! A file that appears under its name only when it is whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Written beside its target under another name; gone, with the folders made for it, unless it is finished.
pub struct FreshFile {
    target: PathBuf,
    /// Where it is until it is finished.
    partial: PathBuf,
    file: Option<File>,
    /// Folders that were made for it, the outermost first.
    folders: Vec<PathBuf>,
}

impl FreshFile {
    /// Begins a file; makes the folders of its target.
    ///
    /// # Errors
    /// When the target is a folder, or nothing can be made there.
    pub fn beside(target: &Path) -> io::Result<Self> {
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut partial_name = name.to_owned();
        partial_name.push(format!(".{}.partial", uuid::Uuid::new_v4().simple()));
        let mut fresh = Self {
            target: target.to_owned(),
            partial: target.with_file_name(partial_name),
            file: None,
            folders: Vec::new(),
        };
        let parent = target.parent().unwrap_or(Path::new("."));
        let missing = parent
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        while let Some(folder) = missing.pop() {
            match std::fs::create_dir(&folder) {
                Ok(()) => fresh.folders.push(folder),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        fresh.file = Some(
            File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&fresh.partial)?,
        );
        Ok(fresh)
    }

    /// The file, to be written.
    ///
    /// # Panics
    /// Never: it is there until it is finished.
    pub fn file(&mut self) -> &mut File {
        self.file
            .as_mut()
            .expect("the file is there until it is finished")
    }

    /// Brings it to the disk and gives it its name, in place of what has it now.
    ///
    /// # Errors
    /// When that fails; then nothing changed.
    pub fn finish(mut self) -> io::Result<()> {
        self.file().sync_all()?;
        std::fs::rename(&self.partial, &self.target)?;
        self.file = None;
        self.folders.clear();
        Ok(())
    }
}

impl Drop for FreshFile {
    fn drop(&mut self) {
        // It is being given up after an error; that one is told, not a second one.
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.partial);
        }
        while let Some(folder) = self.folders.pop() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn it_has_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a/b/c.txt");
        let mut fresh = FreshFile::beside(&target).unwrap();
        fresh.file().write_all(b"text").unwrap();
        assert!(!target.exists());
        fresh.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"text");
        assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn given_up_it_was_never_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kept"), "old").unwrap();
        drop(FreshFile::beside(&folder.path().join("a/b/c.txt")).unwrap());
        drop(FreshFile::beside(&folder.path().join("kept")).unwrap());
        assert!(FreshFile::beside(&folder.path().join("kept/in")).is_err());
        assert!(FreshFile::beside(folder.path()).is_err());
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(std::fs::read(folder.path().join("kept")).unwrap(), b"old");
    }
}
