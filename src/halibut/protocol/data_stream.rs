//! The frame around the content of a data stream (`tentacle-protocol.md` 4): id and length before it, the
//! length again after it.

use crate::protocol::{Limits, ProtocolError};

/// Bytes before the content.
pub const HEADER_LENGTH: usize = 24;

/// Bytes after the content.
pub const TRAILER_LENGTH: usize = 8;

/// What stands before the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The id of the reference in the message, as on the wire.
    pub id: [u8; 16],
    /// Length of the content.
    pub length: u64,
}

impl FrameHeader {
    /// As it travels.
    pub fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// Reads a header and refuses lengths beyond the limit.
    pub fn parse(bytes: [u8; HEADER_LENGTH], limits: &Limits) -> Result<Self, ProtocolError> {
        let (id, length) = bytes.split_at(16);
        let id = id.try_into().expect("sixteen bytes");
        let length = i64::from_le_bytes(length.try_into().expect("eight bytes"));
        let length = u64::try_from(length).map_err(|_| ProtocolError::DataStream("a negative length"))?;
        if length > limits.stream_length {
            return Err(ProtocolError::TooLarge {
                what: "a data stream",
                limit: limits.stream_length,
            });
        }
        Ok(Self { id, length })
    }

    /// What stands after the content.
    pub fn trailer(self) -> [u8; TRAILER_LENGTH] {
        self.length.to_le_bytes()
    }

    /// Checks what stands after the content.
    pub fn check_trailer(self, bytes: [u8; TRAILER_LENGTH]) -> Result<(), ProtocolError> {
        if bytes == self.trailer() {
            Ok(())
        } else {
            Err(ProtocolError::DataStream(
                "the length after the content differs from the one before it",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let bytes = hex::decode("33221100554477668899aabbccddeeff0500000000000000").expect("hexadecimal");
        let bytes = <[u8; HEADER_LENGTH]>::try_from(bytes).expect("24 bytes");
        let header = FrameHeader::parse(bytes, &Limits::default()).expect("a header");
        assert_eq!(header.length, 5);
        assert_eq!(header.to_bytes(), bytes);
        assert!(header.check_trailer([5, 0, 0, 0, 0, 0, 0, 0]).is_ok());
        assert!(header.check_trailer([6, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn huge_and_negative_lengths_are_refused() {
        for length in [-1, i64::MIN, i64::MAX] {
            let mut bytes = [0; HEADER_LENGTH];
            bytes[16..].copy_from_slice(&length.to_le_bytes());
            assert!(FrameHeader::parse(bytes, &Limits::default()).is_err(), "{length}");
        }
    }
}
