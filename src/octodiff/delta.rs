//! Reads delta files (`octodiff.md` 3).

use std::io::{BufReader, Read, Write};

use crate::error::{Error, File};
use crate::signature::{END_OF_METADATA, check_hash_algorithm, check_version};
use crate::source::Source;

pub(crate) const MAGIC: &[u8] = b"OCTODELTA";
pub(crate) const COPY: u8 = 0x60;
pub(crate) const DATA: u8 = 0x80;

/// The most bytes that a hash may have which stands in a delta.
const LONGEST_HASH: i32 = 1024;
/// Data commands are explained in pieces of this size, as the original reads them.
const EXPLAINED_PIECE: usize = 4 * 1024 * 1024;

/// One step of making the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Bytes of the basis. As read: numbers of a damaged file may be negative or point behind the basis.
    Copy {
        /// Where they begin.
        start: i64,
        /// How many they are.
        length: i64,
    },
    /// Bytes that stand in the delta; [`DeltaReader::read_data`] gives them.
    Data {
        /// How many they are.
        length: u64,
    },
}

/// A delta file, command by command. Nothing is held in memory but a buffer.
pub struct DeltaReader<R> {
    source: Source<BufReader<R>>,
    hash: Vec<u8>,
    data_left: u64,
}

impl<R: Read> DeltaReader<R> {
    /// Reads the metadata.
    ///
    /// # Errors
    /// When it is no delta file, is cut, newer than ours, names an unknown hash algorithm, or cannot be read.
    pub fn open(delta: R) -> Result<Self, Error> {
        let mut source = Source::new(BufReader::with_capacity(64 * 1024, delta), File::Delta);
        source.expect(MAGIC, "it does not begin with OCTODELTA")?;
        check_version(&mut source, File::Delta)?;
        let algorithm = source.name("the name of the hash algorithm")?;
        check_hash_algorithm(&algorithm, File::Delta)?;
        let length = source.i32("the length of the hash")?;
        if length < 0 {
            return Err(Error::NegativeLength {
                what: "a hash length",
                value: length.into(),
                offset: source.offset(),
            });
        }
        if length > LONGEST_HASH {
            return Err(source.corrupt("its hash is too long"));
        }
        let hash = source.bytes(u64::from(length.unsigned_abs()))?;
        source.expect(END_OF_METADATA, "its metadata does not end with >>>")?;
        Ok(Self {
            source,
            hash,
            data_left: 0,
        })
    }

    /// The hash of the new file. Any other length than 20 bytes is one that no file has.
    #[must_use]
    pub fn expected_hash(&self) -> &[u8] {
        &self.hash
    }

    /// Where the reader is, in bytes from the beginning.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// The next command; None at the end of the file. Data that was not read is passed over, and so are bytes that are no
    /// command, as the original does.
    ///
    /// # Errors
    /// When the file is cut, a data length is negative, or the file cannot be read.
    pub fn next_command(&mut self) -> Result<Option<Command>, Error> {
        let mut passed_over = [0; 8 * 1024];
        while self.read_data(&mut passed_over)? > 0 {}
        while let Some(byte) = self.source.next()? {
            match byte {
                COPY => {
                    let start = self.source.i64("a copy command")?;
                    let length = self.source.i64("a copy command")?;
                    return Ok(Some(Command::Copy { start, length }));
                }
                DATA => {
                    let length = self.source.i64("a data command")?;
                    let length = u64::try_from(length)
                        .map_err(|_| self.source.corrupt("a data command has a negative length"))?;
                    self.data_left = length;
                    return Ok(Some(Command::Data { length }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Fills the buffer with bytes of the present data command; fewer, at last none, when it ends.
    ///
    /// # Errors
    /// When the file ends before the data, or cannot be read.
    pub fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let wanted = buffer
            .len()
            .min(usize::try_from(self.data_left).unwrap_or(usize::MAX));
        let count = self.source.fill(&mut buffer[..wanted])?;
        if count < wanted {
            return Err(self
                .source
                .corrupt("a data command is longer than the rest of the file"));
        }
        self.data_left -= count as u64;
        Ok(count)
    }
}

/// Writes one line a command: `Copy: <start> to <length>` in hex, or `Data: (<n> bytes): AA-BB-…` with at most 20 bytes.
///
/// # Errors
/// As [`DeltaReader`]; or when the lines cannot be written.
pub fn explain(delta: impl Read, mut lines: impl Write) -> Result<(), Error> {
    let mut reader = DeltaReader::open(delta)?;
    while let Some(command) = reader.next_command()? {
        match command {
            Command::Copy { start, length } => {
                writeln!(lines, "Copy: {start:X} to {length:X}").map_err(Error::writing(File::Result))?;
            }
            Command::Data { mut length } => {
                while length > 0 {
                    let piece = length.min(EXPLAINED_PIECE as u64);
                    explain_data(&mut reader, piece, &mut lines)?;
                    length -= piece;
                }
            }
        }
    }
    Ok(())
}

fn explain_data<R: Read>(
    reader: &mut DeltaReader<R>,
    length: u64,
    lines: &mut impl Write,
) -> Result<(), Error> {
    let mut shown = [0; 20];
    let mut left = length - reader.read_data(&mut shown[..length.min(20) as usize])? as u64;
    let mut passed_over = [0; 8 * 1024];
    while left > 0 {
        let piece = left.min(passed_over.len() as u64) as usize;
        left -= reader.read_data(&mut passed_over[..piece])? as u64;
    }
    let bytes: Vec<String> = shown
        .iter()
        .take(length as usize)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let more = if length > 20 { "..." } else { "" };
    writeln!(lines, "Data: ({length} bytes): {}{more}", bytes.join("-")).map_err(Error::writing(File::Result))
}
