//! `find-chunks` and `apply-chunks`: between our own Server and agents a package is sent as the chunks that no package
//! of the cache has.
//!
//! The Server sends the manifest of a package; `find-chunks` answers `chunksMissing` with the selection of chunks that it needs, in
//! Base64; the Server sends those as a bundle; `apply-chunks` makes the package and answers `chunkVerification`, as
//! `apply-delta` does. After an error the Server sends the whole package.

use crate::chunk_store::ChunkStore;
use crate::failure::{Failure, SUCCESS};
use crate::fresh_file::FreshFile;
use crate::package_cache::{PackageCache, home};
use crate::runner::Runner;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use contracts::ServiceMessage;
use octodiff::chunk::{Bundle, Manifest, assemble};
use sha1::{Digest, Sha1};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use versioning::PackageFileName;

/// The folder of chunk lists below the home of the agent.
const LISTS: &str = "Chunks";
/// The largest package that is made, in bytes.
const LARGEST_PACKAGE: u64 = 64 << 30;

/// Tells the Server which chunks of a package are not here.
///
/// # Errors
/// The home of the agent is not known.
pub fn find(runner: &mut Runner) -> Result<i32, Failure> {
    let found = Wanted::read(runner).and_then(|Wanted { manifest, name }| {
        let store = store(runner, &name)?;
        let missing = manifest.missing(|piece| store.has(piece));
        Ok(ServiceMessage::new(
            "chunksMissing",
            &[
                ("selection", &BASE64_STANDARD.encode(missing.bytes())),
                ("count", &missing.count().to_string()),
                ("size", &missing.length(&manifest).to_string()),
            ],
        ))
    });
    Ok(tell(runner, "chunksMissing", found))
}

/// Makes a package of a bundle and of the packages that are here.
///
/// # Errors
/// The home of the agent is not known.
pub fn apply(runner: &mut Runner) -> Result<i32, Failure> {
    let made = Wanted::read(runner).and_then(|wanted| {
        let bundle = file(runner, "bundleFileName")?;
        let target = PackageCache::open(runner)?.new_file(&wanted.name);
        let mut store = store(runner, &wanted.name)?;
        let hash = make(&wanted.manifest, &bundle, &mut store, &target)?;
        let size = wanted.manifest.length();
        Ok(ServiceMessage::new(
            "chunkVerification",
            &[
                ("remotePath", &target.display().to_string()),
                ("hash", &hash),
                ("size", &size.to_string()),
            ],
        ))
    });
    Ok(tell(runner, "chunkVerification", made))
}

fn tell(runner: &Runner, kind: &str, outcome: Result<ServiceMessage, Failure>) -> i32 {
    let message = match outcome {
        Ok(message) => message,
        Err(failure) => {
            runner.log.info(&format!("Error: {}", failure.message));
            ServiceMessage::new(kind, &[("error", &failure.message)])
        }
    };
    runner.log.verbose_message(&message);
    SUCCESS
}

/// The package that is to be made.
struct Wanted {
    manifest: Manifest,
    name: PackageFileName,
}

impl Wanted {
    fn read(runner: &Runner) -> Result<Self, Failure> {
        let path = file(runner, "manifestFileName")?;
        let name = PackageFileName::parse(option(runner, "newFileName")?)
            .map_err(|error| Failure::expected(error.to_string()))?;
        let list = File::open(&path).map_err(|error| Failure::at(&path, "open the manifest", &error))?;
        let manifest = Manifest::read(BufReader::new(list)).map_err(|error| refused(&path, &error))?;
        Ok(Self { manifest, name })
    }
}

/// A file that the Server sent.
fn file(runner: &Runner, name: &str) -> Result<PathBuf, Failure> {
    Ok(runner.working_directory.join(option(runner, name)?))
}

fn option<'a>(runner: &'a Runner, name: &str) -> Result<&'a str, Failure> {
    let given = runner.line.option(name);
    given.ok_or_else(|| Failure::expected(format!("No file was specified. Please pass --{name}=FILE")))
}

/// The packages of the cache: those of the same id first, newer ones first.
fn store(runner: &Runner, name: &PackageFileName) -> Result<ChunkStore, Failure> {
    let cache = PackageCache::open(runner)?;
    let mut packages = cache.packages()?;
    packages.sort_by_cached_key(|package| {
        let modified = package
            .path
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok();
        (package.holds(&name.package_id), modified)
    });
    let packages = packages.into_iter().rev().map(|package| package.path).collect();
    ChunkStore::open(packages, &home(runner)?.join(LISTS), &runner.log)
}

/// Gives the package its name when it is whole; answers with its SHA-1 hash in hex.
fn make(
    manifest: &Manifest,
    bundle_path: &Path,
    store: &mut ChunkStore,
    target: &Path,
) -> Result<String, Failure> {
    let bundle =
        File::open(bundle_path).map_err(|error| Failure::at(bundle_path, "open the bundle", &error))?;
    let mut bundle = Bundle::open(manifest, bundle).map_err(|error| refused(bundle_path, &error))?;
    let failed = |error: io::Error| Failure::at(target, "write the package", &error);
    let mut fresh = FreshFile::beside(target).map_err(failed)?;
    let hash = {
        let mut output = Hashed {
            file: BufWriter::with_capacity(256 << 10, fresh.file()),
            hash: Sha1::new(),
        };
        // It also brings the last bytes to the file.
        assemble(manifest, &mut [&mut bundle, store], &mut output, LARGEST_PACKAGE)
            .map_err(|error| refused(bundle_path, &error))?;
        output.hash.finalize()
    };
    fresh.finish().map_err(failed)?;
    Ok(hex::encode(hash))
}

fn refused(path: &Path, error: &octodiff::Error) -> Failure {
    Failure::expected(format!("{error} [{}]", path.display()))
}

/// Hashes what is written.
struct Hashed<W> {
    file: W,
    hash: Sha1,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interruption::Interruption;
    use crate::log::Log;
    use octodiff::chunk::{Selection, cut};
    use std::sync::{Arc, Mutex};

    /// What the runner prints.
    #[derive(Clone, Default)]
    struct Printed(Arc<Mutex<Vec<u8>>>);

    impl Write for Printed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const MANIFEST: (&str, &str) = ("manifestFileName", "manifest");
    const BUNDLE: (&str, &str) = ("bundleFileName", "bundle");

    /// A machine with one package in its cache.
    struct Target(tempfile::TempDir);

    impl Target {
        fn with(package: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("Files")).unwrap();
            let target = Self(folder);
            std::fs::write(
                target.path(&format!("Files/Acme@S1.0.0@{}.zip", "0A".repeat(16))),
                package,
            )
            .unwrap();
            target
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Runs a command; gives the attributes of its message.
        fn run(&self, command: &str, files: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
            let mut arguments = vec![command.to_owned(), "--newFileName=Acme.1.0.1.zip".to_owned()];
            for (option, file) in files {
                arguments.push(format!("--{option}={}", self.path(file).display()));
            }
            let environment = [("TentacleHome".to_owned(), self.0.path().display().to_string())];
            let printed = Printed::default();
            let log = Log::new(printed.clone(), io::sink());
            let code = crate::run(
                &arguments,
                &environment,
                io::empty(),
                log,
                Interruption::default(),
            );
            assert_eq!(code, SUCCESS);
            let text = String::from_utf8(printed.0.lock().unwrap().clone()).unwrap();
            move |name| {
                let (_, rest) = text.split_once(&format!(" {name}=\""))?;
                let value = BASE64_STANDARD.decode(rest.split('"').next()?).unwrap();
                String::from_utf8(value).ok()
            }
        }

        fn names(&self, folder: &str) -> usize {
            std::fs::read_dir(self.path(folder)).unwrap().count()
        }
    }

    fn noise(count: usize) -> Vec<u8> {
        let mut x = 7u32;
        let step = |_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x.to_be_bytes()[0]
        };
        (0..count).map(step).collect()
    }

    #[test]
    fn a_package_is_made_of_what_is_here_and_what_was_sent() {
        let old = noise(200_000);
        let new = [&old[..90_000], b"new", &old[90_000..]].concat();
        let target = Target::with(&old);
        let manifest = cut(&new[..]).unwrap();
        manifest
            .write(File::create(target.path("manifest")).unwrap())
            .unwrap();

        let told = target.run("find-chunks", &[MANIFEST]);
        let selection = BASE64_STANDARD.decode(told("selection").unwrap()).unwrap();
        let selection = Selection::read(&manifest, &selection).unwrap();
        assert_eq!(told("count").unwrap(), selection.count().to_string());
        let size: usize = told("size").unwrap().parse().unwrap();
        assert!(size < 40_000, "{size}");

        let bundle = File::create(target.path("bundle")).unwrap();
        Bundle::write(&manifest, &selection, &new[..], bundle).unwrap();
        let told = target.run("apply-chunks", &[MANIFEST, BUNDLE]);
        assert_eq!(told("hash").unwrap(), hex::encode(Sha1::digest(&new)));
        assert_eq!(told("size").unwrap(), "200003");
        assert_eq!(std::fs::read(told("remotePath").unwrap()).unwrap(), new);
        assert_eq!(target.names("Files"), 2);
    }

    #[test]
    fn an_error_is_told_and_leaves_no_file() {
        let old = noise(100_000);
        let target = Target::with(&old);
        let manifest = cut(&old[..]).unwrap();
        let none = manifest.missing(|_| true);
        let write = |name: &str| File::create(target.path(name)).unwrap();
        manifest.write(write("manifest")).unwrap();
        Bundle::write(&manifest, &none, &old[..], write("bundle")).unwrap();
        // Meanwhile the package is cleaned away.
        std::fs::remove_dir_all(target.path("Files")).unwrap();
        let error = |command: &str, files: &[(&str, &str)]| target.run(command, files)("error").unwrap();
        let refused = error("apply-chunks", &[MANIFEST, BUNDLE]);
        assert!(refused.contains("Send the whole file"), "{refused}");
        assert_eq!(target.names("Files"), 0);
        let refused = error("find-chunks", &[("manifestFileName", "bundle")]);
        assert!(refused.contains("MANTLECDC"), "{refused}");
        let refused = error("find-chunks", &[("manifestFileName", "nope")]);
        assert!(refused.contains("nope"), "{refused}");
        let refused = error("apply-chunks", &[MANIFEST]);
        assert!(refused.contains("--bundleFileName"), "{refused}");
    }
}
