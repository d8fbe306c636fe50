//! Signature files (`octodiff.md` 2).

use std::io::{BufReader, Read, Write};

use sha1::{Digest, Sha1};

use crate::checksum::RollingChecksum;
use crate::error::{Error, File};
use crate::source::{Source, fill, readable};

pub(crate) const HASH_ALGORITHM: &str = "SHA1";
pub(crate) const END_OF_METADATA: &[u8] = b">>>";
pub(crate) const VERSION: u8 = 1;
const MAGIC: &[u8] = b"OCTOSIG";
const RECORD: usize = 26;

/// The chunk size when nothing else is said.
pub const DEFAULT_CHUNK_SIZE: u16 = 2048;
/// The smallest chunk size.
pub const SMALLEST_CHUNK_SIZE: u16 = 128;
/// The largest chunk size.
pub const LARGEST_CHUNK_SIZE: u16 = 31 * 1024;
/// The most chunks that a signature is read with: a basis of 32 GiB in chunks of the default size.
pub const MOST_CHUNKS: usize = 1 << 24;

/// How a signature is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureForm {
    /// In bytes, 128 to 31744.
    pub chunk_size: u16,
    /// The checksum of its chunks.
    pub checksum: RollingChecksum,
}

impl Default for SignatureForm {
    fn default() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            checksum: RollingChecksum::Adler32,
        }
    }
}

/// What a signature knows of a part of the basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins in the basis. Of no meaning behind a chunk whose length is not positive.
    pub start: u64,
    /// In bytes. Files of others may hold lengths of 0 and below; such chunks match nothing.
    pub length: i16,
    /// By the signature's [`RollingChecksum`].
    pub checksum: u32,
    /// The SHA-1 hash.
    pub hash: [u8; 20],
}

/// The chunks of a basis, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The checksum of its chunks.
    pub checksum: RollingChecksum,
    chunks: Vec<Chunk>,
}

impl Signature {
    /// Reads a signature file.
    ///
    /// # Errors
    /// When it is none, is cut, newer than ours, names an unknown algorithm, has more than [`MOST_CHUNKS`] chunks, or cannot
    /// be read.
    pub fn read(file: impl Read) -> Result<Self, Error> {
        let mut source = Source::new(BufReader::with_capacity(64 * 1024, file), File::Signature);
        source.expect(MAGIC, "it does not begin with OCTOSIG")?;
        check_version(&mut source, File::Signature)?;
        let hash = source.name("the name of the hash algorithm")?;
        let checksum = source.name("the name of the checksum algorithm")?;
        source.expect(END_OF_METADATA, "its metadata does not end with >>>")?;
        check_hash_algorithm(&hash, File::Signature)?;
        let checksum = RollingChecksum::named(&checksum).ok_or_else(|| Error::UnknownAlgorithm {
            file: File::Signature,
            kind: "rolling checksum",
            name: readable(&checksum),
            supported: "Adler32 or Adler32V2",
        })?;
        let mut chunks = Vec::new();
        let mut start = 0;
        loop {
            let mut record = [0; RECORD];
            match source.fill(&mut record)? {
                0 => return Ok(Self { checksum, chunks }),
                RECORD if chunks.len() == MOST_CHUNKS => {
                    return Err(Error::TooLarge {
                        file: File::Signature,
                        limit: MOST_CHUNKS as u64,
                        unit: "chunks",
                    });
                }
                RECORD => {
                    let [l0, l1, c0, c1, c2, c3, hash @ ..] = record;
                    let length = i16::from_le_bytes([l0, l1]);
                    chunks.push(Chunk {
                        start,
                        length,
                        checksum: u32::from_le_bytes([c0, c1, c2, c3]),
                        hash,
                    });
                    start += u64::try_from(length).unwrap_or_default();
                }
                _ => return Err(source.corrupt("at least one chunk has data missing")),
            }
        }
    }

    /// Writes the signature file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, mut file: impl Write) -> Result<(), Error> {
        let mut bytes = metadata(self.checksum);
        for chunk in &self.chunks {
            bytes.extend(record(chunk));
            if bytes.len() > 64 * 1024 {
                file.write_all(&bytes).map_err(Error::writing(File::Signature))?;
                bytes.clear();
            }
        }
        file.write_all(&bytes).map_err(Error::writing(File::Signature))
    }

    /// The chunks, in the order of the basis.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }
}

/// Reads a basis to its end and writes its signature file. Answers with the length of the basis in bytes.
///
/// # Errors
/// When the chunk size is not possible, the basis cannot be read, or the signature cannot be written.
pub fn build_signature(
    mut basis: impl Read,
    mut signature: impl Write,
    form: &SignatureForm,
) -> Result<u64, Error> {
    if !(SMALLEST_CHUNK_SIZE..=LARGEST_CHUNK_SIZE).contains(&form.chunk_size) {
        let size = i64::from(form.chunk_size);
        return Err(Error::ChunkSize { size });
    }
    let chunk_size = usize::from(form.chunk_size);
    // Whole chunks, about 256 KiB of them: chunks do not cross the buffer's end.
    let mut buffer = vec![0; chunk_size * (256 * 1024 / chunk_size)];
    let mut records = metadata(form.checksum);
    let mut start = 0;
    loop {
        let count = fill(&mut basis, &mut buffer).map_err(Error::reading(File::Basis))?;
        for block in buffer[..count].chunks(chunk_size) {
            let chunk = Chunk {
                start,
                length: i16::try_from(block.len()).unwrap_or(i16::MAX),
                checksum: form.checksum.of(block),
                hash: Sha1::digest(block).into(),
            };
            records.extend(record(&chunk));
            start += block.len() as u64;
        }
        signature
            .write_all(&records)
            .map_err(Error::writing(File::Signature))?;
        records.clear();
        if count < buffer.len() {
            return Ok(start);
        }
    }
}

pub(crate) fn check_version(source: &mut Source<impl Read>, file: File) -> Result<(), Error> {
    match source.byte("its version")? {
        VERSION => Ok(()),
        version => Err(Error::NewerFormat { file, version }),
    }
}

pub(crate) fn check_hash_algorithm(name: &[u8], file: File) -> Result<(), Error> {
    if name == HASH_ALGORITHM.as_bytes() {
        return Ok(());
    }
    Err(Error::UnknownAlgorithm {
        file,
        kind: "hash",
        name: readable(name),
        supported: HASH_ALGORITHM,
    })
}

pub(crate) fn put_name(bytes: &mut Vec<u8>, name: &'static str) {
    // Our names are shorter than 128 bytes: their length is one group.
    bytes.push(name.len() as u8);
    bytes.extend(name.as_bytes());
}

fn metadata(checksum: RollingChecksum) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    put_name(&mut bytes, HASH_ALGORITHM);
    put_name(&mut bytes, checksum.name());
    bytes.extend(END_OF_METADATA);
    bytes
}

fn record(chunk: &Chunk) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..2].copy_from_slice(&chunk.length.to_le_bytes());
    record[2..6].copy_from_slice(&chunk.checksum.to_le_bytes());
    record[6..].copy_from_slice(&chunk.hash);
    record
}
