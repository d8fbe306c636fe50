//! The chunks of all packages in the cache, as one store: what is here in any package, wherever in it, need not be sent.
//!
//! Nothing is stored twice: the store is an index over the packages. Beside the cache there is a list of chunks for each package,
//! made the first time it is asked for; a chunk is checked when it is used, so an outdated list does no harm.

use crate::failure::Failure;
use crate::fresh_file::FreshFile;
use crate::log::Log;
use octodiff::chunk::{self, ChunkHash, ChunkSource, Manifest, Piece};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How much of the packages is indexed, in bytes: about 60 MB of memory for each 4 GiB.
const LARGEST_STORE: u64 = 4 << 30;
/// How much is cut in one run, in bytes; packages without a list beyond that wait for another run.
const LARGEST_CUT: u64 = 1 << 30;
/// How the names of lists end.
const ENDING: &str = "chunks";
/// What a run that was killed left behind is removed after this time.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Where each chunk is.
pub struct ChunkStore {
    packages: Vec<PathBuf>,
    /// Package and position.
    places: HashMap<ChunkHash, (u32, u64)>,
    /// The package that was read last.
    open: Option<(u32, File)>,
}

impl ChunkStore {
    /// Indexes packages, the first ones first when there are too many. `lists` is the folder for their lists, which is
    /// made; lists of packages that are not among the given ones are removed. A package that cannot be read is left out, and
    /// the log says so.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(packages: Vec<PathBuf>, lists: &Path, log: &Log) -> Result<Self, Failure> {
        let failed = |error| Failure::at(lists, "use the folder of chunk lists", &error);
        std::fs::create_dir_all(lists).map_err(failed)?;
        let mut store = Self {
            packages,
            places: HashMap::new(),
            open: None,
        };
        let mut known = HashSet::new();
        let (mut indexed, mut cut) = (0, 0);
        for number in 0..store.packages.len() {
            let package = &store.packages[number];
            match list_of(package, lists, &mut indexed, &mut cut, &mut known) {
                Ok(Some(manifest)) => store.add(number as u32, &manifest),
                Ok(None) => {}
                Err(reason) => log.verbose(&format!(
                    "The chunks of {} are not used: {reason}",
                    package.display()
                )),
            }
        }
        prune(lists, &known).map_err(failed)?;
        Ok(store)
    }

    /// Whether a chunk should be here.
    pub fn has(&self, piece: &Piece) -> bool {
        self.places.contains_key(&piece.hash)
    }

    fn add(&mut self, package: u32, manifest: &Manifest) {
        let mut position = 0;
        for piece in manifest.pieces() {
            self.places.entry(piece.hash).or_insert((package, position));
            position += u64::from(piece.length);
        }
    }
}

impl ChunkSource for ChunkStore {
    fn read_chunk(&mut self, piece: &Piece, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let Some((package, position)) = self.places.get(&piece.hash).copied() else {
            return Ok(false);
        };
        let mut read = || -> io::Result<File> {
            let mut file = match self.open.take() {
                Some((open, file)) if open == package => file,
                _ => File::open(&self.packages[package as usize])?,
            };
            file.seek(SeekFrom::Start(position))?;
            buffer.resize(piece.length as usize, 0);
            file.read_exact(buffer)?;
            Ok(file)
        };
        match read() {
            Ok(file) => {
                self.open = Some((package, file));
                Ok(true)
            }
            // It was cleaned away, or is another one now.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// The chunks of a package; none when there are too many packages.
fn list_of(
    package: &Path,
    lists: &Path,
    indexed: &mut u64,
    cut: &mut u64,
    known: &mut HashSet<String>,
) -> Result<Option<Manifest>, String> {
    let metadata = package.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let name = list_name(package, &metadata);
    known.insert(name.clone());
    *indexed += metadata.len();
    if *indexed > LARGEST_STORE {
        return Ok(None);
    }
    let list = lists.join(name);
    if let Ok(file) = File::open(&list)
        && let Ok(manifest) = Manifest::read(BufReader::new(file))
    {
        return Ok(Some(manifest));
    }
    *cut += metadata.len();
    if *cut > LARGEST_CUT {
        return Ok(None);
    }
    let file = File::open(package).map_err(|error| error.to_string())?;
    let manifest = chunk::cut(file).map_err(|error| error.to_string())?;
    let mut fresh = FreshFile::beside(&list).map_err(|error| error.to_string())?;
    manifest.write(fresh.file()).map_err(|error| error.to_string())?;
    fresh.finish().map_err(|error| error.to_string())?;
    Ok(Some(manifest))
}

/// A package that changes has another list.
fn list_name(package: &Path, metadata: &std::fs::Metadata) -> String {
    let identity = format!(
        "{}\n{}\n{}.{}",
        package.display(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    );
    format!("{}.{ENDING}", ChunkHash::of(identity.as_bytes()))
}

fn prune(lists: &Path, known: &HashSet<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(lists)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let abandoned = |metadata: std::fs::Metadata| {
            metadata
                .modified()
                .is_ok_and(|time| time < SystemTime::now() - ABANDONED)
        };
        let is_list = name.ends_with(ENDING);
        if !known.contains(&name) && (is_list || entry.metadata().is_ok_and(abandoned)) {
            match std::fs::remove_file(entry.path()) {
                // Another run was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Target {
        folder: tempfile::TempDir,
    }

    impl Target {
        fn new(packages: &[(&str, &[u8])]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in packages {
                std::fs::write(folder.path().join(name), bytes).unwrap();
            }
            Self { folder }
        }

        fn lists(&self) -> PathBuf {
            self.folder.path().join("lists")
        }

        fn store(&self, packages: &[&str]) -> ChunkStore {
            let packages = packages
                .iter()
                .map(|name| self.folder.path().join(name))
                .collect();
            ChunkStore::open(packages, &self.lists(), &Log::new(io::sink(), io::sink())).unwrap()
        }

        fn list_count(&self) -> usize {
            std::fs::read_dir(self.lists()).unwrap().count()
        }
    }

    fn bytes(seed: u8, count: usize) -> Vec<u8> {
        let mut x = u64::from(seed) + 1;
        let step = |_| {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            x.to_be_bytes()[0]
        };
        (0..count).map(step).collect()
    }

    #[test]
    fn chunks_of_any_package_are_found_and_read() {
        let (one, other) = (bytes(1, 100_000), bytes(2, 100_000));
        let target = Target::new(&[("one", &one), ("other", &other)]);
        let new = [&other[..60_000], &one[30_000..]].concat();
        let manifest = chunk::cut(&new[..]).unwrap();
        let mut store = target.store(&["one", "other", "gone"]);
        let missing = manifest.missing(|piece| store.has(piece));
        assert!(
            missing.length(&manifest) < 40_000,
            "{}",
            missing.length(&manifest)
        );
        let mut buffer = Vec::new();
        for piece in manifest
            .pieces()
            .iter()
            .filter(|piece| store.has(piece))
            .copied()
            .collect::<Vec<_>>()
        {
            assert!(store.read_chunk(&piece, &mut buffer).unwrap());
            assert_eq!(ChunkHash::of(&buffer), piece.hash);
        }
    }

    #[test]
    fn lists_are_made_once_and_go_with_their_packages() {
        let target = Target::new(&[("one", &bytes(1, 50_000)), ("other", &bytes(2, 50_000))]);
        target.store(&["one", "other"]);
        assert_eq!(target.list_count(), 2);
        std::fs::write(target.folder.path().join("one"), bytes(3, 60_000)).unwrap();
        target.store(&["one", "other"]);
        assert_eq!(
            target.list_count(),
            2,
            "the old list of a changed package is gone"
        );
        target.store(&["other"]);
        assert_eq!(target.list_count(), 1);
    }

    #[test]
    fn a_damaged_list_is_made_again() {
        let target = Target::new(&[("one", &bytes(1, 50_000))]);
        target.store(&["one"]);
        let list = std::fs::read_dir(target.lists())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let good = std::fs::read(&list).unwrap();
        std::fs::write(&list, &good[..50]).unwrap();
        target.store(&["one"]);
        assert_eq!(std::fs::read(&list).unwrap(), good);
    }

    #[test]
    fn a_package_that_went_away_is_no_error() {
        let one = bytes(1, 50_000);
        let target = Target::new(&[("one", &one)]);
        let piece = chunk::cut(&one[..]).unwrap().pieces()[1];
        let mut store = target.store(&["one"]);
        std::fs::write(target.folder.path().join("one"), b"short").unwrap();
        assert!(!store.read_chunk(&piece, &mut Vec::new()).unwrap());
        std::fs::remove_file(target.folder.path().join("one")).unwrap();
        assert!(!store.read_chunk(&piece, &mut Vec::new()).unwrap());
    }
}
