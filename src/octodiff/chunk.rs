//! Content-defined chunking: a file is cut where its content says, so that files which share content share chunks,
//! wherever it stands in them. Whoever keeps the chunks of many files needs no basis to be named.
//!
//! The sender makes a [`Manifest`] ([`cut`]); the receiver says what it has not got ([`Manifest::missing`]); the sender packs
//! that ([`Bundle::write`]); the receiver puts the file together ([`assemble`]).

mod bundle;
mod manifest;

use std::fmt;
use std::io::{self, Read, Write};

use fastcdc::v2020::{self, Normalization};
use sha2::{Digest, Sha256};

pub use bundle::Bundle;
pub use manifest::{MOST_PIECES, Manifest, Selection};

use crate::error::{Error, File};
use crate::source::fill;

/// No chunk but the last of a file is smaller, in bytes.
pub const SMALLEST: usize = 2 * 1024;
/// What the sizes of chunks are scattered around, in bytes.
pub const AVERAGE: usize = 8 * 1024;
/// No chunk is larger, in bytes.
pub const LARGEST: usize = 32 * 1024;

/// How much of a file is in memory while it is cut, besides one chunk.
const BUFFER: usize = 512 * 1024;

/// The SHA-256 hash of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkHash(pub [u8; 32]);

impl ChunkHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// In lower-case hex.
impl fmt::Display for ChunkHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A chunk as a manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The hash of its bytes.
    pub hash: ChunkHash,
    /// How many they are; 1 to [`LARGEST`].
    pub length: u32,
}

/// Reads a file to its end and gives its chunks. The same content is cut the same way, always.
///
/// # Errors
/// When the file cannot be read, or has more than [`MOST_PIECES`] chunks.
pub fn cut(mut file: impl Read) -> Result<Manifest, Error> {
    let (strict, relaxed) = v2020::select_masks(AVERAGE, Normalization::Level1);
    let mut buffer = vec![0; BUFFER + LARGEST];
    let (mut at, mut end, mut ended) = (0, 0, false);
    let mut pieces = Vec::new();
    loop {
        if end - at < LARGEST && !ended {
            buffer.copy_within(at..end, 0);
            (end, at) = (end - at, 0);
            let count = fill(&mut file, &mut buffer[end..]).map_err(Error::reading(File::New))?;
            end += count;
            ended = end < buffer.len();
        }
        if at == end {
            return Manifest::of(pieces);
        }
        let rest = &buffer[at..end];
        let (_, length) = v2020::cut(
            rest,
            SMALLEST,
            AVERAGE,
            LARGEST,
            strict,
            relaxed,
            strict << 1,
            relaxed << 1,
        );
        if pieces.len() == MOST_PIECES {
            return Err(manifest::too_many());
        }
        pieces.push(Piece {
            hash: ChunkHash::of(&rest[..length]),
            length: length as u32,
        });
        at += length;
    }
}

/// Where chunks are.
pub trait ChunkSource {
    /// Puts the bytes of a chunk into the buffer, in place of what it holds; false = it is not here. They are checked by the
    /// caller, so that wrong ones do no harm; more than [`LARGEST`] bytes must never be read.
    ///
    /// # Errors
    /// When the chunk should be here and cannot be read.
    fn read_chunk(&mut self, piece: &Piece, buffer: &mut Vec<u8>) -> io::Result<bool>;
}

/// Writes the file that a manifest describes. Every chunk is asked for in turn at the sources and taken from the first that has
/// its right bytes. Give a file that gets its name when this succeeds.
///
/// # Errors
/// When the file would be larger than `limit` bytes, no source has a chunk, or the file cannot be written.
pub fn assemble(
    manifest: &Manifest,
    sources: &mut [&mut dyn ChunkSource],
    mut result: impl Write,
    limit: u64,
) -> Result<(), Error> {
    if manifest.length() > limit {
        return Err(Error::TooLarge {
            file: File::Result,
            limit,
            unit: "bytes",
        });
    }
    let mut buffer = Vec::with_capacity(LARGEST);
    let mut offset = 0;
    for piece in manifest.pieces() {
        let mut found = false;
        let mut failure = None;
        for source in &mut *sources {
            buffer.clear();
            match source.read_chunk(piece, &mut buffer) {
                Ok(here) => found = here && is(piece, &buffer),
                Err(error) => failure = Some(error),
            }
            if found {
                break;
            }
        }
        if !found {
            return Err(match failure {
                Some(error) => Error::reading(File::Bundle)(error),
                None => missing(piece, offset),
            });
        }
        result.write_all(&buffer).map_err(Error::writing(File::Result))?;
        offset += u64::from(piece.length);
    }
    result.flush().map_err(Error::writing(File::Result))
}

fn is(piece: &Piece, bytes: &[u8]) -> bool {
    bytes.len() == piece.length as usize && ChunkHash::of(bytes) == piece.hash
}

fn missing(piece: &Piece, offset: u64) -> Error {
    Error::MissingChunk {
        hash: piece.hash.to_string(),
        length: piece.length,
        offset,
    }
}

#[cfg(test)]
mod stories;
