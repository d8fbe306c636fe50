//! Tar archives, read in one pass from a stream (10.2).

use crate::package::ArchiveError;
use crate::package::extraction::{EntryWriter, FileEntry};
use std::cell::Cell;
use std::io::{self, Read};
use tar::EntryType;

/// Unpacks a stream. A plain archive (`must_be_closed`) has no other sign of being complete than its closing block; a compressed
/// one ends with a checksum.
pub(crate) fn extract(
    stream: impl Read,
    must_be_closed: bool,
    writer: &mut EntryWriter,
) -> Result<(), ArchiveError> {
    let (closed, between_entries) = (Cell::new(false), Cell::new(None));
    let mut archive = tar::Archive::new(Watched {
        stream,
        closed: &closed,
        between_entries: &between_entries,
    });
    let damaged = |error: io::Error| ArchiveError::Damaged(error.to_string());
    let mut entries = archive.entries().map_err(damaged)?;
    loop {
        between_entries.set(Some(0));
        let Some(entry) = entries.next() else { break };
        between_entries.set(None);
        let mut entry = entry.map_err(damaged)?;
        let name = text(&entry.path_bytes());
        let header = entry.header();
        let kind = header.entry_type();
        let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
        let modified = header
            .mtime()
            .ok()
            .and_then(|seconds| i64::try_from(seconds).ok());
        let target = entry.link_name_bytes().map(|target| text(&target));
        match kind {
            EntryType::Directory => writer.folder(&name)?,
            EntryType::Symlink => writer.link(&name, &target.unwrap_or_default())?,
            EntryType::Link => writer.hard_link(&name, &target.unwrap_or_default())?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if name.ends_with('/') {
                    writer.folder(&name)?;
                    continue;
                }
                let length = entry.size();
                writer.admit(length)?;
                writer.file(
                    &FileEntry {
                        name: &name,
                        executable,
                        modified,
                        length,
                    },
                    &mut entry,
                )?;
            }
            EntryType::XGlobalHeader | EntryType::XHeader => writer.count_entry()?,
            _ => {
                return Err(ArchiveError::refused(
                    &name,
                    "is a device, pipe or other thing that is neither file nor folder",
                ));
            }
        }
    }
    between_entries.set(None);
    // The checksum of a compressed stream is looked at when its end is read.
    let mut rest = archive.into_inner();
    let (mut ignored, mut chunk) = (0, vec![0; 64 << 10]);
    loop {
        match rest.read(&mut chunk).map_err(damaged)? {
            0 => break,
            read => ignored += read as u64,
        }
        writer.admit(ignored)?;
    }
    if must_be_closed && !closed.get() {
        return Err(ArchiveError::Damaged(
            "it ends without its closing block".to_owned(),
        ));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// More than this between two entries is no name, but an attempt to fill the memory.
const LONGEST_HEADER: u64 = 16 << 20;

/// Notes whether the last block that was read is the empty one that closes an archive, and bounds what stands between entries:
/// long names and other attributes are read into memory.
struct Watched<'a, R> {
    stream: R,
    closed: &'a Cell<bool>,
    /// Bytes of headers since the last entry; none while the contents of an entry are read.
    between_entries: &'a Cell<Option<u64>>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        if let Some(before) = self.between_entries.get().filter(|_| read > 0) {
            self.closed
                .set(read == 512 && buffer[..read].iter().all(|byte| *byte == 0));
            let so_far = before + read as u64;
            if so_far > LONGEST_HEADER {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the name of an entry is too long",
                ));
            }
            self.between_entries.set(Some(so_far));
        }
        Ok(read)
    }
}
