//! Stories about transforms: what they do not touch stays, and what they cannot do is said.

use super::{File, Level, Options, Outcome, apply};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const LENIENT: Options = Options {
    strict: false,
    ignore_errors: false,
    quiet: false,
};

const SOURCE: &str = "\u{feff}<?xml version='1.0'  ?>\r\n<!DOCTYPE app [ <!ENTITY e \"x\"> ]>\r\n<app  a = '1'>\r\n\
    \t<set   k=\"v\"   />\r\n\t<list>\r\n\t\t<i n='1'/>\r\n\t\t<i n='2'>&e;&#233;</i>\r\n\t</list>\r\n</app>\r\n";

fn transformed(source: &str, transform: &str) -> Outcome {
    let transform =
        format!("<app xmlns:xdt='http://schemas.microsoft.com/XML-Document-Transform'>{transform}</app>");
    apply(
        File {
            name: "web.config",
            bytes: source.as_bytes(),
        },
        File {
            name: "web.Prod.config",
            bytes: transform.as_bytes(),
        },
        LENIENT,
    )
}

fn text(outcome: Outcome) -> String {
    let bytes = outcome.result.unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_byte_that_is_not_touched_stays() {
    assert_eq!(transformed(SOURCE, "").result.unwrap(), None);
    assert_eq!(
        text(transformed(
            SOURCE,
            "<set k='n\"' xdt:Transform='SetAttributes'/>"
        )),
        SOURCE.replace("\"v\"", "\"n&quot;\"")
    );
    assert_eq!(
        text(transformed(
            SOURCE,
            "<list><i n='1' xdt:Transform='Remove' xdt:Locator='Match(n)'/></list>"
        )),
        SOURCE.replace("\t\t<i n='1'/>\r\n", "")
    );
    assert_eq!(
        text(transformed(
            SOURCE,
            "<list><i n='3' xdt:Transform='Insert'><j/></i></list>"
        )),
        SOURCE.replace(
            "\r\n\t</list>",
            "\r\n\t\t<i n='3'>\r\n\t\t\t<j/>\r\n\t\t</i>\r\n\t</list>"
        )
    );
    assert_eq!(
        text(transformed(SOURCE, "<set xdt:Transform='CommentOut'/>")),
        SOURCE.replace("<set   k=\"v\"   />", "<!-- <set k=\"v\" /> -->")
    );
    assert_eq!(
        text(transformed(
            SOURCE,
            "<b xdt:Transform='InsertBefore(/app/list)'/>"
        )),
        SOURCE.replace("\t<list>", "\t<b/>\r\n\t<list>")
    );
    assert_eq!(
        text(transformed(SOURCE, "<b xdt:Transform='InsertAfter(/app/set)'/>")),
        SOURCE.replace("\t<list>", "\t<b/>\r\n\t<list>")
    );
}

#[test]
fn what_cannot_be_done_fails_and_says_where() {
    for (transform, word) in [
        ("<a xdt:Transform='Explode'/>", "Explode"),
        ("<a xdt:Transform='SetTokenizedAttributes'/>", "not supported"),
        (
            "<set xdt:Transform='Remove' xdt:Locator='Nowhere(1)'/>",
            "Nowhere",
        ),
        ("<set xdt:Transform='Remove' xdt:Locator='Match(z)'/>", "'z'"),
        (
            "<set xdt:Transform='Remove' xdt:Locator='Condition(@)'/>",
            "no XPath expression",
        ),
        (
            "<set xdt:Transform='Remove' xdt:Locator='XPath(count(/app))'/>",
            "no XPath expression",
        ),
        ("<none><b xdt:Transform='Insert'/></none>", "/app/none/b"),
        ("<b xdt:Transform='InsertAfter(/app)'/>", "beside the root"),
        (
            "<xdt:Import assembly='A' namespace='B'/>",
            "Import is not supported",
        ),
        (
            "<b xdt:Transform='InsertIfMissing' xdt:Locator='XPath(/app/zz)'/>",
            "/app/zz",
        ),
        ("<set xdt:Transform='SetAttributes(p:k)'/>", "prefix p"),
    ] {
        let outcome = transformed(SOURCE, transform);
        assert!(outcome.result.is_err(), "{transform}");
        let said = outcome
            .lines
            .iter()
            .any(|line| line.level == Level::Error && line.text.contains(word));
        let placed = outcome
            .lines
            .iter()
            .any(|line| line.text.starts_with("File web.Prod.config, line 1, position "));
        assert!(said && placed, "{transform}: {:?}", outcome.lines);
    }
    let rootless = apply(
        File {
            name: "a",
            bytes: b"<app/>",
        },
        File {
            name: "b",
            bytes:
                b"<app xmlns:x='http://schemas.microsoft.com/XML-Document-Transform' x:Transform='Remove'/>",
        },
        LENIENT,
    );
    assert!(rootless.result.is_err());
    let hyphens = transformed("<app><a><!-- c --></a></app>", "<a xdt:Transform='CommentOut'/>");
    assert!(hyphens.result.is_err());
    let stranger = transformed(
        "<!DOCTYPE a [<!ENTITY e SYSTEM '/etc/passwd'>]><app>&e;</app>",
        "",
    );
    assert!(stranger.result.unwrap_err().message.contains("external"));
}

#[test]
fn what_is_inserted_means_the_same_in_its_new_place() {
    let source = "<app xmlns='urn:d'><p:a xmlns:p='urn:1'/></app>";
    let transform = "<x:app xmlns:x='urn:d' xmlns:p='urn:2' xmlns:xdt='http://schemas.microsoft.com/XML-Document-Transform'>\
        <p:b p:c='1' xdt:Transform='Insert'><d/></p:b></x:app>";
    let outcome = apply(
        File {
            name: "a",
            bytes: source.as_bytes(),
        },
        File {
            name: "b",
            bytes: transform.as_bytes(),
        },
        LENIENT,
    );
    let text = text(outcome);
    assert!(
        text.contains("<p:b p:c='1' xmlns=\"\" xmlns:p=\"urn:2\"><d/></p:b></app>"),
        "{text}"
    );
}

#[test]
fn what_an_old_encoding_lacks_is_written_by_number() {
    let outcome = apply(
        File {
            name: "a",
            bytes: b"<?xml version='1.0' encoding='iso-8859-1'?><app a='\xE9'/>",
        },
        File {
            name: "b",
            bytes: "<app xmlns:x='http://schemas.microsoft.com/XML-Document-Transform' x:Transform='SetAttributes' b='\u{4e2d}\u{e9}'/>"
                .as_bytes(),
        },
        LENIENT,
    );
    assert_eq!(
        outcome.result.unwrap().unwrap(),
        b"<?xml version='1.0' encoding='iso-8859-1'?><app a='\xE9' b=\"&#x4E2D;\xE9\"/>"
    );
}

#[test]
fn entities_of_the_transform_do_not_reach_the_source() {
    let transform = "<!DOCTYPE app [<!ENTITY e 'a&#38;b'>]><app xmlns:x='http://schemas.microsoft.com/XML-Document-Transform'>\
        <c d='&e;' x:Transform='Insert'>&e;</c></app>";
    let outcome = apply(
        File {
            name: "a",
            bytes: b"<app/>",
        },
        File {
            name: "b",
            bytes: transform.as_bytes(),
        },
        LENIENT,
    );
    assert_eq!(text(outcome), "<app><c d='a&amp;b'>a&amp;b</c></app>");
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<set k='2' xdt:Transform='",
        "<list xdt:Locator='",
        "<i n='1' xdt:Transform='",
        "<list>",
        "</list>",
        "'/>",
        "'>",
        "' xdt:Locator='",
        "Insert",
        "InsertIfMissing",
        "Replace",
        "Remove",
        "RemoveAll",
        "CommentOut",
        "SetAttributes",
        "RemoveAttributes",
        "InsertBefore",
        "InsertAfter",
        "(/app/list/i)",
        "(k)",
        "()",
        "Match(n)",
        "Condition(1)",
        "XPath(//i)",
        "XPath(/app|/)",
        "(..)",
        "(.)",
        "<i xdt:Transform='Insert'/>",
        "</i>",
        "</set>",
    ])
}

proptest! {
    #[test]
    fn any_transform_ends_and_leaves_a_document(pieces in prop::collection::vec(piece(), 0..14)) {
        if let Ok(Some(bytes)) = transformed(SOURCE, &pieces.concat()).result {
            let text = String::from_utf8(bytes).unwrap();
            prop_assert!(crate::xml::Document::parse(text.trim_start_matches('\u{feff}')).is_ok(), "{}", text);
        }
    }
}

#[test]
fn mutated_transforms_do_no_harm() {
    let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let time = Duration::from_secs_f64(seconds.unwrap_or(1.0));
    let mut state: u64 = 0x2545_F491_4F6C_DD1D;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let parts = [
        "<list><i n='1' xdt:Transform='Replace' xdt:Locator='Match(n)'><k xmlns='u'/></i></list>",
        "<set k='2' l='3' xdt:Transform='SetAttributes(k, l)'/><set xdt:Transform='RemoveAttributes(k)'/>",
        "<list xdt:Transform='CommentOut'/><new xdt:Transform='InsertAfter(/app/set)'><a/>b</new>",
        "<list><i xdt:Transform='RemoveAll' xdt:Locator='Condition(@n &gt; 0)'/><i xdt:Transform='InsertIfMissing'/></list>",
        "<any xdt:Locator='XPath(//i[2])'><k xdt:Transform='Insert'/></any>",
    ];
    let begun = Instant::now();
    while begun.elapsed() < time {
        let mut bytes = (parts[random(parts.len())].to_owned() + parts[random(parts.len())]).into_bytes();
        for _ in 0..random(4) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = b"<>'()/@*.[]=, lniksx12|"[random(23)],
                1 => {
                    bytes.remove(at);
                }
                _ => {
                    let until = (at + random(30)).min(bytes.len());
                    let copy = bytes[at..until].to_vec();
                    let to = random(bytes.len());
                    bytes.splice(to..to, copy);
                }
            }
        }
        if let Ok(Some(bytes)) = transformed(SOURCE, &String::from_utf8_lossy(&bytes)).result {
            let text = String::from_utf8(bytes).unwrap();
            let read = crate::xml::Document::parse(text.trim_start_matches('\u{feff}'));
            assert!(read.is_ok(), "{text}: {read:?}");
        }
    }
}
