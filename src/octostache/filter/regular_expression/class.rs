//! Sets of characters: `[a-z-[aeiou]]`, `\w`, `\p{Lu}`.

/// The class of an escape letter such as the `w` of `\w`, as a set of the engine.
pub(super) fn of_letter(letter: char) -> Option<&'static str> {
    Some(match letter {
        'w' => r"[\p{L}\p{Mn}\p{Nd}\p{Pc}]",
        'W' => r"[^\p{L}\p{Mn}\p{Nd}\p{Pc}]",
        'd' => r"[\p{Nd}]",
        'D' => r"[^\p{Nd}]",
        's' => r"[\f\n\r\t\v\x{85}\p{Z}]",
        'S' => r"[^\f\n\r\t\v\x{85}\p{Z}]",
        _ => return None,
    })
}

/// The class of a category or block name, as a set of the engine.
pub(super) fn of_category(name: &str, negated: bool) -> Result<String, String> {
    let not = if negated { "^" } else { "" };
    let categories = [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd",
        "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf",
        "Cs", "Co", "Cn",
    ];
    if categories.contains(&name) {
        return Ok(match name {
            // No character of a text is half of a pair.
            "Cs" => if negated { r"[\s\S]" } else { r"[^\s\S]" }.to_owned(),
            _ => format!(r"[{not}\p{{{name}}}]"),
        });
    }
    BLOCKS
        .iter()
        .find(|(block, ..)| *block == name)
        .map(|(_, first, last)| format!(r"[{not}\x{{{first:x}}}-\x{{{last:x}}}]"))
        .ok_or_else(|| format!("unknown property '{name}'"))
}

const BLOCKS: [(&str, u32, u32); 30] = [
    ("IsBasicLatin", 0x0000, 0x007F),
    ("IsLatin-1Supplement", 0x0080, 0x00FF),
    ("IsLatinExtended-A", 0x0100, 0x017F),
    ("IsLatinExtended-B", 0x0180, 0x024F),
    ("IsIPAExtensions", 0x0250, 0x02AF),
    ("IsSpacingModifierLetters", 0x02B0, 0x02FF),
    ("IsCombiningDiacriticalMarks", 0x0300, 0x036F),
    ("IsGreek", 0x0370, 0x03FF),
    ("IsGreekandCoptic", 0x0370, 0x03FF),
    ("IsCyrillic", 0x0400, 0x04FF),
    ("IsCyrillicSupplement", 0x0500, 0x052F),
    ("IsArmenian", 0x0530, 0x058F),
    ("IsHebrew", 0x0590, 0x05FF),
    ("IsArabic", 0x0600, 0x06FF),
    ("IsDevanagari", 0x0900, 0x097F),
    ("IsThai", 0x0E00, 0x0E7F),
    ("IsGeorgian", 0x10A0, 0x10FF),
    ("IsHangulJamo", 0x1100, 0x11FF),
    ("IsLatinExtendedAdditional", 0x1E00, 0x1EFF),
    ("IsGreekExtended", 0x1F00, 0x1FFF),
    ("IsGeneralPunctuation", 0x2000, 0x206F),
    ("IsSuperscriptsandSubscripts", 0x2070, 0x209F),
    ("IsCurrencySymbols", 0x20A0, 0x20CF),
    ("IsLetterlikeSymbols", 0x2100, 0x214F),
    ("IsNumberForms", 0x2150, 0x218F),
    ("IsArrows", 0x2190, 0x21FF),
    ("IsMathematicalOperators", 0x2200, 0x22FF),
    ("IsHiragana", 0x3040, 0x309F),
    ("IsKatakana", 0x30A0, 0x30FF),
    ("IsCJKUnifiedIdeographs", 0x4E00, 0x9FFF),
];
