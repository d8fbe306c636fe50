//! Every editor against texts that were damaged: none panics or takes long, and what it writes can be read again.

use super::{ReplaceError, Replaced, json, properties, xml, yaml};
use octostache::VariableCollection;
use std::time::{Duration, Instant};

/// An editor under its name.
type Editor = fn(&str, &VariableCollection) -> Result<Replaced, ReplaceError>;

/// Each editor with a text of its format.
const EDITORS: [(&str, Editor, &str); 4] = [
    (
        "JSON",
        json::replace,
        "// c\n{\"a\": 1, 'b': [true, null, {c: \"x\\u00e9\\n\"}], /* d */ \"e\": {\"f\": -1.5e3, \"a:b\": []},\r\n}",
    ),
    (
        "YAML",
        |text, variables| yaml::replace(text, variables, yaml::Root::Any),
        "%YAML 1.2\n---\n# c\na: 1 # one\nb: &x\n  c: 'q'\n  d: |2-\n      lit\n\n  e: >+\n    fold\n    more\n\nf: {a: [1, \"two\"], ? g, h: }\ni:\n- *x\n- - !t j\n  -\n-\tk: v\n? l\n: m\n...\n---\nn: \u{e9}\r\n",
    ),
    (
        "XML",
        xml::replace,
        "<?xml version='1.0'?>\n<!-- c --><a b=\"1\" xmlns:p='u'><p:c>x&amp;y</p:c><d/><![CDATA[z]]>\n</a>\n",
    ),
    (
        "properties",
        properties::replace,
        "# c\n! d\na=1\nb : two \\\n  lines\nc\\ d\\u00e9=x\\ty\nkey\n\te\tf\r\n",
    ),
];

/// What is put in; every name that a place in one of the texts has, and some more.
const VARIABLES: [(&str, Option<&str>); 24] = [
    ("a", Some("new")),
    ("b", Some("x: 1\ny:\n  - |\n   z\n")),
    ("b:0", Some("no")),
    ("b:2:c", Some("line\nline")),
    ("b:c", Some("it's")),
    ("b:d", Some("  one\n two\n\n")),
    ("b:e", Some("a b\n\nc\n")),
    ("c", None),
    ("c d\u{e9}", Some("  \\\u{4e2d}")),
    ("e", Some("[1, {\"q\": null}]")),
    ("e:f", Some(" +07 ")),
    ("f:a", Some("- p\n- q\n")),
    ("f:a:1", None),
    ("f:g", Some(", [")),
    ("f:h", Some("#")),
    ("i:1", Some("k: v # c")),
    ("i:1:0", Some("- ")),
    ("i:2:k", Some("\u{0}\u{7f}\u{2028}")),
    ("l", Some("&x")),
    ("n", Some("")),
    ("key", Some("=k")),
    ("//p:c", Some("<&\"]]>")),
    ("/a/@b", Some("'\"\n")),
    ("", None),
];

/// Seconds that this takes: `MANTLE_FUZZ_SECONDS`, else one.
fn fuzz_time() -> Duration {
    let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.0))
}

/// What is put in by chance.
const SIGNS: &[u8] = b"{}[]:,\"'\\/*#-?|>&!%@=<;. \n\r\ta1\x00\xFF";

#[test]
fn damaged_texts_do_no_harm() {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut variables = VariableCollection::new();
    for (name, value) in VARIABLES {
        variables.set(name, value);
    }
    let mut unrelated = VariableCollection::new();
    unrelated.set("none/of:these", Some("x"));
    let begun = Instant::now();
    let mut rounds = 0_usize;
    while begun.elapsed() < fuzz_time() {
        let (name, editor, sample) = EDITORS[rounds % EDITORS.len()];
        rounds += 1;
        let mut bytes = sample.as_bytes().to_vec();
        for _ in 0..=random(4) {
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(5) {
                0 => bytes[at] = SIGNS[random(SIGNS.len())],
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, SIGNS[random(SIGNS.len())]),
                3 => {
                    let until = (at + random(40)).min(bytes.len());
                    let copy = bytes[at..until].to_vec();
                    let to = random(bytes.len());
                    bytes.splice(to..to, copy);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let started = Instant::now();
        // A refusal leaves the file as it is.
        if let Ok(Replaced { text: Some(new), .. }) = editor(&text, &variables) {
            let again = editor(&new, &unrelated);
            assert!(again.is_ok(), "{name}: {text:?} became {new:?}: {again:?}");
        }
        if let Ok(replaced) = editor(&text, &unrelated) {
            assert_eq!(replaced.text, None, "{name}: {text:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {text:?}");
    }
}

#[test]
fn large_texts_take_their_time_only_once() {
    let mut variables = VariableCollection::new();
    variables.set("k:2999:a", Some("x"));
    for index in 0..2_000 {
        variables.set(&format!("k:{index}:b"), Some("y"));
    }
    let item = "{\"a\": \"one\", \"b\": [\"two\", {\"c\": \"three\"}]}";
    let one_line = format!("{{\"k\": [{}]}}", [item; 3_000].join(", "));
    let lines = format!("k:\n{}", "- a: one\n  b:\n  - two\n  - c: three\n".repeat(3_000));
    let started = Instant::now();
    assert!(json::replace(&one_line, &variables).unwrap().text.is_some());
    assert!(
        yaml::replace(&one_line, &variables, yaml::Root::Any)
            .unwrap()
            .text
            .is_some()
    );
    assert!(
        yaml::replace(&lines, &variables, yaml::Root::Any)
            .unwrap()
            .text
            .is_some()
    );
    let entries = "k:1:b = v\\\n  w\n".repeat(6_000);
    assert!(properties::replace(&entries, &variables).unwrap().text.is_none());
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}
