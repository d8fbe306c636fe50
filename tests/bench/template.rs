//! B13 and B4: templates, by the library as the runner calls it; and hostile ones.

use octostache::{Limits, Template, VariableCollection, evaluate, evaluate_template};

use crate::Place;
use crate::measure::{Contender, Spent, alternate, spent};
use crate::table::Bound::{AtLeast, AtMost};
use crate::table::{Goal, Table, milliseconds, rate};

const ROUNDS: usize = 5;

/// References a second that are aimed at: a hundred times the original's best on plain texts.
const REFERENCES: f64 = 2_000_000.0;

pub fn run(_: &Place, table: &mut Table) {
    table.about("templates (the original's figures are of another run: performance.md 2.1)");
    let mut variables = VariableCollection::new();
    variables.set("Name", Some("World"));
    for number in 0..100 {
        variables.set(&format!("Item[{number}].Name"), Some(&format!("name {number}")));
        variables.set(
            &format!("Item[{number}].On"),
            Some(if number % 2 == 0 { "True" } else { "False" }),
        );
    }

    let texts: Vec<String> = (0..50_000)
        .map(|number| format!("text {number} for #{{Name}}"))
        .collect();
    let one_each = || {
        for text in &texts {
            let answer = evaluate(text, &variables).expect("no circle");
            assert!(answer.value.ends_with("for World"));
        }
    };
    references(
        table,
        "one reference, a new text each",
        50_000,
        Box::new(|| spent(one_each)),
        "7,700 /s",
    );

    let large = "some text before #{Name} and some after it\n".repeat(10_000);
    let many = || {
        let answer = evaluate(&large, &variables).expect("no circle");
        assert!(answer.missing.is_empty() && !answer.value.contains("#{"));
    };
    references(
        table,
        "10,000 references in one text",
        10_000,
        Box::new(|| spent(many)),
        "17,900 /s",
    );

    let block = "#{each item in Item}#{if item.On}#{item.Name | ToUpper | HtmlEscape}#{else}#{item.Name}#{/if}\n#{/each}";
    let blocks = block.repeat(100);
    // Each round reads a condition and a name.
    let looped = || {
        let answer = evaluate(&blocks, &variables).expect("no circle");
        assert!(answer.value.contains("NAME 98\nname 99\n"));
    };
    references(
        table,
        "loops with conditions and filters",
        20_000,
        Box::new(|| spent(looped)),
        "89,000 /s",
    );

    let parse = || {
        Template::parse(&large).expect("it parses");
    };
    let [parsed] = alternate(ROUNDS, [Box::new(|| spent(parse))]);
    let speed = large.len() as f64 / 1e6 / parsed.cpu.as_secs_f64();
    table.ours(
        "parsing alone, 10,000 references",
        parsed,
        &format!("{speed:>7.0} MB/s"),
    );

    let resolve = || {
        let mut many = VariableCollection::new();
        for number in 0..10_000 {
            let value = format!("#{{Value{}}} and more", number / 2 + 5_000);
            let value = if number < 5_000 { value } else { number.to_string() };
            many.set(&format!("Value{number}"), Some(&value));
        }
        for number in 0..10_000 {
            let value = many.get(&format!("Value{number}")).expect("no circle");
            assert!(value.is_some_and(|value| !value.contains('#')));
        }
    };
    let [resolved] = alternate(ROUNDS, [Box::new(|| spent(resolve))]);
    let time = resolved.cpu.as_secs_f64() * 1e3;
    table.figure(
        "10,000 variables set and resolved",
        time,
        &milliseconds,
        Goal::moonshot(AtMost(20.0)),
        "",
    );

    table.about("hostile templates: time to an answer, read strictly or keeping going, the longer one");
    let opened = |what: &str, times: usize| what.repeat(times);
    for (what, text) in [
        ("40 unclosed #{if A}", opened("#{if A}", 40)),
        ("40 unclosed #{each A in B}", opened("#{each A in B}", 40)),
        (
            "40 unclosed blocks, mixed, with text",
            opened("a #{unless A}b #{each c in D} #{if e == \"f\"} ", 14),
        ),
        ("100,000 nested #{", opened("#{", 100_000)),
        (
            "100,000 nested braces, closed",
            opened("#{", 100_000) + &opened("}", 100_000),
        ),
        // Larger than what the goal is for: these only have to stay in proportion to their length.
        (
            "1.3 MB of 100,000 nested #{if A}, closed",
            opened("#{if A}", 100_000) + &opened("#{/if}", 100_000),
        ),
        (
            "600 kB of 100,000 nested indexes, never closed",
            opened("#{A[x", 100_000) + &opened("]", 100_000),
        ),
        (
            "600 kB of 100,000 nested indexes, closed",
            opened("#{A[", 100_000) + "B" + &opened("]}", 100_000),
        ),
    ] {
        // Any answer is one: what counts is when it comes.
        let strictly = || drop(evaluate(&text, &variables));
        let keeping_going = || {
            let kept = Template::parse_keep_going(&text);
            drop(evaluate_template(&kept, &variables, Limits::default()));
        };
        let took = alternate(
            ROUNDS,
            [Box::new(|| spent(strictly)), Box::new(|| spent(keeping_going))],
        );
        let [strictly, keeping_going] = took.map(|took| took.cpu.as_secs_f64() * 1e3);
        let time = strictly.max(keeping_going);
        let goal = if text.len() > 300_000 {
            Goal::NONE
        } else {
            Goal::pass(AtMost(50.0))
        };
        table.figure(what, time, &milliseconds, goal, "");
    }
}

fn references(table: &mut Table, what: &str, count: usize, work: Contender<'_>, original: &str) {
    let [took]: [Spent; 1] = alternate(ROUNDS, [work]);
    let speed = count as f64 / took.cpu.as_secs_f64();
    let goal = Goal::moonshot(AtLeast(REFERENCES));
    table.figure(
        what,
        speed,
        &rate("/s"),
        goal,
        &format!("the original {original}"),
    );
}
