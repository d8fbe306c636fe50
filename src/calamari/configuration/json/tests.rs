use super::*;
use proptest::prelude::*;

fn with(variables: &[(&str, Option<&str>)]) -> VariableCollection {
    let mut collection = VariableCollection::new();
    for (name, value) in variables {
        collection.set(name, *value);
    }
    collection
}

fn replaced(text: &str, variables: &[(&str, Option<&str>)]) -> (String, Vec<Note>) {
    let replaced = replace(text, &with(variables)).unwrap();
    (replaced.text.unwrap_or_else(|| text.to_owned()), replaced.notes)
}

fn text_of(text: &str, variables: &[(&str, Option<&str>)]) -> String {
    replaced(text, variables).0
}

#[test]
fn only_the_named_value_changes() {
    let text = "// head\r\n{\r\n\t'a' : 1.10, /* one */\r\n  b: [ 'x', {\"c\":null,}, ],\r\n}\r\n// tail";
    let new = text_of(text, &[("B:1:C", Some("v\"")), ("a", Some("07"))]);
    assert_eq!(
        new,
        "// head\r\n{\r\n\t'a' : 7, /* one */\r\n  b: [ 'x', {\"c\":\"v\\\"\",}, ],\r\n}\r\n// tail"
    );
}

#[test]
fn the_old_value_decides_the_type() {
    let number = |value| text_of("[1]", &[("0", Some(value))]);
    for (value, expected) in [
        (" +5 ", "[5]"),
        ("-007", "[-7]"),
        ("1e3", "[1000]"),
        (".5", "[0.5]"),
        ("8.0", "[8.0]"),
        ("12345678901234567890", "[12345678901234567890]"),
        ("1,5", "[\"1,5\"]"),
        ("1e999", "[\"1e999\"]"),
        ("0x1F", "[\"0x1F\"]"),
        ("", "[\"\"]"),
        ("NaN", "[\"NaN\"]"),
    ] {
        assert_eq!(number(value), expected, "{value}");
    }
    assert_eq!(text_of("[true]", &[("0", Some(" FALSE "))]), "[false]");
    assert_eq!(text_of("[true]", &[("0", Some("1"))]), "[\"1\"]");
    assert_eq!(text_of("[null]", &[("0", Some("5"))]), "[\"5\"]");
    assert_eq!(text_of("[\"x\"]", &[("0", None)]), "[null]");
}

#[test]
fn containers_take_json_and_win_over_what_they_held() {
    let text = "{\"a\":{\"b\":1}}";
    assert_eq!(
        text_of(text, &[("a", Some("{\"b\":2}")), ("a:b", Some("3"))]),
        "{\"a\":{\"b\":2}}"
    );
    assert_eq!(
        text_of(text, &[("a", Some("{b:'x',} // c"))]),
        "{\"a\":{\"b\":\"x\"}}"
    );
    let (same, notes) = replaced(text, &[("a", Some("1,2")), ("a:b", None)]);
    assert_eq!(same, text);
    assert!(matches!(&notes[1], Note::Warning(why) if why.contains("Unable to set value for a.")));
    assert!(matches!(&notes[3], Note::Warning(why) if why.contains("no value")));
}

#[test]
fn all_places_of_a_path_are_set_but_a_repeated_member_counts_once() {
    assert_eq!(
        text_of("{\"a\":{\"b\":1},\"A:B\":1}", &[("a:b", Some("2"))]),
        "{\"a\":{\"b\":2},\"A:B\":2}"
    );
    assert_eq!(
        text_of("{\"a\":1,\"a\":2}", &[("a", Some("3"))]),
        "{\"a\":1,\"a\":3}"
    );
}

#[test]
fn what_is_not_json_says_where() {
    for (text, reason) in [
        ("", None),
        ("  \n ", Some("missing")),
        ("hello", Some("'h' cannot begin a value (line 1, column 1)")),
        ("{\"a\":1}\n{", Some("line 2, column 1")),
        ("{\"a\":\"\\q\"}", Some("'\\q' is no escape")),
        ("{\"a\":\"b", Some("does not end")),
        ("{\"a\":1 \"b\":2}", Some("instead of ','")),
        ("{\"a\" /* c */ :1}", Some("':' is missing")),
        ("{\"a\":tru}", Some("cannot begin a value")),
        ("1.2.3", Some("no number")),
        ("/*/", Some("comment does not end")),
    ] {
        match (replace(text, &with(&[])), reason) {
            (Ok(replaced), None) => assert_eq!(replaced, Replaced::default()),
            (Err(error), Some(reason)) => assert!(error.to_string().contains(reason), "{text}: {error}"),
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }
    assert!(replace(&format!("{}{}", "[".repeat(64), "]".repeat(64)), &with(&[])).is_ok());
    assert!(replace(&format!("{}{}", "[".repeat(65), "]".repeat(65)), &with(&[])).is_err());
    assert!(replace(&"[".repeat(1_000_000), &with(&[])).is_err());
}

#[test]
fn variables_of_the_server_are_not_meant() {
    let text = "{\"Octopus\":1,\"octopusX\":{\"a\":1},\"octopus\":{\"a\":1}}";
    let new = text_of(
        text,
        &[
            ("Octopus", Some("2")),
            ("OctopusX:a", Some("2")),
            ("Octopus:a", Some("2")),
        ],
    );
    assert_eq!(
        new,
        "{\"Octopus\":1,\"octopusX\":{\"a\":1},\"octopus\":{\"a\":2}}"
    );
}

/// Any JSON value.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map("[a-c:]{0,3}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_serde_reads(value in json()) {
        for text in [value.to_string(), format!("{value:#}")] {
            let root = reader::read(&text).unwrap();
            prop_assert_eq!(&strict(&root, &text), &value);
            prop_assert_eq!(replace(&text, &with(&[("none", Some("x"))])).unwrap(), Replaced::default());
        }
    }

    #[test]
    fn a_text_that_is_put_in_comes_out(value in "\\PC{0,20}|[\\x00-\\x20\"\\\\]{0,9}", before in json()) {
        let text = serde_json::json!({"before": before, "k": "old"}).to_string();
        let new = text_of(&text, &[("k", Some(&value.replace('#', "")))]);
        let read: serde_json::Value = serde_json::from_str(&new).unwrap();
        prop_assert_eq!(&read["k"], &serde_json::Value::String(value.replace('#', "")));
        prop_assert_eq!(&read["before"], &before);
    }

    #[test]
    fn broken_texts_never_panic(text in "[\\[\\]{}:,\"'\\\\/*a0.\\-eu\\n ]{0,60}|\\PC{0,40}") {
        let _ = replace(&text, &with(&[("a", Some("1")), ("0", Some("x"))]));
    }
}
