//! What a machine needs to make a package itself: the delta to an older version that it has (`octodiff.md`, `calamari.md`
//! 11.3), or the chunks that none of its packages has. Made once, however many machines want it, and kept on the cache volume.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use octodiff::chunk::{self, Bundle, Manifest, Selection};
use octodiff::{Signature, SignatureForm, build_delta, build_signature};
use sha2::Digest as _;

/// What is not below this part of its package, in percent, is not worth the work on the machine.
const WORTH_IT: u64 = 90;
/// Packages below this are sent whole, in bytes: a question more takes longer than they do.
const SMALLEST_PACKAGE: u64 = 64 * 1024;
/// How much room all of it may take, in bytes; the oldest goes first.
const MOST_ROOM: u64 = 4 << 30;

/// One version of a package on the Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its file.
    pub file: PathBuf,
    /// The SHA-1 of it, lower-case hex.
    pub sha1: String,
}

/// What the Server keeps for machines that make packages themselves.
pub struct Differences {
    folder: PathBuf,
    /// Making one takes a core, and two machines may want the same: one at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Differences {
    /// Those of a cache volume.
    #[must_use]
    pub fn new(cache: &Path) -> Self {
        Self {
            folder: cache.join("differences"),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The delta that makes `new` of `basis`; None when sending the whole package is as good.
    ///
    /// # Errors
    /// When a package cannot be read or the volume not be written.
    pub async fn delta(&self, basis: &Version, new: &Version) -> io::Result<Option<PathBuf>> {
        let (folder, basis, new) = (self.folder.clone(), basis.clone(), new.clone());
        let made = self.kept(format!("{}-{}.delta", basis.sha1, new.sha1), move |delta| {
            let whole = fs::metadata(&new.file)?.len();
            if whole >= SMALLEST_PACKAGE {
                write(&folder, &basis, &new, delta)?;
            }
            if !is_worth_it(delta.metadata()?.len(), whole) {
                // An empty file says that it was not worth it.
                delta.set_len(0)?;
            }
            Ok(())
        });
        let made = made.await?;
        Ok((fs::metadata(&made)?.len() > 0).then_some(made))
    }

    /// The list of a package's chunks; None for a small one.
    ///
    /// # Errors
    /// As [`Differences::delta`].
    pub async fn manifest(&self, new: &Version) -> io::Result<Option<PathBuf>> {
        if fs::metadata(&new.file)?.len() < SMALLEST_PACKAGE {
            return Ok(None);
        }
        let new = new.clone();
        let made = self.kept(format!("{}.manifest", new.sha1), move |manifest| {
            let chunks = chunk::cut(File::open(&new.file)?).map_err(io::Error::other)?;
            let mut manifest = BufWriter::new(manifest);
            chunks.write(&mut manifest).map_err(io::Error::other)?;
            manifest.flush()
        });
        made.await.map(Some)
    }

    /// The chunks of a package that a machine asked for; `selection` is its answer. None when sending the whole package is
    /// as good.
    ///
    /// # Errors
    /// As [`Differences::delta`], and when the selection is not one of this manifest.
    pub async fn bundle(
        &self,
        new: &Version,
        manifest: &Path,
        selection: Vec<u8>,
    ) -> io::Result<Option<PathBuf>> {
        let (new, manifest) = (new.clone(), manifest.to_owned());
        let name = format!(
            "{}-{}.bundle",
            new.sha1,
            hex::encode(sha2::Sha256::digest(&selection))
        );
        let made = self.kept(name, move |bundle| {
            let manifest =
                Manifest::read(BufReader::new(File::open(&manifest)?)).map_err(io::Error::other)?;
            let selection = Selection::read(&manifest, &selection).map_err(io::Error::other)?;
            if !is_worth_it(selection.length(&manifest), manifest.length()) {
                return Ok(());
            }
            let mut packed = BufWriter::new(bundle);
            Bundle::write(
                &manifest,
                &selection,
                BufReader::new(File::open(&new.file)?),
                &mut packed,
            )
            .map_err(io::Error::other)?;
            packed.flush()
        });
        let made = made.await?;
        Ok((fs::metadata(&made)?.len() > 0).then_some(made))
    }

    /// A file that is there already, or is made now.
    async fn kept(
        &self,
        name: String,
        make: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
    ) -> io::Result<PathBuf> {
        let _turn = self.turn.lock().await;
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || {
            let path = folder.join(name);
            if path.try_exists()? {
                return Ok(path);
            }
            fs::create_dir_all(&folder)?;
            // Readable for the group, as all on the volumes: another uid may go on with them.
            let readable = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o664);
            let mut made = tempfile::Builder::new()
                .permissions(readable)
                .tempfile_in(&folder)?;
            make(made.as_file_mut())?;
            make_room(&folder, made.path())?;
            made.persist(&path).map_err(|error| error.error)?;
            Ok(path)
        });
        made.await.map_err(io::Error::other)?
    }
}

fn is_worth_it(length: u64, whole: u64) -> bool {
    length * 100 < whole * WORTH_IT
}

fn write(folder: &Path, basis: &Version, new: &Version, delta: &mut File) -> io::Result<()> {
    let mut signature = tempfile::tempfile_in(folder)?;
    let mut records = BufWriter::new(&mut signature);
    build_signature(File::open(&basis.file)?, &mut records, &SignatureForm::default())
        .map_err(io::Error::other)?;
    records.flush()?;
    drop(records);
    io::Seek::rewind(&mut signature)?;
    let signature = Signature::read(BufReader::new(signature)).map_err(io::Error::other)?;
    let mut commands = BufWriter::new(delta);
    build_delta(&signature, File::open(&new.file)?, &mut commands).map_err(io::Error::other)?;
    commands.flush()
}

/// Removes the oldest until there is room for what was just made.
fn make_room(folder: &Path, made: &Path) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        kept.push((
            metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            metadata.len(),
            entry.path(),
        ));
    }
    kept.sort();
    let mut taken = kept.iter().map(|(_, length, _)| length).sum::<u64>();
    for (_, length, path) in kept.into_iter().filter(|(.., path)| path != made) {
        if taken <= MOST_ROOM {
            break;
        }
        fs::remove_file(path)?;
        taken -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(folder: &Path, name: &str, bytes: &[u8]) -> Version {
        let file = folder.join(name);
        fs::write(&file, bytes).unwrap();
        Version {
            file,
            sha1: name.to_owned(),
        }
    }

    #[tokio::test]
    async fn what_makes_a_package_is_made_once_and_only_where_it_is_worth_it() {
        let folder = tempfile::tempdir().unwrap();
        let noise: Vec<u8> = (0..200_000_u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let old = version(folder.path(), "old", &noise);
        let new = version(folder.path(), "new", &[b"more", noise.as_slice()].concat());
        let other = version(
            folder.path(),
            "other",
            &noise.iter().map(|byte| byte ^ 0x5a).collect::<Vec<u8>>(),
        );
        let small = version(folder.path(), "small", b"little");
        let differences = Differences::new(folder.path());
        let delta = differences.delta(&old, &new).await.unwrap().unwrap();
        let mut made = Vec::new();
        let bytes = fs::read(&delta).unwrap();
        assert!(bytes.len() < 5000, "{}", bytes.len());
        octodiff::apply_delta(
            File::open(&old.file).unwrap(),
            &bytes[..],
            &mut made,
            &octodiff::Patch::default(),
        )
        .unwrap();
        assert_eq!(made, fs::read(&new.file).unwrap());
        fs::remove_file(&old.file).unwrap();
        assert_eq!(
            differences.delta(&old, &new).await.unwrap(),
            Some(delta),
            "nothing is read again"
        );
        for (basis, new) in [(&new, &other), (&new, &other), (&new, &small)] {
            assert_eq!(differences.delta(basis, new).await.unwrap(), None);
        }
    }
}
