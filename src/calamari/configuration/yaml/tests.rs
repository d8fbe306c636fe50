use super::*;
use proptest::prelude::*;

fn with(variables: &[(&str, Option<&str>)]) -> VariableCollection {
    let mut collection = VariableCollection::new();
    for (name, value) in variables {
        collection.set(name, *value);
    }
    collection
}

#[track_caller]
fn text_of(text: &str, variables: &[(&str, Option<&str>)]) -> String {
    let replaced = replace(text, &with(variables), Root::Any).unwrap();
    replaced.text.unwrap_or_else(|| text.to_owned())
}

#[track_caller]
fn check(text: &str, name: &str, value: &str, expected: &str) {
    assert_eq!(
        text_of(text, &[(name, Some(value))]),
        expected,
        "{name} in {text}"
    );
}

const FILE: &str = "# head comment\nname: alpha\ncount: 3\nquoted: \"three\"\nsingle: 'four'\nempty:   # none\ndb:\n    host: h1   # inline\n    ports:\n    - 1\n    - 2  # two\n    # end\nflow: {a: x, b: [1, 2], c, d: } # flow\nlist:\n  - id: 1\n    tag: a\n  -\nlast: end";

#[test]
fn only_the_named_scalar_changes() {
    for (name, value, old, new) in [
        ("NAME", "beta", "name: alpha", "name: beta"),
        ("name", "true", "name: alpha", "name: true"),
        ("name", "a: b # c", "name: alpha", "name: 'a: b # c'"),
        ("name", "it's: x", "name: alpha", "name: 'it''s: x'"),
        ("name", "", "name: alpha", "name: ''"),
        ("name", "a\nb\u{7}", "name: alpha", "name: \"a\\nb\\x07\""),
        ("name", "é中😀", "name: alpha", "name: é中😀"),
        ("count", "-5", "count: 3", "count: -5"),
        ("quoted", "a \"b\" \\", "\"three\"", "\"a \\\"b\\\" \\\\\""),
        ("single", "5", "'four'", "'5'"),
        ("empty", "x", "empty:   # none", "empty: x   # none"),
        ("db:host", "h2", "h1   # inline", "h2   # inline"),
        ("db:ports:1", "7", "- 2  # two", "- 7  # two"),
        ("flow:a", "x, y", "a: x,", "a: 'x, y',"),
        ("flow:b:0", "9", "[1, 2]", "[9, 2]"),
        ("flow:c", "z", "c,", "c: z,"),
        ("flow:d", "z", "d: }", "d: z }"),
        ("list:0:tag", "b", "tag: a", "tag: b"),
        ("list:1", "b", "  -\n", "  - b\n"),
        ("last", "fin", "last: end", "last: fin"),
    ] {
        assert!(FILE.contains(old), "{old}");
        check(FILE, name, value, &FILE.replacen(old, new, 1));
        let windows = FILE.replace('\n', "\r\n");
        check(
            &windows,
            name,
            value,
            &windows.replacen(&old.replace('\n', "\r\n"), &new.replace('\n', "\r\n"), 1),
        );
    }
    assert_eq!(
        text_of(FILE, &[("quoted", None)]),
        FILE.replacen("\"three\"", "null", 1)
    );
    assert_eq!(
        replace(FILE, &with(&[("none", None)]), Root::Any),
        Ok(Replaced::default())
    );
}

#[test]
fn a_block_scalar_keeps_its_style() {
    let text = "lit: | # why\n  line one\n\n  two\n\n# c\nstrip: >-\n    a\nkeep: |+\n  a\n\n\nind: |2\n    x\nnone: |-\nseq:\n- |\n one\n- b";
    for (name, value, old, new) in [
        ("lit", "new\nlines\n", "line one\n\n  two\n", "new\n  lines\n"),
        ("lit", "x", "| # why\n  line one\n\n  two\n", "|- # why\n  x\n"),
        (
            "lit",
            "  x\n",
            "| # why\n  line one\n\n  two\n",
            "|2 # why\n    x\n",
        ),
        ("lit", "a\r\nb\r\n", "line one\n\n  two\n", "a\n  b\n"),
        (
            "lit",
            "x\n\n",
            "| # why\n  line one\n\n  two\n\n# c",
            "|+ # why\n  x\n\n# c",
        ),
        ("lit", "", "| # why\n  line one\n\n  two\n", "\"\" # why\n"),
        (
            "strip",
            "a b\nc\n\nd\n",
            ">-\n    a\n",
            ">\n    a b\n\n    c\n\n\n    d\n",
        ),
        ("keep", "q", "|+\n  a\n\n\n", "|-\n  q\n"),
        ("keep", "q\n\n\n\n", "|+\n  a\n\n\n", "|+\n  q\n\n\n\n"),
        ("ind", "y\nz\n", "|2\n    x\n", "|\n  y\n  z\n"),
        ("none", "a\nb\n", "none: |-\n", "none: |\n  a\n  b\n"),
        ("seq:0", "a\nb\n", "|\n one\n", "|\n a\n b\n"),
    ] {
        assert!(text.contains(old), "{old}");
        check(text, name, value, &text.replacen(old, new, 1));
    }
    assert_eq!(text_of("a: |\n  x", &[("a", Some("y\nz\n"))]), "a: |\n  y\n  z\n");
    assert_eq!(text_of("a: |\n  x\nb: 1", &[("a", None)]), "a: null\nb: 1");
}

#[test]
fn a_mapping_or_sequence_takes_yaml() {
    for (name, value, old, new) in [
        (
            "db",
            "host: h9\nports:\n  - 5\n",
            "host: h1   # inline\n    ports:\n    - 1\n    - 2  # two\n",
            "host: h9\n    ports:\n      - 5\n",
        ),
        (
            "db",
            "text",
            "db:\n    host: h1   # inline\n    ports:\n    - 1\n    - 2  # two\n",
            "db: text\n",
        ),
        (
            "db",
            "a: b: c",
            "db:\n    host: h1   # inline\n    ports:\n    - 1\n    - 2  # two\n",
            "db: \"a: b: c\"\n",
        ),
        (
            "db",
            "",
            "db:\n    host: h1   # inline\n    ports:\n    - 1\n    - 2  # two\n",
            "db: \"\"\n",
        ),
        (
            "db:ports",
            "[7, 8]",
            "ports:\n    - 1\n    - 2  # two\n",
            "ports: [7, 8]\n",
        ),
        (
            "db:ports",
            "a: 1\nb: 2",
            "- 1\n    - 2  # two\n",
            "  a: 1\n      b: 2\n",
        ),
        ("db:ports", "- 7\n", "- 1\n    - 2  # two\n", "- 7\n"),
        (
            "flow",
            "a: 1\nb:\n  c: 2\n",
            "flow: {a: x, b: [1, 2], c, d: } # flow",
            "flow: # flow\n  a: 1\n  b:\n    c: 2",
        ),
        ("flow:b", "- p\n- q: 'r'\n", "[1, 2]", "[p, {q: 'r'}]"),
        (
            "list:0",
            "x: |\n  a\n  b\ny: 1",
            "id: 1\n    tag: a",
            "x: |\n      a\n      b\n    y: 1",
        ),
        ("list:0", "- x\n- y", "id: 1\n    tag: a", "- x\n    - y"),
        ("list", "[]", "list:\n  - id: 1\n    tag: a\n  -\n", "list: []\n"),
        ("list", "k: v", "- id: 1\n    tag: a\n  -\n", "k: v\n"),
    ] {
        assert!(FILE.contains(old), "{old}");
        check(FILE, name, value, &FILE.replacen(old, new, 1));
    }
    check("k:\n- a\n- b\nz: 1\n", "k", "x: 1", "k:\n  x: 1\nz: 1\n");
    check("a:\n  # in\n  b: 1\nc: 2", "a", "x", "a:\n  # in\n  x\nc: 2");
    check(
        "- [a, b]\n- - c\n  - d\n",
        "1",
        "x: 1\ny: 2",
        "- [a, b]\n- x: 1\n  y: 2\n",
    );
    check("- [a, b]\n- c\n", "0", "x: 1\ny: 2", "- x: 1\n  y: 2\n- c\n");
    check("a: 1\n", "", "[z]", "[z]\n");
    check("text\n", "", "x", "x\n");
    check("? a: |+\n    lit\n...\n", "", "x", "x\n...\n");
    check("? l: m\n...\n", "", "x", "x\n...\n");
}

#[test]
fn anchors_stay_and_tags_of_collections_go() {
    let text = "base: &b !m\n  x: 1\n  y: &s !t two\nuse: *b\nlist:\n  - *s\n  - b\n";
    check(text, "base:y", "new", &text.replacen("two", "new", 1));
    check(
        text,
        "base",
        "{q: 1}",
        &text.replacen("&b !m\n  x: 1\n  y: &s !t two\n", "&b {q: 1}\n", 1),
    );
    check(
        text,
        "base",
        "q: 1",
        &text.replacen("&b !m\n  x: 1\n  y: &s !t two\n", "&b\n  q: 1\n", 1),
    );
    check(text, "list:1", "new", &text.replacen("- b", "- new", 1));
    check(text, "use", "new", text);
    check(text, "use:x", "new", text);
    assert_eq!(
        text_of(text, &[("base:y", None)]),
        text.replacen("!t two", "null", 1)
            .replacen("&s  null", "&s null", 1)
    );
    check(
        "a: &x\nb: !t\nc: ! x\nd: !<tag:y> z",
        "a",
        "v",
        "a: &x v\nb: !t\nc: ! x\nd: !<tag:y> z",
    );
    check(
        "a: &x\nb: !t\nc: ! x\nd: !<tag:y> z",
        "b",
        "v",
        "a: &x\nb: !t v\nc: ! x\nd: !<tag:y> z",
    );
    check("a: *nope\nb: 1\n", "b", "x", "a: *nope\nb: x\n");
}

#[test]
fn odd_keys_keep_count() {
    check("? [a, b]\n: v\nk: w\n", "k", "z", "? [a, b]\n: v\nk: z\n");
    check("? a\n? b\nz: 1\n", "a", "x", "? a\n: x\n? b\nz: 1\n");
    check("? long key\n: y\n", "long key", "x", "? long key\n: x\n");
    check("*a : 1\nk: w\n", "k", "z", "*a : 1\nk: z\n");
    check(
        "\"a:b\":\n  c: 1\na:\n  b:\n    c: 2\n",
        "a:b:c",
        "x",
        "\"a:b\":\n  c: x\na:\n  b:\n    c: x\n",
    );
    check("k: 1\nk: 2\n", "k", "x", "k: x\nk: x\n");
    check("a: \u{1}\n", "a", "x", "a: x\n");
}

#[test]
fn documents_share_their_paths() {
    check(
        "a: 1\n---\na: 2\nb: x\n...\n---\na: 3\n",
        "a",
        "9",
        "a: 9\n---\na: 9\nb: x\n...\n---\na: 9\n",
    );
    check("---\n---\n", "", "9", "--- 9\n--- 9\n");
    check(
        "%TAG !e! tag:acme,2031:\n---\na: !e!x 1\n",
        "a",
        "2",
        "%TAG !e! tag:acme,2031:\n---\na: !e!x 2\n",
    );
}

#[test]
fn a_text_without_a_telling_name_must_be_a_collection() {
    let read = |text| replace(text, &with(&[]), Root::Collection);
    assert!(read("a=1\nb=2").is_err());
    assert!(read("").is_err());
    assert!(read("a: 1").is_ok());
    assert!(read("- 1").is_ok());
}

#[test]
fn what_is_not_yaml_says_where() {
    for text in [
        "a:\n\tb: 1\n",
        "a: b: c\n",
        "a: \"x\n",
        "a: 1\n  b: 2\n",
        "%YAML 3.0\n---\na: 1\n",
        "a: `x`\n",
        "%\u{1}\\u12\n",
    ] {
        let error = replace(text, &with(&[]), Root::Any).unwrap_err();
        assert!(
            matches!(&error, ReplaceError::Unreadable(why) if why.contains("line")),
            "{error}"
        );
    }
    assert!(replace(&"[".repeat(100_000), &with(&[]), Root::Any).is_err());
    assert!(replace(&"- ".repeat(100_000), &with(&[]), Root::Any).is_err());
}

/// The text of a value that any place may be given.
fn value() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        "[a-z:#' \"\\-\\[\\]{},&*!|>%@?\n\t]{0,12}".prop_map(Some),
        "([ ]{0,2}[a-c]?\n){0,4}".prop_map(Some),
        "\\PC{0,8}".prop_map(Some),
        Just(Some("a: 1\nb:\n  - x\n  - |\n    lit\n".to_owned())),
        Just(Some("- 1\n- &x {k: v}\n- *x\n".to_owned())),
        Just(Some("a: |\n  text\n".to_owned())),
    ]
    .prop_map(|value| value.map(|value| value.replace("#{", "#")))
}

/// A YAML text that is put together from lines that often fit each other.
fn text() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "k: v",
        "a: 1 # c",
        "b: 'q'",
        "c: \"d\"",
        "d: |",
        "d: >-",
        "e:",
        "- x",
        "- k: v",
        "- - y",
        "  k: v",
        "  - z",
        "  text",
        "    deep: 1",
        "    more",
        "f: {a: 1, b: [x, y], c}",
        "g: [",
        "]",
        "? q",
        ": w",
        "&x k: v",
        "h: &h",
        "i: *h",
        "j: !t",
        "# comment",
        "  # comment",
        "---",
        "...",
        "",
        "   ",
        "é: ü",
        "\tt",
    ]);
    prop::collection::vec(line, 0..12)
        .prop_flat_map(|lines| prop_oneof![Just("\n"), Just("\r\n")].prop_map(move |end| lines.join(end)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn only_what_is_meant_changes(
        text in prop_oneof![text(), Just(FILE.to_owned())],
        values in prop::collection::vec(value(), 1..4),
        choice in any::<prop::sample::Index>(),
    ) {
        let readable = document::readable(&text);
        let Ok(document) = Document::read(&readable) else { return Ok(()) };
        let paths: Vec<&String> = document.nodes.iter().filter_map(|node| node.path.as_ref()).collect();
        if paths.is_empty() {
            return Ok(());
        }
        let mut variables = VariableCollection::new();
        for (index, value) in values.iter().enumerate() {
            variables.set(paths[(choice.index(paths.len()) + index) % paths.len()], value.as_deref());
        }
        // What is put in is read back inside; what cannot be put in is refused, and that is all.
        let unreadable = matches!(replace(&text, &variables, Root::Any), Err(ReplaceError::Unreadable(_)));
        prop_assert!(!unreadable);
    }

    #[test]
    fn broken_texts_never_panic(text in "[a-c:\\-?\\[\\]{},&*!|>'\"#% \n\t0-9]{0,40}|\\PC{0,30}") {
        let _ = replace(&text, &with(&[("a", Some("x")), ("0", Some("- y")), ("", Some("z"))]), Root::Any);
    }
}
