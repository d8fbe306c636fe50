//! Names of entries: what they mean below the target folder, or why they are refused (security: A01 to A04).

use crate::package::ArchiveError;

/// The parts of a path below the target folder. Never empty, absolute or leading out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName {
    parts: Vec<String>,
}

const LONGEST: usize = 4096;
const DEEPEST: usize = 128;

impl EntryName {
    /// Reads a name. None for one that means the target folder itself (`./`).
    ///
    /// # Errors
    /// A name that is absolute, leaves the folder, or cannot be one.
    pub fn read(name: &str) -> Result<Option<Self>, ArchiveError> {
        let refuse = |reason| Err(ArchiveError::refused(name, reason));
        if name.is_empty() {
            return refuse("has no name");
        }
        if name.len() > LONGEST {
            return refuse("has a name of more than 4096 bytes");
        }
        if name.chars().any(char::is_control) {
            return refuse("has a control character in its name");
        }
        if is_absolute(name) {
            return refuse("has an absolute path, which would be written outside the target folder");
        }
        // A backslash is part of a name here; but no name is taken that would lead out when read as Windows does.
        if normalise(name.split(['/', '\\'])).is_none() {
            return refuse("would be written outside the target folder");
        }
        let Some(parts) = normalise(name.split('/')) else {
            return refuse("would be written outside the target folder");
        };
        if parts.len() > DEEPEST {
            return refuse("lies more than 128 folders deep");
        }
        if parts.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            parts: parts.into_iter().map(str::to_owned).collect(),
        }))
    }

    /// The folders and the name, from the top.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }
}

impl std::fmt::Display for EntryName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.parts.join("/"))
    }
}

fn is_absolute(name: &str) -> bool {
    let bytes = name.as_bytes();
    name.starts_with(['/', '\\'])
        || (bytes.len() >= 3
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'/' | b'\\'))
}

/// The parts without `.` and `..`; none when they lead out.
fn normalise<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Vec<&'a str>> {
    let mut normal = Vec::new();
    for part in parts {
        match part {
            "" | "." => {}
            ".." => {
                normal.pop()?;
            }
            part => normal.push(part),
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(name: &str) -> String {
        EntryName::read(name).expect_err(name).to_string()
    }

    #[test]
    fn a01_names_that_lead_out_are_refused() {
        for name in ["../x", "a/../../x", "..", "a/b/../../../etc/passwd"] {
            assert!(refused(name).contains("outside"), "{name}");
        }
        let name = EntryName::read("a/../b/./c")
            .expect("stays inside")
            .expect("a name");
        assert_eq!(name.parts(), ["b", "c"]);
    }

    #[test]
    fn a02_absolute_names_are_refused() {
        for name in ["/tmp/x", "C:\\x", "c:/x", "\\\\srv\\x", "//srv/x"] {
            assert!(refused(name).contains("absolute"), "{name}");
        }
    }

    #[test]
    fn a03_backslashes_that_would_lead_out_are_refused_and_others_are_part_of_the_name() {
        assert!(refused("a\\..\\..\\x").contains("outside"));
        let name = EntryName::read("a\\b.txt")
            .expect("a name on Linux")
            .expect("a name");
        assert_eq!(name.parts(), ["a\\b.txt"]);
    }

    #[test]
    fn a04_control_characters_are_refused() {
        for name in ["a\0.txt", "a\n.txt", "\u{7f}"] {
            assert!(refused(name).contains("control"), "{name}");
        }
        assert!(refused(&"a/".repeat(129)).contains("deep"));
        assert!(refused(&"a".repeat(4097)).contains("4096"));
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_below(name in "[a./\\\\ :]{0,30}") {
            if let Ok(Some(name)) = EntryName::read(&name) {
                prop_assert!(!name.parts().is_empty());
                prop_assert!(name.parts().iter().all(|part| !matches!(part.as_str(), "" | "." | "..") && !part.contains('/')));
            }
        }
    }
}
