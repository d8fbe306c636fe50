//! How a text file is stored: which encoding, and whether a byte order mark stands before the text (13).

use encoding_rs::{Encoder, EncoderResult, Encoding};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The way in which characters become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// UTF-32, the low byte first.
    Utf32Le,
    /// UTF-32, the high byte first.
    Utf32Be,
    /// The first 128 characters.
    Ascii,
    /// The first 256 characters.
    Latin1,
    /// One of the older sets.
    Legacy(&'static Encoding),
}

/// A character that an encoding has no bytes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the character U+{:04X} cannot be written in {charset}", *.character as u32)]
pub struct Unrepresentable {
    /// The first such character.
    pub character: char,
    /// What it was to be written in.
    pub charset: Charset,
}

/// What a name of an encoding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// This one.
    Known(Charset),
    /// One that is switched off for good.
    Disabled,
    /// None that is known here.
    Unknown,
}

impl std::fmt::Display for Charset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name())
    }
}

const ASCII: [&str; 12] = [
    "us-ascii",
    "ascii",
    "us",
    "ansi_x3.4-1968",
    "ansi_x3.4-1986",
    "cp367",
    "csascii",
    "ibm367",
    "iso-ir-6",
    "iso646-us",
    "iso_646.irv:1991",
    "x-us-ascii",
];
const LATIN1: [&str; 11] = [
    "iso-8859-1",
    "cp819",
    "csisolatin1",
    "ibm819",
    "iso-ir-100",
    "iso8859-1",
    "iso_8859-1",
    "iso_8859-1:1987",
    "l1",
    "latin1",
    "x-latin1",
];

impl Charset {
    /// The encoding of this name, as .NET names them: without case, exactly.
    pub fn named(name: &str) -> Named {
        let name = name.to_ascii_lowercase();
        let known = match name.as_str() {
            "utf-8"
            | "unicode-1-1-utf-8"
            | "unicode-2-0-utf-8"
            | "x-unicode-1-1-utf-8"
            | "x-unicode-2-0-utf-8" => Self::Utf8,
            "utf-16" | "utf-16le" | "unicode" | "ucs-2" | "iso-10646-ucs-2" => Self::Utf16Le,
            "utf-16be" | "unicodefffe" => Self::Utf16Be,
            "utf-32" | "utf-32le" => Self::Utf32Le,
            "utf-32be" => Self::Utf32Be,
            "utf-7"
            | "csunicode11utf7"
            | "unicode-1-1-utf-7"
            | "unicode-2-0-utf-7"
            | "x-unicode-1-1-utf-7"
            | "x-unicode-2-0-utf-7" => return Named::Disabled,
            name if ASCII.contains(&name) => Self::Ascii,
            name if LATIN1.contains(&name) => Self::Latin1,
            name => {
                // What is left of the web's labels means the same; its own spellings of the above are not names in .NET.
                let Some(found) = Encoding::for_label_no_replacement(name.as_bytes()) else {
                    return Named::Unknown;
                };
                let web_only = found == encoding_rs::UTF_8
                    || found == encoding_rs::UTF_16LE
                    || found == encoding_rs::UTF_16BE
                    || found == encoding_rs::X_USER_DEFINED
                    || (found == encoding_rs::WINDOWS_1252 && !matches!(name, "windows-1252" | "x-ansi"))
                    || name != name.trim();
                if web_only {
                    return Named::Unknown;
                }
                Self::Legacy(found)
            }
        };
        Named::Known(known)
    }

    /// The usual name, in lower case.
    pub fn name(self) -> String {
        match self {
            Self::Utf8 => "utf-8".to_owned(),
            Self::Utf16Le => "utf-16".to_owned(),
            Self::Utf16Be => "utf-16BE".to_owned(),
            Self::Utf32Le => "utf-32".to_owned(),
            Self::Utf32Be => "utf-32BE".to_owned(),
            Self::Ascii => "us-ascii".to_owned(),
            Self::Latin1 => "iso-8859-1".to_owned(),
            Self::Legacy(encoding) => encoding.name().to_ascii_lowercase(),
        }
    }

    /// Whether it holds every character.
    pub fn is_unicode(self) -> bool {
        !matches!(self, Self::Ascii | Self::Latin1 | Self::Legacy(_))
    }

    /// The bytes that say which encoding follows; empty where there are none.
    pub const fn mark(self) -> &'static [u8] {
        match self {
            Self::Utf8 => b"\xEF\xBB\xBF",
            Self::Utf16Le => b"\xFF\xFE",
            Self::Utf16Be => b"\xFE\xFF",
            Self::Utf32Le => b"\xFF\xFE\0\0",
            Self::Utf32Be => b"\0\0\xFE\xFF",
            Self::Ascii | Self::Latin1 | Self::Legacy(_) => b"",
        }
    }

    /// The text of these bytes (without a mark), and whether some of them had to become U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> (Cow<'_, str>, bool) {
        let (text, bad) = match self {
            Self::Utf8 => {
                return match std::str::from_utf8(bytes) {
                    Ok(text) => (Cow::Borrowed(text), false),
                    Err(_) => (String::from_utf8_lossy(bytes), true),
                };
            }
            Self::Legacy(encoding) => return encoding.decode_without_bom_handling(bytes),
            Self::Utf16Le => wide(bytes, u16::from_le_bytes),
            Self::Utf16Be => wide(bytes, u16::from_be_bytes),
            Self::Utf32Le => widest(bytes, u32::from_le_bytes),
            Self::Utf32Be => widest(bytes, u32::from_be_bytes),
            Self::Ascii => {
                let bad = !bytes.is_ascii();
                let text = bytes.iter().map(|byte| match byte {
                    0..0x80 => char::from(*byte),
                    _ => char::REPLACEMENT_CHARACTER,
                });
                (text.collect(), bad)
            }
            Self::Latin1 => (bytes.iter().map(|byte| char::from(*byte)).collect(), false),
        };
        (Cow::Owned(text), bad)
    }

    /// The bytes of a text, without a mark.
    ///
    /// # Errors
    /// A character that this encoding does not have.
    pub fn encode(self, text: &str) -> Result<Cow<'_, [u8]>, Unrepresentable> {
        let unrepresentable = |character| Unrepresentable {
            character,
            charset: self,
        };
        let bytes: Vec<u8> = match self {
            Self::Utf8 => return Ok(Cow::Borrowed(text.as_bytes())),
            Self::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf32Le => text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            Self::Utf32Be => text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
            Self::Ascii | Self::Latin1 => text
                .chars()
                .map(|character| self.single(character).ok_or_else(|| unrepresentable(character)))
                .collect::<Result<_, _>>()?,
            Self::Legacy(encoding) => {
                let mut bytes = Vec::with_capacity(text.len());
                let mut encoder = encoding.new_encoder();
                match feed(&mut encoder, text, &mut bytes, true) {
                    None => bytes,
                    Some((character, _)) => return Err(unrepresentable(character)),
                }
            }
        };
        Ok(Cow::Owned(bytes))
    }

    /// The bytes of a text; characters that the encoding lacks become similar ones (`é` → `e`), or `?`.
    pub fn encode_best(self, text: &str) -> Vec<u8> {
        match self {
            Self::Ascii => text
                .chars()
                .map(|character| self.single(character).unwrap_or(b'?'))
                .collect(),
            Self::Latin1 => {
                let similar_byte = |c| similar(c).and_then(|similar| self.single(similar));
                text.chars()
                    .map(|c| self.single(c).or_else(|| similar_byte(c)).unwrap_or(b'?'))
                    .collect()
            }
            Self::Legacy(encoding) => {
                let mut bytes = Vec::with_capacity(text.len());
                let mut encoder = encoding.new_encoder();
                let mut rest = text;
                while let Some((character, read)) = feed(&mut encoder, rest, &mut bytes, true) {
                    rest = &rest[read..];
                    let replacement = similar(character)
                        .filter(|similar| self.encode(&similar.to_string()).is_ok())
                        .unwrap_or('?');
                    feed(&mut encoder, &replacement.to_string(), &mut bytes, false);
                }
                bytes
            }
            _ => self
                .encode(text)
                .map_or_else(|_| text.as_bytes().to_vec(), Cow::into_owned),
        }
    }

    fn single(self, character: char) -> Option<u8> {
        let byte = u8::try_from(character).ok()?;
        (self == Self::Latin1 || byte < 0x80).then_some(byte)
    }
}

/// Encodes until the end or a character that is not there; answers with that and with how much was read.
fn feed(encoder: &mut Encoder, text: &str, bytes: &mut Vec<u8>, last: bool) -> Option<(char, usize)> {
    let mut read = 0;
    loop {
        let rest = &text[read..];
        let room = encoder
            .max_buffer_length_from_utf8_without_replacement(rest.len())
            .unwrap_or(rest.len() * 4 + 16);
        bytes.reserve(room);
        let (result, used) = encoder.encode_from_utf8_to_vec_without_replacement(rest, bytes, last);
        read += used;
        match result {
            EncoderResult::InputEmpty => return None,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(character) => return Some((character, read)),
        }
    }
}

/// What is written for a character that an encoding lacks: its letter without marks, or the plain form of it.
fn similar(character: char) -> Option<char> {
    match character {
        '\u{2018}' | '\u{2019}' | '\u{201A}' | '\u{2032}' => return Some('\''),
        '\u{201C}' | '\u{201D}' | '\u{201E}' | '\u{2033}' => return Some('"'),
        '\u{2010}'..='\u{2014}' | '\u{2212}' => return Some('-'),
        _ => {}
    }
    let mut plain = std::iter::once(character)
        .nfkd()
        .filter(|part| !is_combining_mark(*part));
    let first = plain.next().filter(|first| *first != character)?;
    plain.next().is_none().then_some(first)
}

fn wide(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> (String, bool) {
    let pairs = bytes.chunks_exact(2);
    let mut bad = !pairs.remainder().is_empty();
    let mut text: String = char::decode_utf16(pairs.map(|pair| unit([pair[0], pair[1]])))
        .map(|decoded| {
            bad |= decoded.is_err();
            decoded.unwrap_or(char::REPLACEMENT_CHARACTER)
        })
        .collect();
    if !bytes.len().is_multiple_of(2) {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    (text, bad)
}

fn widest(bytes: &[u8], unit: impl Fn([u8; 4]) -> u32) -> (String, bool) {
    let units = bytes.chunks_exact(4);
    let mut bad = !units.remainder().is_empty();
    let mut text: String = units
        .map(|unit_bytes| {
            let decoded = char::from_u32(unit([unit_bytes[0], unit_bytes[1], unit_bytes[2], unit_bytes[3]]));
            bad |= decoded.is_none();
            decoded.unwrap_or(char::REPLACEMENT_CHARACTER)
        })
        .collect();
    if !bytes.len().is_multiple_of(4) {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    (text, bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(name: &str) -> Charset {
        match Charset::named(name) {
            Named::Known(charset) => charset,
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn names_are_those_of_dotnet() {
        assert_eq!(known("UTF-8"), Charset::Utf8);
        assert_eq!(known("unicode"), Charset::Utf16Le);
        assert_eq!(known("utf-16BE"), Charset::Utf16Be);
        assert_eq!(known("us-ascii"), Charset::Ascii);
        assert_eq!(known("iso-8859-1"), Charset::Latin1);
        assert_eq!(known("Windows-1252").name(), "windows-1252");
        assert_eq!(known("koi8-r").name(), "koi8-r");
        assert_eq!(known("shift_jis").name(), "shift_jis");
        assert_eq!(Charset::named("utf-7"), Named::Disabled);
        for unknown in ["utf8", "1252", "", " ", "nonsense", "cp1252", " utf-8"] {
            assert_eq!(Charset::named(unknown), Named::Unknown, "{unknown}");
        }
    }

    #[test]
    fn what_an_encoding_lacks_becomes_similar() {
        assert_eq!(known("us-ascii").encode_best("ü é"), b"? ?");
        assert_eq!(known("koi8-r").encode_best("ü é中"), b"u e?");
        assert_eq!(known("shift_jis").encode_best("ü é"), b"u e");
        assert_eq!(known("windows-1252").encode_best("ü é"), b"\xFC \xE9");
        assert_eq!(known("iso-8859-1").encode_best("\u{201C}Ÿ\u{201D}"), b"\"Y\"");
        assert!(known("koi8-r").encode("é").is_err());
    }

    #[test]
    fn every_byte_of_windows_1252_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let charset = known("windows-1252");
        let (text, bad) = charset.decode(&bytes);
        assert!(!bad);
        assert_eq!(charset.encode(&text), Ok(Cow::Borrowed(&bytes[..])));
    }

    proptest! {
        #[test]
        fn unicode_comes_back(text in "\\PC*") {
            for charset in [Charset::Utf8, Charset::Utf16Le, Charset::Utf16Be, Charset::Utf32Le, Charset::Utf32Be] {
                let bytes = charset.encode(&text).unwrap();
                prop_assert_eq!(charset.decode(&bytes), (Cow::Borrowed(text.as_str()), false));
            }
        }

        #[test]
        fn any_text_can_be_written_somehow(text in "\\PC*") {
            for name in ["us-ascii", "iso-8859-1", "koi8-r", "shift_jis", "iso-2022-jp", "gb18030", "big5"] {
                known(name).encode_best(&text);
            }
        }

        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            for name in ["utf-8", "utf-16", "utf-16be", "utf-32", "utf-32be", "us-ascii", "koi8-r", "shift_jis"] {
                known(name).decode(&bytes);
            }
        }
    }
}
