//! Which characters names are made of, and how names and texts change case ("Variable templates" 2, 8; observed 1.4, 1.29).

use unicode_general_category::{GeneralCategory, get_general_category};

/// A name as it was written, with the form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub written: String,
    pub folded: String,
}

impl Name {
    pub(crate) fn new(written: String) -> Self {
        let folded = fold(&written);
        Self { written, folded }
    }
}

/// The form in which names are compared: each character in upper case where that is one character. The dotless i
/// and the long s keep their own form, so `ı` is not `I`.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_uppercase();
    }
    name.chars().map(upper).collect()
}

/// Upper case, one character for one character.
fn upper(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_uppercase();
    }
    match character {
        'ı' | 'ſ' => character,
        // Greek letters with iota below: their full upper case is two letters, their simple one is the title-case letter.
        '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => shifted(character, 8),
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => shifted(character, 9),
        _ => single(character, character.to_uppercase()),
    }
}

/// Lower case, one character for one character; the dotted I and the Kelvin sign stay.
pub(crate) fn lower(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    match character {
        'İ' | '\u{212A}' => character,
        _ => single(character, character.to_lowercase()),
    }
}

fn shifted(character: char, by: u32) -> char {
    char::from_u32(character as u32 + by).unwrap_or(character)
}

fn single(character: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}

/// A character of an identifier that is no blank: a letter, a digit, or one of `_ - : / ~ ( ) @`.
pub(crate) fn is_name_character(character: char) -> bool {
    if let Ok(byte @ 0..128) = u8::try_from(character) {
        return is_name_byte(byte);
    }
    (character as u32) < 0x1_0000
        && matches!(
            get_general_category(character),
            GeneralCategory::UppercaseLetter
                | GeneralCategory::LowercaseLetter
                | GeneralCategory::TitlecaseLetter
                | GeneralCategory::ModifierLetter
                | GeneralCategory::OtherLetter
                | GeneralCategory::DecimalNumber
        )
}

/// The same for a character of ASCII; other bytes are none.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    NAME_BYTES[usize::from(byte)]
}

const NAME_BYTES: [bool; 256] = {
    let mut are = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        are[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b':' | b'/' | b'~' | b'(' | b')' | b'@');
        byte += 1;
    }
    are
};

/// A digit of any script that is no ASCII digit; a calculation with one fails.
pub(crate) fn is_foreign_digit(character: char) -> bool {
    !character.is_ascii()
        && (character as u32) < 0x1_0000
        && get_general_category(character) == GeneralCategory::DecimalNumber
}

/// A blank: what Unicode calls white space.
pub(crate) fn is_blank(character: char) -> bool {
    character.is_whitespace()
}
