//! Writes below one folder and nowhere else: every step goes through a directory handle and follows no link.

use crate::package::ArchiveError;
use crate::package::entry_name::EntryName;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, mkdirat, openat, statat, symlinkat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The target folder, and links that wait until everything else is in place.
pub struct Jail {
    root: OwnedFd,
    /// The folders of the last path that was used, from the top.
    open: Vec<(String, OwnedFd)>,
    links: BTreeMap<EntryName, String>,
}

/// Links that point to links are followed this far.
const LONGEST_CHAIN: usize = 40;

impl Jail {
    /// Opens the target folder, which must exist.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        let root = rustix::fs::open(
            folder,
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| {
            ArchiveError::io(format!("Could not open the folder {}", folder.display()))(error.into())
        })?;
        Ok(Self {
            root,
            open: Vec::new(),
            links: BTreeMap::new(),
        })
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// Something that is no folder stands in the way.
    pub fn folder(&mut self, name: &EntryName) -> Result<(), ArchiveError> {
        self.enter(name, name.parts()).map(|_| ())
    }

    /// Makes a new file. None when there is one already.
    ///
    /// # Errors
    /// A folder stands in its place, or a file in the place of one of its folders.
    pub fn new_file(&mut self, name: &EntryName, mode: u32) -> Result<Option<File>, ArchiveError> {
        let (last, folders) = split(name);
        let folder = self.enter(name, folders)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(folder, last, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(ArchiveError::io(format!("Could not create the file '{name}'"))(
                error.into(),
            )),
        }
    }

    /// Opens a file that was written before.
    ///
    /// # Errors
    /// It is no file.
    pub fn written_file(&mut self, name: &EntryName) -> Result<File, ArchiveError> {
        let (last, folders) = split(name);
        let folder = self.enter(name, folders)?;
        let stat = statat(folder, last, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| ArchiveError::io(format!("Could not find the file '{name}'"))(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(conflict(name));
        }
        openat(
            folder,
            last,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map(File::from)
        .map_err(|error| ArchiveError::io(format!("Could not open the file '{name}'"))(error.into()))
    }

    /// Gives a file that was written before a second name.
    ///
    /// # Errors
    /// There is no such file, or the name is taken.
    pub fn hard_link(&mut self, name: &EntryName, target: &EntryName) -> Result<(), ArchiveError> {
        let (target_last, target_folders) = split(target);
        let from = self
            .enter(target, target_folders)?
            .try_clone_to_owned()
            .map_err(ArchiveError::io(format!(
                "Could not open the folder of '{target}'"
            )))?;
        let regular = statat(&from, target_last, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        if !regular {
            return Err(ArchiveError::refused(
                &name.to_string(),
                "is a hard link to something that is not a file before it in the archive",
            ));
        }
        let (last, folders) = split(name);
        let folder = self.enter(name, folders)?;
        match linkat(&from, target_last, folder, last, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(ambiguous(name)),
            Err(error) => Err(ArchiveError::io(format!(
                "Could not create the hard link '{name}'"
            ))(error.into())),
        }
    }

    /// Remembers a link; it is made by [`Jail::finish`].
    ///
    /// # Errors
    /// There is another link of that name.
    pub fn link(&mut self, name: EntryName, target: &str) -> Result<(), ArchiveError> {
        match self.links.get(&name) {
            Some(known) if known != target => Err(ambiguous(&name)),
            _ => {
                self.links.insert(name, target.to_owned());
                Ok(())
            }
        }
    }

    /// Makes the links, after a look at where each of them leads, through whatever other links.
    ///
    /// # Errors
    /// A link leads out of the folder, or its name is taken.
    pub fn finish(mut self) -> Result<OwnedFd, ArchiveError> {
        let links = std::mem::take(&mut self.links);
        for name in links.keys() {
            if !stays_inside(&links, name) {
                return Err(ArchiveError::refused(
                    &name.to_string(),
                    "is a link that leads outside the target folder",
                ));
            }
        }
        for (name, target) in &links {
            let (last, folders) = split(name);
            let folder = self.enter(name, folders)?;
            match symlinkat(target.as_str(), folder, last) {
                Ok(()) => {}
                Err(Errno::EXIST) => return Err(conflict(name)),
                Err(error) => {
                    return Err(ArchiveError::io(format!("Could not create the link '{name}'"))(
                        error.into(),
                    ));
                }
            }
        }
        Ok(self.root)
    }

    /// The handle of a folder, made when missing.
    fn enter(&mut self, name: &EntryName, folders: &[String]) -> Result<BorrowedFd<'_>, ArchiveError> {
        let known = self
            .open
            .iter()
            .zip(folders)
            .take_while(|((open, _), folder)| open == *folder)
            .count();
        self.open.truncate(known);
        for folder in &folders[known..] {
            let parent = self
                .open
                .last()
                .map_or(self.root.as_fd(), |(_, handle)| handle.as_fd());
            match mkdirat(parent, folder.as_str(), Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    return Err(ArchiveError::io(format!(
                        "Could not create the folder of '{name}'"
                    ))(error.into()));
                }
            }
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            let handle = match openat(parent, folder.as_str(), flags, Mode::empty()) {
                Ok(handle) => handle,
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(conflict(name)),
                Err(error) => {
                    return Err(
                        ArchiveError::io(format!("Could not open the folder of '{name}'"))(error.into()),
                    );
                }
            };
            self.open.push((folder.clone(), handle));
        }
        Ok(self
            .open
            .last()
            .map_or(self.root.as_fd(), |(_, handle)| handle.as_fd()))
    }
}

fn split(name: &EntryName) -> (&str, &[String]) {
    let (last, folders) = name.parts().split_last().expect("a name has at least one part");
    (last, folders)
}

fn conflict(name: &EntryName) -> ArchiveError {
    ArchiveError::refused(
        &name.to_string(),
        "is a file, folder or link in the place of another kind of entry",
    )
}

/// Two entries of one name with different contents.
pub(crate) fn ambiguous(name: &EntryName) -> ArchiveError {
    ArchiveError::refused(
        &name.to_string(),
        "is ambiguous: it stands in the archive twice with different contents",
    )
}

/// Walks to where a link leads. Only the links of the archive count: there are no others below a new folder.
fn stays_inside(links: &BTreeMap<EntryName, String>, name: &EntryName) -> bool {
    let mut ahead: Vec<String> = name.parts().iter().rev().cloned().collect();
    let mut here: Vec<String> = Vec::new();
    let mut followed = 0;
    while let Some(part) = ahead.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                if here.pop().is_none() {
                    return false;
                }
                continue;
            }
            _ => here.push(part),
        }
        let Ok(Some(place)) = EntryName::read(&here.join("/")) else {
            return false;
        };
        if let Some(target) = links.get(&place) {
            followed += 1;
            if followed > LONGEST_CHAIN
                || target.starts_with('/')
                || target.is_empty()
                || target.contains('\0')
            {
                return false;
            }
            here.pop();
            ahead.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    true
}
