//! Zip archives (10.2). Our own reader, because what matters here is what the usual ones let pass: entries of one name,
//! entries that overlap, a directory that says other than the entries do, and a million names in memory.
//!
//! The directory is read twice: first to judge the archive as a whole, then to unpack entry by entry.

use crate::package::ArchiveError;
use crate::package::entry_name::EntryName;
use crate::package::extraction::{EntryWriter, FileEntry, Limits, too_many_entries};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use percent_encoding::percent_decode_str;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const DIRECTORY_ENTRY: u32 = 0x0201_4b50;
const LOCAL_HEADER: u32 = 0x0403_4b50;

const END_LENGTH: u64 = 22;
const LOCATOR_64_LENGTH: u64 = 20;
const LOCAL_HEADER_LENGTH: u64 = 30;
const DIRECTORY_ENTRY_LENGTH: usize = 46;

const ENCRYPTED: u16 = 1;
const SIZES_FOLLOW: u16 = 1 << 3;

const LONGEST_LINK: u64 = 4096;

/// Unpacks everything; of a NuGet package without the parts that describe it.
pub(crate) fn extract(
    file: &File,
    length: u64,
    nuget: bool,
    writer: &mut EntryWriter,
) -> Result<(), ArchiveError> {
    let directory = Directory::find(file, length)?;
    let starts = judge(&directory, writer)?;
    directory.each(|entry| {
        if nuget && describes_package(&entry.name) {
            return writer.count_entry();
        }
        let decoded;
        let name = if nuget {
            decoded = percent_decode_str(&entry.name).decode_utf8_lossy().into_owned();
            &decoded
        } else {
            &entry.name
        };
        match entry.kind()? {
            Kind::Folder => writer.folder(name),
            Kind::Link => {
                let mut target = String::new();
                let length = entry.length.min(LONGEST_LINK + 1);
                entry
                    .contents(file, &directory, &starts)?
                    .take(length)
                    .read_to_string(&mut target)
                    .map_err(|error| ArchiveError::reading(name, error))?;
                if target.len() as u64 > LONGEST_LINK {
                    return Err(ArchiveError::refused(
                        name,
                        "is a link with a target of more than 4096 bytes",
                    ));
                }
                writer.link(name, &target)
            }
            Kind::File => {
                let described = FileEntry {
                    name,
                    executable: entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0),
                    modified: entry.modified,
                    length: entry.length,
                };
                writer.file(&described, entry.contents(file, &directory, &starts)?)
            }
        }
    })
}

/// The contents of the first entry whose name is wanted.
pub(crate) fn read_first(
    file: &File,
    length: u64,
    wanted: impl Fn(&str) -> bool,
    largest: u64,
) -> Result<Option<Vec<u8>>, ArchiveError> {
    let directory = Directory::find(file, length)?;
    let mut found = None;
    directory.each(|entry| {
        if found.is_none() && entry.length <= largest && wanted(&entry.name) {
            let mut contents = Vec::new();
            entry
                .contents(file, &directory, &[])?
                .take(largest)
                .read_to_end(&mut contents)
                .map_err(|error| ArchiveError::reading(&entry.name, error))?;
            found = Some(contents);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Refuses an archive that is a bomb or a lie as a whole. The answer is where each entry begins, in order.
fn judge(directory: &Directory<'_>, writer: &EntryWriter) -> Result<Vec<u64>, ArchiveError> {
    let limits: Limits = writer.limits();
    if directory.entries > limits.entries {
        return Err(too_many_entries(limits));
    }
    let mut places: Vec<(u64, u64)> = Vec::new();
    let mut total: u64 = 0;
    directory.each(|entry| {
        EntryName::read(&entry.name)?;
        entry.kind()?;
        if entry.flags & ENCRYPTED != 0 {
            return Err(unsupported(entry, "it is encrypted".to_owned()));
        }
        if !matches!(entry.method, 0 | 8) {
            return Err(unsupported(entry, format!("compression method {}", entry.method)));
        }
        total = total.saturating_add(entry.length);
        writer.admit(total)?;
        places.push((
            entry.offset,
            entry
                .offset
                .saturating_add(LOCAL_HEADER_LENGTH)
                .saturating_add(entry.packed),
        ));
        Ok(())
    })?;
    places.sort_unstable();
    let overlap = places.windows(2).any(|pair| pair[0].1 > pair[1].0)
        || places.last().is_some_and(|(_, end)| *end > directory.start);
    if overlap {
        return Err(ArchiveError::Damaged(
            "its entries overlap, as in a decompression bomb or a file that was cut and joined".to_owned(),
        ));
    }
    Ok(places.into_iter().map(|(start, _)| start).collect())
}

fn unsupported(entry: &Entry, reason: String) -> ArchiveError {
    ArchiveError::Unsupported {
        entry: entry.name.clone(),
        reason,
    }
}

/// Parts of a NuGet package that are about it, not in it (observed 9.25).
fn describes_package(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("_rels/")
        || lower.starts_with("package/services/metadata/")
        || lower == "[content_types].xml"
        || lower.ends_with(".nuspec")
        || lower.ends_with(".nupkg.sha512")
}

/// The list of entries at the end of the file.
struct Directory<'a> {
    file: &'a File,
    entries: u64,
    start: u64,
    length: u64,
}

impl<'a> Directory<'a> {
    fn find(file: &'a File, length: u64) -> Result<Self, ArchiveError> {
        let damaged = |reason: &str| ArchiveError::Damaged(reason.to_owned());
        let cut =
            || damaged("the list of its entries is not at the end of the file; the file seems to be cut off");
        let tail_length = length.min(END_LENGTH + u64::from(u16::MAX));
        let tail_start = length - tail_length;
        let tail = read_at(file, tail_start, usize::try_from(tail_length).unwrap_or(0)).map_err(|_| cut())?;
        let end = (0..tail.len().saturating_sub(21))
            .rev()
            .find(|at| {
                number(&tail, *at, 4) == u64::from(END)
                    && *at as u64 + END_LENGTH + number(&tail, at + 20, 2) == tail_length
            })
            .ok_or_else(cut)?;
        let mut directory = Self {
            file,
            entries: number(&tail, end + 10, 2),
            length: number(&tail, end + 12, 4),
            start: number(&tail, end + 16, 4),
        };
        let mut stop = tail_start + end as u64;
        let disks = (number(&tail, end + 4, 2), number(&tail, end + 6, 2));
        let wide =
            directory.entries == 0xFFFF || directory.length == 0xFFFF_FFFF || directory.start == 0xFFFF_FFFF;
        if wide && stop >= LOCATOR_64_LENGTH {
            let locator = read_at(file, stop - LOCATOR_64_LENGTH, 20).map_err(|_| cut())?;
            if number(&locator, 0, 4) == u64::from(LOCATOR_64) {
                stop = number(&locator, 8, 8);
                let record = read_at(file, stop, 56).map_err(|_| cut())?;
                if number(&record, 0, 4) != u64::from(END_64) {
                    return Err(cut());
                }
                directory.entries = number(&record, 32, 8);
                directory.length = number(&record, 40, 8);
                directory.start = number(&record, 48, 8);
            }
        } else if disks != (0, 0) {
            return Err(damaged("it is one of several parts"));
        }
        if directory.start.checked_add(directory.length) != Some(stop) {
            return Err(damaged("the list of its entries is not where it should be"));
        }
        Ok(directory)
    }

    fn each(&self, mut act: impl FnMut(&Entry) -> Result<(), ArchiveError>) -> Result<(), ArchiveError> {
        let section = Section {
            file: self.file,
            position: self.start,
            end: self.start + self.length,
        };
        let mut reader = BufReader::with_capacity(64 << 10, section);
        for _ in 0..self.entries {
            act(&Entry::read(&mut reader)?)?;
        }
        match reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(ArchiveError::Damaged(
                "it holds more entries than it says".to_owned(),
            )),
        }
    }
}

enum Kind {
    File,
    Folder,
    Link,
}

/// What the directory says of an entry.
struct Entry {
    name: String,
    raw_name: Vec<u8>,
    made_by: u16,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    length: u64,
    attributes: u32,
    offset: u64,
    modified: Option<i64>,
}

impl Entry {
    fn read(reader: &mut impl Read) -> Result<Self, ArchiveError> {
        let cut = |_| ArchiveError::Damaged("the list of its entries is cut off".to_owned());
        let mut header = [0; DIRECTORY_ENTRY_LENGTH];
        reader.read_exact(&mut header).map_err(cut)?;
        if number(&header, 0, 4) != u64::from(DIRECTORY_ENTRY) {
            return Err(ArchiveError::Damaged(
                "the list of its entries cannot be read".to_owned(),
            ));
        }
        let mut raw_name = vec![0; narrow(&header, 28).into()];
        let mut extra = vec![0; narrow(&header, 30).into()];
        reader.read_exact(&mut raw_name).map_err(cut)?;
        reader.read_exact(&mut extra).map_err(cut)?;
        io::copy(&mut reader.take(narrow(&header, 32).into()), &mut io::sink()).map_err(cut)?;
        let mut entry = Self {
            name: String::from_utf8_lossy(&raw_name).into_owned(),
            raw_name,
            made_by: narrow(&header, 4),
            flags: narrow(&header, 8),
            method: narrow(&header, 10),
            crc: wide(&header, 16),
            packed: number(&header, 20, 4),
            length: number(&header, 24, 4),
            attributes: wide(&header, 38),
            offset: number(&header, 42, 4),
            modified: dos_time(narrow(&header, 14), narrow(&header, 12)),
        };
        entry.read_extra(&extra)?;
        Ok(entry)
    }

    /// Sizes beyond 4 GiB, and times to the second in UTC.
    fn read_extra(&mut self, extra: &[u8]) -> Result<(), ArchiveError> {
        let mut rest = extra;
        while rest.len() >= 4 {
            let (kind, size) = (narrow(rest, 0), usize::from(narrow(rest, 2)));
            let Some(field) = rest.get(4..4 + size) else { break };
            rest = &rest[4 + size..];
            match kind {
                0x0001 => {
                    let mut position = 0;
                    for value in [&mut self.length, &mut self.packed, &mut self.offset] {
                        if *value == 0xFFFF_FFFF {
                            if position + 8 > field.len() {
                                return Err(ArchiveError::damaged_entry(&self.name, "its size is missing"));
                            }
                            *value = number(field, position, 8);
                            position += 8;
                        }
                    }
                }
                0x5455 if size >= 5 && field[0] & 1 != 0 => {
                    self.modified = Some(i64::from(wide(field, 1).cast_signed()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The mode, when the archive was made on a system that has one.
    fn unix_mode(&self) -> Option<u32> {
        (self.made_by >> 8 == 3 || self.made_by >> 8 == 19).then_some(self.attributes >> 16)
    }

    fn kind(&self) -> Result<Kind, ArchiveError> {
        match self.unix_mode().map_or(0, |mode| mode & 0o170_000) {
            0o120_000 => Ok(Kind::Link),
            0 | 0o100_000 | 0o040_000 if self.name.ends_with('/') => Ok(Kind::Folder),
            0o040_000 => Ok(Kind::Folder),
            0 | 0o100_000 => Ok(Kind::File),
            _ => Err(ArchiveError::refused(
                &self.name,
                "is a device, pipe or other thing that is neither file nor folder",
            )),
        }
    }

    /// The unpacked contents, after the entry's own header was found to say the same as the directory. `starts` are the beginnings
    /// of all entries, in order.
    fn contents<'a>(
        &'a self,
        file: &'a File,
        directory: &Directory<'_>,
        starts: &[u64],
    ) -> Result<impl Read + 'a, ArchiveError> {
        let damaged = |reason: &str| ArchiveError::damaged_entry(&self.name, reason);
        let header = read_at(file, self.offset, 30).map_err(|_| damaged("it is cut off"))?;
        if number(&header, 0, 4) != u64::from(LOCAL_HEADER) {
            return Err(damaged("it is not where the archive says"));
        }
        let name_length = usize::from(narrow(&header, 26));
        let name = read_at(file, self.offset + LOCAL_HEADER_LENGTH, name_length)
            .map_err(|_| damaged("it is cut off"))?;
        if name != self.raw_name {
            return Err(damaged("the archive's directory calls it otherwise"));
        }
        let flags = narrow(&header, 6);
        let says_sizes = flags & SIZES_FOLLOW == 0;
        let differs = |at, expected: u64| {
            let found = number(&header, at, 4);
            found != expected && found != 0xFFFF_FFFF
        };
        if narrow(&header, 8) != self.method
            || flags & ENCRYPTED != self.flags & ENCRYPTED
            || (says_sizes
                && (differs(14, self.crc.into()) || differs(18, self.packed) || differs(22, self.length)))
        {
            return Err(damaged(
                "the archive's directory says otherwise than the entry itself",
            ));
        }
        let start = self.offset + LOCAL_HEADER_LENGTH + name_length as u64 + u64::from(narrow(&header, 28));
        let next = starts
            .get(starts.partition_point(|start| *start <= self.offset))
            .copied();
        match start.checked_add(self.packed) {
            Some(end) if end <= next.unwrap_or(directory.start) => {}
            _ => return Err(damaged("it overlaps with what follows it")),
        }
        let section = Section {
            file,
            position: start,
            end: start + self.packed,
        };
        let packed = BufReader::with_capacity(64 << 10, section);
        let unpacked = if self.method == 0 {
            Unpacked::Stored(packed)
        } else {
            Unpacked::Deflated(DeflateDecoder::new(packed))
        };
        Ok(Checked {
            unpacked,
            crc: Crc::new(),
            expected: self.crc,
        })
    }
}

enum Unpacked<'a> {
    Stored(BufReader<Section<'a>>),
    Deflated(DeflateDecoder<BufReader<Section<'a>>>),
}

/// Compares the checksum at the end.
struct Checked<'a> {
    unpacked: Unpacked<'a>,
    crc: Crc,
    expected: u32,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.unpacked {
            Unpacked::Stored(stream) => stream.read(buffer)?,
            Unpacked::Deflated(stream) => stream.read(buffer)?,
        };
        self.crc.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its checksum does not match",
            ));
        }
        Ok(read)
    }
}

/// A part of a file, read without moving anyone else's position.
struct Section<'a> {
    file: &'a File,
    position: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..wanted], self.position)?;
        if read == 0 && wanted > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file ends before it",
            ));
        }
        self.position += read as u64;
        Ok(read)
    }
}

fn read_at(file: &File, position: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes)
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8], position: usize, length: usize) -> u64 {
    bytes[position..position + length]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn narrow(bytes: &[u8], position: usize) -> u16 {
    u16::from_le_bytes([bytes[position], bytes[position + 1]])
}

fn wide(bytes: &[u8], position: usize) -> u32 {
    u32::from_le_bytes([
        bytes[position],
        bytes[position + 1],
        bytes[position + 2],
        bytes[position + 3],
    ])
}

/// Date and time of the old format, which has no time zone, taken as UTC.
fn dos_time(date: u16, time: u16) -> Option<i64> {
    let (year, month, day) = (
        1980 + i64::from(date >> 9),
        i64::from(date >> 5 & 15),
        i64::from(date & 31),
    );
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = i64::from(time >> 11) * 3600 + i64::from(time >> 5 & 63) * 60 + i64::from(time & 31) * 2;
    Some(crate::calendar::days_before(year, month, day) * 86_400 + seconds)
}
