//! Readers of single values; each adds its problem to a list and lets the pass go on.

/// Collects the problems of one pass over all values.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) problems: Vec<String>,
}

impl Checker {
    pub(crate) fn problem(&mut self, line: String) {
        self.problems.push(line);
    }

    /// `Y`, `yes`, `true`, `1` and their opposites, any case (`containers.md` 1.3).
    pub(crate) fn boolean(&mut self, name: &str, value: Option<&str>, default: bool) -> bool {
        let Some(value) = value else { return default };
        parse_boolean(value).unwrap_or_else(|| {
            self.problem(format!(
                "{name}: \"{value}\" is neither true nor false; write true or false."
            ));
            default
        })
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &mut self,
        name: &str,
        value: Option<&str>,
        default: u32,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> u32 {
        let Some(value) = value else { return default };
        match value.trim().parse() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let (low, high) = (bounds.start(), bounds.end());
                self.problem(format!(
                    "{name}: \"{value}\" is not a whole number from {low} to {high}."
                ));
                default
            }
        }
    }

    /// A port that others connect to: 1 to 65535.
    pub(crate) fn port(&mut self, name: &str, value: Option<&str>, default: u16) -> u16 {
        self.number(name, value, u32::from(default), 1..=65535) as u16
    }

    /// One of a few words, any case.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, value: Option<&str>, choices: &[(&str, T)]) -> T {
        let default = choices[0].1;
        let Some(value) = value else { return default };
        let found = choices
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(value.trim()));
        found.map(|(_, choice)| *choice).unwrap_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.problem(format!("{name}: \"{value}\" is not one of {}.", words.join(", ")));
            default
        })
    }
}

/// `None` for anything that is no boolean.
pub(crate) fn parse_boolean(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" | "1" => Some(true),
        "n" | "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// The items of a comma list, trimmed, without empty ones.
pub(crate) fn list(value: Option<&str>) -> Vec<String> {
    let items = value.unwrap_or_default().split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
