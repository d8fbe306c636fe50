//! What can go wrong, and how the original tool's exit codes tell it.

use std::fmt;
use std::io;

/// Which of the files is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// The old file, which the receiver holds.
    Basis,
    /// The hashes of the basis.
    Signature,
    /// The new file, whole.
    New,
    /// The difference.
    Delta,
    /// What is made of basis and delta, or of chunks.
    Result,
    /// The list of a file's chunks.
    Manifest,
    /// The chunks that the receiver lacks.
    Bundle,
}

impl fmt::Display for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Basis => "basis",
            Self::Signature => "signature",
            Self::New => "new",
            Self::Delta => "delta",
            Self::Result => "result",
            Self::Manifest => "manifest",
            Self::Bundle => "bundle",
        })
    }
}

/// Why a signature, a delta or a result could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not of the format (`octodiff.md` 2 and 3).
    #[error("The {file} file appears to be corrupt: {why} (near byte {offset}). Make it again.")]
    Corrupt {
        /// The file.
        file: File,
        /// Where, counted from its first byte.
        offset: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// The file ends inside a number or a text.
    #[error("The {file} file ends at byte {offset}, inside {what}. Transfer or make it again.")]
    CutShort {
        /// The file.
        file: File,
        /// Its length in bytes.
        offset: u64,
        /// What was being read.
        what: &'static str,
    },
    /// A version above ours.
    #[error(
        "The {file} file uses a newer file format (version {version}) than this program can handle (version 1)."
    )]
    NewerFormat {
        /// The file.
        file: File,
        /// Its version.
        version: u8,
    },
    /// A name of a hash or checksum that is none of ours.
    #[error("The {kind} algorithm '{name}' of the {file} file is not supported; {supported} is.")]
    UnknownAlgorithm {
        /// The file.
        file: File,
        /// `hash` or `rolling checksum`.
        kind: &'static str,
        /// As it stands in the file, cut to a readable length.
        name: String,
        /// What could stand there.
        supported: &'static str,
    },
    /// A length below zero where the original stops with an unexpected error.
    #[error("The delta file gives {what} of {value} (near byte {offset}). Make it again.")]
    NegativeLength {
        /// What was being read.
        what: &'static str,
        /// The number.
        value: i64,
        /// Where, counted from the first byte of the delta.
        offset: u64,
    },
    /// A copy that begins before the basis.
    #[error("The delta file copies from position {start} of the basis (near byte {offset}). Make it again.")]
    NegativeStart {
        /// The number.
        start: i64,
        /// Where, counted from the first byte of the delta.
        offset: u64,
    },
    /// A chunk size outside of what the format allows.
    #[error("A chunk size of {size} is not possible; choose one from 128 to 31744.")]
    ChunkSize {
        /// As asked for.
        size: i64,
    },
    /// More than the caller or this program allows.
    #[error("The {file} file would be larger than {limit} {unit}, the most that is allowed.")]
    TooLarge {
        /// The file.
        file: File,
        /// The limit.
        limit: u64,
        /// What the limit counts.
        unit: &'static str,
    },
    /// The result is not the file that the delta was made of.
    #[error(
        "Verification of the patched file failed: its SHA1 hash is {actual}, that of the file the delta was made of {expected}. \
         This can happen if the basis file changed since the signature was calculated. Send the whole file."
    )]
    Verification {
        /// What the delta asks for, in hex.
        expected: String,
        /// What came out, in hex.
        actual: String,
    },
    /// A chunk is nowhere, or what is in its place has another hash.
    #[error(
        "The chunk {hash} of {length} bytes at byte {offset} of the new file is not there any more, or damaged. Send the whole file."
    )]
    MissingChunk {
        /// Its SHA-256 hash, in hex.
        hash: String,
        /// In bytes.
        length: u32,
        /// Where it belongs.
        offset: u64,
    },
    /// Reading or writing failed.
    #[error("The {file} file could not be {action}: {source}")]
    Io {
        /// The file.
        file: File,
        /// `read` or `written`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// The exit code that the original tool's command line has for this (`octodiff.md` 6): 1 input or output, 2 corrupt,
    /// 3 anything else, 4 usage or verification.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            // The original opens what it may not touch, or a folder, with another exception than that of a full disk.
            Self::Io { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory
                ) =>
            {
                3
            }
            Self::Io { .. } | Self::CutShort { .. } | Self::NegativeStart { .. } => 1,
            Self::Corrupt { .. } | Self::NewerFormat { .. } | Self::TooLarge { .. } => 2,
            Self::UnknownAlgorithm { .. } | Self::NegativeLength { .. } => 3,
            Self::ChunkSize { .. } | Self::Verification { .. } | Self::MissingChunk { .. } => 4,
        }
    }

    pub(crate) fn reading(file: File) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            file,
            action: "read",
            source,
        }
    }

    pub(crate) fn writing(file: File) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            file,
            action: "written",
            source,
        }
    }
}
