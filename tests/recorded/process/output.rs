//! What a run printed: mode lines, service messages, output of scripts, and words of the runner.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::{Regex, RegexSet};

use super::placeholder::Placeholders;

/// A line that switches the mode of its stream.
static MODE: LazyLock<Regex> = LazyLock::new(|| expression(r"^##octopus\[(std(?:out|err)-[a-z]+)\]$"));
/// A line that is a service message and nothing else.
static MESSAGE: LazyLock<Regex> = LazyLock::new(|| {
    expression(
        r#"^##octopus\[([\w-]+)((?:\s+[\w-]+\s*=\s*(?:'[^'\n]*'|"(?:<b64:[^\n]*?>|[^"\n]*)"))*)\s*\]$"#,
    )
});
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| expression(r#"([\w-]+)\s*=\s*(?:'([^'\n]*)'|"(<b64:[^\n]*?>|[^"\n]*)")"#));
/// A line number, which differs with the bootstrap round the script.
static LINE_NUMBER: LazyLock<Regex> = LazyLock::new(|| expression(r"\bline \d+"));

/// Lines that a specification quotes, whatever prints them.
static QUOTED: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"^Deploying package:    ",
        r"^Could not find package file: ",
        r"^Unable to parse variables as valid JSON\.$",
        r"^Cannot decrypt variables\. Check your password is correct\.$",
        r"^Running rollback conventions\.\.\.$",
        r"^Script '.*' returned non-zero exit code: \d+\. Deployment terminated\.$",
        r"^(?:PreDeploy|Deploy|PostDeploy) script returned non-zero exit code: \d+$",
        r"^The XML configuration file .* failed with transformation file ",
        r"^\[(?:env:)?[A-Za-z]+\] = '[^<]*'$",
    ])
});

/// What the original's runner says by itself between and after scripts.
static RUNNER: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"^ *<(?:stack|environment|python version|python frames)>$",
        r"^ ---> ",
        r"^--Inner Exception--$",
        r"^(?:System|Calamari|SharpCompress|Newtonsoft|Autofac|Octostache|Octopus|Polly|Microsoft|YamlDotNet|Sprache)\.[\w.]+(?:: .*)?$",
        r"^An exception was thrown while activating ",
        r"^Running rollback conventions",
        r"^Script '.*' returned ",
        r"^\w+ script returned non-zero exit code",
        r"^Unable to execute ",
        r"^The command that caused the exception was",
        r"^The XML configuration file ",
        r"^File .*, line \d+, position \d+",
        r"^No element in the source document",
        r"^Could not ",
        r"^Parsing file '",
        r"^Structured variable",
        r"^No structures have been found",
        r"^Unknown script[- ]",
        r"^Transforming '",
        r"^Updating appSettings",
        r"^No matching setting or connection string",
        r"^Copying package contents to",
        r"^Copied \d+ files?",
        r"^Copied package ",
        r"^Purging the directory ",
        r"^Leaving files and directories that match",
        r"^Extracting dependency ",
        r"^Collecting .* as an artifact\.\.\.$",
        r"^Removing ",
        r"^Deploying package:",
        r"^The package has ",
        r"^Did not overwrite ",
        r"^No files were found ",
        r"^Unable to represent the output",
        r"^The supplied encoding ",
        r"^Error: ",
        r"^(?:Skipping|Considering|Cannot|Failed to) ",
        r"not acquired or does not require staging",
        r"^DeprecationWarning|CryptographyDeprecationWarning",
    ])
});

/// Lines about the runner's own helper files.
static HELPER: LazyLock<Regex> = LazyLock::new(|| expression(r"\b(?:Bootstrap|Configure)\.[<0-9a-f]"));
/// Frames of a python traceback; its last line is the script's.
static FRAME: LazyLock<Regex> =
    LazyLock::new(|| expression(r"^(?:Traceback \(most recent call last\):|  File |    |  <python frames>)"));

/// A line of text and the mode in force for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `default`, `verbose`, …, without the name of the stream.
    pub mode: String,
    /// The text.
    pub text: String,
}

/// A service message; attributes by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    name: String,
    attributes: Vec<(String, Text)>,
}

/// A decoded value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    /// As it was encoded, or as printed when it was not Base64.
    Plain(String),
    /// A recorded value that holds placeholders.
    Pattern(String),
}

/// What was printed on one stream.
#[derive(Debug, Default)]
pub struct Output {
    /// Text lines, with those that only look like messages.
    pub lines: Vec<Line>,
    /// The messages in order, but those that mask.
    pub messages: Vec<Message>,
}

/// Takes a stream apart.
pub fn read(text: &str) -> Output {
    let mut output = Output::default();
    let mut mode = "default".to_owned();
    for line in text.lines() {
        // Ours keeps a file without byte order mark as it is, so that printing it gives none.
        let line = line.trim_end_matches('\r').trim_start_matches('\u{feff}');
        if let Some(found) = MODE.captures(line.trim()) {
            let word = &found[1];
            word.split_once('-')
                .map_or(word, |(_, mode)| mode)
                .clone_into(&mut mode);
        } else if let Some(found) = MESSAGE.captures(line) {
            if &found[1] != "mask" {
                output.messages.push(message(&found[1], &found[2]));
            }
        } else {
            output.lines.push(Line {
                mode: mode.clone(),
                text: line.to_owned(),
            });
        }
    }
    output
}

fn message(name: &str, attributes: &str) -> Message {
    let mut attributes: Vec<(String, Text)> = ATTRIBUTE
        .captures_iter(attributes)
        .map(|found| {
            let value = found.get(2).or(found.get(3)).map_or("", |value| value.as_str());
            (found[1].to_owned(), decoded(value))
        })
        .collect();
    attributes.sort_by(|left, right| left.0.cmp(&right.0));
    Message {
        name: name.to_owned(),
        attributes,
    }
}

fn decoded(value: &str) -> Text {
    if let Some(pattern) = value
        .strip_prefix("<b64:")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return Text::Pattern(pattern.to_owned());
    }
    let bytes = STANDARD
        .decode(value)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    Text::Plain(bytes.unwrap_or_else(|| value.to_owned()))
}

/// Compares the messages of a stream, one by one.
///
/// # Errors
/// The first that differs.
pub fn same_messages(ours: &Output, recorded: &Output, places: &Placeholders) -> Result<(), String> {
    for (index, theirs) in recorded.messages.iter().enumerate() {
        let Some(own) = ours.messages.get(index) else {
            return Err(format!(
                "message {}: ours has none, recorded {theirs:?}",
                index + 1
            ));
        };
        let fits = own.name == theirs.name
            && own.attributes.len() == theirs.attributes.len()
            && own
                .attributes
                .iter()
                .zip(&theirs.attributes)
                .all(|(own, theirs)| {
                    own.0 == theirs.0
                        && match (&own.1, &theirs.1) {
                            (Text::Plain(own), Text::Pattern(pattern)) => places.fits(pattern, own),
                            (own, theirs) => own == theirs,
                        }
                });
        if !fits {
            return Err(format!(
                "message {}: ours {own:?}, recorded {theirs:?}",
                index + 1
            ));
        }
    }
    match ours.messages.get(recorded.messages.len()) {
        Some(own) => Err(format!("message {own:?} was not recorded")),
        None => Ok(()),
    }
}

/// Compares what binds of the lines on standard output.
///
/// # Errors
/// The first line that ours does not have, or has in another mode, place or number.
pub fn same_lines(
    ours: &Output,
    recorded: &Output,
    inputs: &str,
    places: &Placeholders,
) -> Result<(), String> {
    let mut in_script = false;
    let mut binding = Vec::new();
    for line in &recorded.lines {
        in_script |= line.text.starts_with("Executing '");
        let known = line.mode == "default" || inputs.contains(line.text.trim());
        if in_script && known && of_script(&line.text) {
            binding.push(line);
        }
    }
    quoted("standard output", ours, recorded, places)?;
    in_order("standard output", ours, recorded, &binding, places)
}

/// Compares what binds of the lines on standard error of a run that ran a script.
///
/// # Errors
/// The first line that ours does not have.
pub fn same_errors(
    ours: &Output,
    recorded: &Output,
    ran_script: bool,
    inputs: &str,
    places: &Placeholders,
) -> Result<(), String> {
    quoted("standard error", ours, recorded, places)?;
    if !ran_script {
        return Ok(());
    }
    let mut binding = Vec::new();
    let mut of_runner = false;
    for (index, line) in recorded.lines.iter().enumerate() {
        // The message of an exception stands before its type and its stack.
        let next = recorded
            .lines
            .get(index + 1)
            .map_or("", |line| line.text.as_str());
        of_runner |= RUNNER.is_match(&line.text) || RUNNER.is_match(next);
        let known = !of_runner || inputs.contains(line.text.trim());
        if known && of_script(&line.text) && !FRAME.is_match(&line.text) {
            binding.push(line);
        }
    }
    in_order("standard error", ours, recorded, &binding, places)
}

fn of_script(text: &str) -> bool {
    !text.trim().is_empty() && !RUNNER.is_match(text) && !HELPER.is_match(text)
}

fn quoted(stream: &str, ours: &Output, recorded: &Output, places: &Placeholders) -> Result<(), String> {
    for line in recorded.lines.iter().filter(|line| QUOTED.is_match(&line.text)) {
        if !ours.lines.iter().any(|own| places.fits(&line.text, &own.text)) {
            return Err(format!(
                "{stream} lacks {:?}, which a specification quotes",
                line.text
            ));
        }
    }
    Ok(())
}

/// The binding lines stand in ours in this order, and as often.
fn in_order(
    stream: &str,
    ours: &Output,
    recorded: &Output,
    binding: &[&Line],
    places: &Placeholders,
) -> Result<(), String> {
    let fits = |recorded: &str, own: &str| {
        places.fits(recorded, own) || places.fits(&LINE_NUMBER.replace_all(recorded, "line <n>"), own)
    };
    let mut rest = ours.lines.iter();
    for line in binding {
        if !rest.any(|own| own.mode == line.mode && fits(&line.text, &own.text)) {
            let elsewhere = ours.lines.iter().find(|own| fits(&line.text, &own.text));
            return Err(match elsewhere {
                None => format!("{stream} lacks {:?}", line.text),
                Some(own) if own.mode != line.mode => {
                    format!(
                        "{stream}: {:?} in mode {}, recorded in {}",
                        line.text, own.mode, line.mode
                    )
                }
                Some(_) => format!("{stream}: {:?} not in its place", line.text),
            });
        }
        let count = |output: &Output| output.lines.iter().filter(|own| own.text == line.text).count();
        if count(ours) > count(recorded) {
            return Err(format!("{stream}: {:?} more often than recorded", line.text));
        }
    }
    Ok(())
}

fn expression(text: &str) -> Regex {
    Regex::new(text).expect("the expression is ours and checked by the tests")
}

fn set(texts: &[&str]) -> RegexSet {
    RegexSet::new(texts).expect("the expressions are ours and checked by the tests")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn places() -> Placeholders {
        Placeholders::new(Path::new("/w"), Path::new("/h"), Path::new("/c/calamari"))
    }

    const RECORDED: &str = "##octopus[stdout-verbose]\n<environment>\nExecuting '<work>/s.sh'\n\
        ##octopus[stdout-default]\nhello\n##octopus[stdout-warning]\nlook\n";

    fn lines(ours: &str) -> Result<(), String> {
        same_lines(&read(ours), &read(RECORDED), "echo look", &places())
    }

    #[test]
    fn script_output_binds_with_its_mode_and_the_runners_words_do_not() {
        assert_eq!(lines("hello\n##octopus[stdout-warning]\nlook\n"), Ok(()));
        assert_eq!(
            lines("more\nhello\n##octopus[stdout-warning]\nlook\nmore\n"),
            Ok(())
        );
        assert!(lines("hello\nlook\n").unwrap_err().contains("in mode default"));
        assert!(
            lines("##octopus[stdout-warning]\nlook\n")
                .unwrap_err()
                .contains("lacks")
        );
        assert!(
            lines("hello\n##octopus[stdout-warning]\nlook\nlook\n")
                .unwrap_err()
                .contains("often")
        );
        assert!(lines("##octopus[stdout-warning]\nlook\n##octopus[stdout-default]\nhello\n").is_err());
    }

    #[test]
    fn messages_bind_in_order_whatever_their_quotes() {
        let recorded = read(
            "##octopus[setVariable name=\"QQ==\" value=\"<b64:<work>/x>\"]\n##octopus[mask value='eA==']\n",
        );
        let same = |ours: &str| same_messages(&read(ours), &recorded, &places());
        assert_eq!(
            same("##octopus[setVariable value='L3cveA==' name='QQ==']\n"),
            Ok(())
        );
        assert!(same("##octopus[setVariable value='L3cveQ==' name='QQ==']\n").is_err());
        assert!(same("").is_err());
        assert!(same("##octopus[setVariable value='L3cveA==' name='QQ==']\n##octopus[x]\n").is_err());
    }

    #[test]
    fn errors_of_scripts_bind_and_exceptions_do_not() {
        let recorded =
            read("oops\n<work>/s.sh: line 4: x: not found\nNo luck.\nSystem.Exception\n   <stack>\n\n");
        let same = |ours: &str| same_errors(&read(ours), &recorded, true, "", &places());
        assert_eq!(same("oops\n/w/s.sh: line 1: x: not found\nother words\n"), Ok(()));
        assert!(same("/w/s.sh: line 1: x: not found\n").is_err());
    }
}
