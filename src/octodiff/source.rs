//! Reads the primitive encodings of both formats (`octodiff.md` 1) and knows where it is.

use std::io::{self, Read};

use crate::error::{Error, File};

/// So much of the name of an algorithm is read; the longest known has nine bytes.
const LONGEST_NAME: u64 = 256;

/// A signature or delta file while it is read.
pub(crate) struct Source<R> {
    inner: R,
    file: File,
    offset: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(inner: R, file: File) -> Self {
        Self {
            inner,
            file,
            offset: 0,
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn corrupt(&self, why: &'static str) -> Error {
        Error::Corrupt {
            file: self.file,
            offset: self.offset,
            why,
        }
    }

    fn cut_short(&self, what: &'static str) -> Error {
        Error::CutShort {
            file: self.file,
            offset: self.offset,
            what,
        }
    }

    /// As many bytes as there are, up to the size of the buffer.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = fill(&mut self.inner, buffer).map_err(Error::reading(self.file))?;
        self.offset += count as u64;
        Ok(count)
    }

    /// Bytes that say nothing but that the file is of this kind.
    pub(crate) fn expect(&mut self, expected: &[u8], why: &'static str) -> Result<(), Error> {
        let mut buffer = [0; 16];
        let buffer = &mut buffer[..expected.len()];
        if self.fill(buffer)? < expected.len() || buffer != expected {
            return Err(self.corrupt(why));
        }
        Ok(())
    }

    /// The byte, or None at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<u8>, Error> {
        let mut byte = [0];
        Ok((self.fill(&mut byte)? == 1).then_some(byte[0]))
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        if self.fill(&mut bytes)? < N {
            return Err(self.cut_short(what));
        }
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, Error> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, Error> {
        self.array(what).map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, Error> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// At most so many bytes; less when the file ends before.
    pub(crate) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = (&mut self.inner).take(count).read_to_end(&mut bytes);
        self.offset += read.map_err(Error::reading(self.file))? as u64;
        Ok(bytes)
    }

    /// A number in groups of seven bits, low ones first.
    pub(crate) fn length(&mut self, what: &'static str) -> Result<u64, Error> {
        let mut length = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte(what)?;
            length |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(self.corrupt("a length has too many bytes"))
    }

    /// A text behind its length; of one too long to be known, the beginning.
    pub(crate) fn name(&mut self, what: &'static str) -> Result<Vec<u8>, Error> {
        let length = self.length(what)?;
        let name = self.bytes(length.min(LONGEST_NAME))?;
        let mut left = length - name.len() as u64;
        let mut passed_over = [0; 1024];
        while left > 0 {
            let piece = left.min(passed_over.len() as u64) as usize;
            if self.fill(&mut passed_over[..piece])? < piece {
                return Err(self.cut_short(what));
            }
            left -= piece as u64;
        }
        Ok(name)
    }
}

/// Reads until the buffer is full or the file ends, however small the pieces are in which it comes.
pub(crate) fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match source.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// For messages: a name out of a file, without control characters and not long.
pub(crate) fn readable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .map(|character| if character.is_control() { '?' } else { character })
        .take(40)
        .collect()
}
