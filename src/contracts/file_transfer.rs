//! `IFileTransferService`: files to and from the machine (`tentacle-protocol.md` 6.5).

use async_trait::async_trait;
use halibut::{DataStream, Document, ServiceError, Value};

use crate::fields::{Fields, ShapeError};

/// Name of the contract.
pub const NAME: &str = "IFileTransferService";

/// What an agent does with files.
#[async_trait]
pub trait FileTransferService: Send + Sync {
    /// Writes a file, relative to the agent's home or at an absolute path, and replaces what is there. No
    /// stream writes nothing.
    async fn upload_file(
        &self,
        path: String,
        upload: Option<DataStream>,
    ) -> Result<UploadResult, ServiceError>;

    /// The content of a file; none when it does not exist.
    async fn download_file(&self, path: String) -> Result<Option<DataStream>, ServiceError>;
}

/// What became of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadResult {
    /// Where the file stands.
    pub full_path: String,
    /// SHA-1 of the stored file, 40 lower-case hexadecimal digits.
    pub hash: Option<String>,
    /// Its length in bytes.
    pub length: i64,
}

impl UploadResult {
    /// As it travels.
    pub fn into_value(self) -> Value {
        let document = Document::typed("Octopus.Shared.Contracts.UploadResult, Octopus.Shared")
            .with("FullPath", self.full_path)
            .with("Hash", self.hash)
            .with("Length", Value::Int64(self.length));
        Value::Document(document)
    }

    /// From what travelled.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(value, "UploadResult")?;
        Ok(Self {
            full_path: fields.text("FullPath")?,
            hash: fields.optional_text("Hash")?,
            length: fields.number("Length")?,
        })
    }
}
