//! Unpacks a package into a new folder: all of it, or nothing (security: "Archives").

use crate::interruption::Interruption;
use crate::package::ArchiveError;
use crate::package::entry_name::EntryName;
use crate::package::jail::{Jail, ambiguous};
use crate::package::package_file::Archive;
use crate::package::{decoder, tar_archive, zip_archive};
use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use rustix::fs::{RenameFlags, Timespec, Timestamps, futimens, renameat_with, syncfs};
use rustix::io::Errno;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a package may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of any kind.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Bytes of files for each byte of the package, once more than `free_bytes` came out.
    pub ratio: u64,
    /// Bytes that come out before the ratio counts.
    pub free_bytes: u64,
}

impl Default for Limits {
    /// 1,000,000 entries; 100 GiB; 200:1 after 100 MiB.
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 100 << 30,
            ratio: 200,
            free_bytes: 100 << 20,
        }
    }
}

/// What came out of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The folder.
    pub folder: PathBuf,
    /// How many files and links; folders do not count.
    pub files: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Unpacks into `parent/name`, or `parent/name_1`, `_2` and so on when that exists. Everything is first written to a folder
/// beside it, then synced, then renamed: a folder of that name is complete, and after an error there is none.
///
/// # Errors
/// See [`ArchiveError`].
pub fn extract(
    package: &Path,
    archive: Archive,
    parent: &Path,
    name: &str,
    limits: Limits,
    interruption: &Interruption,
) -> Result<Extracted, ArchiveError> {
    std::fs::create_dir_all(parent).map_err(ArchiveError::io(format!(
        "Could not create the folder {}",
        parent.display()
    )))?;
    let staging = Staging::new(parent)?;
    let (counted, handle) = extract_into(package, archive, &staging.path, limits, interruption)?;
    syncfs(&handle).map_err(|error| {
        ArchiveError::io(format!("Could not sync {}", staging.path.display()))(error.into())
    })?;
    let folder = staging.publish(parent, name)?;
    Ok(Extracted {
        folder,
        files: counted.files,
        bytes: counted.bytes,
    })
}

/// What came out of a package, wherever it was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How many files and links; folders do not count.
    pub files: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Unpacks into a folder that exists and is empty.
///
/// # Errors
/// See [`ArchiveError`]; the folder then holds a part.
pub fn extract_into(
    package: &Path,
    archive: Archive,
    folder: &Path,
    limits: Limits,
    interruption: &Interruption,
) -> Result<(Counted, std::os::fd::OwnedFd), ArchiveError> {
    let opening = || format!("Could not open the package {}", package.display());
    let file = File::open(package).map_err(ArchiveError::io(opening()))?;
    let length = file.metadata().map_err(ArchiveError::io(opening()))?.len();
    let mut writer = EntryWriter {
        jail: Jail::open(folder)?,
        limits,
        interruption: interruption.clone(),
        package_length: length,
        entries: 0,
        bytes: 0,
        files: 0,
        buffer: vec![0; 128 << 10],
    };
    let buffered = || BufReader::with_capacity(256 << 10, &file);
    match archive {
        Archive::Zip => zip_archive::extract(&file, length, false, &mut writer)?,
        Archive::Nupkg => zip_archive::extract(&file, length, true, &mut writer)?,
        Archive::Tar => tar_archive::extract(buffered(), true, &mut writer)?,
        Archive::TarGz => tar_archive::extract(MultiGzDecoder::new(buffered()), false, &mut writer)?,
        Archive::TarBz2 => tar_archive::extract(MultiBzDecoder::new(buffered()), false, &mut writer)?,
        Archive::TarXz => tar_archive::extract(decoder::xz(buffered()), false, &mut writer)?,
        Archive::TarZst => tar_archive::extract(decoder::Zstandard::new(buffered()), false, &mut writer)?,
    }
    let counted = Counted {
        files: writer.files,
        bytes: writer.bytes,
    };
    Ok((counted, writer.jail.finish()?))
}

/// Puts entries into the target folder and counts.
pub(crate) struct EntryWriter {
    jail: Jail,
    limits: Limits,
    interruption: Interruption,
    package_length: u64,
    entries: u64,
    bytes: u64,
    files: u64,
    buffer: Vec<u8>,
}

/// What an archive says of a file.
pub(crate) struct FileEntry<'a> {
    pub name: &'a str,
    pub executable: bool,
    /// Seconds since 1970.
    pub modified: Option<i64>,
    pub length: u64,
}

impl EntryWriter {
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn folder(&mut self, name: &str) -> Result<(), ArchiveError> {
        self.count_entry()?;
        match EntryName::read(name)? {
            Some(name) => self.jail.folder(&name),
            None => Ok(()),
        }
    }

    /// Writes a file, which must have exactly the length that the archive says.
    pub(crate) fn file(
        &mut self,
        entry: &FileEntry<'_>,
        mut contents: impl Read,
    ) -> Result<(), ArchiveError> {
        self.count_entry()?;
        let Some(name) = EntryName::read(entry.name)? else {
            return Err(ArchiveError::refused(
                entry.name,
                "is a file in the place of the target folder",
            ));
        };
        self.files += 1;
        let mode = if entry.executable { 0o777 } else { 0o666 };
        let Some(mut file) = self.jail.new_file(&name, mode)? else {
            let written = self.jail.written_file(&name)?;
            return self.same(entry, &name, written, contents);
        };
        let mut length = 0;
        loop {
            let read = self.read(entry, length, &mut contents)?;
            if read == 0 {
                break;
            }
            length += read as u64;
            file.write_all(&self.buffer[..read])
                .map_err(ArchiveError::io(format!("Could not write the file '{name}'")))?;
        }
        if length != entry.length {
            return Err(ArchiveError::damaged_entry(
                entry.name,
                format!("it has {length} bytes where {} are announced", entry.length),
            ));
        }
        if let Some(seconds) = entry.modified {
            let time = Timespec {
                tv_sec: seconds,
                tv_nsec: 0,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            futimens(&file, &times).map_err(|error| {
                ArchiveError::io(format!("Could not set the time of '{name}'"))(error.into())
            })?;
        }
        Ok(())
    }

    pub(crate) fn link(&mut self, name: &str, target: &str) -> Result<(), ArchiveError> {
        self.count_entry()?;
        self.files += 1;
        match EntryName::read(name)? {
            Some(name) => self.jail.link(name, target),
            None => Err(ArchiveError::refused(
                name,
                "is a link in the place of the target folder",
            )),
        }
    }

    pub(crate) fn hard_link(&mut self, name: &str, target: &str) -> Result<(), ArchiveError> {
        self.count_entry()?;
        self.files += 1;
        match (EntryName::read(name)?, EntryName::read(target)?) {
            (Some(name), Some(target)) => self.jail.hard_link(&name, &target),
            _ => Err(ArchiveError::refused(
                name,
                "is a link in the place of the target folder",
            )),
        }
    }

    /// Counts an entry of any kind.
    pub(crate) fn count_entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(too_many_entries(self.limits));
        }
        Ok(())
    }

    /// Whether this many bytes may come out of the package.
    pub(crate) fn admit(&self, bytes: u64) -> Result<(), ArchiveError> {
        if bytes > self.limits.bytes {
            return Err(ArchiveError::TooLarge(format!(
                "the package unpacks to more than the {} bytes that are allowed",
                self.limits.bytes
            )));
        }
        if bytes > self.limits.free_bytes && bytes > self.package_length.saturating_mul(self.limits.ratio) {
            return Err(ArchiveError::TooLarge(format!(
                "the package unpacks to more than {} times its size, which looks like a decompression bomb",
                self.limits.ratio
            )));
        }
        Ok(())
    }

    fn read(
        &mut self,
        entry: &FileEntry<'_>,
        so_far: u64,
        contents: &mut impl Read,
    ) -> Result<usize, ArchiveError> {
        let read = loop {
            match contents.read(&mut self.buffer) {
                Ok(read) => break read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::reading(entry.name, error)),
            }
        };
        if so_far + read as u64 > entry.length {
            return Err(ArchiveError::damaged_entry(
                entry.name,
                format!("it goes on after the {} bytes that are announced", entry.length),
            ));
        }
        if self.interruption.signal().is_some() {
            return Err(ArchiveError::Stopped);
        }
        self.bytes += read as u64;
        self.admit(self.bytes)?;
        Ok(read)
    }

    /// A second entry of the same name is accepted when it holds the same.
    fn same(
        &mut self,
        entry: &FileEntry<'_>,
        name: &EntryName,
        mut written: File,
        mut contents: impl Read,
    ) -> Result<(), ArchiveError> {
        let mut known = vec![0; self.buffer.len()];
        let mut length = 0;
        loop {
            let read = self.read(entry, length, &mut contents)?;
            if read == 0 {
                break;
            }
            length += read as u64;
            match written.read_exact(&mut known[..read]) {
                Ok(()) if known[..read] == self.buffer[..read] => {}
                _ => return Err(ambiguous(name)),
            }
        }
        match written.read(&mut known) {
            Ok(0) => Ok(()),
            _ => Err(ambiguous(name)),
        }
    }
}

pub(crate) fn too_many_entries(limits: Limits) -> ArchiveError {
    ArchiveError::TooLarge(format!("the package holds more than {} entries", limits.entries))
}

/// A folder beside the target that vanishes unless it is published.
struct Staging {
    path: PathBuf,
    published: bool,
    /// Held while this process works in the folder; without it, the folder was left by one that was killed.
    _lock: File,
}

const STAGING: &str = ".extracting-";

/// A younger folder may just not be locked yet.
const YOUNGEST_LEFTOVER: Duration = Duration::from_secs(10);

impl Staging {
    fn new(parent: &Path) -> Result<Self, ArchiveError> {
        Self::sweep(parent);
        let path = parent.join(format!("{STAGING}{}", uuid::Uuid::new_v4().simple()));
        let made = || {
            std::fs::create_dir(&path)?;
            let lock = File::open(&path)?;
            lock.lock_shared()?;
            Ok(lock)
        };
        match made() {
            Ok(lock) => Ok(Self {
                path,
                published: false,
                _lock: lock,
            }),
            Err(error) => Err(ArchiveError::io(format!(
                "Could not create the folder {}",
                path.display()
            ))(error)),
        }
    }

    /// Removes what processes left that were killed. One that cannot be removed now is tried again the next time.
    fn sweep(parent: &Path) {
        let Ok(entries) = std::fs::read_dir(parent) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let named = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(STAGING));
            let old = path
                .metadata()
                .and_then(|found| found.modified())
                .is_ok_and(|modified| {
                    modified
                        .elapsed()
                        .is_ok_and(|elapsed| elapsed >= YOUNGEST_LEFTOVER)
                });
            if named && old && File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
                std::fs::remove_dir_all(&path).ok();
            }
        }
    }

    fn publish(mut self, parent: &Path, name: &str) -> Result<PathBuf, ArchiveError> {
        let failed = |path: &Path, error: Errno| {
            Err(ArchiveError::io(format!(
                "Could not move the unpacked package to {}",
                path.display()
            ))(error.into()))
        };
        for attempt in 0..100_000_u32 {
            let target = match attempt {
                0 => parent.join(name),
                attempt => parent.join(format!("{name}_{attempt}")),
            };
            if target.symlink_metadata().is_ok() {
                continue;
            }
            match renameat_with(
                rustix::fs::CWD,
                &self.path,
                rustix::fs::CWD,
                &target,
                RenameFlags::NOREPLACE,
            ) {
                Ok(()) => {}
                Err(Errno::EXIST | Errno::NOTEMPTY) => continue,
                // Some file systems do not know that flag; the look before is what remains.
                Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::rename(&self.path, &target) {
                    Ok(()) => {}
                    Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => continue,
                    Err(error) => return failed(&target, error),
                },
                Err(error) => return failed(&target, error),
            }
            self.published = true;
            let synced = File::open(parent).and_then(|folder| folder.sync_all());
            synced.map_err(ArchiveError::io(format!("Could not sync {}", parent.display())))?;
            return Ok(target);
        }
        failed(&parent.join(name), Errno::EXIST)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            // The error that led here is the one to tell.
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}
