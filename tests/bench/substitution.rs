//! B4: variables put into files. The same values by `calamari substitute-in-files`, `envsubst` and `sed`.

use std::fmt::Write as _;

use crate::Place;
use crate::input::{Dice, same_tree};
use crate::measure::{Spent, alternate, run as start};
use crate::table::Bound::AtLeast;
use crate::table::{self, Goal, Table};

const VARIABLES: usize = 8;
const FILES: usize = 1000;
/// Lines of the large file, 20 MB; each has a variable.
const LINES: usize = 660_000;
const ROUNDS: usize = 3;

pub fn run(place: &Place, table: &mut Table) {
    let mut dice = Dice::new(4);
    let values: Vec<String> = (0..VARIABLES).map(|_| dice.word(10)).collect();
    let variables: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(number, value)| format!(r#"{{"k":"NAME_{number}","v":"{value}","s":false}}"#))
        .collect();
    std::fs::write(place.at("variables.json"), format!("[{}]", variables.join(",")))
        .expect("a file can be written");
    let mut sed = String::new();
    for (number, value) in values.iter().enumerate() {
        writeln!(sed, "s/#{{NAME_{number}}}/{value}/g").expect("a text takes what is written to it");
    }
    std::fs::write(place.at("script.sed"), sed).expect("a file can be written");

    let folders = ["hash", "dollar", "expected"].map(|name| place.fresh(name));
    let write = |name: &str, lines: usize, dice: &mut Dice| {
        let mut texts = [String::new(), String::new(), String::new()];
        for _ in 0..lines {
            let (key, number) = (dice.word(6), dice.below(VARIABLES));
            for (text, value) in texts.iter_mut().zip([
                format!("#{{NAME_{number}}}"),
                format!("${{NAME_{number}}}"),
                values[number].clone(),
            ]) {
                writeln!(text, "key_{key} = {value} # text").expect("a text takes what is written to it");
            }
        }
        for (folder, text) in folders.iter().zip(texts) {
            std::fs::write(folder.join(name), text).expect("a file can be written");
        }
    };

    let exported: String = values
        .iter()
        .enumerate()
        .map(|(number, value)| format!("export NAME_{number}={value}; "))
        .collect();

    write("large.conf", LINES, &mut dice);
    table.about("substitution in one file of 20 MB, a variable in each of 660,000 lines");
    let [ours, envsubst, sed] = compare(place, &exported);
    let rate = LINES as f64 / ours.cpu.as_secs_f64();
    table.ours(OURS, ours, &table::rate("variables/s")(rate));
    table.peer("envsubst", ours, envsubst, Goal::at_least(1.0, 3.0));
    table.peer(SED, ours, sed, Goal::NONE);

    for folder in &folders {
        std::fs::remove_file(folder.join("large.conf")).expect("an own file can be removed");
    }
    for number in 0..FILES {
        write(&format!("file-{number:04}.conf"), 20, &mut dice);
    }
    table.about("substitution in 1,000 files of 600 bytes, a variable in each of 20 lines");
    let [ours, envsubst, sed] = compare(place, &exported);
    let rate = FILES as f64 / ours.cpu.as_secs_f64();
    table.ours(OURS, ours, &table::rate("files/s")(rate));
    table.peer(
        "envsubst, a process for each file",
        ours,
        envsubst,
        Goal::pass(AtLeast(20.0)),
    );
    table.peer(SED, ours, sed, Goal::NONE);
}

const OURS: &str = "calamari substitute-in-files";
const SED: &str = "sed with 8 expressions, one process";

fn compare(place: &Place, exported: &str) -> [Spent; 3] {
    let copy = || {
        let work = place.fresh("work");
        for entry in std::fs::read_dir(place.at("hash")).expect("the folder is there") {
            let entry = entry.expect("the folder can be read");
            std::fs::copy(entry.path(), work.join(entry.file_name())).expect("a file can be copied");
        }
        work
    };
    let checked = |spent: Spent| {
        same_tree(&place.at("expected"), &place.at("work"));
        spent
    };
    let variables = format!("--variables={}", place.at("variables.json").display());
    let each = format!("{exported}for file in ../dollar/*; do envsubst <$file >${{file##*/}}; done");
    alternate(
        ROUNDS,
        [
            Box::new(|| {
                let asked = [
                    "substitute-in-files",
                    &variables,
                    "--targetPath=.",
                    "--filesToTarget=**/*.conf",
                ];
                checked(start(&copy(), &place.calamari, &asked))
            }),
            Box::new(|| checked(start(&place.fresh("work"), "bash", &["-c", &each]))),
            Box::new(|| checked(start(&copy(), "bash", &["-c", "sed -i -f ../script.sed *.conf"]))),
        ],
    )
}
