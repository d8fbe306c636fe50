//! The short lines between messages, and the first bytes of a connection (`tentacle-protocol.md` 2.1 to 2.3).

use crate::protocol::ProtocolError;
use crate::protocol::subscription::Subscription;

/// Longest control line in bytes, without its end.
pub const LONGEST_LINE: usize = 4096;

/// Most bytes of a preamble; more is answered as if it ended there.
pub const LONGEST_PREAMBLE: usize = 20_000;

/// What the dialling side sends first. Both this and lone newlines are read.
pub const PREAMBLE: &[u8] = b"MX\r\n\r\n";

/// A line of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlLine {
    /// The next call may come.
    Next,
    /// It may.
    Proceed,
    /// There will be none.
    End,
}

impl ControlLine {
    /// With its line end.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            ControlLine::Next => b"NEXT\r\n",
            ControlLine::Proceed => b"PROCEED\r\n",
            ControlLine::End => b"END\r\n",
        }
    }

    /// Reads a line without its end.
    pub fn parse(line: &str) -> Result<Self, ProtocolError> {
        match line {
            "NEXT" => Ok(ControlLine::Next),
            "PROCEED" => Ok(ControlLine::Proceed),
            "END" => Ok(ControlLine::End),
            other => Err(ProtocolError::unexpected_line(other, "NEXT, PROCEED or END")),
        }
    }
}

/// How a party names its part in the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// Dials and makes calls.
    Client,
    /// Dials and takes calls for its subscription.
    Subscriber(Subscription),
    /// Was dialled.
    Server,
}

impl Greeting {
    /// The line and the empty line after it, which belong into one write.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Greeting::Client => b"MX-CLIENT 1.0\r\n\r\n".to_vec(),
            Greeting::Server => b"MX-SERVER 1.0\r\n\r\n".to_vec(),
            Greeting::Subscriber(subscription) => {
                format!("MX-SUBSCRIBER 1.0 {subscription}\r\n\r\n").into_bytes()
            }
        }
    }

    /// Reads the line without its end. The version is not looked at; no other has ever existed.
    pub fn parse(line: &str) -> Result<Self, ProtocolError> {
        let wrong = || ProtocolError::unexpected_line(line, "an identity");
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).take(4).collect();
        match words[..] {
            ["MX-CLIENT", _, ..] => Ok(Greeting::Client),
            ["MX-SERVER", _, ..] => Ok(Greeting::Server),
            ["MX-SUBSCRIBER", _, uri, ..] => Subscription::parse(uri)
                .map(Greeting::Subscriber)
                .map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// The first line in `buffer` and how many bytes it takes with its end; none when the end is yet to come.
pub fn first_line(buffer: &[u8]) -> Result<Option<(&str, usize)>, ProtocolError> {
    let window = &buffer[..buffer.len().min(LONGEST_LINE + 2)];
    let Some(end) = window.iter().position(|&byte| byte == b'\r') else {
        return if window.len() > LONGEST_LINE {
            Err(ProtocolError::ControlLine("longer than 4,096 bytes"))
        } else {
            Ok(None)
        };
    };
    if end > LONGEST_LINE {
        return Err(ProtocolError::ControlLine("longer than 4,096 bytes"));
    }
    match buffer.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => {
            let line =
                std::str::from_utf8(&buffer[..end]).map_err(|_| ProtocolError::ControlLine("not UTF-8"))?;
            Ok(Some((line, end + 2)))
        }
        Some(_) => Err(ProtocolError::ControlLine("a carriage return without a newline")),
    }
}

/// How many bytes of `buffer` make the preamble: all up to two newlines with nothing but carriage returns
/// between them. None when more has to come.
pub fn preamble_end(buffer: &[u8]) -> Option<usize> {
    let mut after_newline = false;
    for (position, byte) in buffer.iter().enumerate().take(LONGEST_PREAMBLE) {
        match byte {
            b'\n' if after_newline => return Some(position + 1),
            b'\n' => after_newline = true,
            b'\r' => {}
            _ => after_newline = false,
        }
    }
    (buffer.len() >= LONGEST_PREAMBLE).then_some(LONGEST_PREAMBLE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_end_with_both_characters_only() {
        assert_eq!(first_line(b"NEXT\r\nrest").expect("a line"), Some(("NEXT", 6)));
        assert_eq!(first_line(b"\r\n").expect("a line"), Some(("", 2)));
        assert_eq!(first_line(b"a\nb\r\n").expect("a line"), Some(("a\nb", 5)));
        for incomplete in [&b""[..], b"NEXT", b"NEXT\r"] {
            assert_eq!(first_line(incomplete).expect("not yet wrong"), None);
        }
        assert!(first_line(b"NEXT\rX").is_err());
        assert!(first_line(b"\xff\r\n").is_err());
    }

    #[test]
    fn a_line_has_at_most_four_kibibytes() {
        let longest = [vec![b'x'; LONGEST_LINE], b"\r\n".to_vec()].concat();
        assert!(matches!(first_line(&longest), Ok(Some(_))));
        assert_eq!(first_line(&longest[..LONGEST_LINE]), Ok(None));
        assert!(first_line(&[b'x'; LONGEST_LINE + 1]).is_err());
    }

    #[test]
    fn a_preamble_ends_at_the_blank_line_of_either_kind() {
        assert_eq!(preamble_end(b"MX\n\nMX-CLIENT"), Some(4));
        assert_eq!(preamble_end(b"MX\r\n\r\nMX-CLIENT"), Some(6));
        assert_eq!(preamble_end(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Some(27));
        assert_eq!(preamble_end(b"MX\r\n\r"), None);
        assert_eq!(
            preamble_end(&[b'x'; LONGEST_PREAMBLE + 5]),
            Some(LONGEST_PREAMBLE)
        );
    }

    #[test]
    fn greetings_are_read_as_written() {
        let subscription = Subscription::parse("poll://abcdefghjklmnpqrstuv/").expect("a subscription");
        for greeting in [
            Greeting::Client,
            Greeting::Server,
            Greeting::Subscriber(subscription),
        ] {
            let bytes = greeting.to_bytes();
            let (line, used) = first_line(&bytes).expect("a line").expect("whole");
            assert_eq!(Greeting::parse(line), Ok(greeting));
            assert_eq!(&bytes[used..], b"\r\n");
        }
        for wrong in [
            "",
            "MX-CLIENT",
            "MX-SUBSCRIBER 1.0",
            "MX-SUBSCRIBER 1.0 https://a/",
            "mx-client 1.0",
            "NEXT",
        ] {
            assert!(Greeting::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = preamble_end(&bytes);
            if let Ok(Some((line, used))) = first_line(&bytes) {
                prop_assert!(used <= bytes.len());
                let _ = Greeting::parse(line);
                let _ = ControlLine::parse(line);
            }
        }
    }
}
