//! Makes deltas (`octodiff.md` 5).

use std::io::{Read, Seek, Write};

use sha1::{Digest, Sha1};

use crate::checksum::{Prime, Rolling, RollingChecksum, Wrapping};
use crate::commands::CommandWriter;
use crate::error::{Error, File};
use crate::index::{Index, length};
use crate::signature::Signature;
use crate::source::fill;

/// How much of the new file is in memory at once, besides one window.
const BUFFER: usize = 1024 * 1024;

/// For each byte of the new file, how many may be hashed in vain. Where checksums of other contents are met on purpose,
/// the delta becomes larger, not slower.
const VAIN_HASHING: u64 = 8;

/// Reads a new file to its end, once, and writes the delta from the signature's basis to it. Answers with the length of the
/// new file in bytes. The delta file is written from its present position on; what is there is not cut off.
///
/// # Errors
/// When the new file cannot be read or the delta not written.
pub fn build_delta(signature: &Signature, new: impl Read, delta: impl Write + Seek) -> Result<u64, Error> {
    match signature.checksum {
        RollingChecksum::Adler32 => Scan::<_, _, Wrapping>::run(signature, new, delta),
        RollingChecksum::Adler32V2 => Scan::<_, _, Prime>::run(signature, new, delta),
    }
}

struct Scan<'a, R, W: Write + Seek, C> {
    index: Index<'a>,
    new: R,
    commands: CommandWriter<W>,
    hash: Sha1,
    buffer: Vec<u8>,
    /// In the buffer: what is not written yet begins here,
    pending: usize,
    /// the window here,
    at: usize,
    /// and what was read ends here.
    end: usize,
    ended: bool,
    total: u64,
    /// Number of the chunk that ends where the window begins.
    previous: Option<u32>,
    /// Number of the short chunk with which what is not written yet begins, and which continues the copy before.
    tail: Option<u32>,
    hashed_in_vain: u64,
    rolling: std::marker::PhantomData<C>,
}

impl<'a, R: Read, W: Write + Seek, C: Rolling> Scan<'a, R, W, C> {
    fn run(signature: &'a Signature, new: R, delta: W) -> Result<u64, Error> {
        let index = Index::of(signature);
        let mut scan = Scan {
            buffer: vec![0; BUFFER + index.longest],
            index,
            new,
            commands: CommandWriter::new(delta)?,
            hash: Sha1::new(),
            pending: 0,
            at: 0,
            end: 0,
            ended: false,
            total: 0,
            previous: None,
            tail: None,
            hashed_in_vain: 0,
            rolling: std::marker::PhantomData::<C>,
        };
        let (longest, shortest) = (scan.index.longest, scan.index.shortest);
        while !scan.ended {
            scan.refill()?;
            scan.windows(longest)?;
        }
        // The last chunk of a basis is mostly shorter than the others: in what is left it is looked for.
        scan.windows(shortest)?;
        scan.at = scan.end;
        scan.copy_tail()?;
        scan.commands.data(&scan.buffer[scan.pending..scan.end])?;
        scan.commands.end(scan.hash.finalize().into())?;
        Ok(scan.total)
    }

    /// Keeps what the window still needs and reads on.
    fn refill(&mut self) -> Result<(), Error> {
        if self.pending < self.at {
            self.previous = None;
        }
        self.copy_tail()?;
        self.commands.begin_data(&self.buffer[self.pending..self.at])?;
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        (self.pending, self.at) = (0, 0);
        let space = &mut self.buffer[self.end..];
        let count = fill(&mut self.new, space).map_err(Error::reading(File::New))?;
        self.hash.update(&space[..count]);
        self.ended = count < space.len();
        self.end += count;
        self.total += count as u64;
        Ok(())
    }

    /// Looks for chunks of this length wherever one fits into what was read.
    fn windows(&mut self, length: usize) -> Result<(), Error> {
        if length == 0 {
            self.at = self.end;
            return Ok(());
        }
        let mut rolling = C::of_length(length);
        let mut fresh = true;
        while self.at + length <= self.end {
            if fresh {
                rolling.start(&self.buffer[self.at..self.at + length]);
            }
            let found = self.find(rolling.value(), length);
            if found.is_none() && fresh {
                self.tail = self.continued(length).or(self.tail);
            }
            fresh = found.is_some();
            match found {
                Some(number) => self.copy(number)?,
                None => self.at += self.skip(&mut rolling, length),
            }
        }
        Ok(())
    }

    /// How far it is to the next window that may be known, or to the end of what was read; rolls on to there.
    fn skip(&self, rolling: &mut C, length: usize) -> usize {
        let rest = &self.buffer[self.at..self.end];
        for (moved, (out, into)) in rest.iter().zip(&rest[length..]).enumerate() {
            rolling.roll(*out, *into);
            if self.index.may_know(rolling.value()) {
                return moved + 1;
            }
        }
        rest.len() - length + 1
    }

    /// The chunk that the window equals: of several the one that continues the copy before, else the first, unless it is so
    /// short that copying it takes more than its bytes.
    fn find(&mut self, checksum: u32, length: usize) -> Option<u32> {
        if !self.index.may_know(checksum) || !self.index.knows(checksum) {
            return None;
        }
        let seen = self.total - (self.end - self.at) as u64;
        if self.hashed_in_vain > VAIN_HASHING * (seen + BUFFER as u64) {
            return None;
        }
        let hash: [u8; 20] = Sha1::digest(&self.buffer[self.at..self.at + length]).into();
        let next = self.next().filter(|next| self.index.is(*next, &hash, length));
        let other = || {
            // A copy command has 17 bytes, a data command 9 and the data.
            let costs = if self.pending < self.at { 17 } else { 8 };
            self.index
                .find(checksum, &hash, length)
                .filter(|_| length > costs)
        };
        let found = next.or_else(other);
        if found.is_none() {
            self.hashed_in_vain += length as u64;
        }
        found
    }

    /// The next chunk of the basis, when it is a shorter one than the window and follows here too: the last one of a basis
    /// that was appended to.
    fn continued(&self, window: usize) -> Option<u32> {
        let next = self.next()?;
        let chunk = self.index.chunk(next)?;
        let block = self.buffer[..self.end].get(self.at..self.at + length(chunk))?;
        let same = length(chunk) < window && <[u8; 20]>::from(Sha1::digest(block)) == chunk.hash;
        same.then_some(next)
    }

    /// The number of the chunk that would continue the copy before this window.
    fn next(&self) -> Option<u32> {
        self.previous
            .filter(|_| self.pending == self.at)
            .map(|previous| previous + 1)
    }

    fn copy(&mut self, number: u32) -> Result<(), Error> {
        let Some(chunk) = self.index.chunk(number) else {
            return Ok(());
        };
        let (start, length) = (chunk.start, length(chunk));
        self.copy_tail()?;
        self.commands.data(&self.buffer[self.pending..self.at])?;
        self.commands.copy(start, length as u64)?;
        self.at += length;
        self.pending = self.at;
        self.previous = Some(number);
        Ok(())
    }

    /// Copies the short chunk, when nothing was found that begins inside it: a longer match would have been worth more.
    fn copy_tail(&mut self) -> Result<(), Error> {
        let tail = self.tail.take().and_then(|number| self.index.chunk(number));
        if let Some(chunk) = tail.filter(|chunk| length(chunk) <= self.at - self.pending) {
            self.commands.copy(chunk.start, length(chunk) as u64)?;
            self.pending += length(chunk);
        }
        Ok(())
    }
}
