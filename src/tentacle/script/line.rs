//! Cuts a stream of bytes into lines of text. A line longer than [`LONGEST`] is cut in two: what a script prints without a
//! line end must not fill the memory.

use contracts::service_message::LONGEST;

/// Lines end with CR, LF or both; bytes that are no UTF-8 are replaced.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    pending: Vec<u8>,
    after_cr: bool,
}

impl LineSplitter {
    /// Takes the next bytes, and gives every line that is whole.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let room = LONGEST - self.pending.len();
            match end {
                Some(end) if end <= room => {
                    self.pending.extend_from_slice(&bytes[..end]);
                    self.after_cr = bytes[end] == b'\r';
                    bytes = &bytes[end + 1..];
                    self.emit(&mut line);
                }
                _ => {
                    let taken = room.min(bytes.len());
                    self.pending.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    if self.pending.len() == LONGEST {
                        self.emit(&mut line);
                    }
                }
            }
        }
    }

    /// The stream has ended: what is left is a line, too.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.pending.is_empty() {
            self.emit(&mut line);
        }
    }

    fn emit(&mut self, line: &mut impl FnMut(&str)) {
        line(&String::from_utf8_lossy(&self.pending));
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, |line| lines.push(line.to_owned()));
        }
        splitter.finish(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn every_line_end_counts_once() {
        assert_eq!(lines(&[b"a\nb\r", b"\nc\rd\n\ne"]), ["a", "b", "c", "d", "", "e"]);
        assert_eq!(lines(&["h\u{e9}".as_bytes(), b"\xff\n"]), ["h\u{e9}\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; LONGEST + 5];
        let lengths: Vec<_> = lines(&[&long]).iter().map(String::len).collect();
        assert_eq!(lengths, [LONGEST, 5]);
    }

    proptest! {
        #[test]
        fn cutting_the_stream_elsewhere_changes_nothing(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60), at in 0_usize..60) {
            let at = at.min(bytes.len());
            prop_assert_eq!(lines(&[&bytes]), lines(&[&bytes[..at], &bytes[at..]]));
        }
    }
}
