//! Stories about documents: what is read is what is written, and no text does harm.

use super::xpath::{Dialect, Item, Place, Prefixes, XPath};
use super::{Document, Kind};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const SAMPLE: &str = "<?xml version='1.0' encoding=\"utf-8\" standalone='yes'?>\r\n<!-- head -->\n<?pi some  data?>\n\
    <!DOCTYPE app [ <!ENTITY e \"ent\"> <!ENTITY % p SYSTEM 'x'> %p; <!-- ] --> <!ATTLIST app a CDATA '>'> ]>\n\
    <app  a = '1'   b=\"2&#10;\"\n  xmlns:p='urn:p' >\n\n   <x   k=\"v\"   />\n   <y></y ><z/>\n\
    <c><![CDATA[ <raw> ]]></c><t>a &amp; b &e; &#233; \" ' ></t>\n<m>one<n/>two</m><p:q p:a='&apos;'/></app>\n<!-- tail -->\n";

fn select(document: &Document, path: &str, dialect: Dialect) -> String {
    let prefixes = Prefixes::from([("p".to_owned(), "urn:p".to_owned())]);
    let path = XPath::parse(path, &prefixes, dialect).unwrap();
    let value = path.evaluate(document, document.root(), true).unwrap();
    let shown: Vec<String> = value
        .into_iter()
        .map(|item| match item {
            Item::Node(Place::Node(node)) => match document.kind(node) {
                Kind::Element(element) => element.name.clone(),
                Kind::Text { value, .. } => format!("'{value}'"),
                Kind::Comment(_) => "comment".to_owned(),
                Kind::Root => "/".to_owned(),
                other => format!("{other:?}"),
            },
            Item::Node(Place::Attribute(node, index)) => {
                format!("@{}", document.element(node).unwrap().attributes()[index].value)
            }
            Item::Text(text) => text,
            Item::Number(number) => number.to_string(),
            Item::Boolean(truth) => truth.to_string(),
        })
        .collect();
    shown.join(" ")
}

#[test]
fn a_document_is_written_as_it_was_read() {
    let document = Document::parse(SAMPLE).unwrap();
    assert_eq!(document.print(), SAMPLE);
    let root = document.document_element().unwrap();
    assert_eq!(document.element(root).unwrap().attribute("b"), Some("2\n"));
    assert_eq!(document.position(root).to_string(), "line 5, position 2");
}

#[test]
fn what_is_not_well_formed_is_refused_with_its_place() {
    for (text, place) in [
        ("", "line 1, position 1"),
        ("<?xml version=\"1.0\"?>", "line 1, position 22"),
        (" <?xml version=\"1.0\"?><a/>", "line 1, position 2"),
        ("<a", "line 1"),
        ("<a><b></a>", "line 1, position 7"),
        ("<a/><b/>", "line 1, position 6"),
        ("<a/>x", "line 1, position 5"),
        ("<a>\n <p:b/></a>", "line 2, position 3"),
        ("<a b='1' b='2'/>", "line 1, position 10"),
        ("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", "line 1, position 2"),
        ("<a b=1/>", "line 1, position 4"),
        ("<a b='1'c='2'/>", "line 1"),
        ("<a b='<'/>", "line 1"),
        ("<a>&b;</a>", "line 1, position 4"),
        ("<a>& b</a>", "line 1"),
        ("<a>]]></a>", "line 1, position 4"),
        ("<a><!-- -- --></a>", "line 1"),
        ("<a>\u{1}</a>", "line 1"),
        ("<1/>", "line 1, position 2"),
        ("<a/><!DOCTYPE a>", "line 1, position 5"),
        ("<a/></b>", "line 1"),
        ("a: 1\n", "line 1, position 1"),
    ] {
        let error = Document::parse(text).unwrap_err();
        assert!(error.to_string().contains(place), "{text}: {error}");
    }
    let deep = "<a>".repeat(200);
    assert!(
        Document::parse(&deep)
            .unwrap_err()
            .to_string()
            .contains("128 deep")
    );
}

#[test]
fn paths_select_what_xpath_says() {
    let document = Document::parse(SAMPLE).unwrap();
    for (path, expected) in [
        ("/app/x/@k", "@v"),
        ("//n/..", "m"),
        ("/app/*[last()]", "p:q"),
        ("/app/*[position() < 3]", "x y"),
        ("//p:q/@p:a", "@'"),
        ("//m/text()", "'one' 'two'"),
        ("/app/t[contains(., 'ent')]", "t"),
        ("count(//*) + 1 * 2 - 1", "10"),
        ("//z/preceding-sibling::*[1] | //z", "y z"),
        ("//n/ancestor-or-self::*", "app m n"),
        ("//z/following::*[2]", "t"),
        ("string(//m)", "onetwo"),
        (
            "concat(substring('12345', 2, 3), translate('bar', 'ab', 'A'))",
            "234Ar",
        ),
        ("not(//nothing) and 1 = 1 or false()", "true"),
        ("//*[@a = 1]", "app"),
        ("/", "/"),
        ("/comment()", "comment comment"),
        ("normalize-space('  a  b ')", "a b"),
        ("-(2 div 4)", "-0.5"),
        ("self::node()/app/descendant::n", "n"),
        ("//attribute::k", "@v"),
        ("sum(//@a) mod 2", "1"),
    ] {
        assert_eq!(select(&document, path, Dialect::One), expected, "{path}");
        assert_eq!(select(&document, path, Dialect::Two), expected, "{path}");
    }
    for (path, expected) in [
        ("//*:q", "p:q"),
        ("/app/*[position() = 2 to 3]", "y z"),
        ("if (//z) then //y else //x", "y"),
        ("for $n in //m/* return $n/..", "m"),
        ("//m[some $c in * satisfies name($c) eq 'n']", "m"),
        ("//x[matches(@k, '^V$', 'i')]", "x"),
        ("(//z, //x)", "z x"),
        ("//app/* except (//x | //y | //z)", "c t m p:q"),
        ("//x[upper-case(@k) = ('U', 'V')]", "x"),
        ("string-join(tokenize('a,b', ','), '-')", "a-b"),
        ("(1 to 3)[. gt 1]", "2 3"),
        ("/app/(x | z)", "x z"),
        ("//m/(*, text())[1]", "n"),
        ("//n/string(..)", "onetwo"),
        ("/app/*/name()[. = 'z']", "z"),
    ] {
        assert_eq!(select(&document, path, Dialect::Two), expected, "{path}");
    }
    for path in [
        "", "/app/", "//", "@", "a[", "a]", "1 to 2", "foo(1)", "q:a", "a b", "child::", "$", "'",
    ] {
        let parsed = XPath::parse(path, &Prefixes::new(), Dialect::One);
        assert!(parsed.is_err(), "{path}: {parsed:?}");
    }
}

#[test]
fn an_expression_that_never_ends_is_stopped() {
    let document = Document::parse(&format!("<a>{}</a>", "<b/>".repeat(2000))).unwrap();
    let begun = Instant::now();
    for path in [
        "//*[//*[//*]]",
        "//*[count(//*[count(//*) > 1]) = 1]",
        &"(".repeat(10_000),
        &"-".repeat(10_000),
    ] {
        if let Ok(path) = XPath::parse(path, &Prefixes::new(), Dialect::Two) {
            assert!(path.evaluate(&document, document.root(), true).is_err());
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_large_document_takes_no_longer_than_its_size() {
    let text = format!(
        "<a>{}</a>",
        "<b c='1' d=\"2\">\n <e/>text &amp; more</b>\n".repeat(50_000)
    );
    let begun = Instant::now();
    let document = Document::parse(&text).unwrap();
    assert_eq!(document.print(), text);
    let path = XPath::parse("//b[@c = 1][50000]/e", &Prefixes::new(), Dialect::One).unwrap();
    assert_eq!(path.select(&document, document.root(), true).unwrap().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

fn piece() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "<a>",
        "</a>",
        "<b c='1'>",
        "</b>",
        "<d/>",
        "<d e=\"&lt;\" />",
        "text",
        " ",
        "\r\n",
        "&amp;",
        "&#10;",
        "&x;",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?p q?>",
        "<?xml version='1.0'?>",
        "<!DOCTYPE a [",
        "<!ENTITY x 'y'>",
        "]>",
        "<",
        ">",
        "'",
        "\u{E9}",
        "\u{0}",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(pieces in prop::collection::vec(piece(), 0..12)) {
        for text in [pieces.concat(), format!("<a>{}</a>", pieces.concat())] {
            if let Ok(document) = Document::parse(&text) {
                prop_assert_eq!(document.print(), text);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = Document::parse(&text);
    }

    #[test]
    fn a_fragment_that_is_refused_leaves_the_element(pieces in prop::collection::vec(piece(), 0..8)) {
        let mut document = Document::parse("<r><a>old<b/></a></r>").unwrap();
        let root = document.document_element().unwrap();
        let inner = document.child_elements(root).next().unwrap();
        let fragment = pieces.concat();
        match document.set_inner_xml(inner, &fragment) {
            Ok(()) => prop_assert_eq!(document.print(), format!("<r><a>{fragment}</a></r>")),
            Err(_) => prop_assert_eq!(document.print(), "<r><a>old<b/></a></r>"),
        }
        prop_assert!(Document::parse(&document.print()).is_ok());
    }
}

/// Seconds that this takes: `MANTLE_FUZZ_SECONDS`, else one.
fn fuzz_time() -> Duration {
    let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.0))
}

#[test]
fn mutated_documents_do_no_harm() {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let begun = Instant::now();
    while begun.elapsed() < fuzz_time() {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for _ in 0..=random(4) {
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = b"<>&;'\"[]!?-/= \n:aPx\x00\xFF"[random(21)],
                1 => {
                    bytes.remove(at);
                }
                2 => {
                    let until = (at + random(40)).min(bytes.len());
                    let copy = bytes[at..until].to_vec();
                    let to = random(bytes.len());
                    bytes.splice(to..to, copy);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(document) = Document::parse(&text) {
            assert_eq!(document.print(), text);
        }
    }
}
