//! The names that scripts, packages and Servers count on, held against the code. Lines that end in `refused` stand in the
//! README with what users see instead.

use calamari::command::deploy_package::{INSTALL, ROLL_BACK};
use calamari::command::{self, REFUSED};
use std::path::{Path, PathBuf};

const README: &str = include_str!("README.md");

fn lines(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 10, "the list is read");
    lines
}

/// Everything the runner is made of, tests and lists apart.
fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("readable").path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let is_test = ["names.rs", "stories.rs"]
                .iter()
                .any(|ending| path.to_string_lossy().ends_with(ending));
            if path.is_dir() && !path.ends_with("fixtures") {
                folders.push(path);
            } else if matches!(ending, Some("rs" | "sh" | "py" | "ps1")) && !is_test {
                text.push_str(&std::fs::read_to_string(&path).expect("text"));
            }
        }
    }
    text
}

#[test]
fn conventions_have_their_order() {
    let ours: Vec<String> = INSTALL
        .iter()
        .map(|convention| convention.name.to_owned())
        .chain(
            ROLL_BACK
                .iter()
                .map(|convention| format!("roll back: {}", convention.name)),
        )
        .collect();
    assert_eq!(ours, lines(include_str!("fixtures/names/conventions.txt")));
}

#[test]
fn every_command_is_there_or_refused() {
    for line in lines(include_str!("fixtures/names/commands.txt")) {
        match line.strip_suffix(" refused") {
            None => assert!(command::named(line).is_ok(), "{line}"),
            Some(name) => {
                let (_, reason) = REFUSED
                    .iter()
                    .find(|(refused, _)| *refused == name)
                    .unwrap_or_else(|| panic!("{name}"));
                let error = command::named(name).err().expect("refused");
                assert_eq!(
                    error.message,
                    format!("The command {name} is not part of this runner: {reason}")
                );
                assert!(README.contains(&format!("`{name}`")), "{name}");
            }
        }
    }
}

#[test]
fn every_function_is_in_its_bootstrap() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("script").join(name);
        std::fs::read_to_string(path).expect("text")
    };
    let (bash, python, powershell) = (read("bash.sh"), read("python.py"), read("powershell.ps1"));
    for line in lines(include_str!("fixtures/names/functions.txt")) {
        let (language, name) = line.split_once(' ').expect("two words");
        let there = match language {
            "bash" => bash.contains(&format!("\n{name}() {{")),
            "python" => {
                python.contains(&format!("\ndef {name}(")) && python.contains(&format!("\"{name}\": {name},"))
            }
            _ => ["(", " {"]
                .iter()
                .any(|after| powershell.contains(&format!("\nfunction {name}{after}"))),
        };
        assert!(there, "{line}");
    }
}

#[test]
fn every_service_message_is_sent_with_its_attributes_or_passed_on() {
    let sources = sources();
    for line in lines(include_str!("fixtures/names/service_messages.txt")) {
        let mut words = line.split(' ');
        let name = words.next().expect("a name");
        let attributes: Vec<&str> = words.collect();
        if attributes == ["forwarded"] {
            continue;
        }
        assert!(sources.contains(name), "{name}");
        for attribute in attributes {
            assert!(sources.contains(attribute), "{name} {attribute}");
        }
    }
}

#[test]
fn every_variable_is_read_or_set_or_refused() {
    let sources = sources();
    for line in lines(include_str!("fixtures/names/variables.txt")) {
        if let Some(name) = line.strip_suffix(" refused") {
            assert!(README.contains(&format!("`{name}`")), "{name}");
            continue;
        }
        let parts = match line.split_once(" = ") {
            Some((_, parts)) => parts.split(" + ").collect(),
            None => vec![line],
        };
        for part in parts {
            assert!(sources.contains(part), "{line}: {part}");
        }
    }
}
