//! Text between constructs: where it ends, and what doubled hashes in it mean ("Variable templates" 2).

use crate::character::{is_blank, is_name_byte};
use memchr::memchr;

/// Where the text that begins here ends, at a `#{` that is not escaped or at the end; and whether hashes are doubled in it:
/// if not, it stands for itself.
pub(crate) fn text_part(text: &str, start: usize) -> (usize, bool) {
    let bytes = text.as_bytes();
    let (mut position, mut doubled) = (start, false);
    while let Some(hash) = memchr(b'#', &bytes[position..]) {
        position += hash;
        match bytes.get(position + 1) {
            Some(b'{') => return (position, doubled),
            Some(b'#') => {
                doubled = true;
                position += escape(&text[position..]).map_or(1, |(length, _)| length);
            }
            _ => position += 1,
        }
    }
    (text.len(), doubled)
}

/// Where the text that begins here ends: [`text_part`].
pub(crate) fn text_end(text: &str, start: usize) -> usize {
    text_part(text, start).0
}

/// The text of a text part, with `##{` and doubled hashes before a construct undone.
pub(crate) fn unescape(mut text: &str, followed_by_construct: bool, output: &mut String) {
    // The escape of the last hashes depends on the construct that follows, which is not in `text`.
    while let Some(hash) = text.find('#') {
        output.push_str(&text[..hash]);
        text = &text[hash..];
        if followed_by_construct && text == "##" {
            output.push('#');
            return;
        }
        let (length, meaning) = escape(text).unwrap_or((1, None));
        output.push_str(meaning.unwrap_or(&text[..length]));
        text = &text[length..];
    }
    output.push_str(text);
}

/// Where the substitution that begins here ends, when it is nothing but a path of names in ASCII without blanks, such as
/// `#{Octopus.Action.Name}`: whatever stands around it, that is what it is.
pub(crate) fn plain_end(text: &str, start: usize) -> Option<usize> {
    let inside = text.as_bytes().get(start..)?.strip_prefix(b"#{")?;
    // A slash would make it the end of a block.
    if inside.first() == Some(&b'/') {
        return None;
    }
    let mut after_name = false;
    for (offset, byte) in inside.iter().enumerate() {
        match byte {
            b'}' if after_name => return Some(start + offset + 3),
            b'.' if after_name => after_name = false,
            _ if is_name_byte(*byte) => after_name = true,
            _ => return None,
        }
    }
    None
}

/// Whether a `#{` that is not the end of the text stands here.
pub(crate) fn before_construct(text: &str, position: usize) -> bool {
    text[position..].starts_with("#{") && text.len() > position + 2
}

/// What is written in brackets as an index: without the blanks after a bracket.
pub(crate) fn index(written: &str) -> String {
    let mut index = String::with_capacity(written.len());
    let mut after_bracket = false;
    for character in written.chars() {
        if after_bracket && is_blank(character) {
            continue;
        }
        after_bracket = character == '[';
        index.push(character);
    }
    index
}

/// How many bytes a hash and what it escapes take, and what they mean when not themselves; none for the beginning of a
/// construct.
fn escape(text: &str) -> Option<(usize, Option<&'static str>)> {
    // `##` before a `#{` that ends the text is not unescaped (observed 1.8).
    if text.starts_with("###{") && text.len() > 4 {
        return Some((2, Some("#")));
    }
    if text.starts_with("##{") {
        return Some((3, Some("#{")));
    }
    let mut following = text.chars().skip(1);
    match following.next() {
        Some('{') => None,
        Some(character) => Some((1 + character.len_utf8(), None)),
        None => Some((1, None)),
    }
}
