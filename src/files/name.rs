//! Names that may become names of files.

use crate::error::{Error, Result};

/// The longest name of a file, in bytes; file systems allow 255.
const LONGEST: usize = 200;

/// Passes a name that is safe as one part of a path: letters and digits of any script, `.`, `_`, `-`, `+`; it
/// does not begin with a dot and is at most 200 bytes long.
///
/// # Errors
/// [`Error::Name`] says what is wrong.
pub fn check(kind: &'static str, name: &str) -> Result<()> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > LONGEST {
        "it is too long"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if !name
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
    {
        "it holds a character that is not allowed"
    } else {
        return Ok(());
    };
    Err(Error::Name {
        kind,
        name: name.chars().take(60).collect(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        for name in [
            "", ".", "..", "../a", "a/b", "a\\b", "a\0b", ".hidden", "a\nb", "a:b",
        ] {
            assert!(check("package id", name).is_err(), "{name:?}");
        }
        for name in ["Acme.Web", "1.2.3-beta+build.7", "größe_2"] {
            assert!(check("package id", name).is_ok(), "{name}");
        }
        assert!(check("package id", &"a".repeat(201)).is_err());
    }

    proptest! {
        #[test]
        fn what_passes_is_one_plain_part_of_a_path(name in ".{0,40}") {
            if check("package id", &name).is_ok() {
                let parts: Vec<_> = std::path::Path::new(&name).components().collect();
                prop_assert!(matches!(parts.as_slice(), [std::path::Component::Normal(_)]));
            }
        }
    }
}
