//! Which characters names are made of, and how names are compared ("Variable templates" 2; observed 1.4).

use unicode_general_category::{GeneralCategory, get_general_category};

/// The form in which names are compared: each character in upper case where that is one character. The dotless i
/// and the long s keep their own form, so `ı` is not `I`.
pub fn fold(name: &str) -> String {
    name.chars().map(fold_character).collect()
}

fn fold_character(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_uppercase();
    }
    match character {
        'ı' | 'ſ' => character,
        // Title-case digraphs fold with their upper-case forms.
        _ => {
            let mut upper = character.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(single), None) => single,
                _ => character,
            }
        }
    }
}

/// A character of an identifier that is no blank: a letter, a digit, or one of `_ - : / ~ ( ) @`.
pub(crate) fn is_name_character(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric()
            || matches!(character, '_' | '-' | ':' | '/' | '~' | '(' | ')' | '@');
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

/// A blank: what Unicode calls white space.
pub(crate) fn is_blank(character: char) -> bool {
    character.is_whitespace()
}
