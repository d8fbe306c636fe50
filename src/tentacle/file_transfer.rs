//! Files to and from the machine: `IFileTransferService` (`tentacle-protocol.md` 6.5).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use contracts::file_transfer::{FileTransferService, UploadResult};
use halibut::{DataStream, ServiceError};
use sha1::{Digest, Sha1};
use tokio_util::sync::CancellationToken;

use crate::script::Workspaces;
use crate::{durable_file, free_space};

/// Stores and hands out files; relative paths start at the home folder.
#[derive(Debug)]
pub(crate) struct Files {
    home: PathBuf,
    workspaces: PathBuf,
    stopping: CancellationToken,
}

impl Files {
    /// Uploads are refused once `stopping` is cancelled.
    pub(crate) fn new(home: &Path, stopping: CancellationToken) -> Files {
        Files {
            home: home.to_owned(),
            workspaces: Workspaces::new(home).root().to_owned(),
            stopping,
        }
    }

    fn resolve(&self, path: &str) -> Result<PathBuf, ServiceError> {
        let path = path.replace('\\', "/");
        if path.trim().is_empty() || path.contains('\0') {
            return Err(ServiceError::threw(
                "System.ArgumentException",
                "The path of the file is empty or holds a NUL.",
            ));
        }
        Ok(self.home.join(path))
    }
}

#[async_trait]
impl FileTransferService for Files {
    async fn upload_file(
        &self,
        remote_path: String,
        upload: Option<DataStream>,
    ) -> Result<UploadResult, ServiceError> {
        if self.stopping.is_cancelled() {
            return Err(ServiceError::shutting_down());
        }
        let path = self.resolve(&remote_path)?;
        let full_path = path.display().to_string();
        let Some(upload) = upload else {
            return Ok(UploadResult {
                full_path,
                hash: None,
                length: 0,
            });
        };
        let is_ours = path.starts_with(&self.home);
        let stored = tokio::task::spawn_blocking(move || store(&path, upload, is_ours)).await;
        let (hash, length) = stored
            .map_err(io::Error::other)
            .and_then(|stored| stored)
            .map_err(|error| failed("store", &full_path, &error))?;
        Ok(UploadResult {
            full_path,
            hash: Some(hash),
            length,
        })
    }

    async fn download_file(&self, remote_path: String) -> Result<Option<DataStream>, ServiceError> {
        let path = self.resolve(&remote_path)?;
        let full_path = path.display().to_string();
        match DataStream::from_script_file(&self.workspaces, &path).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &full_path, &error)),
        }
    }
}

/// Puts the content beside its place and renames it there: a reader sees the old file or the new one, whole.
fn store(path: &Path, upload: DataStream, is_ours: bool) -> io::Result<(String, i64)> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    let folder = durable_file::folder_of(path);
    if is_ours {
        durable_file::private_folder(folder)?;
    } else {
        std::fs::create_dir_all(folder)?; // as open as the agent's umask says
    }
    free_space::check(folder, upload.length())?;
    let declared = upload.length();
    let temporary = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?
        .into_temp_path();
    upload.persist_blocking(&temporary)?;
    let file = File::open(&temporary)?;
    let (hash, length) = hash(&file)?;
    if length != declared {
        let text = format!("{declared} bytes were announced, but {length} arrived");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    file.sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    durable_file::sync_folder(folder)?;
    Ok((hash, i64::try_from(length).map_err(io::Error::other)?))
}

fn hash(mut file: &File) -> io::Result<(String, u64)> {
    let mut sha = Sha1::new();
    let mut buffer = vec![0; 128 << 10];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hex::encode(sha.finalize()), length));
        }
        sha.update(&buffer[..count]);
        length += count as u64;
    }
}

fn failed(attempt: &str, path: &str, error: &io::Error) -> ServiceError {
    let exception = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => "System.UnauthorizedAccessException",
        _ => "System.IO.IOException",
    };
    ServiceError::threw(
        exception,
        format!("Could not {attempt} the file '{path}': {error}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(home: &Path) -> Files {
        Files::new(home, CancellationToken::new())
    }

    async fn upload(files: &Files, path: &str, bytes: &'static [u8]) -> Result<UploadResult, ServiceError> {
        files
            .upload_file(path.to_owned(), Some(DataStream::from_bytes(bytes)))
            .await
    }

    #[tokio::test]
    async fn files_come_and_go_with_their_hash() {
        let home = tempfile::tempdir().unwrap();
        let files = files(home.path());
        let stored = upload(&files, "Incoming\\data.bin", b"").await.unwrap();
        assert_eq!(
            stored.full_path,
            home.path().join("Incoming/data.bin").display().to_string()
        );
        assert_eq!(
            stored.hash.as_deref(),
            Some("da39a3ee5e6b4b0d3255bfef95601890afd80709")
        );
        let again = upload(&files, "Incoming/data.bin", b"hello").await.unwrap();
        assert_eq!(
            (again.length, again.hash.as_deref()),
            (5, Some("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"))
        );
        let outside = home.path().join("elsewhere/x");
        upload(&files, outside.to_str().unwrap(), b"abs").await.unwrap();
        assert_eq!(std::fs::read(outside).unwrap(), b"abs");
        let stream = files
            .download_file("Incoming/data.bin".to_owned())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stream.read_to_vec(10).await.unwrap(), b"hello");
        assert!(
            files
                .download_file("Incoming/missing.bin".to_owned())
                .await
                .unwrap()
                .is_none()
        );
    }

    /// `security.md` E14
    #[tokio::test]
    async fn a_file_of_a_script_lies_in_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let files = files(home.path());
        let work = home.path().join("Work/t");
        std::fs::create_dir_all(work.join("real")).unwrap();
        std::fs::write(work.join("real/result.txt"), "mine").unwrap();
        std::fs::write(home.path().join("key"), "not mine").unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, work.join(name)).unwrap();
        link("real", "inside");
        link("../..", "outside");
        link("../../key", "key");
        link(home.path().to_str().unwrap(), "real/absolute");
        let download = async |path: &str| {
            let stream = files.download_file(format!("Work/t/{path}")).await?;
            Ok::<_, ServiceError>(stream.expect("a file").read_to_vec(10).await.unwrap())
        };
        for fine in [
            "real/result.txt",
            "inside/result.txt",
            "real/../inside/result.txt",
        ] {
            assert_eq!(download(fine).await.unwrap(), b"mine", "{fine}");
        }
        for bad in [
            "outside/key",
            "key",
            "real/absolute/key",
            "inside/absolute/key",
            "../../key",
            "outside/Work/../key",
        ] {
            let refused = download(bad).await.unwrap_err().to_string();
            assert!(
                refused.contains("leads out") || refused.contains("is a link"),
                "{refused}"
            );
        }
        let missing = files.download_file("Work/t/gone/result.txt".to_owned()).await;
        assert!(missing.unwrap().is_none());
        assert_eq!(
            files
                .download_file("key".to_owned())
                .await
                .unwrap()
                .unwrap()
                .length(),
            8
        );
    }

    #[tokio::test]
    async fn what_cannot_be_stored_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let files = files(home.path());
        std::fs::create_dir(home.path().join("occupied")).unwrap();
        let refused = upload(&files, "occupied", b"x").await.unwrap_err();
        assert!(refused.to_string().contains("occupied"), "{refused}");
        assert!(upload(&files, "", b"x").await.is_err());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
        let empty = files.upload_file("x".to_owned(), None).await.unwrap();
        assert_eq!((empty.length, empty.hash), (0, None));
        files.stopping.cancel();
        assert!(
            upload(&files, "late", b"x")
                .await
                .unwrap_err()
                .to_string()
                .contains("shutting down")
        );
    }
}
