//! The text of `.env.example` that comes from the table.

use crate::table::{Program, Setting, State, TABLE};

/// Every setting of a program as a commented line `# NAME=default` under one line of meaning; those that end
/// the start or have no effect say so.
pub fn example(program: Program) -> String {
    TABLE
        .iter()
        .filter(|setting| setting.program == program)
        .map(entry)
        .collect()
}

fn entry(setting: &Setting) -> String {
    let state = match setting.state {
        State::Built => String::new(),
        State::NoEffect(reason) | State::Marker(reason) => format!(" (accepted without effect: {reason})"),
        State::NotBuilt(reason) => format!(" (refused: {reason})"),
    };
    let mut names: Vec<&str> = setting.aliases.to_vec();
    let file = format!("{}_FILE", setting.name);
    if setting.secret {
        names.push(&file);
    }
    let also = if names.is_empty() {
        String::new()
    } else {
        format!(" Also {}.", names.join(", "))
    };
    format!(
        "# {}{state}.{also}\n#{}={}\n",
        setting.meaning, setting.name, setting.default
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../.env.example");
    const COMPOSE: &str = include_str!("../../docker-compose.yml");

    #[test]
    fn the_example_file_holds_every_setting_as_the_table_has_it() {
        for program in [Program::Server, Program::Both, Program::Agent] {
            let section = example(program);
            assert!(
                FILE.contains(&section),
                ".env.example lacks this section, or an older one stands in it:\n{section}"
            );
        }
    }

    #[test]
    fn the_example_file_explains_every_variable_of_the_compose_file() {
        let mut count = 0;
        for part in COMPOSE.split("${").skip(1) {
            let name: String = part
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let explained = FILE
                .lines()
                .any(|line| line.trim_start_matches('#').starts_with(&format!("{name}=")));
            assert!(explained, ".env.example has no line for ${{{name}}}");
            count += 1;
        }
        assert!(count > 0, "the compose file uses variables");
    }

    #[test]
    fn the_sample_password_is_the_one_that_is_warned_about() {
        assert!(FILE.contains(&format!("ADMIN_PASSWORD={}", crate::SAMPLE_PASSWORD)));
    }
}
