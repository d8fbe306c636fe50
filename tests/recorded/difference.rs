//! Words for the first difference of what was recorded and what ours gave.

use std::fmt::Debug;

use serde_json::Value;

/// The most characters of a text that a difference quotes.
const QUOTED: usize = 160;

/// Compares two values by `==`.
///
/// # Errors
/// When they differ: both, under the name `what`.
pub fn same<T: PartialEq + Debug>(what: &str, ours: T, recorded: T) -> Result<(), String> {
    if ours == recorded {
        return Ok(());
    }
    let (ours, recorded) = (format!("{ours:?}"), format!("{recorded:?}"));
    Err(format!(
        "{what}: ours {}, recorded {}",
        short(&ours),
        short(&recorded)
    ))
}

/// Compares two texts.
///
/// # Errors
/// When they differ: the first line that does, under the name `what`.
pub fn same_text(what: &str, ours: &str, recorded: &str) -> Result<(), String> {
    if ours == recorded {
        return Ok(());
    }
    let mut theirs = recorded.split_inclusive('\n');
    for (number, line) in ours.split_inclusive('\n').enumerate() {
        let other = theirs.next();
        if other != Some(line) {
            return Err(line_difference(what, number + 1, Some(line), other));
        }
    }
    let number = ours.split_inclusive('\n').count() + 1;
    Err(line_difference(what, number, None, theirs.next()))
}

/// Compares two JSON values; members may stand in any order.
///
/// # Errors
/// When they differ: the path of the first difference below `what`.
pub fn same_json(what: &str, ours: &Value, recorded: &Value) -> Result<(), String> {
    match (ours, recorded) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in right {
                let Some(own) = left.get(name) else {
                    return Err(format!("{what}.{name}: ours has none, recorded {}", brief(value)));
                };
                same_json(&format!("{what}.{name}"), own, value)?;
            }
            match left.iter().find(|(name, _)| !right.contains_key(*name)) {
                Some((name, value)) => {
                    Err(format!("{what}.{name}: ours {}, recorded has none", brief(value)))
                }
                None => Ok(()),
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for (index, (own, value)) in left.iter().zip(right).enumerate() {
                same_json(&format!("{what}[{index}]"), own, value)?;
            }
            same(&format!("number of items of {what}"), left.len(), right.len())
        }
        _ if ours == recorded => Ok(()),
        _ => Err(format!(
            "{what}: ours {}, recorded {}",
            brief(ours),
            brief(recorded)
        )),
    }
}

fn brief(value: &Value) -> String {
    short(&value.to_string())
}

fn short(text: &str) -> String {
    if text.chars().count() <= QUOTED {
        return text.to_owned();
    }
    let head: String = text.chars().take(QUOTED).collect();
    format!("{head}…")
}

fn line_difference(what: &str, number: usize, ours: Option<&str>, recorded: Option<&str>) -> String {
    let word = |line: Option<&str>| match line {
        Some(line) => short(&format!("{line:?}")),
        None => "the end".to_owned(),
    };
    format!(
        "{what}, line {number}: ours {}, recorded {}",
        word(ours),
        word(recorded)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(same_text("stdout", "a\nb\n", "a\nb\n"), Ok(()));
        let found = same_text("stdout", "a\nb\n", "a\nc\n").unwrap_err();
        assert_eq!(found, r#"stdout, line 2: ours "b\n", recorded "c\n""#);
        let found = same_text("stdout", "a\n", "a\nc").unwrap_err();
        assert_eq!(found, r#"stdout, line 2: ours the end, recorded "c""#);
    }

    #[test]
    fn a_json_difference_has_its_path_and_members_have_no_order() {
        let ours = json!({"a": [1, {"b": 2}], "c": null});
        assert_eq!(
            same_json("it", &ours, &json!({"c": null, "a": [1, {"b": 2}]})),
            Ok(())
        );
        let found = same_json("it", &ours, &json!({"a": [1, {"b": 3}], "c": null})).unwrap_err();
        assert_eq!(found, "it.a[1].b: ours 2, recorded 3");
        assert!(same_json("it", &ours, &json!({"a": [1, {"b": 2}]})).is_err());
    }
}
