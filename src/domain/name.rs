//! Names, their keys, and slugs (`rest-api.md` 1.8).

use std::cmp::Ordering;

use crate::Problems;

/// The longest name that is taken, in characters.
pub const LONGEST_NAME: usize = 200;

/// The form in which two names are compared: without case, blanks at the ends do not count.
#[must_use]
pub fn name_key(name: &str) -> String {
    name.trim().chars().flat_map(char::to_lowercase).collect()
}

/// Whether two names are the same name.
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    let folded = |name| str::chars(str::trim(name)).flat_map(char::to_lowercase);
    folded(one).eq(folded(other))
}

/// The slug of a name: lower case, every run of other characters becomes one `-`. Never empty.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars().flat_map(char::to_lowercase) {
        if character.is_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() { "x".into() } else { slug }
}

/// The first of `slug`, `slug-2`, `slug-3`, … that is not taken.
pub fn free_slug(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let first = slug(name);
    let others = (2..=u32::MAX).map(|number| format!("{first}-{number}"));
    std::iter::once(first.clone())
        .chain(others)
        .find(|slug| !taken(slug))
        .unwrap_or(first)
}

/// Checks a name that a person gave. `what` is the kind of thing, for example `environment`.
pub fn check_name(problems: &mut Problems, what: &str, name: &str) {
    if name.trim().is_empty() {
        problems.add(format!("The {what} has no name. Give it one."));
    } else if name.chars().count() > LONGEST_NAME {
        problems.add(format!(
            "The name of the {what} '{}…' is longer than {LONGEST_NAME} characters. Choose a shorter one.",
            name.chars().take(40).collect::<String>()
        ));
    } else if name.chars().any(char::is_control) {
        problems.add(format!(
            "The name of the {what} '{}' has a control character in it. Leave it out.",
            name.escape_debug()
        ));
    }
}

/// Compares as people count: runs of digits by value, the rest without case. Equal texts of different
/// spelling are told apart by their bytes, so the order is total.
#[must_use]
pub fn natural_order(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.trim(), other.trim());
    while let (Some(first), Some(second)) = (left.chars().next(), right.chars().next()) {
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (a, b) = (take_digits(&mut left), take_digits(&mut right));
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            left = &left[first.len_utf8()..];
            right = &right[second.len_utf8()..];
            first.to_lowercase().cmp(second.to_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| one.cmp(other))
}

fn take_digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_compared_without_case_and_outer_blanks() {
        assert_eq!(name_key("  Größe ÅNGSTRÖM "), "größe ångström");
        assert!(same_name("Web Server", " WEB server"));
        assert!(!same_name("Web", "Web2"));
    }

    #[test]
    fn a_slug_is_made_of_letters_digits_and_single_dashes() {
        assert_eq!(slug("  My  Project (v2)!"), "my-project-v2");
        assert_eq!(slug("Größe"), "größe");
        assert_eq!(slug("!!!"), "x");
        assert_eq!(free_slug("Web", |slug| slug == "web" || slug == "web-2"), "web-3");
    }

    #[test]
    fn machines_are_ordered_as_people_count() {
        let mut names = vec!["web10", "Web2", "web1", "db", "web01"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["db", "web01", "web1", "Web2", "web10"]);
    }

    #[test]
    fn a_missing_name_is_a_problem_that_says_what_to_do() {
        let mut problems = Problems::default();
        check_name(&mut problems, "environment", "  ");
        assert_eq!(problems.to_string(), "The environment has no name. Give it one.");
    }

    proptest! {
        #[test]
        fn a_slug_of_a_slug_is_itself(name in ".{0,40}") {
            let once = slug(&name);
            prop_assert!(!once.is_empty());
            prop_assert_eq!(slug(&once), once);
        }

        #[test]
        fn the_natural_order_is_an_order(a in "[a-zA-Z0-9 ]{0,6}", b in "[a-zA-Z0-9 ]{0,6}", c in "[a-zA-Z0-9 ]{0,6}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
            prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
        }
    }
}
