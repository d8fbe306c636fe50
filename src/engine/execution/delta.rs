//! The differences between two versions of a package (`octodiff.md`, `calamari.md` 11.3): made once, however many machines
//! want them, and kept on the cache volume.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use octodiff::{Signature, SignatureForm, build_delta, build_signature};

/// A delta that is larger than this part of its package, in percent, is not worth its work on the machine.
const WORTH_IT: u64 = 90;
/// Packages below this are sent whole, in bytes: a question more takes longer than they do.
const SMALLEST_PACKAGE: u64 = 64 * 1024;
/// How much room deltas may take, in bytes; the oldest go first.
const MOST_ROOM: u64 = 4 << 30;

/// One version of a package on the Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its file.
    pub file: PathBuf,
    /// The SHA-1 of it, lower-case hex.
    pub sha1: String,
}

/// The deltas that the Server keeps.
pub struct Deltas {
    folder: PathBuf,
    /// Making one takes a core, and two machines may want the same: one at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Deltas {
    /// Those of a cache volume.
    #[must_use]
    pub fn new(cache: &Path) -> Self {
        Self {
            folder: cache.join("deltas"),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The file that makes `new` of `basis`; None when sending the whole package is as good.
    ///
    /// # Errors
    /// When a package cannot be read or the volume not be written.
    pub async fn between(&self, basis: &Version, new: &Version) -> io::Result<Option<PathBuf>> {
        let _turn = self.turn.lock().await;
        let (folder, basis, new) = (self.folder.clone(), basis.clone(), new.clone());
        let made = tokio::task::spawn_blocking(move || kept_or_made(&folder, &basis, &new));
        made.await.map_err(io::Error::other)?
    }
}

fn kept_or_made(folder: &Path, basis: &Version, new: &Version) -> io::Result<Option<PathBuf>> {
    let whole = fs::metadata(&new.file)?.len();
    if whole < SMALLEST_PACKAGE {
        return Ok(None);
    }
    fs::create_dir_all(folder)?;
    let delta = folder.join(format!("{}-{}", basis.sha1, new.sha1));
    // An empty file says that it was not worth it.
    if let Ok(known) = fs::metadata(&delta) {
        return Ok((known.len() > 0).then_some(delta));
    }
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    write(basis, new, made.as_file_mut())?;
    let length = made.as_file().metadata()?.len();
    let worth_it = length * 100 < whole * WORTH_IT;
    if !worth_it {
        made.as_file().set_len(0)?;
    }
    make_room(folder, length)?;
    made.persist(&delta).map_err(|error| error.error)?;
    Ok(worth_it.then_some(delta))
}

fn write(basis: &Version, new: &Version, delta: &mut File) -> io::Result<()> {
    let mut signature = tempfile::tempfile()?;
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

/// Removes the oldest deltas until another of this length fits.
fn make_room(folder: &Path, length: u64) -> io::Result<()> {
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
    let mut taken = kept.iter().map(|(_, length, _)| length).sum::<u64>() + length;
    for (_, length, path) in kept {
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
    async fn a_delta_is_made_once_and_only_where_it_is_worth_it() {
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
        let deltas = Deltas::new(folder.path());
        let delta = deltas.between(&old, &new).await.unwrap().unwrap();
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
            deltas.between(&old, &new).await.unwrap(),
            Some(delta),
            "nothing is read again"
        );
        for (basis, new) in [(&new, &other), (&new, &other), (&new, &small)] {
            assert_eq!(deltas.between(basis, new).await.unwrap(), None);
        }
    }
}
