//! XML files as bytes: read by their byte order mark, else by their declaration, else as UTF-8, and written the same way.
//!
//! A character that the encoding lacks is written as a reference by number where XML allows one.

use super::Document;
use crate::charset::{Charset, Unrepresentable};
use crate::text_file::{Storage, TextFile};
use std::borrow::Cow;

/// Declarations stand at the begin; this much is looked at.
const LONGEST_DECLARATION: usize = 512;

/// The text of a file, and how it was stored.
pub fn decode(bytes: &[u8]) -> TextFile<'_> {
    TextFile::decode_declared(bytes, declared(bytes).as_deref())
}

/// The encoding that the declaration of a file names.
pub fn declared(bytes: &[u8]) -> Option<String> {
    let begin = &bytes[..bytes.len().min(LONGEST_DECLARATION)];
    let begin = String::from_utf8_lossy(begin);
    let declaration = begin.strip_prefix("<?xml")?.split_once("?>")?.0;
    let value = declaration.split_once("encoding")?.1.trim_start();
    let value = value.strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (name, _) = value[1..].split_once(quote)?;
    Some(name.to_owned())
}

/// The bytes of a document that was read with this storage.
///
/// # Errors
/// A character in a comment, name or CDATA section that the encoding lacks.
pub fn encode(document: &Document, storage: Storage) -> Result<Vec<u8>, Unrepresentable> {
    storage
        .encode(&print(document, storage.charset))
        .map(Cow::into_owned)
}

/// The document as a text whose texts and attributes hold only characters of the encoding.
pub fn print(document: &Document, charset: Charset) -> String {
    if charset.is_unicode() {
        return document.print();
    }
    document.print_with(|raw, text| {
        if charset.encode(raw).is_ok() {
            text.push_str(raw);
            return;
        }
        for character in raw.chars() {
            let mut buffer = [0; 4];
            if character.is_ascii() || charset.encode(character.encode_utf8(&mut buffer)).is_ok() {
                text.push(character);
            } else {
                text.push_str(&format!("&#x{:X};", u32::from(character)));
            }
        }
    })
}
