//! Applies deltas (`octodiff.md` 3).

use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use sha1::{Digest, Sha1};

use crate::delta::{Command, DeltaReader};
use crate::error::{Error, File};

/// How much is copied at once.
const BUFFER: usize = 256 * 1024;

/// What a delta may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// Whether the hash of the result must be that which the delta gives.
    pub verify: bool,
    /// The most bytes that the result may have: a few bytes of delta can repeat the whole basis.
    pub largest_result: u64,
}

impl Default for Patch {
    /// Verified, and at most 64 GiB.
    fn default() -> Self {
        Self {
            verify: true,
            largest_result: 64 << 30,
        }
    }
}

/// What came out of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patched {
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-1 hash.
    pub hash: [u8; 20],
}

/// Writes the new file that a delta makes of its basis. The hash is known at the end only: give a file that gets its name
/// when this succeeds. As the original does, a copy that goes past the end of the basis gives what there is.
///
/// # Errors
/// When the delta is damaged, a file cannot be read or written, the result becomes larger than allowed, or is not the file
/// that the delta was made of.
pub fn apply_delta(
    mut basis: impl Read + Seek,
    delta: impl Read,
    result: impl Write,
    patch: &Patch,
) -> Result<Patched, Error> {
    let mut reader = DeltaReader::open(delta)?;
    let mut output = Output {
        file: BufWriter::with_capacity(BUFFER, result),
        hash: Sha1::new(),
        length: 0,
        limit: patch.largest_result,
    };
    let mut buffer = vec![0; BUFFER];
    while let Some(command) = reader.next_command()? {
        match command {
            Command::Copy { start, length } => {
                let start = u64::try_from(start).map_err(|_| Error::NegativeStart {
                    start,
                    offset: reader.offset(),
                })?;
                let length = u64::try_from(length).map_err(|_| Error::NegativeLength {
                    what: "a copy length",
                    value: length,
                    offset: reader.offset(),
                })?;
                basis
                    .seek(SeekFrom::Start(start))
                    .map_err(Error::reading(File::Basis))?;
                output.copy(&mut basis, length, &mut buffer)?;
            }
            Command::Data { .. } => loop {
                let count = reader.read_data(&mut buffer)?;
                if count == 0 {
                    break;
                }
                output.put(&buffer[..count])?;
            },
        }
    }
    output.file.flush().map_err(Error::writing(File::Result))?;
    let patched = Patched {
        length: output.length,
        hash: output.hash.finalize().into(),
    };
    if patch.verify && reader.expected_hash() != patched.hash {
        return Err(Error::Verification {
            expected: hex(reader.expected_hash()),
            actual: hex(&patched.hash),
        });
    }
    Ok(patched)
}

struct Output<W: Write> {
    file: BufWriter<W>,
    hash: Sha1,
    length: u64,
    limit: u64,
}

impl<W: Write> Output<W> {
    fn copy(&mut self, basis: &mut impl Read, mut length: u64, buffer: &mut [u8]) -> Result<(), Error> {
        while length > 0 {
            let wanted = buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            let count = match basis.read(&mut buffer[..wanted]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.map_err(Error::reading(File::Basis))?,
            };
            if count == 0 {
                return Ok(());
            }
            self.put(&buffer[..count])?;
            length -= count as u64;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.length += bytes.len() as u64;
        if self.length > self.limit {
            return Err(Error::TooLarge {
                file: File::Result,
                limit: self.limit,
                unit: "bytes",
            });
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(Error::writing(File::Result))
    }
}

fn hex(hash: &[u8]) -> String {
    hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}
