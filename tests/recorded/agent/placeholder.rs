//! The words in angle brackets of the agent's cases.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

static UNKNOWN: LazyLock<Regex> = LazyLock::new(|| {
    let names = "version|client-version|os|cpus|process|pid|tid|time|port|n|thumbprint-[0-9]+|subscription-[0-9]+|\
        encrypted-pfx|base64-pfx|pfx|pfx without password|base64-key>\\.<base64-iv|key|stack-trace|\
        container error text|platform detail|page|bad key|python version";
    Regex::new(&format!("<(?:{names})>")).expect("the expression is ours and checked by the tests")
});

/// Whether our text is the recorded one.
pub fn fits(recorded: &str, ours: &str) -> bool {
    if recorded == ours {
        return true;
    }
    if !UNKNOWN.is_match(recorded) {
        return false;
    }
    let mut expression = String::from("^");
    let mut end = 0;
    for found in UNKNOWN.find_iter(recorded) {
        expression.push_str(&regex::escape(&recorded[end..found.start()]));
        expression.push_str(shape(found.as_str()));
        end = found.end();
    }
    expression.push_str(&regex::escape(&recorded[end..]));
    expression.push('$');
    let built = RegexBuilder::new(&expression)
        .size_limit(1 << 26)
        .dot_matches_new_line(true)
        .build();
    built.is_ok_and(|expression| expression.is_match(ours))
}

/// Puts our text where a recorded one with placeholders fits it, so that the two can be compared as JSON.
pub fn resolve(recorded: &mut Value, ours: &Value) {
    match (recorded, ours) {
        (Value::Object(members), Value::Object(own)) => {
            for (name, value) in members {
                if let Some(own) = own.get(name) {
                    resolve(value, own);
                }
            }
        }
        (Value::Array(items), Value::Array(own)) => {
            for (value, own) in items.iter_mut().zip(own) {
                resolve(value, own);
            }
        }
        (Value::String(text), Value::String(own)) if fits(text, own) => text.clone_from(own),
        _ => {}
    }
}

fn shape(placeholder: &str) -> &'static str {
    if placeholder.starts_with("<thumbprint-") {
        return "[0-9A-F]{40}";
    }
    if placeholder.starts_with("<subscription-") {
        return "[0-9a-zA-Z]{20}";
    }
    match placeholder {
        "<pid>" | "<cpus>" | "<port>" | "<n>" => "[0-9]+",
        "<time>" => r"[0-9][0-9 :.\-]+",
        _ => ".*?",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_are_checked_and_other_brackets_are_text() {
        assert!(fits(
            "at <port>: <thumbprint-1>",
            &format!("at 80: {}", "A".repeat(40))
        ));
        assert!(!fits("<thumbprint-1>", "A"));
        assert!(fits("poll://<subscription-2>/", "poll://abcdefghij0123456789/"));
        assert!(fits("<set key=\"X\" />", "<set key=\"X\" />") && !fits("<set>", "<get>"));
        let mut recorded = json!({"a": ["<version>"]});
        resolve(&mut recorded, &json!({"a": ["1.2"]}));
        assert_eq!(recorded, json!({"a": ["1.2"]}));
    }
}
