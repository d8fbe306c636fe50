//! Content that travels beside a message: bytes in memory, a file, or what was received.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;

/// Content of known length with an id of its own. Received content that is longer than 64 KiB stands in a
/// temporary file, which is removed with the last stream that refers to it.
pub struct DataStream {
    id: [u8; 16],
    length: u64,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Bytes(Bytes),
    File(Arc<PathBuf>),
    /// A file that may grow: only as much counts as it had at first.
    Beginning(Arc<PathBuf>),
    Received(Arc<TempPath>),
    /// Named by a message, content not yet read.
    Awaited,
}

impl DataStream {
    /// A stream of bytes in memory.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            id: fresh_id(),
            length: bytes.len() as u64,
            source: Source::Bytes(bytes),
        }
    }

    /// A stream of a file, which must not change until it was sent. Reads the file's length.
    pub async fn from_file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let metadata = tokio::fs::metadata(&path).await?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is no file", path.display()),
            ));
        }
        Ok(Self {
            id: fresh_id(),
            length: metadata.len(),
            source: Source::File(Arc::new(path)),
        })
    }

    /// The same for a path that somebody else chose and a file that may grow: a link at its end is not followed, and what is
    /// added from now on is left out.
    ///
    /// # Errors
    /// When there is no such file, or it is something else than a file.
    pub async fn from_plain_file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if tokio::fs::symlink_metadata(&path).await?.is_symlink() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is a link, which is not followed", path.display()),
            ));
        }
        let mut stream = Self::from_file(path).await?;
        if let Source::File(path) = stream.source {
            stream.source = Source::Beginning(path);
        }
        Ok(stream)
    }

    /// The same for a file that a script names: below `workspaces`, whose folders belong to one script each, it must lie in
    /// the folder that the path names, whatever links of folders the script made there.
    ///
    /// # Errors
    /// As before, or when the path leads out of the script's folder.
    pub async fn from_script_file(workspaces: &Path, path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Self::from_plain_file(path).await;
        };
        // A script knows its folder by the path without links.
        let real = tokio::fs::canonicalize(workspaces).await.ok();
        let inside = [Some(workspaces), real.as_deref()]
            .into_iter()
            .flatten()
            .find_map(|root| Some((root, path.strip_prefix(root).ok()?.components().next()?)));
        let Some((root, own)) = inside else {
            return Self::from_plain_file(path).await;
        };
        let workspace = tokio::fs::canonicalize(root.join(own)).await?;
        let folder = tokio::fs::canonicalize(folder).await?;
        if !folder.starts_with(&workspace) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} leads out of the folder of its script", path.display()),
            ));
        }
        Self::from_plain_file(folder.join(name)).await
    }

    /// What a message says will follow it.
    pub(crate) fn awaited(id: [u8; 16], length: u64) -> Self {
        Self {
            id,
            length,
            source: Source::Awaited,
        }
    }

    /// The same content under an id of its own, so that it can be sent again.
    pub fn fresh(&self) -> Self {
        Self {
            id: fresh_id(),
            length: self.length,
            source: self.source.clone(),
        }
    }

    /// The id as its 16 bytes on the wire.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Length of the content in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file that holds the content, when a file does.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) | Source::Beginning(path) => Some(path),
            Source::Received(path) => Some(path),
            Source::Bytes(_) | Source::Awaited => None,
        }
    }

    /// Opens the content for blocking readers.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match &self.source {
            Source::Bytes(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Source::File(path) => Ok(Box::new(std::fs::File::open(path.as_path())?)),
            Source::Beginning(path) => Ok(Box::new(std::fs::File::open(path.as_path())?.take(self.length))),
            Source::Received(path) => Ok(Box::new(std::fs::File::open(path.as_ref())?)),
            Source::Awaited => Err(not_received()),
        }
    }

    /// Opens the content for asynchronous readers.
    pub async fn reader(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        match &self.source {
            Source::Bytes(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Source::File(_) | Source::Beginning(_) | Source::Received(_) => {
                let path = self.path().expect("these sources have a path");
                let file = tokio::fs::File::open(path).await?;
                Ok(match self.source {
                    Source::Beginning(_) => Box::new(file.take(self.length)),
                    _ => Box::new(file),
                })
            }
            Source::Awaited => Err(not_received()),
        }
    }

    /// The content when it is in memory.
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        if let Source::Bytes(bytes) = &self.source {
            Some(bytes)
        } else {
            None
        }
    }

    /// Reads all of the content; an error when it is longer than `limit` bytes.
    pub async fn read_to_vec(&self, limit: u64) -> io::Result<Vec<u8>> {
        if self.length > limit {
            let text = format!(
                "the stream has {} bytes, more than the {limit} that are allowed here",
                self.length
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let mut content = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
        self.reader().await?.take(limit).read_to_end(&mut content).await?;
        Ok(content)
    }

    /// Puts the content at `path`, replacing what is there: a received file is renamed when it can be,
    /// anything else is copied. The file is readable by its owner only and not yet synced.
    pub async fn persist(self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref().to_owned();
        let moved = tokio::task::spawn_blocking(move || self.persist_blocking(&path)).await;
        moved.map_err(io::Error::other)?
    }

    /// As [`DataStream::persist`], for threads that may block.
    pub fn persist_blocking(self, path: &Path) -> io::Result<()> {
        let mut content = self.open()?;
        if let Source::Received(temporary) = self.source
            && let Ok(temporary) = Arc::try_unwrap(temporary)
        {
            match temporary.persist(path) {
                Ok(()) => return Ok(()),
                // The removed temporary file stays readable through `content`.
                Err(refused) if refused.error.kind() == io::ErrorKind::CrossesDevices => {}
                Err(refused) => return Err(refused.error),
            }
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::copy(&mut content, &mut file)?;
        file.persist(path).map_err(|refused| refused.error)?;
        Ok(())
    }

    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.source, Source::Awaited)
    }

    pub(crate) fn fill_with_bytes(&mut self, bytes: Vec<u8>) {
        self.length = bytes.len() as u64;
        self.source = Source::Bytes(bytes.into());
    }

    pub(crate) fn fill_with_file(&mut self, file: TempPath, length: u64) {
        self.length = length;
        self.source = Source::Received(Arc::new(file));
    }
}

impl fmt::Debug for DataStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DataStream({} bytes)", self.length)
    }
}

/// Two streams are equal when they have the same id and length.
impl PartialEq for DataStream {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.length == other.length
    }
}

/// Where received streams wait for their handler.
#[derive(Debug, Clone)]
pub struct Spool {
    /// The folder for streams that are too long for memory; it should be on the volume where they will stay.
    /// It must exist. What a killed program left there (names beginning with `.received-`) is for its owner
    /// to sweep at the start.
    pub folder: PathBuf,
    /// Streams of up to this many bytes stay in memory.
    pub in_memory: u64,
}

impl Spool {
    /// A spool in `folder`, with streams of up to 64 KiB in memory.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            in_memory: 64 << 10,
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self::new(std::env::temp_dir())
    }
}

fn fresh_id() -> [u8; 16] {
    Uuid::new_v4().to_bytes_le()
}

fn not_received() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "the content of this stream was never received",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn content_is_read_from_memory_and_from_files_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("content");
        std::fs::write(&path, b"hello").expect("writable");
        let streams = [
            DataStream::from_bytes(&b"hello"[..]),
            DataStream::from_file(&path).await.expect("a file"),
        ];
        for stream in streams {
            assert_eq!(stream.length(), 5);
            assert_eq!(stream.read_to_vec(5).await.expect("five bytes"), b"hello");
            assert!(stream.read_to_vec(4).await.is_err());
            assert_ne!(stream.fresh().id(), stream.id());
        }
    }

    #[tokio::test]
    async fn a_received_file_is_moved_or_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut stream = DataStream::awaited([1; 16], 3);
        let received = tempfile::Builder::new()
            .prefix(".received-")
            .tempfile_in(folder.path())
            .expect("a file");
        std::fs::write(received.path(), b"abc").expect("writable");
        stream.fill_with_file(received.into_temp_path(), 3);
        let again = stream.fresh();

        stream
            .persist(folder.path().join("copied"))
            .await
            .expect("copied, as another stream still refers to it");
        again.persist(folder.path().join("moved")).await.expect("moved");
        for name in ["copied", "moved"] {
            assert_eq!(std::fs::read(folder.path().join(name)).expect(name), b"abc");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 2);
    }
}
