//! Raw deflate with an exact end (`tentacle-protocol.md` 3.1, 3.2).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::protocol::{Limits, ProtocolError};

/// Up to here a message is written as one stored block: it fits one network packet as it is.
const STORED: usize = 1200;

/// A block that holds nothing and is not the last.
const EMPTY_BLOCK: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

/// Beyond this many bytes the original stops reading at the end of the document instead of the end of the
/// deflate stream.
const READ_TO_THE_END: usize = 64 << 10;

/// Size of the original's input buffer.
const PEER_BUFFER: usize = 8 << 10;

/// Writes messages; kept for all messages of a connection, as its tables are large.
#[derive(Default)]
pub struct Deflater {
    compress: Option<Box<Compress>>,
}

impl Deflater {
    /// A writer; its tables come with the first message that needs them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the whole deflate stream of `content`.
    pub fn deflate(&mut self, content: &[u8], out: &mut Vec<u8>) {
        if content.len() <= STORED {
            let length = u16::try_from(content.len()).expect("at most 1,200");
            out.push(1);
            out.extend(length.to_le_bytes());
            out.extend((!length).to_le_bytes());
            out.extend(content);
            return;
        }
        let start = out.len();
        self.compress(content, out);
        if content.len() > READ_TO_THE_END {
            keep_the_tail_in_company(out, start);
        }
    }

    fn compress(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let compress = self
            .compress
            .get_or_insert_with(|| Box::new(Compress::new(Compression::fast(), false)));
        compress.reset();
        loop {
            let read = usize::try_from(compress.total_in()).expect("the content is in memory");
            out.reserve((content.len() - read) / 4 + 256);
            let status = compress.compress_vec(&content[read..], out, FlushCompress::Finish);
            if status.expect("deflate of bytes in memory has no way to fail") == Status::StreamEnd {
                return;
            }
        }
    }
}

/// The original may leave the last bytes of a long message unread when they arrive in a packet or buffer of
/// their own; empty blocks at the front move them away from such a border.
fn keep_the_tail_in_company(out: &mut Vec<u8>, start: usize) {
    let beyond = (out.len() - start) % PEER_BUFFER;
    if beyond < 64 {
        let blocks = EMPTY_BLOCK.repeat((64 - beyond).div_ceil(EMPTY_BLOCK.len()));
        out.splice(start..start, blocks);
    }
}

/// Reads messages piece by piece; kept for all messages of a connection.
pub struct Inflater {
    decompress: Decompress,
    inflated: Vec<u8>,
    compressed: usize,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            decompress: Decompress::new(false),
            inflated: Vec::new(),
            compressed: 0,
        }
    }
}

impl Inflater {
    /// A reader at the beginning of a message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the message. Tells how many belonged to it and whether the message is whole;
    /// if so, the rest belongs to what follows.
    pub fn feed(&mut self, bytes: &[u8], limits: &Limits) -> Result<(usize, bool), ProtocolError> {
        let mut used = 0;
        loop {
            if self.inflated.len() == self.inflated.capacity() {
                let room = limits
                    .inflated
                    .saturating_add(1)
                    .saturating_sub(self.inflated.len());
                if room == 0 {
                    return Err(ProtocolError::TooLarge {
                        what: "an inflated message",
                        limit: limits.inflated as u64,
                    });
                }
                self.inflated
                    .reserve_exact(room.min(self.inflated.len().max(4096)));
            }
            let (read_before, written_before) = (self.decompress.total_in(), self.inflated.len());
            let status =
                self.decompress
                    .decompress_vec(&bytes[used..], &mut self.inflated, FlushDecompress::None);
            let status = status.map_err(|_| ProtocolError::Deflate)?;
            let read = usize::try_from(self.decompress.total_in() - read_before)
                .map_err(|_| ProtocolError::Deflate)?;
            used += read;
            self.compressed += read;
            if self.compressed > limits.compressed {
                return Err(ProtocolError::TooLarge {
                    what: "a message",
                    limit: limits.compressed as u64,
                });
            }
            if self.inflated.len() > limits.inflated {
                return Err(ProtocolError::TooLarge {
                    what: "an inflated message",
                    limit: limits.inflated as u64,
                });
            }
            let has_room = self.inflated.len() < self.inflated.capacity();
            match status {
                Status::StreamEnd => return Ok((used, true)),
                // Nothing more comes out of what was given.
                _ if has_room && used == bytes.len() => return Ok((used, false)),
                _ if has_room && read == 0 && self.inflated.len() == written_before => {
                    return Err(ProtocolError::Deflate);
                }
                _ => {}
            }
        }
    }

    /// The inflated bytes of a whole message; the reader then stands at the beginning of the next.
    pub fn take(&mut self) -> Vec<u8> {
        self.decompress.reset(false);
        self.compressed = 0;
        std::mem::take(&mut self.inflated)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inflate(bytes: &[u8], chunk: usize) -> Result<(Vec<u8>, usize), ProtocolError> {
        let mut inflater = Inflater::new();
        let mut used = 0;
        for piece in bytes.chunks(chunk) {
            let (read, whole) = inflater.feed(piece, &Limits::default())?;
            used += read;
            if whole {
                return Ok((inflater.take(), used));
            }
            assert_eq!(read, piece.len());
        }
        Err(ProtocolError::Deflate)
    }

    #[test]
    fn either_form_of_the_heartbeat_is_read_to_its_last_byte() {
        for form in [
            "e3636060e0f24d2d2e4e4c4f65600000",
            "010e00f1ff0e0000000a4d6573736167650000",
        ] {
            let bytes = hex::decode(form.to_owned() + "4e455854").expect("hexadecimal");
            for chunk in 1..bytes.len() {
                let (inflated, used) = inflate(&bytes, chunk).expect("a heartbeat");
                assert_eq!(hex::encode(inflated), "0e0000000a4d6573736167650000");
                assert_eq!(used, bytes.len() - 4);
            }
        }
    }

    #[test]
    fn empty_blocks_in_the_middle_are_no_end() {
        let mut bytes = EMPTY_BLOCK.repeat(3);
        Deflater::new().deflate(b"content", &mut bytes);
        assert_eq!(inflate(&bytes, 1).expect("whole").0, b"content");
    }

    #[test]
    fn a_bomb_is_cut_at_the_limit() {
        let mut bomb = Vec::new();
        Deflater::new().deflate(&vec![0; 80 << 20], &mut bomb);
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(
            inflate(&bomb, 8192),
            Err(ProtocolError::TooLarge { .. })
        ));

        let limits = Limits {
            compressed: 100,
            ..Limits::default()
        };
        let incompressible: Vec<u8> = (0..5000_u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let mut long = Vec::new();
        Deflater::new().deflate(&incompressible, &mut long);
        assert!(matches!(
            Inflater::new().feed(&long, &limits),
            Err(ProtocolError::TooLarge { .. })
        ));
    }

    #[test]
    fn the_tail_of_a_long_message_does_not_stand_alone() {
        let mut deflater = Deflater::new();
        for length in (70_000..400_000).step_by(1_237) {
            let content: Vec<u8> = (0..length)
                .map(|number: u32| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect();
            let mut bytes = b"NEXT".to_vec();
            deflater.deflate(&content, &mut bytes);
            assert!((bytes.len() - 4) % PEER_BUFFER >= 64, "{length}");
            assert_eq!(inflate(&bytes[4..], 5_000).expect("whole").0, content);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_any_pieces(content in proptest::collection::vec(0_u8..8, 0..6000), chunk in 1_usize..700) {
            let mut bytes = Vec::new();
            Deflater::new().deflate(&content, &mut bytes);
            let whole = bytes.len();
            bytes.extend(b"PROCEED\r\n");
            let (inflated, used) = inflate(&bytes, chunk).expect("whole");
            prop_assert_eq!(inflated, content);
            prop_assert_eq!(used, whole);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Inflater::new().feed(&bytes, &Limits::default());
        }
    }
}
