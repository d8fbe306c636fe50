//! Text between constructs: where it ends, and what doubled hashes in it mean ("Variable templates" 2).

use crate::character::is_blank;

/// Where the text that begins here ends: at a `#{` that is not escaped, or at the end.
pub(crate) fn text_end(text: &str, start: usize) -> usize {
    let mut position = start;
    while let Some(hash) = text[position..].find('#') {
        position += hash;
        position += match escape(&text[position..]) {
            Some((length, _)) => length,
            None => return position,
        };
    }
    text.len()
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
