//! A script's arguments: strings joined by blanks and read as one line of words (`observed.md` 11.2).

/// The words of the joined arguments: blanks separate, double quotes hold together, a backslash before a quote keeps
/// it as it is.
pub(crate) fn words(arguments: &[String]) -> Vec<String> {
    let line = arguments.join(" ");
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' if !is_quoted => words.extend(word.take()),
            '\\' => {
                let mut count = 1;
                while characters.next_if_eq(&'\\').is_some() {
                    count += 1;
                }
                let word = word.get_or_insert_default();
                if characters.peek() == Some(&'"') {
                    word.extend(std::iter::repeat_n('\\', count / 2));
                    if count % 2 == 1 {
                        characters.next();
                        word.push('"');
                    }
                } else {
                    word.extend(std::iter::repeat_n('\\', count));
                }
            }
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => {
                word.get_or_insert_default().push('"')
            }
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<String> {
        words(&[line.to_owned()])
    }

    #[test]
    fn quotes_hold_words_together() {
        let given = ["one".to_owned(), "\"two three\"".to_owned()];
        assert_eq!(words(&given), ["one", "two three"]);
        assert_eq!(read("  a\t b "), ["a", "b"]);
        assert_eq!(
            read(r#"a\"b "" "c""d" e\f \\"g h""#),
            [r#"a"b"#, "", r#"c"d"#, r"e\f", r"\g h"]
        );
        assert!(words(&[]).is_empty());
    }
}
