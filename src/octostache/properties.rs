//! What holds for any template: it reads back as it is printed, and stays within its limits; and texts made of pieces of
//! good ones never stall or break the reader.

use crate::{EvaluationError, Evaluator, HostFilters, Limits, Template, VariableCollection};
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn word() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["Alpha", "b", "Name", "x-1", "Größe", "a b", "In", "k"])
        .prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        word().prop_map(|name| format!(".{name}")),
        word().prop_map(|index| format!("[{index}]")),
        Just("[*]".to_owned()),
        Just("[]".to_owned()),
        word().prop_map(|name| format!("[#{{{name}}}]")),
    ];
    (word(), proptest::collection::vec(step, 0..3)).prop_map(|(first, steps)| first + &steps.concat())
}

fn text() -> impl Strategy<Value = String> {
    "[ a-zé<>\"'.,|=\\\\\n\\]\\[]{0,8}"
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("0".to_owned()),
        Just("2.50".to_owned()),
        Just(".25".to_owned()),
        Just("123456789012345678901".to_owned())
    ]
}

fn sum() -> impl Strategy<Value = String> {
    let factor = prop_oneof![number(), path().prop_map(|path| format!("{{{path}}}"))];
    factor.prop_recursive(3, 8, 2, |inner| {
        let operator = proptest::sample::select(vec!["+", "-", "*", "/", " + ", " * "]);
        (inner.clone(), operator, inner)
            .prop_map(|(left, operator, right)| format!("({left}{operator}{right})"))
    })
}

fn template() -> impl Strategy<Value = String> {
    let quoted = prop_oneof![
        "[a-z .|}]{0,5}".prop_map(|text| format!(" \"{text}\"")),
        "[a-z #\"{}]{0,5}".prop_map(|text| format!(" \\\"{text}\\\"")),
        word().prop_map(|word| format!(" {}", word.replace(' ', "-"))),
    ];
    let filter = (
        proptest::sample::select(vec![
            "ToUpper", "Append", "Replace", "Nope", "Format", "Truncate", "null",
        ]),
        proptest::collection::vec(quoted, 0..3),
    )
        .prop_map(|(name, arguments)| format!(" | {name}{}", arguments.concat()));
    let expression = (path(), proptest::collection::vec(filter, 0..3))
        .prop_map(|(path, filters)| path + &filters.concat())
        .boxed();
    let leaf = prop_oneof![
        text(),
        Just("##{literal}".to_owned()),
        expression
            .clone()
            .prop_map(|expression| format!("#{{{expression}}}")),
        sum().prop_map(|sum| format!("#{{calc {sum}}}")),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let body = proptest::collection::vec(inner, 0..4).prop_map(|parts| parts.concat());
        let compared = proptest::sample::select(vec!["", " == \"x\"", " != Name", " == \\\"#\\\""]);
        let condition = (expression.clone(), compared).prop_map(|(left, right)| format!("{left}{right} "));
        prop_oneof![
            (condition.clone(), body.clone(), body.clone()).prop_map(|(condition, then, other)| format!(
                "#{{if {condition}}}{then}#{{else}}{other}#{{/if}}"
            )),
            (condition.clone(), body.clone())
                .prop_map(|(condition, then)| format!("#{{unless {condition}}}{then}#{{/unless}}")),
            (condition.clone(), body.clone(), condition, body.clone()).prop_map(
                |(first, then, second, other)| {
                    format!("#{{if {first}}}{then}#{{elseif {second}}}{other}#{{/if}}")
                }
            ),
            (word(), path(), body.clone())
                .prop_map(|(name, path, body)| format!("#{{each {name} in {path}}}{body}#{{/each}}")),
            body,
        ]
    })
}

fn variables() -> VariableCollection {
    let mut variables = VariableCollection::new();
    for (name, text) in [
        ("Alpha", "1,2"),
        ("b", "#{Name}!"),
        ("Name[x].k", "x"),
        ("Name[Alpha]", "{\"k\": [1, {\"a\": \"#{Alpha}\"}]}"),
        ("In", "17"),
        ("k", "{\"Name\":\"x\",\"k\":[3]}"),
        ("x-1", "#{x-1.k}#{b}"),
        ("Circle", "#{Circle}"),
    ] {
        variables.set(name, Some(text));
    }
    variables
}

proptest! {
    #[test]
    fn a_template_reads_back_as_it_is_printed(text in template()) {
        // Not everything that the pieces make parses, such as a blank at the end of a name.
        if let Ok(read) = Template::parse(&text) {
            let printed = read.print();
            let again = Template::parse(&printed);
            prop_assert!(again.is_ok(), "{text:?} is printed as {printed:?}: {again:?}");
            let again = again.expect("looked at");
            prop_assert_eq!(again.print(), printed.clone());
            let variables = variables();
            let evaluator = Evaluator::new(&variables);
            let (first, second) = (evaluator.evaluate_template(&read), evaluator.evaluate_template(&again));
            match (first, second) {
                (Ok(first), Ok(second)) => {
                    prop_assert_eq!(first.no_value, second.no_value);
                    // What is echoed has another form when it was not in normal form.
                    if first.missing.is_empty() {
                        prop_assert_eq!(first.value, second.value, "{} and {}", text, printed);
                    }
                }
                (Err(_), Err(_)) => {}
                (first, second) => prop_assert!(false, "{text:?}: {first:?} and {second:?}"),
            }
        }
    }

    /// With a blank in it a reference is resolved the long way.
    #[test]
    fn a_plain_reference_means_what_it_means_with_a_blank(path in path(), block in 0_usize..4) {
        let plain = match block {
            0 => format!("#{{{path}}}"),
            1 => format!("#{{each Name in Alpha}}#{{{path}}}#{{/each}}"),
            2 => format!("#{{each k in Name}}#{{if k}}#{{{path}}}#{{/if}}#{{/each}}"),
            _ => format!("#{{b | Append #{{{path}}}}}"),
        };
        let blank = plain.replace(&format!("#{{{path}}}"), &format!("#{{ {path}}}"));
        let variables = variables();
        let [plain, blank] = [plain, blank].map(|text| Evaluator::new(&variables).evaluate(&text));
        match (plain, blank) {
            (Ok(plain), Ok(blank)) => {
                prop_assert_eq!(plain.value, blank.value);
                prop_assert_eq!(plain.missing, blank.missing);
            }
            (plain, blank) => prop_assert_eq!(plain.is_err(), blank.is_err()),
        }
    }

    #[test]
    fn an_evaluation_stays_within_its_limits(
        text in template(),
        depth in 1_usize..20,
        output in 0_usize..100,
        rounds in 0_usize..5,
    ) {
        let limits = Limits { depth, output, rounds, time: Duration::from_secs(5) };
        let variables = variables();
        match Evaluator::new(&variables).limits(limits).evaluate(&text) {
            Ok(evaluation) => {
                let kept = evaluation.parse_error.is_some() || !text.contains("#{");
                prop_assert!(kept || evaluation.value.len() <= output, "{text:?}");
            }
            Err(EvaluationError::TooDeep(limit)) => prop_assert_eq!(limit, depth),
            Err(EvaluationError::TooLarge(limit)) => prop_assert_eq!(limit, output),
            Err(EvaluationError::TooManyRounds(limit)) => prop_assert_eq!(limit, rounds),
            Err(EvaluationError::Circular { chain, .. }) => prop_assert!(chain.contains("->") || depth < 3),
            Err(_) => {}
        }
    }
}

/// Numbers without a pattern, from a seed that a failure tells.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap_or_default()
    }
}

struct Host;

impl HostFilters for Host {
    fn apply(&self, name: &str, input: Option<&str>, _: &[String]) -> Option<String> {
        (name == "Host").then(|| input.unwrap_or("none").to_owned())
    }
}

/// Templates and values made of pieces of the specification's examples, for as long as MANTLE_FUZZ_SECONDS says.
#[test]
fn mutated_examples_never_stall_or_break_anything() {
    let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(1);
    let examples: Vec<Vec<serde_json::Value>> = include_str!("examples.jsonl")
        .lines()
        .filter(|line| line.starts_with('['))
        .map(|line| serde_json::from_str(line).expect("an array"))
        .collect();
    let mut seeds: Vec<String> = examples
        .iter()
        .map(|example| example[0].as_str().expect("a template").to_owned())
        .collect();
    for example in &examples {
        let values = example[1]
            .as_object()
            .into_iter()
            .flat_map(|variables| variables.values());
        seeds.extend(values.filter_map(|value| value.as_str().map(str::to_owned)));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = now.map_or(1, |now| now.as_nanos() as u64 | 1);
    let mut dice = Dice(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let text = mutated(&seeds, &mut dice);
        let mut variables = VariableCollection::new();
        for name in [
            "A",
            "B",
            "J",
            "L",
            "Srv[a].Ip",
            "Srv[b]",
            "d",
            "n",
            "u",
            "v",
            "r",
            "Url",
        ] {
            let value = if dice.roll(2) == 0 {
                mutated(&seeds, &mut dice)
            } else {
                seeds[dice.roll(seeds.len())].clone()
            };
            variables.set(name, Some(&value));
        }
        let limits = Limits {
            time: Duration::from_secs(1),
            output: 1 << 20,
            rounds: 10_000,
            ..Limits::default()
        };
        let evaluator = Evaluator::new(&variables).limits(limits).host_filters(&Host);
        let started = Instant::now();
        drop(evaluator.evaluate(&text));
        drop(evaluator.evaluate_template(&Template::parse_keep_going(&text)));
        drop(evaluator.explain(&text).to_string());
        drop(variables.indexes(&text));
        drop(VariableCollection::from_file_text(&text));
        let saved = VariableCollection::from_file_text(&variables.to_file_text());
        let saved = saved.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(saved.iter().eq(variables.iter()), "seed {seed}");
        // Three evaluations of at most a second, and filters that are not interrupted; with room for a busy machine.
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "seed {seed}: {text:?} with {variables:?} took {:?}",
            started.elapsed()
        );
    }
}

/// A text with pieces cut out, doubled, and put in from others.
fn mutated(seeds: &[String], dice: &mut Dice) -> String {
    let mut characters: Vec<char> = seeds[dice.roll(seeds.len())].chars().collect();
    for _ in 0..=dice.roll(4) {
        let from = dice.roll(characters.len() + 1);
        let to = (from + dice.roll(12)).min(characters.len());
        match dice.roll(4) {
            0 => {
                characters.drain(from..to);
            }
            1 => {
                let piece: Vec<char> = characters[from..to].to_vec();
                characters.splice(from..from, piece);
            }
            2 => {
                let other: Vec<char> = seeds[dice.roll(seeds.len())].chars().collect();
                let start = dice.roll(other.len() + 1);
                let end = (start + dice.roll(20)).min(other.len());
                characters.splice(from..to, other[start..end].iter().copied());
            }
            _ => {
                let odd = [
                    '#', '{', '}', '|', '"', '\\', '[', ']', '\u{0}', 'é', '😀', '\n', '9', '*', '(', '?',
                ];
                characters.insert(from, odd[dice.roll(odd.len())]);
            }
        }
    }
    characters.into_iter().collect()
}
