//! Maven's versions: any text; its order is that of Maven's own comparison (`calamari.md` 10.4, `observed.md` 42).

use std::cmp::Ordering;

use crate::version::{Format, Version, number};

/// Words that come before the release, the release itself, and the one that comes after it.
const QUALIFIERS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];

pub(crate) fn parse(text: &str) -> Option<Version> {
    let mut numbers = Vec::new();
    let mut rest = text;
    while numbers.len() < 3 {
        let candidate = if numbers.is_empty() {
            Some(rest)
        } else {
            rest.strip_prefix('.')
        };
        let digits = candidate.map_or("", digits);
        let Some(candidate) = candidate.filter(|_| !digits.is_empty()) else {
            break;
        };
        numbers.push(number(digits)?);
        rest = &candidate[digits.len()..];
    }
    let version = Version::new(Format::Maven, text.into());
    if numbers.is_empty() {
        return Some(version.with(&[], text, ""));
    }
    let build = rest.strip_prefix('-').map_or("", digits);
    if build.is_empty() {
        return Some(version.with(&numbers, rest.strip_prefix(['-', '.']).unwrap_or_default(), ""));
    }
    let mut version = version.with(&numbers, &rest[1 + build.len()..], "");
    version.set_revision(number(build)?);
    Some(version)
}

fn digits(text: &str) -> &str {
    &text[..text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len())]
}

pub(crate) fn is_prerelease(release: &str) -> bool {
    let release = release.to_ascii_lowercase();
    let short = release
        .strip_prefix(['a', 'b', 'm'])
        .is_some_and(|rest| !digits(rest).is_empty());
    let long = ["alpha", "beta", "milestone", "rc", "cr"]
        .iter()
        .any(|word| release.starts_with(word));
    short || long || release == "snapshot"
}

#[derive(Debug)]
enum Item {
    /// A number without leading zeros; empty = 0.
    Number(String),
    Word(String),
    List(Vec<Item>),
}

pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    compare_lists(&items(one), &items(other))
}

fn items(text: &str) -> Vec<Item> {
    let text = text.to_lowercase();
    let bytes = text.as_bytes();
    // Lists nest only to the right: each is the last item of the one before it.
    let mut lists: Vec<Vec<Item>> = vec![Vec::new()];
    let mut start = 0;
    let mut in_number = false;
    for (position, byte) in bytes.iter().enumerate() {
        let list = lists.last_mut().expect("there is always the outer list");
        match byte {
            b'.' | b'-' => {
                list.push(match position == start {
                    true => Item::Number(String::new()),
                    false => item(in_number, &text[start..position]),
                });
                start = position + 1;
                if *byte == b'-' && in_number {
                    drop_nothings(list);
                    if bytes.get(start).is_some_and(u8::is_ascii_digit) {
                        lists.push(Vec::new());
                    }
                }
            }
            b'0'..=b'9' => {
                if !in_number && position > start {
                    list.push(word(&text[start..position], true));
                    start = position;
                }
                in_number = true;
            }
            _ => {
                if in_number && position > start {
                    list.push(item(true, &text[start..position]));
                    start = position;
                }
                in_number = false;
            }
        }
    }
    if start < text.len() {
        let list = lists.last_mut().expect("there is always the outer list");
        list.push(item(in_number, &text[start..]));
    }
    while lists.len() > 1 {
        let mut inner = lists.pop().expect("more than one");
        drop_nothings(&mut inner);
        lists.last_mut().expect("at least one").push(Item::List(inner));
    }
    let mut outer = lists.pop().expect("the outer list");
    drop_nothings(&mut outer);
    outer
}

fn item(is_number: bool, text: &str) -> Item {
    if is_number {
        Item::Number(text.trim_start_matches('0').into())
    } else {
        word(text, false)
    }
}

fn word(text: &str, digit_follows: bool) -> Item {
    Item::Word(
        match (text, digit_follows) {
            ("a", true) => "alpha",
            ("b", true) => "beta",
            ("m", true) => "milestone",
            ("ga" | "final", _) => "",
            ("cr", _) => "rc",
            _ => text,
        }
        .into(),
    )
}

fn drop_nothings(list: &mut Vec<Item>) {
    while list.last().is_some_and(|item| {
        compare_to_nothing(item).is_eq() && !matches!(item, Item::List(list) if !list.is_empty())
    }) {
        list.pop();
    }
}

fn rank(word: &str) -> (usize, &str) {
    match QUALIFIERS.iter().position(|qualifier| *qualifier == word) {
        Some(position) => (position, ""),
        None => (QUALIFIERS.len(), word),
    }
}

fn compare_to_nothing(item: &Item) -> Ordering {
    match item {
        Item::Number(number) => {
            if number.is_empty() {
                Ordering::Equal
            } else {
                Ordering::Greater
            }
        }
        Item::Word(word) => rank(word).cmp(&rank("")),
        Item::List(list) => list.first().map_or(Ordering::Equal, compare_to_nothing),
    }
}

fn compare_items(one: &Item, other: &Item) -> Ordering {
    match (one, other) {
        (Item::Number(a), Item::Number(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (Item::Number(_), _) | (Item::List(_), Item::Word(_)) => Ordering::Greater,
        (_, Item::Number(_)) | (Item::Word(_), Item::List(_)) => Ordering::Less,
        (Item::Word(a), Item::Word(b)) => rank(a).cmp(&rank(b)),
        (Item::List(a), Item::List(b)) => compare_lists(a, b),
    }
}

fn compare_lists(one: &[Item], other: &[Item]) -> Ordering {
    (0..one.len().max(other.len()))
        .map(|position| match (one.get(position), other.get(position)) {
            (Some(a), Some(b)) => compare_items(a, b),
            (Some(a), None) => compare_to_nothing(a),
            (None, Some(b)) => compare_to_nothing(b).reverse(),
            (None, None) => Ordering::Equal,
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
