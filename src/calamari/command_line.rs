//! The arguments: a command and its options (1). One table, read once.

use crate::failure::Failure;
use std::collections::{HashMap, HashSet};

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The command, in lower case; empty when there is none.
    pub command: String,
    /// What follows the command and is no option.
    pub words: Vec<String>,
    options: HashMap<&'static str, Vec<String>>,
    flags: HashSet<&'static str>,
}

/// Every option that takes a value.
const OPTIONS: &[&str] = &[
    "variables",
    "variablesPassword",
    "sensitiveVariables",
    "sensitiveVariablesPassword",
    "outputVariables",
    "outputVariablesPassword",
    "scriptIsolationLevel",
    "scriptIsolationMutexName",
    "scriptIsolationTimeout",
    "package",
    "archive",
    "script",
    "scriptParameters",
    "packageId",
    "packageVersion",
    "packageVersionFormat",
    "packageHash",
    "packagePath",
    "exactMatch",
    "taskId",
    "retentionPolicySet",
    "days",
    "releases",
    "basisFileName",
    "fileHash",
    "deltaFileName",
    "manifestFileName",
    "bundleFileName",
    "newFileName",
    "feedId",
    "feedUri",
    "feedUsername",
    "feedPassword",
    "feedType",
    "attempts",
    "attemptBackoffSeconds",
    "pathToPackage",
    "extractedToPathOutputVariableName",
    "targetPathVariable",
    "targetPath",
    "filesToTarget",
];

/// Every option that takes none.
const FLAGS: [&str; 3] = ["skipVerification", "progress", "forcePackageDownload"];

impl CommandLine {
    /// Reads arguments: `--name=value`, `--name value`, `-name:value` and `/name value` mean the same, names ignore case, and
    /// unknown words are ignored.
    ///
    /// # Errors
    /// An option without its value.
    pub fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut line = Self::default();
        let mut arguments = arguments.iter().peekable();
        if let Some(first) = arguments.next_if(|first| !first.is_empty() && !first.starts_with('-')) {
            line.command = first.to_ascii_lowercase();
        }
        if line.command == "version" {
            // What else is given does not matter to it.
            return Ok(line);
        }
        while let Some(argument) = arguments.next() {
            if let Some(flag) = flag(argument) {
                line.flags.insert(flag);
                continue;
            }
            let Some((name, value)) = option(argument) else {
                line.words.push(argument.clone());
                continue;
            };
            let value = match value {
                Some(value) => value.to_owned(),
                None => arguments.next().cloned().ok_or_else(|| {
                    Failure::expected(format!(
                        "Missing required value for option '--{name}'; write --{name}=VALUE"
                    ))
                })?,
            };
            line.options.entry(name).or_default().push(value);
        }
        Ok(line)
    }

    /// The last value of an option, unless blank.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.all(name)
            .last()
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }

    /// Whether an option without value was given.
    pub fn flag(&self, name: &str) -> bool {
        self.flags.contains(name)
    }

    /// All values of an option, in order.
    pub fn all(&self, name: &str) -> &[String] {
        self.options.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The name in a word that begins with `--`, `-` or `/`.
fn without_prefix(word: &str) -> Option<&str> {
    word.strip_prefix("--")
        .or_else(|| word.strip_prefix('-'))
        .or_else(|| word.strip_prefix('/'))
}

/// The flag that a word is.
fn flag(word: &str) -> Option<&'static str> {
    let name = without_prefix(word)?;
    FLAGS.into_iter().find(|flag| flag.eq_ignore_ascii_case(name))
}

/// The option that a word begins, and its value if it stands in the same word.
fn option(word: &str) -> Option<(&'static str, Option<&str>)> {
    let plain = without_prefix(word)?;
    let (name, value) = match plain.find(['=', ':']) {
        Some(at) => (&plain[..at], Some(&plain[at + 1..])),
        None => (plain, None),
    };
    OPTIONS
        .iter()
        .find(|option| option.eq_ignore_ascii_case(name))
        .map(|option| (*option, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> CommandLine {
        CommandLine::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).expect("readable")
    }

    #[test]
    fn options_are_written_in_four_ways() {
        let words = [
            "Run-Script",
            "--variables=a",
            "-variables:b",
            "/Variables",
            "c",
            "--variables",
            "--odd",
            "x",
            "--y=z",
        ];
        let line = read(&words);
        assert_eq!(line.command, "run-script");
        assert_eq!(line.all("variables"), ["a", "b", "c", "--odd"]);
        assert_eq!(line.option("package"), None);
        assert_eq!(line.words, ["x", "--y=z"]);
    }

    #[test]
    fn a_flag_takes_no_value() {
        let line = read(&["apply-delta", "--SkipVerification", "--fileHash=x"]);
        assert!(line.flag("skipVerification") && !line.flag("progress"));
        assert_eq!(line.option("fileHash"), Some("x"));
    }

    #[test]
    fn a_missing_value_is_an_error() {
        let error =
            CommandLine::read(&["run-script".to_owned(), "--package".to_owned()]).expect_err("no value");
        assert!(error.message.contains("--package"), "{error}");
    }
}
