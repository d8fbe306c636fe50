//! Packs a folder into a zip, for Java archives that are built again after their files were changed (17.3).

use crate::fresh_file::FreshFile;
use flate2::Compression;
use flate2::Crc;
use flate2::write::DeflateEncoder;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The first entry of a Java archive.
const MANIFEST: &str = "META-INF/MANIFEST.MF";

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Names are UTF-8.
const FLAGS: u16 = 0x0800;
/// Made on Unix, by the rules of version 2.0.
const MADE_BY: u16 = 0x0314;
const NEEDED: u16 = 20;

/// What the end of the archive says of an entry.
struct Entry {
    name: String,
    method: u16,
    date: u32,
    crc: u32,
    packed: u32,
    unpacked: u32,
    mode: u32,
    place: u32,
}

/// Writes all files, links and empty folders below `folder` into an archive, which takes the place of an older one, the
/// manifest first, the others by name. The answer is the number of entries.
///
/// # Errors
/// Something cannot be read or written, or there is more than the format holds without its extension for large archives: 65,534
/// entries, 4 GiB.
pub fn write(folder: &Path, target: &Path, compressed: bool) -> io::Result<usize> {
    let mut paths = Vec::new();
    list(folder, &mut paths)?;
    paths.sort_by_key(|path| (!path.ends_with(MANIFEST), path.clone()));
    if paths.len() > 65_534 {
        return Err(io::Error::other(
            "there are more than 65,534 files, which this archive cannot hold",
        ));
    }
    let mut fresh = FreshFile::beside(target)?;
    let mut entries = Vec::new();
    {
        let mut archive = BufWriter::new(fresh.file());
        for path in &paths {
            let name = path.strip_prefix(folder).unwrap_or(path).as_os_str().as_bytes();
            let name = String::from_utf8_lossy(name).into_owned();
            entries.push(pack(&mut archive, path, name, compressed)?);
        }
        finish(&mut archive, &entries)?;
        archive.flush()?;
    }
    fresh.finish()?;
    Ok(entries.len())
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // A folder without anything in it is an entry of its own.
        if entry.file_type()?.is_dir() && std::fs::read_dir(&path)?.next().is_some() {
            list(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn pack(
    archive: &mut (impl Write + Seek),
    path: &Path,
    mut name: String,
    compressed: bool,
) -> io::Result<Entry> {
    let about = path.symlink_metadata()?;
    if about.is_dir() {
        name.push('/');
    }
    let method = if about.is_file() && compressed {
        DEFLATED
    } else {
        STORED
    };
    let seconds = about
        .modified()?
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut entry = Entry {
        name,
        method,
        date: dos_date(seconds),
        crc: 0,
        packed: 0,
        unpacked: 0,
        mode: about.permissions().mode(),
        place: small(archive.stream_position()?)?,
    };
    archive.write_all(&local_header(&entry))?;
    let begin = archive.stream_position()?;
    let mut crc = Crc::new();
    if about.is_symlink() {
        let link = std::fs::read_link(path)?;
        crc.update(link.as_os_str().as_bytes());
        archive.write_all(link.as_os_str().as_bytes())?;
    } else if about.is_file() {
        let file = File::open(path)?;
        if compressed {
            let mut encoder = DeflateEncoder::new(&mut *archive, Compression::default());
            copy(file, &mut encoder, &mut crc)?;
            encoder.finish()?;
        } else {
            copy(file, archive, &mut crc)?;
        }
    }
    let end = archive.stream_position()?;
    entry.crc = crc.sum();
    entry.packed = small(end - begin)?;
    entry.unpacked = crc.amount();
    if about.is_file() && u64::from(entry.unpacked) != about.len() {
        return Err(io::Error::other(format!(
            "{} changed while it was packed",
            path.display()
        )));
    }
    archive.seek(SeekFrom::Start(u64::from(entry.place)))?;
    archive.write_all(&local_header(&entry))?;
    archive.seek(SeekFrom::Start(end))?;
    Ok(entry)
}

fn copy(mut file: File, to: &mut impl Write, crc: &mut Crc) -> io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        crc.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
    }
}

fn local_header(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0x0403_4b50_u32.to_le_bytes());
    bytes.extend(NEEDED.to_le_bytes());
    common(entry, &mut bytes);
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend(entry.name.as_bytes());
    bytes
}

/// What both headers of an entry have, up to the length of its name.
fn common(entry: &Entry, bytes: &mut Vec<u8>) {
    bytes.extend(FLAGS.to_le_bytes());
    bytes.extend(entry.method.to_le_bytes());
    for number in [entry.date, entry.crc, entry.packed, entry.unpacked] {
        bytes.extend(number.to_le_bytes());
    }
    // A path of Linux has at most 4,096 bytes.
    let length = u16::try_from(entry.name.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_le_bytes());
}

fn finish(archive: &mut (impl Write + Seek), entries: &[Entry]) -> io::Result<()> {
    let place = small(archive.stream_position()?)?;
    for entry in entries {
        let mut bytes = Vec::new();
        bytes.extend(0x0201_4b50_u32.to_le_bytes());
        bytes.extend(MADE_BY.to_le_bytes());
        bytes.extend(NEEDED.to_le_bytes());
        common(entry, &mut bytes);
        // No extra field, no comment, the first disk, no inner attributes.
        bytes.extend([0; 8]);
        bytes.extend((entry.mode << 16).to_le_bytes());
        bytes.extend(entry.place.to_le_bytes());
        bytes.extend(entry.name.as_bytes());
        archive.write_all(&bytes)?;
    }
    let length = small(archive.stream_position()?)? - place;
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX).to_le_bytes();
    let mut bytes = Vec::new();
    bytes.extend(0x0605_4b50_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend(length.to_le_bytes());
    bytes.extend(place.to_le_bytes());
    bytes.extend([0; 2]);
    archive.write_all(&bytes)
}

fn small(number: u64) -> io::Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|number| *number < u32::MAX)
        .ok_or_else(|| io::Error::other("the archive would be larger than 4 GiB"))
}

/// Date and time in the form of the format: from 1980, in steps of two seconds.
fn dos_date(seconds: u64) -> u32 {
    let text = crate::calendar::format(i64::try_from(seconds).unwrap_or(0));
    let part = |range: std::ops::Range<usize>| {
        text.get(range)
            .and_then(|part| part.parse::<u32>().ok())
            .unwrap_or(0)
    };
    let year = part(0..4);
    if !(1980..2108).contains(&year) {
        return (1 << 21) | (1 << 16);
    }
    let date = ((year - 1980) << 9) | (part(5..7) << 5) | part(8..10);
    let time = (part(11..13) << 11) | (part(14..16) << 5) | (part(17..19) / 2);
    (date << 16) | time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_read_by_others_and_the_manifest_is_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("META-INF")).expect("made");
        std::fs::create_dir_all(tree.join("empty")).expect("made");
        let long = "content ".repeat(100_000);
        for (name, text) in [("META-INF/MANIFEST.MF", "M"), ("A.class", ""), ("ż.txt", &long)] {
            std::fs::write(tree.join(name), text).expect("written");
        }
        for compressed in [true, false] {
            let target = folder.path().join(format!("{compressed}.jar"));
            assert_eq!(write(&tree, &target, compressed).expect("packed"), 4);
            let mut archive = zip::ZipArchive::new(File::open(&target).expect("there")).expect("a zip");
            let first = archive
                .by_index(0)
                .expect("an entry")
                .name()
                .expect("a name")
                .into_owned();
            assert_eq!(first, MANIFEST);
            let mut text = String::new();
            let mut entry = archive.by_name("ż.txt").expect("an entry");
            entry.read_to_string(&mut text).expect("text");
            assert!(text == long && (entry.compressed_size() < 10_000) == compressed);
            drop(entry);
            assert!(archive.by_name("empty/").expect("an entry").is_dir());
            let again = write(&tree, &target, compressed);
            assert!(again.is_ok(), "an archive takes the place of an older one");
        }
    }

    #[test]
    fn dates_are_those_of_the_format() {
        assert_eq!(dos_date(1_709_210_096), 0x585D_645C);
        assert_eq!(dos_date(0), 0x0021_0000);
    }
}
