//! The commands of the program (`tentacle-protocol.md` 7.1, `observed.md` 10.10 to 10.27).

mod certificate;
mod configure;
mod deregister;
mod healthcheck;
mod help;
mod instance;
mod public_address;
mod register;
mod serve;
mod show_configuration;
#[cfg(test)]
mod story;
mod trust;
mod version;

use crate::command_line::{OptionRow, Options};
use crate::configuration::Configuration;
use crate::failure::{Failure, UNKNOWN_COMMAND};
use crate::instance::InstanceIndex;
use crate::output::Output;
use crate::surroundings::Surroundings;

const INSTANCE: OptionRow = OptionRow::value(&["instance"], "name of the instance");
const CONFIG: OptionRow = OptionRow::value(&["config"], "settings file, instead of an instance");
const FORMAT: OptionRow = OptionRow::value(&["format"], "form of the answer: text or json");

/// Accepted everywhere, for the sake of existing scripts.
const EVERYWHERE: [OptionRow; 5] = [
    OptionRow::flag(&["help", "h", "?"], "how to use the command"),
    OptionRow::flag(&["nologo"], "accepted, without effect"),
    OptionRow::flag(&["noconsolelogging"], "accepted, without effect"),
    OptionRow::flag(&["console"], "accepted, without effect"),
    OptionRow::flag(&["noninteractive"], "the agent does not end at ENTER"),
];

/// What a command works with.
struct Context {
    surroundings: Surroundings,
    output: Output,
}

/// One command.
struct Command {
    /// Its name, and another one.
    names: &'static [&'static str],
    meaning: &'static str,
    options: &'static [&'static [OptionRow]],
    run: fn(&Context, &Options) -> Result<(), Failure>,
}

const INSTANCE_OPTIONS: &[OptionRow] = &[INSTANCE, CONFIG];

/// Every command, in the order of the help text.
const COMMANDS: &[Command] = &[
    serve::COMMAND,
    configure::COMMAND,
    instance::CREATE,
    instance::DELETE,
    instance::LIST,
    certificate::NEW,
    certificate::IMPORT,
    certificate::SHOW,
    register::REGISTER_WITH,
    register::REGISTER_WORKER,
    deregister::DEREGISTER_FROM,
    deregister::DEREGISTER_WORKER,
    register::POLL_SERVER,
    trust::SERVER_COMMS,
    trust::UPDATE,
    trust::CLEAR,
    configure::CONNECTION_COUNT,
    show_configuration::COMMAND,
    healthcheck::COMMAND,
    version::COMMAND,
];

/// Runs the program with the words behind its name; the result is its exit code.
#[must_use]
pub fn run(words: &[String], surroundings: Surroundings, output: Output) -> u8 {
    let context = Context { surroundings, output };
    let Some((first, rest)) = words.split_first() else {
        help::general(&context);
        return UNKNOWN_COMMAND;
    };
    let name = first.trim_start_matches(['-', '/']);
    let is_help = ["help", "h", "?"]
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word));
    if is_help {
        // a bare option asks for help as nothing at all does; the word, and one letter, are commands
        let is_option = name.len() > 1 && first != name && rest.is_empty();
        return match rest
            .iter()
            .find(|word| !word.starts_with(['-', '/']))
            .and_then(|word| find(word))
        {
            Some(command) => help::of(&context, command),
            None => help::general(&context).max(if is_option { UNKNOWN_COMMAND } else { 0 }),
        };
    }
    let Some(command) = find(name) else {
        context
            .output
            .error(&format!("Command '{name}' is not supported"));
        context.output.info("See 'Tentacle help'");
        return UNKNOWN_COMMAND;
    };
    match execute(&context, command, rest) {
        Ok(()) => 0,
        Err(failure) => {
            context.output.error(&failure.message);
            failure.code
        }
    }
}

fn execute(context: &Context, command: &Command, words: &[String]) -> Result<(), Failure> {
    let rows: Vec<&OptionRow> = command
        .options
        .iter()
        .copied()
        .flatten()
        .chain(&EVERYWHERE)
        .collect();
    let asks_for_help = words.iter().any(|word| {
        let name = word.trim_start_matches(['-', '/']);
        name.len() < word.len() && name.eq_ignore_ascii_case("help")
    });
    if asks_for_help {
        // whatever else is given: a command's help has options of its own
        help::of(context, command);
        return Ok(());
    }
    let options = Options::parse(&rows, words)?;
    if options.flag("help") {
        help::of(context, command);
        return Ok(());
    }
    (command.run)(context, &options)
}

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS
        .iter()
        .find(|command| command.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

impl Context {
    fn index(&self) -> InstanceIndex {
        InstanceIndex::new(&self.surroundings)
    }

    /// The settings of the instance that the options mean.
    fn configuration(&self, options: &Options) -> Result<Configuration, Failure> {
        let selected = self.index().select(options, &self.surroundings)?;
        Configuration::load(selected, &self.surroundings)
    }

    /// Writes changed settings, and says what it takes for them to count.
    fn save(&self, configuration: &Configuration) -> Result<(), Failure> {
        configuration.file.save()?;
        self.output
            .info("These changes require a restart of the Tentacle.");
        Ok(())
    }
}

/// Whether the answer is to be JSON.
fn is_json(options: &Options) -> Result<bool, Failure> {
    match options
        .last("format")
        .map(|text| text.trim().to_ascii_lowercase())
        .as_deref()
    {
        None | Some("text") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(Failure::controlled(format!(
            "The format '{other}' is not supported. Try text or json."
        ))),
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("the answer is texts, numbers and lists")
}
