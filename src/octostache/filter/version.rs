//! Parts of a version, for the `Version…` filters.

/// A part of a version.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Major, minor, patch, revision: 0 to 3.
    Number(usize),
    PreRelease,
    PreReleasePrefix,
    PreReleaseCounter,
    Metadata,
}

/// The part that the filter of this name, in lower case, gives.
pub(super) fn named(name: &str) -> Option<Part> {
    Some(match name {
        "versionmajor" => Part::Number(0),
        "versionminor" => Part::Number(1),
        "versionpatch" => Part::Number(2),
        "versionrevision" => Part::Number(3),
        "versionprerelease" => Part::PreRelease,
        "versionprereleaseprefix" => Part::PreReleasePrefix,
        "versionprereleasecounter" => Part::PreReleaseCounter,
        "versionmetadata" => Part::Metadata,
        _ => return None,
    })
}

/// The part of a version: blanks and `v`, up to four numbers, a separator, pre-release, `+` metadata.
pub(super) fn part(input: &str, part: Part) -> Result<String, String> {
    if input.is_empty() {
        return Err("the version is empty".to_owned());
    }
    let version = Version::read(input).ok_or("the input is not a version")??;
    Ok(match part {
        Part::Number(position) => version.numbers[position].to_string(),
        Part::PreRelease => version.pre_release.to_owned(),
        Part::PreReleasePrefix => version.prefix().to_owned(),
        Part::PreReleaseCounter => version
            .pre_release
            .get(version.prefix().len() + 1..)
            .unwrap_or_default()
            .to_owned(),
        Part::Metadata => version.metadata.to_owned(),
    })
}

struct Version<'a> {
    numbers: [i32; 4],
    pre_release: &'a str,
    metadata: &'a str,
}

impl<'a> Version<'a> {
    /// None when it is no version; an error when a number is too large.
    fn read(input: &'a str) -> Option<Result<Self, String>> {
        let mut rest = input.trim();
        // Before anything but a number the letter belongs to the pre-release.
        if let Some(after) = rest.strip_prefix(['v', 'V'])
            && after.starts_with(|first: char| first.is_ascii_digit())
        {
            rest = after;
        }
        let mut numbers = [0; 4];
        for (position, number) in numbers.iter_mut().enumerate() {
            let start = if position == 0 {
                rest.trim_start()
            } else {
                match rest.trim_start().strip_prefix('.') {
                    Some(after) => after.trim_start(),
                    None => break,
                }
            };
            let digits = start
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(start.len());
            if digits == 0 {
                break;
            }
            *number = match start[..digits].parse() {
                Ok(number) => number,
                Err(_) => return Some(Err("a number of the version is more than 2147483647".to_owned())),
            };
            rest = &start[digits..];
        }
        rest = rest.trim_start();
        rest = rest.strip_prefix(SEPARATORS).unwrap_or(rest);
        let (pre_release, metadata) = match rest.split_once('+') {
            Some((pre_release, metadata)) => (pre_release, Some(metadata)),
            None => (rest, None),
        };
        let valid = |text: &str, more: &[char]| {
            text.chars().all(|character| {
                character.is_ascii_alphanumeric()
                    || SEPARATORS.contains(&character)
                    || more.contains(&character)
            })
        };
        let metadata = metadata.unwrap_or_default();
        (valid(pre_release, &[]) && valid(metadata, &['+'])).then_some(Ok(Self {
            numbers,
            pre_release,
            metadata,
        }))
    }

    fn prefix(&self) -> &'a str {
        self.pre_release.split(SEPARATORS).next().unwrap_or_default()
    }
}

const SEPARATORS: [char; 4] = ['.', '-', '_', '\\'];
