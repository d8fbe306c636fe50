//! Version masks, `1.2.i` (`deployments.md` 1.1, `observed.md` 43 to 46).

use crate::version::{Version, number};

/// A text whose components may be `i` (increment) or `c` (current).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    prefix: String,
    numbers: Vec<Component>,
    tag: Option<Vec<Component>>,
    metadata: Option<Vec<Component>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    Literal(String),
    Increment,
    Current,
}

/// A number of the version before is the largest there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "The version '{version}' cannot be incremented: a number of it is the largest there is. Choose a version."
)]
pub struct TooLarge {
    version: String,
}

impl Mask {
    /// Reads a mask. None: the text is not made like a version, so it is taken as it is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (prefix, rest) = match text.strip_prefix(['v', 'V']) {
            Some(rest) => (&text[..1], rest),
            None => ("", text),
        };
        let (rest, metadata) = rest
            .split_once('+')
            .map_or((rest, None), |(rest, metadata)| (rest, Some(metadata)));
        let (core, tag) = rest
            .split_once('-')
            .map_or((rest, None), |(core, tag)| (core, Some(tag)));
        let numbers: Vec<Component> = core.split('.').map(component).collect();
        let numeric = |component: &Component| match component {
            Component::Literal(text) => number(text).is_some(),
            _ => true,
        };
        (numbers.len() <= 4 && numbers.iter().all(numeric)).then(|| Self {
            prefix: prefix.into(),
            numbers,
            tag: tag.map(|tag| tag.split('.').map(component).collect()),
            metadata: metadata.map(|metadata| metadata.split('.').map(component).collect()),
        })
    }

    /// Whether a number is `i` or `c`, or the pre-release or metadata ends in `.i` or `.c`.
    #[must_use]
    pub fn is_mask(&self) -> bool {
        let open = |component: &Component| !matches!(component, Component::Literal(_));
        let ends_open = |components: &Option<Vec<Component>>| match components.as_deref() {
            Some([_, .., last]) => open(last),
            _ => false,
        };
        self.numbers.iter().any(open) || ends_open(&self.tag) || ends_open(&self.metadata)
    }

    /// Of versions of one project those that the next one is counted from: the highest of those whose numbers
    /// equal the mask's before its first `i` or `c`, with all that are equal to it.
    pub fn latest<'a>(&self, versions: impl IntoIterator<Item = &'a Version>) -> Vec<&'a Version> {
        let mut latest: Vec<&Version> = Vec::new();
        for version in versions.into_iter().filter(|version| self.admits(version)) {
            match latest.first().map(|first| version.cmp(first)) {
                None | Some(std::cmp::Ordering::Equal) => latest.push(version),
                Some(std::cmp::Ordering::Greater) => latest = vec![version],
                Some(std::cmp::Ordering::Less) => {}
            }
        }
        latest
    }

    /// The text of the next version after `current`; None = there is none yet.
    ///
    /// # Errors
    /// When a number would become larger than 2³¹−1.
    pub fn apply(&self, current: Option<&Version>) -> Result<String, TooLarge> {
        let too_large = || TooLarge {
            version: current.map(Version::to_string).unwrap_or_default(),
        };
        let present = current.map_or([0; 4], numbers_of);
        let mut parts = Vec::new();
        for (position, component) in self.numbers.iter().enumerate() {
            let after_increment = position > 0 && self.numbers[position - 1] == Component::Increment;
            parts.push(match component {
                Component::Literal(text) => text.clone(),
                _ if after_increment => "0".into(),
                Component::Current => present[position].to_string(),
                Component::Increment => match current {
                    Some(_) => up(present[position]).ok_or_else(too_large)?.to_string(),
                    None => "0".into(),
                },
            });
        }
        if current.is_some_and(|current| current.number_count() > parts.len()) {
            parts.push("0".into());
        }
        let mut text = format!("{}{}", self.prefix, parts.join("."));
        let tails = [
            ('-', &self.tag, current.map(Version::release)),
            ('+', &self.metadata, current.map(Version::metadata)),
        ];
        for (separator, components, present) in tails {
            if let Some(components) = components {
                text.push(separator);
                text.push_str(&apply_to_labels(components, present).ok_or_else(too_large)?);
            }
        }
        Ok(text)
    }

    fn admits(&self, version: &Version) -> bool {
        let present = numbers_of(version);
        for (position, present) in present.into_iter().enumerate() {
            match self.numbers.get(position) {
                None if present != 0 => return false,
                Some(Component::Literal(text)) if number(text) != Some(present) => return false,
                Some(Component::Increment | Component::Current) => return true,
                _ => {}
            }
        }
        true
    }
}

/// The next pre-release text: its last number plus one (`NextSuffix`); without a number `.2` is added.
#[must_use]
pub fn increment_suffix(suffix: &str) -> String {
    let head = suffix.trim_end_matches(|character: char| character.is_ascii_digit());
    match number(&suffix[head.len()..]) {
        Some(number) => format!("{head}{}", u64::from(number) + 1),
        None if suffix.is_empty() => "2".into(),
        None => format!("{suffix}.2"),
    }
}

fn numbers_of(version: &Version) -> [u32; 4] {
    [
        version.major(),
        version.minor(),
        version.patch(),
        version.revision(),
    ]
}

fn component(text: &str) -> Component {
    match text {
        "i" => Component::Increment,
        "c" => Component::Current,
        _ => Component::Literal(text.into()),
    }
}

fn up(number: u32) -> Option<u32> {
    Some(number + 1).filter(|number| i32::try_from(*number).is_ok())
}

fn apply_to_labels(components: &[Component], present: Option<&str>) -> Option<String> {
    let labels: Vec<&str> = present.unwrap_or_default().split('.').collect();
    let at = |position: usize| labels.get(position).and_then(|label| number(label)).unwrap_or(0);
    let mut parts = Vec::new();
    for (position, component) in components.iter().enumerate() {
        parts.push(match component {
            Component::Literal(text) => text.clone(),
            Component::Current => at(position).to_string(),
            Component::Increment if present.is_none() => "0".into(),
            Component::Increment => up(at(position))?.to_string(),
        });
    }
    Some(parts.join("."))
}
