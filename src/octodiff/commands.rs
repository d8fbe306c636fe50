//! Writes delta files (`octodiff.md` 3).

use std::io::{BufWriter, Seek, SeekFrom, Write};

use crate::delta::{COPY, DATA, MAGIC};
use crate::error::{Error, File};
use crate::signature::{END_OF_METADATA, HASH_ALGORITHM, VERSION, put_name};

/// A delta file while it is written: joins copies that follow one another, and fills in what is known only later (the
/// file's hash, the length of a long data command), so that the new file is read once.
pub(crate) struct CommandWriter<W: Write + Seek> {
    file: BufWriter<W>,
    hash_position: u64,
    copy: Option<(u64, u64)>,
    /// Where the length of the unfinished data command stands, and how many bytes it has.
    data: Option<(u64, u64)>,
}

impl<W: Write + Seek> CommandWriter<W> {
    pub(crate) fn new(file: W) -> Result<Self, Error> {
        let mut file = BufWriter::with_capacity(256 * 1024, file);
        let start = file.stream_position().map_err(failed)?;
        let mut metadata = MAGIC.to_vec();
        metadata.push(VERSION);
        put_name(&mut metadata, HASH_ALGORITHM);
        metadata.extend(20i32.to_le_bytes());
        let hash_position = start + metadata.len() as u64;
        metadata.extend([0; 20]);
        metadata.extend(END_OF_METADATA);
        file.write_all(&metadata).map_err(failed)?;
        Ok(Self {
            file,
            hash_position,
            copy: None,
            data: None,
        })
    }

    pub(crate) fn copy(&mut self, start: u64, length: u64) -> Result<(), Error> {
        match &mut self.copy {
            Some((from, present)) if *from + *present == start => *present += length,
            _ => {
                self.end_copy()?;
                self.copy = Some((start, length));
            }
        }
        Ok(())
    }

    /// A whole data command.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.data.is_some() {
            self.begin_data(bytes)?;
            return self.end_data();
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.end_copy()?;
        self.put(&[DATA])?;
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)
    }

    /// Bytes of a data command that goes on.
    pub(crate) fn begin_data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.end_copy()?;
        let (position, length) = match self.data {
            Some(open) => open,
            None => {
                self.put(&[DATA])?;
                let position = self.file.stream_position().map_err(failed)?;
                self.put(&[0; 8])?;
                (position, 0)
            }
        };
        self.data = Some((position, length + bytes.len() as u64));
        self.put(bytes)
    }

    pub(crate) fn end(mut self, hash: [u8; 20]) -> Result<(), Error> {
        self.end_data()?;
        self.end_copy()?;
        self.fill_in(self.hash_position, &hash)?;
        self.file.flush().map_err(failed)
    }

    fn end_data(&mut self) -> Result<(), Error> {
        match self.data.take() {
            Some((position, length)) => self.fill_in(position, &length.to_le_bytes()),
            None => Ok(()),
        }
    }

    fn end_copy(&mut self) -> Result<(), Error> {
        if let Some((start, length)) = self.copy.take() {
            self.put(&[COPY])?;
            self.put(&start.to_le_bytes())?;
            self.put(&length.to_le_bytes())?;
        }
        Ok(())
    }

    fn fill_in(&mut self, position: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = self.file.stream_position().map_err(failed)?;
        self.file.seek(SeekFrom::Start(position)).map_err(failed)?;
        self.put(bytes)?;
        self.file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(failed)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::writing(File::Delta)(error)
}
