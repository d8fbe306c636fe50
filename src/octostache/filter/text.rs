//! Filters on plain text. Lengths count UTF-16 units.

use super::Answer;
use crate::number::int32;
use std::borrow::Cow;

pub(super) fn joined(input: &str, arguments: &[String], before: bool) -> Option<String> {
    if arguments.is_empty() {
        return None;
    }
    let joined = arguments.concat();
    Some(if before {
        joined + input
    } else {
        input.to_owned() + &joined
    })
}

pub(super) fn test<'a>(
    input: &'a str,
    arguments: &'a [String],
    holds: impl Fn(&'a str, &'a str) -> bool,
) -> Option<String> {
    match arguments {
        [argument] => Some(truth(holds(input, argument))),
        _ => None,
    }
}

pub(super) fn truth(holds: bool) -> String {
    if holds { "true" } else { "false" }.to_owned()
}

pub(super) fn substring(input: &str, arguments: &[String]) -> Answer {
    let numbers: Option<Vec<usize>> = arguments.iter().map(|argument| size(argument)).collect();
    let (start, length) = match numbers.as_deref() {
        Some([length]) => (0, *length),
        Some([start, length]) => (*start, *length),
        _ => return Ok(None),
    };
    let units: Vec<u16> = input.encode_utf16().collect();
    if start > units.len() {
        return Ok(None);
    }
    if start > 0 && start + length > i32::MAX as usize {
        return Err("start and length together are more than 2147483647".to_owned());
    }
    let end = units.len().min(start + length);
    Ok(Some(String::from_utf16_lossy(&units[start..end])))
}

pub(super) fn truncate(input: &str, arguments: &[String]) -> Option<String> {
    let length = size(arguments.first()?)?;
    let suffix = arguments.get(1).map_or("...", String::as_str);
    let units: Vec<u16> = input.encode_utf16().collect();
    Some(if units.len() > length {
        String::from_utf16_lossy(&units[..length]) + suffix
    } else {
        input.to_owned()
    })
}

pub(super) fn trim(input: &str, arguments: &[String]) -> Option<String> {
    let trimmed = match arguments.first().map(|side| side.to_ascii_lowercase()).as_deref() {
        None => input.trim(),
        Some("start") => input.trim_start(),
        Some("end") => input.trim_end(),
        Some(_) => return None,
    };
    Some(trimmed.to_owned())
}

pub(super) fn indent(input: &str, arguments: &[String]) -> Option<String> {
    if input.is_empty() {
        return Some(String::new());
    }
    let blanks = |size: u8| Cow::Owned(" ".repeat(size.into()));
    let (first, following): (Cow<'_, str>, Cow<'_, str>) = match arguments {
        [] => (blanks(4), blanks(4)),
        [argument] => match sizes(argument) {
            Some((first, following)) => (blanks(first), blanks(following)),
            None => (argument.into(), argument.into()),
        },
        [first, following] => (first.into(), following.into()),
        _ => return None,
    };
    Some(format!(
        "{first}{}",
        input.replace('\n', &format!("\n{following}"))
    ))
}

/// `size`, `size/size` or `/size`.
fn sizes(argument: &str) -> Option<(u8, u8)> {
    let size = |digits: &str| -> Option<u8> {
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    match argument.split_once('/') {
        None => size(argument).map(|size| (size, size)),
        Some(("", following)) => Some((0, size(following)?)),
        Some((first, following)) => Some((size(first)?, size(following)?)),
    }
}

fn size(argument: &str) -> Option<usize> {
    int32(argument).and_then(|number| usize::try_from(number).ok())
}
