//! Stories of archives, good and hostile (security: A01 to A18, as far as unpacking goes).

use super::*;
use crate::interruption::Interruption;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn unpack(&self, archive: Archive, bytes: &[u8]) -> Result<Extracted, ArchiveError> {
        self.unpack_with(archive, bytes, Limits::default())
    }

    fn unpack_with(&self, archive: Archive, bytes: &[u8], limits: Limits) -> Result<Extracted, ArchiveError> {
        let package = self.path("package");
        std::fs::write(&package, bytes).expect("written");
        extract(
            &package,
            archive,
            &self.path("apps"),
            "1.0.0",
            limits,
            &Interruption::default(),
        )
    }

    /// The message of a refusal, after which nothing is left behind.
    fn refused(&self, archive: Archive, bytes: &[u8]) -> String {
        let error = self.unpack(archive, bytes).expect_err("refused").to_string();
        self.assert_nothing_left();
        error
    }

    fn assert_nothing_left(&self) {
        let left: Vec<_> = std::fs::read_dir(self.path("apps"))
            .expect("a folder")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("apps/1.0.0").join(name)).expect(name)
    }
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .expect("started");
        writer.write_all(contents).expect("written");
    }
    writer.finish().expect("finished").into_inner()
}

/// A tar of raw headers, so that hostile names can be written.
fn tar_of(entries: &[(&str, tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, target, contents) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if name.ends_with(".sh") { 0o4755 } else { 0o644 });
        header.set_mtime(1_700_000_000);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        builder.append(&header, *contents).expect("appended");
    }
    builder.into_inner().expect("finished")
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).expect("an encoder");
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A copy of a zip in which a byte string is replaced by one of the same length, in both headers.
fn patched(mut zip: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut position = 0;
    while let Some(at) = zip[position..]
        .windows(from.len())
        .position(|window| window == from)
    {
        zip[position + at..position + at + from.len()].copy_from_slice(to);
        position += at + from.len();
    }
    zip
}

#[test]
fn every_format_gives_the_same_files() {
    let files: [(&str, &[u8]); 3] = [("index.html", b"<p>"), ("sub/deep/a.txt", b"A"), ("empty", b"")];
    let tar = tar_of(&files.map(|(name, contents)| (name, FILE, "", contents)));
    for (archive, bytes) in [
        (Archive::Zip, zip_of(&files)),
        (Archive::Tar, tar.clone()),
        (Archive::TarGz, gzip(&tar)),
        (Archive::TarBz2, bzip2(&tar)),
        (Archive::TarXz, xz(&tar)),
        (Archive::TarZst, zstandard(&tar)),
    ] {
        let place = Place::new();
        let extracted = place.unpack(archive, &bytes).expect("unpacked");
        assert_eq!(extracted.files, 3, "{archive:?}");
        assert_eq!(place.text("sub/deep/a.txt"), "A");
        let second = place.unpack(archive, &bytes).expect("unpacked again");
        assert!(second.folder.ends_with("1.0.0_1"));
    }
}

#[test]
fn a_nuget_package_comes_without_what_describes_it() {
    let bytes = zip_of(&[
        (
            "Acme.Web.nuspec",
            b"<package xmlns='x'><metadata><id>Acme.Web</id><version>1.2.3-b</version></metadata></package>",
        ),
        ("_rels/.rels", b"x"),
        ("[Content_Types].xml", b"x"),
        ("package/services/metadata/core-properties/1.psmdcp", b"x"),
        ("content/a%20b.txt", b"A"),
    ]);
    let place = Place::new();
    let extracted = place.unpack(Archive::Nupkg, &bytes).expect("unpacked");
    assert_eq!(extracted.files, 1);
    assert_eq!(place.text("content/a b.txt"), "A");
    let path = place.path("whatever.nupkg");
    std::fs::write(&path, &bytes).expect("written");
    let package = PackageFile::open(&path).expect("read");
    assert_eq!(
        (package.id.as_str(), package.version.as_str()),
        ("Acme.Web", "1.2.3-b")
    );
}

#[test]
fn a01_to_a04_hostile_names_are_refused_with_the_entry_named() {
    for name in [
        "../../etc/cron.d/x",
        "/tmp/mantle-x",
        "C:\\x",
        "\\\\srv\\x",
        "a\\..\\..\\x",
        "a\n.txt",
    ] {
        let place = Place::new();
        let error = place.refused(Archive::Zip, &zip_of(&[("good.txt", b"1"), (name, b"x")]));
        assert!(
            error.contains(name.split('\n').next().expect("a part")),
            "{error}"
        );
        let place = Place::new();
        place.refused(
            Archive::Tar,
            &tar_of(&[("good.txt", FILE, "", b"1"), (name, FILE, "", b"x")]),
        );
    }
    let place = Place::new();
    place.refused(
        Archive::Zip,
        &patched(zip_of(&[("aZ.txt", b"1")]), b"aZ.txt", b"a\0.txt"),
    );
}

#[test]
fn a05_a_link_out_is_refused_and_nothing_goes_through_it() {
    let outside = tempfile::tempdir().expect("a folder");
    let target = outside.path().to_str().expect("text");
    for target in [target, "../..", ".."] {
        let place = Place::new();
        place.refused(
            Archive::Tar,
            &tar_of(&[("d", LINK, target, b""), ("d/x", FILE, "", b"x")]),
        );
        let place = Place::new();
        let error = place.refused(Archive::Tar, &tar_of(&[("d", LINK, target, b"")]));
        assert!(error.contains("outside"), "{error}");
    }
    assert_eq!(std::fs::read_dir(outside.path()).expect("a folder").count(), 0);
}

#[test]
fn a06_a_chain_of_links_out_is_refused() {
    let place = Place::new();
    place.refused(
        Archive::Tar,
        &tar_of(&[
            ("a", LINK, "b", b""),
            ("b", LINK, "..", b""),
            ("a/x", FILE, "", b"x"),
        ]),
    );
    // Each of them looks harmless by itself.
    let place = Place::new();
    let error = place.refused(
        Archive::Tar,
        &tar_of(&[
            ("here", LINK, ".", b""),
            ("deep/out", LINK, "../here/../secret", b""),
            ("f", FILE, "", b"x"),
        ]),
    );
    assert!(error.contains("deep/out"), "{error}");
    let place = Place::new();
    place.refused(
        Archive::Tar,
        &tar_of(&[("a", LINK, "b", b""), ("b", LINK, "a", b"")]),
    );
}

#[test]
fn a07_a_link_inside_is_made_last() {
    let place = Place::new();
    let bytes = tar_of(&[
        ("current", LINK, "v1/app", b""),
        ("v1/app", FILE, "", b"one"),
        ("run.sh", FILE, "", b"#"),
    ]);
    place.unpack(Archive::TarGz, &gzip(&bytes)).expect("unpacked");
    assert_eq!(place.text("current"), "one");
    let link = std::fs::read_link(place.path("apps/1.0.0/current")).expect("a link");
    assert_eq!(link, Path::new("v1/app"));
    // Executable stays, setuid goes.
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(place.path("apps/1.0.0/run.sh"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7100, 0o100);
}

#[test]
fn hard_links_reach_only_files_of_the_archive() {
    let hard = tar::EntryType::Link;
    let place = Place::new();
    place
        .unpack(
            Archive::Tar,
            &tar_of(&[("a", FILE, "", b"one"), ("b", hard, "a", b"")]),
        )
        .expect("unpacked");
    assert_eq!(place.text("b"), "one");
    for target in ["/etc/passwd", "../package", "later"] {
        let place = Place::new();
        place.refused(
            Archive::Tar,
            &tar_of(&[("b", hard, target, b""), ("later", FILE, "", b"x")]),
        );
    }
}

#[test]
fn devices_and_pipes_are_refused() {
    for kind in [tar::EntryType::Char, tar::EntryType::Block, tar::EntryType::Fifo] {
        let place = Place::new();
        let error = place.refused(Archive::Tar, &tar_of(&[("dev", kind, "", b"")]));
        assert!(error.contains("dev"), "{error}");
    }
}

#[test]
fn a08_two_entries_of_one_name_are_refused_unless_they_are_equal() {
    let zip = |second| {
        patched(
            zip_of(&[("x.txt", b"one"), ("y.txt", second)]),
            b"y.txt",
            b"x.txt",
        )
    };
    let place = Place::new();
    let error = place.refused(Archive::Zip, &zip(b"two"));
    assert!(error.contains("x.txt") && error.contains("ambiguous"), "{error}");
    let place = Place::new();
    place.refused(Archive::Zip, &zip(b"on"));
    let place = Place::new();
    place.unpack(Archive::Zip, &zip(b"one")).expect("the same twice");
    assert_eq!(place.text("x.txt"), "one");
}

#[test]
fn a09_a_file_in_the_place_of_a_folder_is_refused() {
    for names in [["a", "a/b"], ["a/b", "a"]] {
        let place = Place::new();
        let error = place.refused(
            Archive::Tar,
            &tar_of(&names.map(|name| (name, FILE, "", b"x".as_slice()))),
        );
        assert!(error.contains('a'), "{error}");
    }
}

#[test]
fn a10_a_flipped_byte_is_noticed() {
    let mut stored = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    stored.start_file("x.txt", options).expect("started");
    stored.write_all(b"some contents").expect("written");
    let bytes = patched(stored.finish().expect("finished").into_inner(), b"some", b"sOme");
    let place = Place::new();
    let error = place.refused(Archive::Zip, &bytes);
    assert!(error.contains("x.txt") && error.contains("checksum"), "{error}");
    let mut bytes = gzip(&tar_of(&[("x.txt", FILE, "", b"some contents")]));
    let last = bytes.len() - 6;
    bytes[last] ^= 1;
    Place::new().refused(Archive::TarGz, &bytes);
    let tar = tar_of(&[("x.txt", FILE, "", b"some contents")]);
    for (archive, mut bytes) in [
        (Archive::TarXz, xz(&tar)),
        (Archive::TarZst, zstandard(&tar)),
        (Archive::TarBz2, bzip2(&tar)),
    ] {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Place::new().refused(archive, &bytes);
    }
}

#[test]
fn a11_an_archive_cut_at_any_byte_is_refused_and_leaves_nothing() {
    let files: Vec<(String, Vec<u8>)> = (0..10_u8)
        .map(|n| (format!("f{n}.txt"), vec![n; 20 * usize::from(n)]))
        .collect();
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let zip = zip_of(&named);
    let place = Place::new();
    for length in 0..zip.len() {
        place.refused(Archive::Zip, &zip[..length]);
    }
    let tar = tar_of(&[("a", FILE, "", b"some contents"), ("b", FILE, "", b"more")]);
    let (gz, bz) = (gzip(&tar), bzip2(&tar));
    for length in 0..gz.len() {
        place.refused(Archive::TarGz, &gz[..length]);
    }
    for length in 0..bz.len() {
        place.refused(Archive::TarBz2, &bz[..length]);
    }
    let (xz, zst) = (xz(&tar), zstandard(&tar));
    for length in 0..xz.len() {
        place.refused(Archive::TarXz, &xz[..length]);
    }
    for length in 0..zst.len() {
        place.refused(Archive::TarZst, &zst[..length]);
    }
    for length in (0..=4 * 512).step_by(128) {
        place.refused(Archive::Tar, &tar[..length]);
    }
}

#[test]
fn a12_other_methods_and_passwords_are_unsupported() {
    let zip = zip_of(&[("x.txt", b"some contents")]);
    let central = zip
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .expect("a directory");
    let mut method = zip.clone();
    (method[central + 10], method[8]) = (99, 99);
    let error = Place::new().refused(Archive::Zip, &method);
    assert!(error.contains("unsupported") && error.contains("99"), "{error}");
    let mut encrypted = zip;
    encrypted[central + 8] |= 1;
    encrypted[6] |= 1;
    let error = Place::new().refused(Archive::Zip, &encrypted);
    assert!(error.contains("encrypted"), "{error}");
}

#[test]
fn a14_a_bomb_stops_at_the_limits() {
    let zeros = vec![0; 4 << 20];
    let limits = Limits {
        free_bytes: 1 << 20,
        ratio: 20,
        ..Limits::default()
    };
    let tar = tar_of(&[("zeros", FILE, "", &zeros)]);
    for (archive, bytes) in [
        (Archive::Zip, zip_of(&[("zeros", &zeros)])),
        (Archive::TarGz, gzip(&tar)),
        (Archive::TarBz2, bzip2(&tar)),
        (Archive::TarXz, xz(&tar)),
        (Archive::TarZst, zstandard(&tar)),
    ] {
        let place = Place::new();
        let error = place
            .unpack_with(archive, &bytes, limits)
            .expect_err("a bomb")
            .to_string();
        assert!(error.contains("bomb"), "{error}");
        place.assert_nothing_left();
        let place = Place::new();
        let small = Limits {
            bytes: 1 << 20,
            ..Limits::default()
        };
        place.unpack_with(archive, &bytes, small).expect_err("too large");
        place.assert_nothing_left();
    }
}

#[test]
fn a15_entries_that_overlap_are_refused_from_the_directory() {
    let zip = zip_of(&[("a.txt", b"some contents"), ("b.txt", b"other contents")]);
    let entries: Vec<usize> = (0..zip.len() - 4)
        .filter(|at| &zip[*at..*at + 4] == b"PK\x01\x02")
        .collect();
    let mut bytes = zip.clone();
    let (first, second) = (entries[0] + 42, entries[1] + 42);
    bytes.copy_within(first..first + 4, second);
    let error = Place::new().refused(Archive::Zip, &bytes);
    assert!(error.contains("overlap"), "{error}");
}

#[test]
fn a16_a_flood_of_entries_is_refused() {
    let limits = Limits {
        entries: 100,
        ..Limits::default()
    };
    let names: Vec<String> = (0..101).map(|n| format!("f{n}")).collect();
    let zip = zip_of(
        &names
            .iter()
            .map(|name| (name.as_str(), b"".as_slice()))
            .collect::<Vec<_>>(),
    );
    let tar = tar_of(
        &names
            .iter()
            .map(|name| (name.as_str(), FILE, "", b"".as_slice()))
            .collect::<Vec<_>>(),
    );
    for (archive, bytes) in [(Archive::Zip, zip), (Archive::TarGz, gzip(&tar))] {
        let place = Place::new();
        let error = place
            .unpack_with(archive, &bytes, limits)
            .expect_err("a flood")
            .to_string();
        assert!(error.contains("100 entries"), "{error}");
        place.assert_nothing_left();
    }
}

#[test]
fn a17_an_archive_inside_an_archive_stays_one_file() {
    let inner = zip_of(&[("x", b"x")]);
    let place = Place::new();
    assert_eq!(
        place
            .unpack(Archive::Zip, &zip_of(&[("inner.zip", &inner)]))
            .expect("unpacked")
            .files,
        1
    );
}

#[test]
fn a18_a_size_that_lies_is_noticed() {
    let contents = vec![7; 100_000];
    let zip = zip_of(&[("x.txt", &contents)]);
    let true_size = u32::try_from(contents.len()).expect("small").to_le_bytes();
    let error = Place::new().refused(Archive::Zip, &patched(zip, &true_size, &10_u32.to_le_bytes()));
    assert!(error.contains("x.txt") && error.contains("announced"), "{error}");
}

#[test]
fn headers_that_disagree_are_refused() {
    let zip = zip_of(&[("good.txt", b"1")]);
    let mut bytes = zip.clone();
    let local = zip
        .windows(8)
        .position(|window| window == b"good.txt")
        .expect("a name");
    bytes[local] = b'f';
    let error = Place::new().refused(Archive::Zip, &bytes);
    assert!(error.contains("good.txt"), "{error}");
}

#[test]
fn a_name_that_would_fill_the_memory_is_refused() {
    let endless = vec![b'a'; 20 << 20];
    let tar = tar_of(&[
        ("././@LongLink", tar::EntryType::GNULongName, "", &endless),
        ("x", FILE, "", b""),
    ]);
    let error = Place::new().refused(Archive::TarGz, &gzip(&tar));
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn what_a_killed_process_left_is_swept_and_a_stop_leaves_nothing() {
    let place = Place::new();
    let left = place.path("apps/.extracting-left");
    std::fs::create_dir_all(left.join("sub")).expect("made");
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    std::fs::File::open(&left)
        .expect("a folder")
        .set_modified(earlier)
        .expect("set");
    let stopped = Interruption::default();
    stopped.raise(15);
    let package = place.path("package");
    std::fs::write(&package, zip_of(&[("a", b"1")])).expect("written");
    let error = extract(
        &package,
        Archive::Zip,
        &place.path("apps"),
        "1.0.0",
        Limits::default(),
        &stopped,
    );
    assert!(matches!(error, Err(ArchiveError::Stopped)));
    place.assert_nothing_left();
}
