//! `help`.

use super::{COMMANDS, Command, Context};
use crate::command_line::{OptionRow, Takes};

/// Which commands there are. Returns the exit code.
pub(super) fn general(context: &Context) -> u8 {
    let mut text = "Usage: Tentacle <command> [<options>]\n\nWhere <command> is one of:\n\n".to_owned();
    for command in COMMANDS {
        text += &format!("  {:<30}{}\n", command.names[0], command.meaning);
    }
    text += "\nOr use 'Tentacle help <command>' for its options.\n";
    context.output.answer(&text);
    0
}

/// How one command is used. Returns the exit code.
pub(super) fn of(context: &Context, command: &Command) -> u8 {
    let mut text = format!(
        "Usage: Tentacle {} [<options>]\n\n{}.\n\nWhere [<options>] is any of:\n\n",
        command.names[0], command.meaning
    );
    for row in command.options.iter().copied().flatten() {
        text += &format!("  {:<44}{}\n", spelling(row), row.meaning);
    }
    context.output.answer(&text);
    0
}

fn spelling(row: &OptionRow) -> String {
    let names: Vec<String> = row
        .names
        .iter()
        .map(|name| {
            if name.len() == 1 {
                format!("-{name}")
            } else {
                format!("--{name}")
            }
        })
        .collect();
    let value = if row.takes == Takes::Nothing { "" } else { "=VALUE" };
    format!("{}{value}", names.join(", "))
}
