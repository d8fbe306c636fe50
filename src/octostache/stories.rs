//! What templates give: the specification's examples, circles, limits, and texts that try to stall the reader.

use crate::{EvaluationError, Evaluator, Limits, Template, VariableCollection, evaluate, evaluate_template};
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn collection(variables: &[(&str, &str)]) -> VariableCollection {
    let mut collection = VariableCollection::new();
    for (name, text) in variables {
        collection.set(name, Some(text));
    }
    collection
}

fn answer(text: &str, variables: &[(&str, &str)]) -> (String, Option<String>) {
    let evaluation = evaluate(text, &collection(variables)).expect("no circle");
    let error = evaluation.error();
    (evaluation.value, error)
}

fn value(text: &str, variables: &[(&str, &str)]) -> String {
    answer(text, variables).0
}

#[test]
fn names_are_replaced_by_their_values() {
    let variables = [
        ("Region", "eu"),
        ("App Name", "Shop"),
        ("Url", "http://#{Host}/"),
        ("Host", "h1"),
        ("Db.Main.Port", "5432"),
        ("Empty", ""),
        ("svc@host", "a1"),
    ];
    assert_eq!(value("no markers here", &variables), "no markers here");
    assert_eq!(value("#{REGION}-#{ region }", &variables), "eu-eu");
    assert_eq!(value("#{App Name} #{svc@host}", &variables), "Shop a1");
    assert_eq!(value("#{Url}", &variables), "http://h1/");
    assert_eq!(value("#{Db.Main.Port}|#{Empty}|", &variables), "5432||");
}

#[test]
fn what_is_missing_is_echoed_and_reported() {
    let (text, error) = answer("#{A}-#{Nope}-#{  Db }", &[("A", "x#{Gone}"), ("Db.Port", "1")]);
    assert_eq!(text, "x#{Gone}-#{Nope}-#{Db}");
    assert_eq!(
        error.as_deref(),
        Some("The following tokens were unable to be evaluated: '#{Gone}', '#{Nope}', '#{Db}'")
    );
}

#[test]
fn one_bad_construct_blocks_a_strict_text_and_its_place_is_told() {
    for text in ["#{}", "#{ }", "#{A", "#{A+B}", "#{A} and\n #{A!}"] {
        let evaluation = evaluate(text, &collection(&[("A", "1")])).expect("no circle");
        assert_eq!(evaluation.value, text);
        let error = evaluation.parse_error.expect("does not parse");
        if text.contains('\n') {
            assert_eq!((error.line, error.column, error.found.as_str()), (2, 2, "#{A!}"));
        }
    }
}

#[test]
fn hashes_are_escaped_by_doubling() {
    let a = [("A", "1"), ("V", "##{Keep}")];
    assert_eq!(value("##{A}", &a), "#{A}");
    assert_eq!(value("###{A}", &a), "#1");
    assert_eq!(value("####{A}", &a), "###{A}");
    assert_eq!(value("#A ## #{A}#", &a), "#A ## 1#");
    assert_eq!(value("## no marker", &a), "## no marker");
    assert_eq!(value("#{V}#{A}", &a), "#{Keep}1");
}

#[test]
fn indexes_are_literal_computed_or_any() {
    let variables = [
        ("Srv[blue].Ip", "10.0.0.1"),
        ("Color", "blue"),
        ("M[a[0].b].K", "v"),
        ("M[]", "blank"),
        ("M[x y]", "sp"),
    ];
    assert_eq!(value("#{Srv[BLUE].ip}", &variables), "10.0.0.1");
    assert_eq!(value("#{Srv[#{Color}].Ip}", &variables), "10.0.0.1");
    assert_eq!(value("#{Srv[*].Ip}", &variables), "10.0.0.1");
    assert_eq!(value("#{M[a[0].b].K}#{M[]}#{M[x y]}", &variables), "vblanksp");
    assert_eq!(value("#{Srv[#{Nope}].Ip}", &variables), "#{Srv[#{Nope}].Ip}");
}

#[test]
fn conditions_choose_a_branch() {
    let on = "#{if On}yes#{else}no#{/if}";
    for (text, expected) in [
        ("True", "yes"),
        ("False", "no"),
        ("0", "no"),
        (" No ", "no"),
        ("", "no"),
        (" ", "yes"),
        ("00", "yes"),
    ] {
        assert_eq!(value(on, &[("On", text)]), expected);
    }
    assert_eq!(answer(on, &[]), ("no".to_owned(), None));
    assert_eq!(value("#{unless On}off#{else}on#{/unless}", &[("On", "1")]), "on");
    assert_eq!(value("#{if \"Prod\" != Env}D#{/if}", &[("Env", "Test")]), "D");
    assert_eq!(value("#{if Env==\"Prod\"}P#{/if}", &[("Env", "Prod")]), "P");
    assert_eq!(
        value(
            "#{if A}1#{elseif B == \"q\"}2#{elseif C}4#{/if}",
            &[("B", "z"), ("C", "1")]
        ),
        "4"
    );
    assert_eq!(
        value("#{IF A}#{if B}ab#{else}a#{/if}#{/if}", &[("A", "1"), ("B", "0")]),
        "a"
    );
    assert_eq!(value("#{if A}open", &[("A", "1")]), "#{if A}open");
    assert_eq!(
        value(
            "#{if A}#{if A}1#{elseif B}2#{elseif C}3#{else}4#{/if}#{elseif B}",
            &[("C", "1")]
        ),
        "#{if A}3#{elseif B}"
    );
    assert_eq!(
        value("#{if A | Nope == \"x\"}Y#{else}N#{/if}", &[("A", "1")]),
        "#{if A | Nope == \"x\" }Y#{else}N#{/if}"
    );
    assert_eq!(
        value("#{unless A | Nope}Y#{/unless}", &[("A", "1")]),
        "#{if A | Nope}#{else}Y#{/if}"
    );
}

#[test]
fn loops_visit_parts_of_a_text_or_indexes() {
    assert_eq!(value("#{each n in L}[#{n}]#{/each}", &[("L", "a, b")]), "[a][ b]");
    assert_eq!(value("#{each n in L}[#{n}]#{/each}", &[("L", "")]), "[]");
    assert_eq!(answer("#{each n in L}[#{n}]#{/each}", &[]), (String::new(), None));
    assert_eq!(
        value(
            "#{each s in Srv}#{s}=#{s.Ip};#{/each}",
            &[("Srv[b].Ip", "2"), ("Srv[a].Ip", "1")]
        ),
        "b=2;a=1;"
    );
    assert_eq!(
        value(
            "#{each n in L}#{n}#{unless Octopus.Template.Each.Last},#{/unless}#{/each}",
            &[("L", "x,y")]
        ),
        "x,y"
    );
    assert_eq!(
        value(
            "#{each r in R}#{each t in r.Tags}#{r}:#{t} #{/each}#{/each}",
            &[("R[1].Tags", "a,b"), ("R[2].Tags", "c")]
        ),
        "1:a 1:b 2:c "
    );
}

#[test]
fn calculations_use_numbers_and_variables() {
    assert_eq!(
        value("#{calc (2+3)*4} #{calc 7/2} #{calc 10 - 4 - 3}", &[]),
        "20 3.5 3"
    );
    assert_eq!(
        value("#{calc ({A}+{B})*2} #{calc {A}-2}", &[("A", "1"), ("B", "2")]),
        "6 -1"
    );
    assert_eq!(answer("#{calc A*2}", &[("A", "x")]), ("#{A*2}".to_owned(), None));
    assert_eq!(value("#{calc 0.1+0.2}", &[]), "0.30000000000000004");
}

#[test]
fn files_keep_what_does_not_parse() {
    let keep = |text: &str| {
        let variables = collection(&[("A", "1"), ("B", "2")]);
        evaluate_template(&Template::parse_keep_going(text), &variables, Limits::default())
            .expect("no circle")
            .value
    };
    assert_eq!(keep("a #{bad! b #{A}"), "a #{bad! b 1");
    assert_eq!(keep("#{A} tail #{"), "1 tail #{");
    assert_eq!(keep("stray #{/if} #{A}"), "stray #{/if} 1");
    assert_eq!(keep("x(\"#{\"==y) #{A}"), "x(\"#{\"==y) 1");
    assert_eq!(keep("#{A[#{B}"), "#{A[2");
    assert_eq!(keep("#{if A == B}x #{B}"), "#{if A == B}x #{B}");
    assert_eq!(keep("#{if A == B}x#{/unless} #{B}"), "#{if A == B}x#{/unless} 2");
}

/// E15
#[test]
fn a_circle_is_an_error_that_shows_it() {
    let circular = collection(&[("A", "#{B}"), ("B", "a#{A}"), ("Self", "#{Self}")]);
    // The fastest of some, since a test machine has other things to do.
    let fastest = (0..10).map(|_| {
        let started = Instant::now();
        let error = evaluate("#{A}", &circular).expect_err("circular").to_string();
        assert!(
            error.contains("circular") && error.contains("A -> B -> A"),
            "{error}"
        );
        assert!(evaluate("x#{Self}", &circular).is_err());
        started.elapsed()
    });
    assert!(
        fastest
            .min()
            .is_some_and(|fastest| fastest < Duration::from_millis(10))
    );
}

#[test]
fn hostile_texts_are_answered_within_a_second() {
    let variables = collection(&[("a", "1")]);
    let huge = [
        "#{".repeat(100_000),
        "{".repeat(100_000),
        "#{".repeat(100_000) + &"}".repeat(100_000),
        "#{a".repeat(100_000) + &"}".repeat(100_000),
        "#{if a}".repeat(10_000) + &"#{/if}".repeat(10_000),
        "[".repeat(100_000),
        "#{a[".repeat(100_000),
    ];
    let texts = huge
        .into_iter()
        .chain(["#{if a}".repeat(40), "#{if a == b}".repeat(40)]);
    for text in texts {
        let kept = || evaluate_template(&Template::parse_keep_going(&text), &variables, Limits::default());
        let readings: [&dyn Fn() -> bool; 2] = [&|| evaluate(&text, &variables).is_ok(), &|| kept().is_ok()];
        for reading in readings {
            // The fastest of some, since a test machine has other things to do.
            let fastest = (0..4).map(|_| {
                let started = Instant::now();
                // Whatever it is, it is answered or refused, not endured.
                reading();
                started.elapsed()
            });
            let fastest = fastest.min().unwrap_or_default();
            assert!(
                fastest < Duration::from_secs(1),
                "{} took {fastest:?}",
                &text[..20]
            );
        }
    }
}

#[test]
fn unclosed_blocks_and_nested_braces_are_read_in_linear_time() {
    for (first, second, last) in [
        ("#{", "", ""),
        ("#{a[", "", ""),
        ("#{a[#{", "", ""),
        ("#{calc (", "", ""),
        ("#{a|b \"", "", ""),
        ("#{a|b \\\"", "", ""),
        ("#{if a == b}", "", ""),
        ("[", "", ""),
        ("#{each a in b}", "", ""),
        ("#{a|b #{a|b ", "", ""),
        ("(", "", ""),
        ("#{if a}", "#{elseif b}", ""),
        ("#{if a}", "#{elseif b}", "#{/if}"),
        ("#{if a}", "#{elseif b}x#{/if}", ""),
        ("#{if a}#{elseif b}", "", "#{else}"),
        ("#{if a}", "#{else}", "#{/if}"),
        ("#{unless a}", "#{elseif b}", "#{else}"),
        ("#{unless a}", "#{else}", "#{/unless}"),
        ("#{each a in b}", "#{elseif b}#{else}", "#{/each}"),
        // Blocks that begin in an index, and all have the same end.
        ("#{a[#{if a}]}", "#{elseif b}", "#{else}#{/if}"),
        ("#{a[ x#{unless a}]}", "#{else}", "#{/unless}"),
        // Filters that begin in an index, and all have the same arguments.
        ("#{a[#{b|c \"]}\\\"", "", "x\\\"}"),
        ("#{a[#{b|c \"]}\\\"", "#{a}|b ", "}"),
    ] {
        let hostile = first.repeat(20_000) + &second.repeat(20_000) + last;
        let started = Instant::now();
        // Without a `#{` nothing would be looked at.
        drop(Template::parse(&(hostile + "#{")));
        // Generous for a slow machine; a parser that tries again what it tried before would need minutes or hours.
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{first}{second}{last}: {:?}",
            started.elapsed()
        );
    }
    for (opened, closed) in [("#{a[", "]}"), ("#{a[x", "]}"), ("#{a[x", "]")] {
        let text = opened.repeat(50_000) + "b" + &closed.repeat(50_000);
        Template::parse_keep_going(&text);
        drop(evaluate(&text, &collection(&[("a", "1")])));
    }
    let nested = "#{if a}".repeat(10_000) + &"#{/if}".repeat(10_000);
    assert_eq!(
        evaluate(&nested, &collection(&[("a", "1")])),
        Err(EvaluationError::TooDeep(Limits::default().depth))
    );
}

#[test]
fn an_index_may_hold_what_would_be_a_construct_elsewhere() {
    let variables = collection(&[("A[x #{B]", "one"), ("B", "two")]);
    assert_eq!(
        evaluate("#{A[x #{B]}", &variables).expect("an answer").value,
        "one"
    );
    assert_eq!(
        evaluate("#{C[[ x #{B]]}", &variables).expect("an answer").value,
        "#{C[[x #{B]]}"
    );
}

/// E18
#[test]
fn a_huge_loop_and_a_growing_value_stop_at_their_limits() {
    let mut variables = collection(&[("L", &"a,".repeat(2000))]);
    assert_eq!(
        evaluate("#{each a in L}#{each b in L}#{/each}#{/each}", &variables),
        Err(EvaluationError::TooManyRounds(1_000_000))
    );
    variables.set("X0", Some("0123456789"));
    for level in 1..12 {
        let inner = format!("#{{X{}}}", level - 1).repeat(10);
        variables.set(&format!("X{level}"), Some(&inner));
    }
    let error = evaluate("#{X11}", &variables).expect_err("grows");
    assert!(
        matches!(error, EvaluationError::TooLarge(_) | EvaluationError::TooSlow(_)),
        "{error}"
    );
}

#[test]
fn a_long_chain_of_values_ends_without_exhausting_the_stack() {
    let mut variables = VariableCollection::new();
    for level in 0..2000 {
        variables.set(&format!("V{level}"), Some(&format!("#{{V{}}}", level + 1)));
    }
    assert!(evaluate("#{V0}", &variables).is_err());
    assert!(evaluate("#{V1700}", &variables).is_ok());
}

#[test]
fn missing_references_and_failures_are_told_with_their_place() {
    let variables = collection(&[("A", "one\n  #{B}"), ("B", "#{Gone}"), ("C", "#{B | FromBase64}")]);
    let evaluation = evaluate("x #{A}\n#{Lost}", &variables).expect("no circle");
    assert_eq!(
        evaluation.details(),
        "'#{Gone}' at line 1, column 1 of the value of B (reached by A -> B)\n'#{Lost}' at line 2, column 1"
    );
    let error = evaluate("#{C}", &variables).expect_err("no Base64").to_string();
    assert!(
        error.contains("FromBase64 at line 1, column 3 of the value of C"),
        "{error}"
    );
    let error = evaluate("#{A | Match \"(\"}", &variables)
        .expect_err("no pattern")
        .to_string();
    assert!(error.contains("\"(\""), "{error}");
    let error = evaluate("#{each Octopus in A}#{/each}", &variables).expect_err("reserved");
    assert_eq!(error, EvaluationError::ReservedLoopName("Octopus".to_owned()));
}

#[test]
fn an_explanation_tells_what_was_read_in_order() {
    let variables = collection(&[
        ("Url", "http://#{Host}/"),
        ("Host", "h1"),
        ("J", "{\"a\":\"#{Host}\"}"),
    ]);
    let explanation = Evaluator::new(&variables).explain("#{Url} #{J.a} #{Nope}");
    assert_eq!(
        explanation.to_string(),
        "Url: \"http://#{Host}/\" => \"http://h1/\"\n  Host: \"h1\"\nJ.a: \"h1\"\n  Host: \"h1\"\nNope: no value\n"
    );
    assert_eq!(
        explanation.outcome.expect("no circle").value,
        "http://h1/ h1 #{Nope}"
    );
    let explanation = Evaluator::new(&variables).explain_variable("url");
    let read: Vec<(&str, usize)> = explanation
        .reads
        .iter()
        .map(|read| (read.path.as_str(), read.level))
        .collect();
    assert_eq!(read, [("url", 0), ("Host", 1)]);
    assert_eq!(explanation.reads[0].value.as_deref(), Some("http://h1/"));
}

#[test]
fn a_collection_is_saved_and_loaded() {
    let mut variables = collection(&[("b", "1"), ("A", "say \"hi\"\n\u{85}é")]);
    variables.set("none", None);
    variables.set_strings("List", ["x", " ", "y"], ",");
    let file = variables.to_file_text();
    assert!(
        file.starts_with("{\n  \"b\": \"1\",\n  \"A\": \"say \\\"hi\\\"\\n\\u0085é\""),
        "{file}"
    );
    let loaded = VariableCollection::from_file_text(&format!("\u{feff}{file} and more")).expect("readable");
    assert!(loaded.iter().eq(variables.iter()));
    let lenient =
        VariableCollection::from_file_text("{ // c\n x: 1.50, 'y': true, z: null, }").expect("readable");
    assert_eq!(
        lenient.iter().collect::<Vec<_>>(),
        [("x", Some("1.50")), ("y", Some("true")), ("z", None)]
    );
    for (file, place) in [
        ("", "line 1"),
        ("[1]", "line 1"),
        ("{\n\"x\": [1]}", "line 2, column 6"),
        ("{\"x\":\"1\"", "line 1"),
    ] {
        let error = VariableCollection::from_file_text(file)
            .expect_err("not a collection")
            .to_string();
        assert!(error.contains(place), "{file}: {error}");
    }
}

#[test]
fn typed_reads_evaluate_first() {
    let variables = collection(&[
        ("Flag", " TRUE\n"),
        ("Number", "#{calc 40+2}"),
        ("Paths", "/a\r\n /b "),
        ("Empty", ""),
        ("Own[a].X", "1"),
        ("Own[].X", "2"),
    ]);
    assert_eq!(variables.flag("flag", false), Ok(true));
    assert_eq!(variables.flag("Number", true), Ok(true));
    assert_eq!(variables.int32("Number"), Ok(Some(42)));
    assert_eq!(variables.int32("Paths"), Ok(None));
    assert_eq!(
        variables.paths("Paths"),
        Ok(vec!["/a".to_owned(), "/b".to_owned()])
    );
    assert_eq!(variables.indexes("Own"), Ok(vec!["a".to_owned(), String::new()]));
    assert_eq!(
        variables.indexes(" "),
        Err(EvaluationError::NoCollection(" ".to_owned()))
    );
    assert_eq!(
        variables.required("Empty"),
        Err(EvaluationError::Required("Empty".to_owned()))
    );
}

#[test]
fn a_pattern_that_never_ends_is_stopped() {
    let variables = collection(&[("a", &"a".repeat(5000))]);
    let started = Instant::now();
    let error = evaluate("#{a | Match \"(a|a)*(?=b)\\1c\"}", &variables).err();
    assert!(error.is_none_or(|error| error.to_string().contains("could not be searched for")));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn filters_answer_as_dotnet_does() {
    let answer = |filter: &str, input: &str| value(&format!("#{{In | {filter}}}"), &[("In", input)]);
    // A condition in a pattern: a group that has matched, or what comes next.
    assert_eq!(answer("Match \"^(a)?(?(1)b|c)$\"", "ab"), "true");
    assert_eq!(answer("Match \"^(a)?(?(1)b|c)$\"", "ac"), "false");
    assert_eq!(answer("Replace \"(?<n>x)?(?(n)y|z)\" -", "xyz"), "--");
    assert_eq!(answer("Match \"^(?(?=\\d)\\d+|[a-z]+)$\"", "12"), "true");
    assert_eq!(answer("Replace \"(?(a)a|b)(c)\" \"$1\"", "acbc"), "cc");
    assert!(evaluate("#{ | Append a | Match \"(?<1a>x)\"}", &collection(&[])).is_err());
    // Escapes that an address does not need are undone.
    let address = "http://depot.test/a%2Fb%41/%7ex?q=%2d%20#%c3%a9";
    assert_eq!(
        answer("UriPart AbsoluteUri", address),
        "http://depot.test/a%2FbA/~x?q=-%20#%C3%A9"
    );
    assert_eq!(
        answer("UriPart AbsolutePath", "http://depot.test/a/%2E%2E/b"),
        "/b"
    );
    assert_eq!(
        answer("Markdown", "- a\n\n- # b\n\n  c"),
        "<ul>\n<li><p>a</p>\n</li>\n<li><h1>b</h1>\n<p>c</p>\n</li>\n</ul>\n\n"
    );
    assert_eq!(answer("Format G0", "1.500"), "1.5");
    assert_eq!(answer("Format G", "1.500"), "1.500");
}

#[test]
fn what_is_set_again_is_seen_at_once_and_the_later_name_keeps_its_place() {
    let mut variables = collection(&[("A", "1"), ("Price$eur", "first"), ("Price", "second")]);
    assert_eq!(
        evaluate("#{A}#{Price}", &variables).expect("no circle").value,
        "1second"
    );
    variables.set("a", Some("2"));
    variables.set("Price$eur", Some("again"));
    variables.set("New[x]", Some("3"));
    assert_eq!(
        evaluate("#{A}#{Price}#{New[X]}", &variables)
            .expect("no circle")
            .value,
        "2second3"
    );
}

/// The examples of the specification, one a line: template, variables, value, remark.
#[test]
fn the_examples_of_the_specification_hold() {
    let mut examples = 0;
    for line in include_str!("examples.jsonl")
        .lines()
        .filter(|line| line.starts_with('['))
    {
        let example: Vec<serde_json::Value> = serde_json::from_str(line).expect("an array");
        let template = example[0].as_str().expect("a template");
        let mut variables = VariableCollection::new();
        for (name, text) in example[1].as_object().expect("variables") {
            variables.set(name, text.as_str());
        }
        let remark = example
            .get(3)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let evaluator = Evaluator::new(&variables);
        let outcome = if remark == "keep" {
            evaluator.evaluate_template(&Template::parse_keep_going(template))
        } else {
            evaluator.evaluate(template)
        };
        examples += 1;
        if example[2] == "!throws" {
            assert!(outcome.is_err(), "{line}");
            continue;
        }
        let evaluation = outcome.unwrap_or_else(|error| panic!("{line}: {error}"));
        let error = evaluation.error();
        if remark.contains("no error") {
            assert_eq!(error, None, "{line}");
        } else if remark.contains("error") {
            assert!(error.is_some(), "{line}");
        }
        assert_eq!(serde_json::json!(evaluation.into_value()), example[2], "{line}");
    }
    assert_eq!(examples, 158);
}

#[test]
fn references_that_come_again_and_again_keep_their_own_texts() {
    let mut variables = VariableCollection::new();
    for number in 0..400 {
        variables.set(&format!("Site{number}.Name"), Some(&number.to_string()));
    }
    // Many of them end alike.
    let numbers: Vec<usize> = (0..2_000).map(|turn| turn * turn % 411).collect();
    let text: String = numbers
        .iter()
        .map(|number| format!("#{{Site{number}.Name}},"))
        .collect();
    let expected: String = numbers
        .iter()
        .map(|number| match number {
            0..400 => format!("{number},"),
            _ => format!("#{{Site{number}.Name}},"),
        })
        .collect();
    assert_eq!(evaluate(&text, &variables).expect("no circle").value, expected);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_kept_when_it_holds_no_marker(text in ".{0,200}") {
        let variables = collection(&[("A", "1")]);
        let evaluation = evaluate(&text, &variables);
        if !text.contains("#{") {
            prop_assert_eq!(evaluation.expect("plain").value, text);
        }
    }

    #[test]
    fn pieces_of_the_language_in_any_order_are_read_without_panic(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "#{", "}", "if ", "A", "[", "]", "#{/if}", "#{else}", "#{elseif A}", "each x in A", "#{/each}",
            "calc ", "1", "+", "(", ")", " | F ", "\"", "\\\"", "#", "==", " ", ".", "é", "#{A}", "*",
        ]), 0..40)
    ) {
        let text = parts.concat();
        let variables = collection(&[("A", "1,2"), ("A[x].y", "#{A}")]);
        let kept = evaluate_template(&Template::parse_keep_going(&text), &variables, Limits::default());
        prop_assert!(kept.is_ok());
        if let Ok(strict) = Template::parse(&text) {
            prop_assert!(evaluate_template(&strict, &variables, Limits::default()).is_ok());
        }
    }
}
