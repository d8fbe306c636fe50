//! Decoders that the usual libraries leave half done: Zstandard streams of several frames whose checksums are looked at, and
//! xz streams that may not ask for any amount of memory.

use lzma_rust2::XzReader;
use ruzstd::decoding::BlockDecodingStrategy;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use std::io::{self, BufRead, Read};

/// What the dictionary of an xz stream may take, in KiB. The largest preset of `xz` needs 64 MiB.
const XZ_MEMORY_KIB: u32 = 256 << 10;

/// What the window of a Zstandard frame may take, in bytes: the most that `zstd` makes without `--long=28`.
const ZSTANDARD_WINDOW: u64 = 128 << 20;

/// The unpacked contents of one or several xz streams.
pub(crate) fn xz<R: Read>(packed: R) -> XzReader<R> {
    XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB)
}

/// The unpacked contents of the Zstandard frames of a stream, one after the other.
pub(crate) struct Zstandard<R> {
    packed: R,
    decoder: FrameDecoder,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    BeforeFirstFrame,
    BetweenFrames,
    InFrame,
    Finished,
}

impl<R: BufRead> Zstandard<R> {
    pub(crate) fn new(packed: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTANDARD_WINDOW);
        Self {
            packed,
            decoder,
            state: State::BeforeFirstFrame,
        }
    }

    /// Goes to the next frame that holds something; at the end of the stream there is none.
    fn next_frame(&mut self) -> io::Result<()> {
        loop {
            if self.packed.fill_buf()?.is_empty() {
                if self.state == State::BeforeFirstFrame {
                    return Err(damaged("it is empty"));
                }
                self.state = State::Finished;
                return Ok(());
            }
            match self.decoder.init(&mut self.packed) {
                Ok(()) => {
                    self.state = State::InFrame;
                    return Ok(());
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(&mut (&mut self.packed).take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(damaged("a frame is cut off"));
                    }
                }
                Err(error) => return Err(damaged(&error.to_string())),
            }
        }
    }
}

impl<R: BufRead> Read for Zstandard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Finished => return Ok(0),
                State::BeforeFirstFrame | State::BetweenFrames => self.next_frame()?,
                State::InFrame => {
                    while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                        self.decoder
                            .decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1))
                            .map_err(|error| damaged(&error.to_string()))?;
                    }
                    let read = self.decoder.read(buffer)?;
                    if read > 0 {
                        return Ok(read);
                    }
                    let announced = self.decoder.get_checksum_from_data();
                    if announced.is_some() && announced != self.decoder.get_calculated_checksum() {
                        return Err(damaged("its checksum does not match"));
                    }
                    self.state = State::BetweenFrames;
                }
            }
        }
    }
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut contents = Vec::new();
        Zstandard::new(packed).read_to_end(&mut contents)?;
        Ok(contents)
    }

    #[test]
    fn frames_follow_each_other_and_skippable_ones_are_skipped() {
        let mut packed = compress_to_vec(&b"one "[..], CompressionLevel::Fastest);
        packed.extend(0x184D_2A50_u32.to_le_bytes());
        packed.extend(3_u32.to_le_bytes());
        packed.extend(b"xyz");
        packed.extend(compress_to_vec(&b"two"[..], CompressionLevel::Uncompressed));
        assert_eq!(unpack(&packed).expect("unpacked"), b"one two");
        packed.extend([0x50, 0x2A, 0x4D, 0x18, 9, 0, 0, 0, 1]);
        assert!(unpack(&packed).is_err(), "a skippable frame that is cut off");
    }

    #[test]
    fn a_wrong_checksum_is_noticed() {
        let mut packed = compress_to_vec(&b"some contents"[..], CompressionLevel::Fastest);
        let last = packed.len() - 1;
        packed[last] ^= 1;
        let error = unpack(&packed).expect_err("damaged").to_string();
        assert!(error.contains("checksum"), "{error}");
    }
}
