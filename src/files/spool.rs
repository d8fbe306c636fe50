//! What comes in: written to a temporary file on the volume where it will stay, hashed on the way.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sha1::Digest as _;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// The folder for files that are not complete, at the top of each volume.
pub(crate) const INCOMING: &str = ".incoming";

/// How much is handed to the disk at once.
const PIECE: usize = 1024 * 1024;

/// A file that is coming in. Dropped before [`finish`](Self::finish), it leaves nothing behind.
pub struct Spool {
    folder: PathBuf,
    piece: Vec<u8>,
    limit: u64,
    length: u64,
    state: State,
}

/// The disk works on one piece while the next one comes in.
enum State {
    Idle(Box<Written>),
    Writing(JoinHandle<std::io::Result<Box<Written>>>),
    Broken,
}

struct Written {
    file: NamedTempFile,
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
}

/// A complete file, synced, that has not got its name yet. Dropped, it is removed.
pub struct Spooled {
    file: NamedTempFile,
    /// Its size in bytes.
    pub length: u64,
    /// SHA-1 in lower-case hex, as the wire protocol and the API use it.
    pub sha1: String,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

impl Spool {
    /// Begins a file on a volume. `limit` is the most it may hold, in bytes.
    ///
    /// # Errors
    /// When the volume cannot be written.
    pub async fn begin(volume: &Path, limit: u64) -> Result<Self> {
        let folder = volume.join(INCOMING);
        let at = folder.clone();
        let file = blocking(move || {
            std::fs::create_dir_all(&at)?;
            new_file(&at)
        })
        .await
        .map_err(Error::io("Creating a file in", &folder))?;
        let written = Written {
            file,
            sha1: sha1::Sha1::new(),
            sha256: sha2::Sha256::new(),
        };
        Ok(Self {
            folder,
            piece: Vec::with_capacity(PIECE),
            limit,
            length: 0,
            state: State::Idle(Box::new(written)),
        })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk fails or the limit is passed.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len() as u64;
        if self.length > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.hand_over().await
        } else {
            Ok(())
        }
    }

    /// Syncs the file; what is left is to give it its name.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn finish(mut self) -> Result<Spooled> {
        self.hand_over().await?;
        let mut written = self.settled().await?;
        let (file, sha1, sha256) = blocking(move || {
            written.file.as_file_mut().sync_all()?;
            Ok((written.file, written.sha1.finalize(), written.sha256.finalize()))
        })
        .await
        .map_err(Error::io("Syncing a file in", &self.folder))?;
        Ok(Spooled {
            file,
            length: self.length,
            sha1: hex::encode(sha1),
            sha256: hex::encode(sha256),
        })
    }

    /// Takes everything from a reader.
    ///
    /// # Errors
    /// When reading or the disk fails, or the limit is passed.
    pub async fn fill_from(mut self, mut reader: impl AsyncRead + Unpin) -> Result<Spooled> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader
                .read(&mut buffer)
                .await
                .map_err(Error::io("Reading what is stored in", &self.folder))?
            {
                0 => return self.finish().await,
                count => self.write(&buffer[..count]).await?,
            }
        }
    }

    /// Takes everything from a stream, such as one part of a multipart request.
    ///
    /// # Errors
    /// `Err(Ok(e))` is not possible; the stream's own error comes back as the inner `Err`.
    pub async fn fill_from_stream<E>(
        mut self,
        stream: impl Stream<Item = std::result::Result<Bytes, E>>,
    ) -> Result<std::result::Result<Spooled, E>> {
        let mut stream = std::pin::pin!(stream);
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(bytes) => self.write(&bytes).await?,
                Err(error) => return Ok(Err(error)),
            }
        }
        self.finish().await.map(Ok)
    }

    async fn hand_over(&mut self) -> Result<()> {
        let mut written = self.settled().await?;
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            written.sha1.update(&piece);
            written.sha256.update(&piece);
            written.file.write_all(&piece)?;
            Ok(written)
        }));
        Ok(())
    }

    async fn settled(&mut self) -> Result<Box<Written>> {
        let written = match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(written) => Ok(written),
            State::Writing(work) => work
                .await
                .unwrap_or_else(|error| Err(std::io::Error::other(error))),
            State::Broken => Err(std::io::Error::other("an earlier write failed")),
        };
        written.map_err(Error::io("Writing a file in", &self.folder))
    }
}

impl Spooled {
    /// Where it lies until it has its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its name; the folder is created, and synced afterwards so that the name survives a power cut.
    /// With `replace` an older file goes; without, [`Error::Exists`] comes back.
    ///
    /// # Errors
    /// When the name is taken or the disk fails.
    pub async fn persist(self, target: &Path, replace: bool) -> Result<()> {
        let to = target.to_owned();
        let result = blocking(move || {
            let folder = to.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
            std::fs::create_dir_all(folder)?;
            if replace {
                self.file.persist(&to).map_err(|error| error.error)?;
            } else {
                self.file.persist_noclobber(&to).map_err(|error| error.error)?;
            }
            sync_folder(folder)
        })
        .await;
        match result {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::Exists {
                path: target.to_owned(),
            }),
            other => other.map_err(Error::io("Writing", target)),
        }
    }
}

/// Writes a small file at once: temporary file, sync, rename, sync of the folder.
///
/// # Errors
/// When the disk fails, or the file exists and must not be replaced.
pub fn write_small(target: &Path, contents: &[u8], replace: bool) -> std::io::Result<()> {
    let folder = target.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(folder)?;
    let mut file = new_file(folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    if replace {
        file.persist(target).map_err(|error| error.error)?;
    } else {
        file.persist_noclobber(target).map_err(|error| error.error)?;
    }
    sync_folder(folder)
}

/// Removes what a crash left in the folder for incomplete files. Only for the start of the one process that uses
/// the volume, or for files older than a day when several do: `older_than` is that age.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn sweep_incoming(volume: &Path, older_than: std::time::Duration) -> std::io::Result<usize> {
    let mut swept = 0;
    let entries = match std::fs::read_dir(volume.join(INCOMING)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let old = entry
            .metadata()?
            .modified()?
            .elapsed()
            .is_ok_and(|age| age >= older_than);
        if old && entry.file_type()?.is_file() && std::fs::remove_file(entry.path()).is_ok() {
            swept += 1;
        }
    }
    Ok(swept)
}

pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// Readable for others, as people and tools look into mounted volumes, and writable for the group, so that another
/// uid may go on with the volume; the umask may take that away.
fn new_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o664);
    tempfile::Builder::new()
        .prefix(".new-")
        .permissions(mode)
        .tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_came_in_has_its_hashes_and_its_name_only_when_it_is_complete() {
        let volume = tempfile::tempdir().unwrap();
        let target = volume.path().join("Acme/Acme.1.0.zip");
        let mut spool = Spool::begin(volume.path(), 10_000_000).await.unwrap();
        let piece = vec![7_u8; 700_000];
        for _ in 0..3 {
            spool.write(&piece).await.unwrap();
        }
        assert!(!target.exists());
        let spooled = spool.finish().await.unwrap();
        assert_eq!(spooled.length, 2_100_000);
        assert_eq!(
            spooled.sha256,
            hex::encode(sha2::Sha256::digest(vec![7_u8; 2_100_000]))
        );
        assert_eq!(
            spooled.sha1,
            hex::encode(sha1::Sha1::digest(vec![7_u8; 2_100_000]))
        );
        spooled.persist(&target, false).await.unwrap();
        assert_eq!(std::fs::metadata(&target).unwrap().len(), 2_100_000);
        assert_eq!(
            std::fs::read_dir(volume.path().join(INCOMING)).unwrap().count(),
            0
        );
    }

    #[tokio::test]
    async fn a_file_is_replaced_only_when_asked() {
        let volume = tempfile::tempdir().unwrap();
        let target = volume.path().join("a");
        for (text, replace, taken) in [("one", false, true), ("two", false, false), ("three", true, true)] {
            let spool = Spool::begin(volume.path(), 100).await.unwrap();
            let spooled = spool.fill_from(text.as_bytes()).await.unwrap();
            assert_eq!(spooled.persist(&target, replace).await.is_ok(), taken, "{text}");
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "three");
    }

    #[tokio::test]
    async fn an_upload_that_is_too_large_or_breaks_off_leaves_nothing() {
        let volume = tempfile::tempdir().unwrap();
        let spool = Spool::begin(volume.path(), 10).await.unwrap();
        assert!(matches!(
            spool.fill_from(&[0_u8; 11][..]).await,
            Err(Error::TooLarge { limit: 10 })
        ));
        let spool = Spool::begin(volume.path(), 10).await.unwrap();
        let broken = futures::stream::iter([Ok(Bytes::from_static(b"abc")), Err("gone")]);
        assert!(matches!(spool.fill_from_stream(broken).await, Ok(Err("gone"))));
        assert_eq!(
            std::fs::read_dir(volume.path().join(INCOMING)).unwrap().count(),
            0
        );
    }
}
