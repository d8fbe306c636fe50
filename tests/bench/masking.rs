//! Hiding 10,000 secrets: `calamari run-script` that prints a log of 20 MB and one of 100 MB, with and without them.

use std::fmt::Write as _;
use std::path::Path;

use security::masking::{MASK, Masker};

use crate::Place;
use crate::input::Dice;
use crate::measure::{alternate, output, peak, run as start, spent};
use crate::table::Bound::{AtLeast, AtMost};
use crate::table::{Goal, Table, megabytes, rate};

const SECRETS: usize = 10_000;
const LINES: usize = 200_000;
const ROUNDS: usize = 3;

pub fn run(place: &Place, table: &mut Table) {
    let folder = place.fresh("masking");
    let mut dice = Dice::new(7);
    let secrets: Vec<String> = (0..SECRETS).map(|_| dice.word(20)).collect();
    let mut log = String::new();
    for number in 0..LINES {
        let words = [dice.word(8), dice.word(30), dice.word(12)];
        // A secret in one line of a hundred.
        let shown = if number % 100 == 0 {
            &secrets[dice.below(SECRETS)]
        } else {
            &words[1]
        };
        writeln!(
            log,
            "{number:>8} a line of a log says {} {shown} {}",
            words[0], words[2]
        )
        .expect("a text takes what is written to it");
    }
    std::fs::write(folder.join("log"), &log).expect("a file can be written");
    std::fs::write(folder.join("secrets"), secrets.join("\n")).expect("a file can be written");
    let script = r#"{"k":"Octopus.Action.Script.ScriptBody","v":"cat log"},{"k":"Octopus.Action.Script.Syntax","v":"Bash"}"#;
    let entries: Vec<String> = secrets
        .iter()
        .enumerate()
        .map(|(number, secret)| format!(r#"{{"k":"Secret{number}","v":"{secret}","s":true}}"#))
        .collect();
    std::fs::write(folder.join("plain.json"), format!("[{script}]")).expect("a file can be written");
    std::fs::write(
        folder.join("secret.json"),
        format!("[{script},{}]", entries.join(",")),
    )
    .expect("a file can be written");

    table.about("masking of 10,000 secrets in all their forms: the library");
    let mut masker = Masker::default();
    let [built] = alternate(
        ROUNDS,
        [Box::new(|| {
            masker = Masker::default();
            spent(|| masker.add(secrets.iter().map(String::as_str)))
        })],
    );
    table.ours("learning them", built, "");
    let mask = || {
        let hidden = log
            .lines()
            .filter(|line| masker.mask_text(line).contains(MASK))
            .count();
        assert_eq!(hidden, LINES / 100);
    };
    let [ours, grep] = alternate(
        ROUNDS,
        [
            Box::new(|| spent(mask)),
            Box::new(|| start(&folder, "grep", &["-c", "-F", "-f", "secrets", "log"])),
        ],
    );
    let lines = LINES as f64 / ours.cpu.as_secs_f64();
    let goal = Goal::at_least(50_000.0, 200_000.0);
    table.ours(
        "200,000 lines, 20 MB",
        ours,
        &format!("{:>7.0} MB/s", log.len() as f64 / 1e6 / ours.cpu.as_secs_f64()),
    );
    table.figure("lines a second (B8)", lines, &rate("/s"), goal, "");
    table.peer(
        "grep -c -F -f SECRETS, their plain form only",
        ours,
        grep,
        Goal::NONE,
    );

    table.about("masking of 10,000 secrets: a script that prints these 200,000 lines");
    let calamari = |variables: &str| {
        let variables = format!("--variables={variables}");
        let (spent, printed) = output(&folder, &place.calamari, &["run-script", &variables]);
        (spent, printed)
    };
    let [masked, plain, cat] = alternate(
        ROUNDS,
        [
            Box::new(|| {
                let (spent, printed) = calamari("secret.json");
                assert_eq!(
                    printed.matches(MASK).count(),
                    LINES / 100,
                    "all secrets are hidden"
                );
                spent
            }),
            Box::new(|| {
                let (spent, printed) = calamari("plain.json");
                assert!(printed.contains(&log), "all lines arrive");
                spent
            }),
            Box::new(|| output(&folder, "bash", &["-c", "cat log"]).0),
        ],
    );
    table.ours("calamari run-script with 10,000 secrets", masked, "");
    table.peer("calamari run-script without any", masked, plain, Goal::NONE);
    table.peer("bash, read by us", masked, cat, Goal::NONE);
    let lines = LINES as f64 / masked.cpu.as_secs_f64();
    table.figure(
        "lines a second, with start and learning (B8)",
        lines,
        &rate("/s"),
        goal,
        "",
    );
    hundred_megabytes(place, &folder, table, &entries);
    let size = |variables: &str| {
        let variables = format!("--variables={variables}");
        peak(&place.own, &folder, &place.calamari, &["run-script", &variables]) as f64 * 1024.0
    };
    table.figure(
        "peak memory with 10,000 secrets and 100 MB (E08)",
        size("long.json"),
        &megabytes,
        Goal::pass(AtMost(200.0e6)),
        "",
    );
    table.figure(
        "peak memory without",
        size("plain.json"),
        &megabytes,
        Goal::pass(AtMost(15.0e6)),
        "",
    );
}

/// `security.md` E08: the speed of the log as a whole, by the wall, once everything is learned and by itself.
fn hundred_megabytes(place: &Place, folder: &Path, table: &mut Table, secrets: &[String]) {
    const TIMES: usize = 6;
    let script = format!(
        r#"{{"k":"Octopus.Action.Script.ScriptBody","v":"cat{}"}},{{"k":"Octopus.Action.Script.Syntax","v":"Bash"}}"#,
        " log".repeat(TIMES)
    );
    let short = r#"{"k":"Octopus.Action.Script.ScriptBody","v":"true"},{"k":"Octopus.Action.Script.Syntax","v":"Bash"}"#;
    for (name, script) in [("long.json", &*script), ("short.json", short)] {
        let text = format!("[{script},{}]", secrets.join(","));
        std::fs::write(folder.join(name), text).expect("a file can be written");
    }
    let bytes = std::fs::metadata(folder.join("log"))
        .expect("it was written")
        .len()
        * TIMES as u64;
    let calamari = |variables: &str, hidden: usize| {
        let variables = format!("--variables={variables}");
        let (spent, printed) = output(folder, &place.calamari, &["run-script", &variables]);
        assert_eq!(printed.matches(MASK).count(), hidden, "all secrets are hidden");
        spent
    };
    let [long, short] = alternate(
        ROUNDS,
        [
            Box::new(|| calamari("long.json", TIMES * LINES / 100)),
            Box::new(|| calamari("short.json", 0)),
        ],
    );
    table.ours("calamari run-script, 100 MB, 10,000 secrets", long, "");
    table.ours("the same without output: start and learning", short, "");
    let speed = |seconds: f64| bytes as f64 / 1e6 / seconds;
    let megabytes_a_second = |value: f64| format!("{value:.0} MB/s");
    table.figure(
        "masked output, 100 MB with 10,000 secrets (E08)",
        speed(long.wall.saturating_sub(short.wall).as_secs_f64()),
        &megabytes_a_second,
        Goal::pass(AtLeast(50.0)),
        "",
    );
    table.figure(
        "the same with start and learning (E08)",
        speed(long.wall.as_secs_f64()),
        &megabytes_a_second,
        Goal::pass(AtLeast(50.0)),
        "",
    );
}
