//! Options in the forms of the original agent (`observed.md` 10.10): names in any case behind `--`, `-` or `/`;
//! a value after `=` or `:`, or as the next word, whatever that word is.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing; `--name=false` means that it is not set.
    Nothing,
    /// A value; the last one counts.
    Value,
    /// A value; it may stand several times.
    Values,
}

/// One option of a command.
#[derive(Debug, Clone, Copy)]
pub struct OptionRow {
    /// Every spelling; the first is the name that the program uses.
    pub names: &'static [&'static str],
    /// What it takes.
    pub takes: Takes,
    /// One line for the help text.
    pub meaning: &'static str,
}

impl OptionRow {
    pub(crate) const fn flag(names: &'static [&'static str], meaning: &'static str) -> OptionRow {
        OptionRow {
            names,
            takes: Takes::Nothing,
            meaning,
        }
    }

    pub(crate) const fn value(names: &'static [&'static str], meaning: &'static str) -> OptionRow {
        OptionRow {
            names,
            takes: Takes::Value,
            meaning,
        }
    }

    pub(crate) const fn values(names: &'static [&'static str], meaning: &'static str) -> OptionRow {
        OptionRow {
            names,
            takes: Takes::Values,
            meaning,
        }
    }

    fn matches(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The options of one run, in the order in which they stood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    given: Vec<(&'static str, String)>,
}

impl Options {
    /// Reads the words behind the command's name.
    ///
    /// # Errors
    /// An option without its value, and words that no option explains.
    pub fn parse(rows: &[&OptionRow], words: &[String]) -> Result<Options, Failure> {
        let mut options = Options::default();
        let mut unknown = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                continue;
            }
            let Some(split) = SplitWord::of(word) else {
                unknown.push(word.as_str());
                continue;
            };
            let Some((row, value)) = split.find(rows) else {
                unknown.push(word.as_str());
                continue;
            };
            let name = row.names[0];
            let value = match (row.takes, value) {
                (Takes::Nothing, value) => value.unwrap_or("true").to_owned(),
                (Takes::Value | Takes::Values, Some(value)) => value.to_owned(),
                (Takes::Value | Takes::Values, None) => words.next().cloned().ok_or_else(|| {
                    Failure::controlled(format!("Missing required value for option '{}'.", split.spelling))
                })?,
            };
            options.given.push((name, value));
        }
        if unknown.is_empty() {
            Ok(options)
        } else {
            Err(Failure::controlled(format!(
                "Unrecognized command line arguments: {}",
                unknown.join(" ")
            )))
        }
    }

    /// Every option as it stood, with its value.
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The last value of an option.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.in_order()
            .filter(|(given, _)| *given == name)
            .last()
            .map(|(_, value)| value)
    }

    /// The last value of an option, where an empty one counts as none.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.last(name).filter(|value| !value.trim().is_empty())
    }

    /// Every value of an option that is not empty.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.in_order()
            .filter(|(given, value)| *given == name && !value.trim().is_empty())
            .map(|(_, value)| value)
            .collect()
    }

    /// Whether a flag is set; the last one counts.
    pub fn flag(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| !means_no(value))
    }

    /// A path, taken from the current folder when it is relative.
    pub fn path(&self, name: &str, current: &Path) -> Option<PathBuf> {
        self.text(name).map(|text| current.join(text))
    }
}

/// A truth value as `observed.md` 10.10 takes it.
///
/// # Errors
/// Another word; the failure names the option.
pub fn boolean(option: &str, value: &str) -> Result<bool, Failure> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" => Ok(true),
        "false" | "0" | "no" | "n" => Ok(false),
        _ => Err(Failure::controlled(format!(
            "'{value}' is not a value for option '--{option}'; write true or false."
        ))),
    }
}

/// A port; 0 means any free one.
///
/// # Errors
/// Anything that is no number from 0 to 65535; the failure names the option.
pub fn port(option: &str, value: &str) -> Result<u16, Failure> {
    value.trim().parse().map_err(|_| {
        Failure::controlled(format!(
            "'{value}' is not a value for option '--{option}'; write a port from 0 to 65535."
        ))
    })
}

/// A thumbprint: 40 hexadecimal digits, kept as typed.
///
/// # Errors
/// Anything else; the failure names the option.
pub fn thumbprint<'a>(option: &str, value: &'a str) -> Result<&'a str, Failure> {
    let value = value.trim();
    if value.len() == 40 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(value);
    }
    Err(Failure::controlled(format!(
        "'{value}' is not a value for option '--{option}'; a thumbprint is 40 hexadecimal digits."
    )))
}

fn means_no(value: &str) -> bool {
    matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "false" | "0" | "no" | "n"
    )
}

/// `--name`, `--name=value` or `--name:value`.
struct SplitWord<'a> {
    spelling: &'a str,
    name: &'a str,
    value: Option<&'a str>,
}

impl<'a> SplitWord<'a> {
    fn of(word: &'a str) -> Option<SplitWord<'a>> {
        let rest = word
            .strip_prefix("--")
            .or_else(|| word.strip_prefix(['-', '/']))?;
        let at = rest.find(['=', ':']);
        let (name, value) = match at {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let spelling = &word[..word.len() - rest.len() + name.len()];
        (!name.is_empty()).then_some(SplitWord {
            spelling,
            name,
            value,
        })
    }

    /// A flag may carry `+` or `-`; both set it, as in the original.
    fn find<'r>(&self, rows: &[&'r OptionRow]) -> Option<(&'r OptionRow, Option<&'a str>)> {
        let plain = self
            .name
            .strip_suffix(['+', '-'])
            .filter(|_| self.value.is_none());
        let exact = rows.iter().copied().find(|row| row.matches(self.name));
        let signed = || {
            rows.iter()
                .copied()
                .find(|row| row.takes == Takes::Nothing && plain.is_some_and(|name| row.matches(name)))
        };
        exact.or_else(signed).map(|row| (row, self.value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PORT: OptionRow = OptionRow::value(&["port"], "");
    const TRUST: OptionRow = OptionRow::values(&["trust"], "");
    const RESET: OptionRow = OptionRow::flag(&["reset-trust"], "");
    const FORCE: OptionRow = OptionRow::flag(&["force", "f"], "");

    fn parse(words: &[&str]) -> Result<Options, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(&[&PORT, &TRUST, &RESET, &FORCE], &words).map_err(|failure| failure.message)
    }

    #[test]
    fn every_form_of_an_option_means_the_same() {
        for words in [
            &["--port=1"][..],
            &["-port=1"],
            &["/port=1"],
            &["--port:1"],
            &["--PORT", "1"],
            &["--", "--port", "1"],
        ] {
            assert_eq!(parse(words).unwrap().last("port"), Some("1"), "{words:?}");
        }
    }

    #[test]
    fn the_next_word_is_the_value_whatever_it_is() {
        let options = parse(&["--port", "--trust=x", "--trust", "a", "-trust=b", "-f"]).unwrap();
        assert_eq!(options.last("port"), Some("--trust=x"));
        assert_eq!(options.all("trust"), ["a", "b"]);
        assert!(options.flag("force") && !options.flag("reset-trust"));
    }

    #[test]
    fn a_flag_can_be_taken_back() {
        for words in [
            &["--reset-trust"][..],
            &["--reset-trust-"],
            &["--reset-trust+"],
            &["--reset-trust=x"],
        ] {
            assert!(parse(words).unwrap().flag("reset-trust"), "{words:?}");
        }
        assert!(!parse(&["--reset-trust=False"]).unwrap().flag("reset-trust"));
    }

    #[test]
    fn words_that_nothing_explains_are_told_together() {
        assert_eq!(
            parse(&["--bogus=1", "--port=2", "extra"]),
            Err("Unrecognized command line arguments: --bogus=1 extra".to_owned())
        );
        assert_eq!(
            parse(&["--port"]),
            Err("Missing required value for option '--port'.".to_owned())
        );
    }

    #[test]
    fn values_are_checked() {
        assert!(boolean("noListen", "TRUE").unwrap() && !boolean("noListen", "no").unwrap());
        assert!(
            boolean("noListen", "maybe")
                .unwrap_err()
                .message
                .contains("noListen")
        );
        assert_eq!(port("port", "0").unwrap(), 0);
        assert!(port("port", "70000").is_err() && port("port", "").is_err());
        assert!(thumbprint("trust", "not-a-thumb").is_err());
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused(words in proptest::collection::vec("\\PC{0,12}", 0..8)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Ok(options) = parse(&words) {
                prop_assert!(options.in_order().count() <= words.len());
            }
        }
    }
}
