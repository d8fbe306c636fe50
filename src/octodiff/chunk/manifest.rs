//! The list of a file's chunks.
//!
//! As a file: `MANTLECDC`, a version (1), the number of chunks (u32, little-endian), for each its length (groups of seven bits, low
//! ones first) and its 32-byte hash, and the SHA-256 hash of all that.

use std::collections::HashSet;
use std::io::{Read, Write};

use sha2::{Digest, Sha256};

use super::{ChunkHash, LARGEST, Piece};
use crate::error::{Error, File};
use crate::source::Source;

const MAGIC: &[u8] = b"MANTLECDC";
const VERSION: u8 = 1;
/// The most chunks that a file may have: 32 GiB of average ones.
pub const MOST_PIECES: usize = 1 << 22;

/// The chunks of a file, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pieces: Vec<Piece>,
    length: u64,
}

/// Some of a manifest's distinct chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    chosen: Vec<bool>,
}

impl Manifest {
    pub(super) fn of(pieces: Vec<Piece>) -> Result<Self, Error> {
        if pieces.len() > MOST_PIECES {
            return Err(too_many());
        }
        let length = pieces.iter().map(|piece| u64::from(piece.length)).sum();
        Ok(Self { pieces, length })
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is none, damaged, newer than ours, has more than [`MOST_PIECES`] chunks, or cannot be read.
    pub fn read(file: impl Read) -> Result<Self, Error> {
        let mut source = Source::new(file, File::Manifest);
        source.expect(MAGIC, "it does not begin with MANTLECDC")?;
        let version = source.byte("its version")?;
        if version != VERSION {
            return Err(Error::NewerFormat {
                file: File::Manifest,
                version,
            });
        }
        let count: [u8; 4] = source.array("the number of chunks")?;
        let count = u32::from_le_bytes(count) as usize;
        if count > MOST_PIECES {
            return Err(too_many());
        }
        let mut pieces = Vec::new();
        for _ in 0..count {
            let length = source.length("the length of a chunk")?;
            if length == 0 || length > LARGEST as u64 {
                return Err(source.corrupt("a chunk has a length that none has"));
            }
            pieces.push(Piece {
                hash: ChunkHash(source.array("the hash of a chunk")?),
                length: length as u32,
            });
        }
        let manifest = Self::of(pieces)?;
        let hash: [u8; 32] = source.array("its own hash")?;
        if hash != manifest.hash() {
            return Err(source.corrupt("its own hash is another"));
        }
        Ok(manifest)
    }

    /// Writes the manifest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, mut file: impl Write) -> Result<(), Error> {
        file.write_all(&self.body())
            .and_then(|()| file.write_all(&self.hash()))
            .map_err(Error::writing(File::Manifest))
    }

    /// The hash at its end, the name of the content: files of one content have one manifest.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.body()).into()
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The chunks, in the order of the file.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Each chunk once, in the order of their first places.
    pub fn distinct(&self) -> impl Iterator<Item = &Piece> {
        let mut seen = HashSet::with_capacity(self.pieces.len());
        self.pieces.iter().filter(move |piece| seen.insert(piece.hash))
    }

    /// The distinct chunks that are not there.
    pub fn missing(&self, mut have: impl FnMut(&Piece) -> bool) -> Selection {
        Selection {
            chosen: self.distinct().map(|piece| !have(piece)).collect(),
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend((self.pieces.len() as u32).to_le_bytes());
        for piece in &self.pieces {
            let mut length = piece.length;
            while length >= 0x80 {
                bytes.push((length & 0x7F) as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend(piece.hash.0);
        }
        bytes
    }
}

impl Selection {
    /// Reads what [`Selection::bytes`] gave, for the same manifest.
    ///
    /// # Errors
    /// When it is not of that manifest.
    pub fn read(manifest: &Manifest, bytes: &[u8]) -> Result<Self, Error> {
        let count = manifest.distinct().count();
        let bit = |number: usize| {
            bytes
                .get(number / 8)
                .is_some_and(|byte| byte >> (number % 8) & 1 == 1)
        };
        let none_behind = (count..bytes.len() * 8).all(|number| !bit(number));
        if bytes.len() != count.div_ceil(8) || !none_behind {
            return Err(Error::Corrupt {
                file: File::Bundle,
                offset: 0,
                why: "its selection of chunks is of another manifest",
            });
        }
        Ok(Self {
            chosen: (0..count).map(bit).collect(),
        })
    }

    /// One bit for each distinct chunk, low bits first.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        self.chosen.chunks(8).map(byte).collect()
    }

    /// How many chunks are selected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.chosen.iter().filter(|chosen| **chosen).count()
    }

    /// The selected ones of the manifest's distinct chunks.
    pub fn pieces<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = &'a Piece> {
        let both = manifest.distinct().zip(&self.chosen);
        both.filter(|(_, chosen)| **chosen).map(|(piece, _)| piece)
    }

    /// What the selected chunks have together, in bytes: about what a bundle of them adds to its manifest.
    #[must_use]
    pub fn length(&self, manifest: &Manifest) -> u64 {
        self.pieces(manifest).map(|piece| u64::from(piece.length)).sum()
    }
}

pub(super) fn too_many() -> Error {
    Error::TooLarge {
        file: File::Manifest,
        limit: MOST_PIECES as u64,
        unit: "chunks",
    }
}
