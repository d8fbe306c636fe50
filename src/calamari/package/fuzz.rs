//! Archives damaged at random: they are unpacked or refused, in bounded time, and nothing ever stands outside the folder.

use super::extraction::extract_into;
use super::{Archive, Limits};
use crate::interruption::Interruption;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tar::EntryType;
use zip::write::SimpleFileOptions;

/// A generator that gives the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("small")
    }
}

/// Texts that are put into archives: what a hostile one would hold.
const HOSTILE: [&[u8]; 8] = [
    b"../",
    b"/etc/x",
    b"..\\..\\",
    b"\0",
    b"\xFF\xFF\xFF\xFF",
    b"\0\0\0\0",
    b"PK\x01\x02",
    b"7777777",
];

fn zip() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    for name in ["a.txt", "sub/b.txt", "sub/../c.txt", "_rels/.rels", "x.nuspec"] {
        writer.start_file(name, options).expect("started");
        writer.write_all(name.repeat(20).as_bytes()).expect("written");
    }
    let stored = options.compression_method(zip::CompressionMethod::Stored);
    writer.start_file("stored", stored).expect("started");
    writer.write_all(b"contents").expect("written");
    writer.add_symlink("link", "sub/b.txt", options).expect("added");
    writer.add_directory("empty", options).expect("added");
    writer.finish().expect("finished").into_inner()
}

fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "long/".repeat(30);
    for (name, kind, target) in [
        ("a.txt", EntryType::Regular, ""),
        ("sub/b.txt", EntryType::Regular, ""),
        (&format!("{long}c"), EntryType::Regular, ""),
        ("link", EntryType::Symlink, "sub/b.txt"),
        ("hard", EntryType::Link, "a.txt"),
        ("empty/", EntryType::Directory, ""),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_entry_type(kind);
        let contents = if kind == EntryType::Regular { name } else { "" };
        header.set_size(contents.len() as u64);
        match target {
            "" => builder.append_data(&mut header, name, contents.as_bytes()),
            target => builder.append_link(&mut header, name, target),
        }
        .expect("appended");
    }
    builder.into_inner().expect("finished")
}

fn corpus() -> Vec<(Archive, Vec<u8>)> {
    let tar = tar();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).expect("written");
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(&tar).expect("written");
    let mut xz =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).expect("an encoder");
    xz.write_all(&tar).expect("written");
    let zstandard = ruzstd::encoding::compress_to_vec(&tar[..], ruzstd::encoding::CompressionLevel::Fastest);
    vec![
        (Archive::Zip, zip()),
        (Archive::Nupkg, zip()),
        (Archive::Tar, tar),
        (Archive::TarGz, gz.finish().expect("finished")),
        (Archive::TarBz2, bz.finish().expect("finished")),
        (Archive::TarXz, xz.finish().expect("finished")),
        (Archive::TarZst, zstandard),
    ]
}

/// One to four damages.
fn damaged(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] = random.next().to_le_bytes()[0],
            1 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + random.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let place = random.below(bytes.len());
                bytes.splice(place..place, piece);
            }
            4 => {
                let end = (at + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let text = HOSTILE[random.below(HOSTILE.len())];
                let end = (at + text.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&text[..end - at]);
            }
        }
    }
    bytes
}

/// The checksum of each header of a tar is made right again, so that what was damaged in it is looked at.
fn with_right_checksums(mut tar: Vec<u8>) -> Vec<u8> {
    for block in tar.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    tar
}

/// Every path below the folder; a link counts by where it leads.
fn paths(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        match path.symlink_metadata().expect("there") {
            kind if kind.is_dir() => paths(&path, found),
            _ => found.push(path),
        }
    }
}

#[test]
fn damaged_archives_stay_in_their_folder() {
    let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(seconds);
    let corpus = corpus();
    let place = tempfile::tempdir().expect("a folder");
    let root = place.path().canonicalize().expect("a folder");
    let (package, target) = (root.join("package"), root.join("target"));
    let limits = Limits {
        entries: 1000,
        bytes: 1 << 20,
        ratio: 1000,
        free_bytes: 1 << 16,
    };
    for seed in 1.. {
        if Instant::now() >= end {
            break;
        }
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1);
        let (archive, whole) = &corpus[random.below(corpus.len())];
        let mut bytes = damaged(whole.clone(), &mut random);
        if *archive == Archive::Tar && random.below(2) == 0 {
            bytes = with_right_checksums(bytes);
        }
        std::fs::write(&package, &bytes).expect("written");
        std::fs::create_dir(&target).expect("made");
        let started = Instant::now();
        let unpacked = extract_into(&package, *archive, &target, limits, &Interruption::default());
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "seed {seed} takes too long"
        );
        let mut beside: Vec<_> = std::fs::read_dir(&root)
            .expect("a folder")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        beside.sort();
        assert_eq!(beside, ["package", "target"], "seed {seed}");
        let mut inside = Vec::new();
        paths(&target, &mut inside);
        for path in inside {
            // A link to nothing leads nowhere.
            let leads = path.canonicalize().unwrap_or_else(|_| target.clone());
            assert!(leads.starts_with(&target), "seed {seed}: {}", path.display());
        }
        if unpacked.is_ok() && bytes == *whole {
            assert!(target.join("sub/b.txt").exists(), "seed {seed}");
        }
        std::fs::remove_dir_all(&target).expect("removed");
    }
}
