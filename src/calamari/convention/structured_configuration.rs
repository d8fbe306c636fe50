//! Values in configuration files are replaced by the variables that name their places (14).

use super::substitute_in_files::encoded;
use super::target_file;
use crate::charset::{Charset, Named};
use crate::configuration::{Note, ReplaceError, Replaced, json, properties, xml, yaml};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::runner::Runner;
use crate::text_file::{self, Storage, TextFile};
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

/// Where the step names its files.
const TARGETS: &str = "Octopus.Action.Package.JsonConfigurationVariablesTargets";

/// A format that files are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
    Yaml,
    Properties,
}

/// The order in which formats are tried on a file whose name does not tell.
const ALL: [Format; 4] = [Format::Json, Format::Xml, Format::Yaml, Format::Properties];

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "Json",
            Self::Xml => "Xml",
            Self::Yaml => "Yaml",
            Self::Properties => "Properties",
        }
    }

    /// What a file name tells, in any case.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        [
            (".json", Self::Json),
            (".xml", Self::Xml),
            (".yaml", Self::Yaml),
            (".yml", Self::Yaml),
            (".properties", Self::Properties),
        ]
        .into_iter()
        .find(|(ending, _)| name.ends_with(ending))
        .map(|(_, format)| format)
    }
}

/// Replaces values in the files that the step names, when it has the feature.
///
/// # Errors
/// See [`replace_in`].
pub fn run(deployment: &mut Deployment<'_>) -> Result<(), Failure> {
    let runner = &*deployment.runner;
    if !runner
        .variables
        .feature("Octopus.Features.JsonConfigurationVariables")?
    {
        return Ok(());
    }
    replace_in(runner, deployment.current_folder())
}

/// Replaces values in the files that the step names, below this folder. A file that is found twice is done twice.
///
/// # Errors
/// A file that cannot be read or written, or is in none of the formats; a circular variable. That file is as it was;
/// those before it are done.
pub fn replace_in(runner: &Runner, folder: &Path) -> Result<(), Failure> {
    for target in target_file::patterns(runner, TARGETS)? {
        let path = folder.join(&target);
        if path.is_dir() {
            runner.log.warning(&format!(
                "Skipping structured variable replacement on '{}' because it is a directory.",
                path.display()
            ));
            continue;
        }
        let files = target_file::find(runner, folder, &target)?;
        if files.is_empty() {
            runner.log.warning(&format!(
                "No files were found that match the replacement target pattern '{target}'"
            ));
        }
        for file in files {
            replace(runner, &file)?;
        }
    }
    Ok(())
}

fn replace(runner: &Runner, path: &Path) -> Result<(), Failure> {
    let log = &runner.log;
    let shown = path.display();
    let formats = formats_of(runner, path)?;
    let bytes = text_file::bytes_of(path)?;
    let mut reasons = String::new();
    for format in &formats {
        log.verbose(&format!(
            "Attempting structured variable replacement on file {shown} with format {}",
            format.name()
        ));
        match attempt(runner, path, *format, &bytes) {
            Ok(()) => {
                log.info(&format!(
                    "Structured variable replacement succeeded on file {shown} with format {}",
                    format.name()
                ));
                return Ok(());
            }
            Err(ReplaceError::Failed(failure)) => return Err(failure),
            Err(ReplaceError::Unreadable(reason)) => {
                reasons = format!("The file could not be parsed as {}: {reason}", format.name());
                if formats.last() != Some(format) {
                    log.verbose(&format!(
                        "The file at {shown} couldn't be parsed as {}: {reason}",
                        format.name()
                    ));
                }
            }
        }
    }
    Err(Failure::expected(format!(
        "Structured variable replacement failed on file {shown}. {reasons}. See verbose logs for more details."
    )))
}

fn formats_of(runner: &Runner, path: &Path) -> Result<Vec<Format>, Failure> {
    const ONLY_JSON: &str = "Octopus.Action.StructuredConfigurationFallbackFlag";
    let shown = path.display();
    let (why, formats) = match Format::of(path) {
        _ if runner.variables.flag(ONLY_JSON, false)? => (
            format!("The {ONLY_JSON} flag is set. The file at {shown} will be parsed as JSON."),
            vec![Format::Json],
        ),
        Some(Format::Json) => (
            format!("The file at {shown} matches a known filename pattern, and will be treated as Json."),
            vec![Format::Json],
        ),
        Some(format) => (
            format!(
                "The file at {shown} matches a known filename pattern, and will be treated as {}. The file will be tried as Json first for backwards compatibility.",
                format.name()
            ),
            vec![Format::Json, format],
        ),
        None => (
            format!(
                "The file at {shown} does not match any known filename patterns. The file will be tried as multiple formats and will be treated as the first format that can be successfully parsed."
            ),
            ALL.to_vec(),
        ),
    };
    runner.log.verbose(&why);
    let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
    runner.log.verbose(&format!(
        "The formats that will be tried, in order, are: {}",
        names.join(", ")
    ));
    Ok(formats)
}

fn attempt(runner: &Runner, path: &Path, format: Format, bytes: &[u8]) -> Result<(), ReplaceError> {
    let log = &runner.log;
    let variables = runner.variables.collection();
    let TextFile { text, storage } = match format {
        Format::Xml => TextFile::decode_declared(bytes, declared_encoding(bytes).as_deref()),
        _ => TextFile::decode(bytes),
    };
    let Replaced { text, notes } = match format {
        Format::Json => json::replace(&text, variables)?,
        Format::Yaml => {
            let root = if Format::of(path).is_some() {
                yaml::Root::Any
            } else {
                yaml::Root::Collection
            };
            yaml::replace(&text, variables, root)?
        }
        Format::Properties => properties::replace(&text, variables)?,
        Format::Xml => xml::replace(&text, variables)?,
    };
    for note in &notes {
        match note {
            Note::Used(name) => log.verbose(&format!(
                "Structure found matching the variable '{name}'. Replacing its content with the variable value."
            )),
            Note::Warning(text) => log.warning(text),
        }
    }
    if !notes.iter().any(|note| matches!(note, Note::Used(_))) {
        log.info("No structures have been found that match variable names, so no structured variable replacements have been applied.");
    }
    if let Some(text) = text {
        let content = match format {
            Format::Xml => Cow::Owned(xml_content(runner, &text, storage)),
            _ => encoded(runner, &text, storage),
        };
        if *content != *bytes {
            text_file::replace(path, &content)?;
        }
    }
    Ok(())
}

/// Where the name of the encoding stands in an XML declaration.
fn declared(text: &str) -> Option<Range<usize>> {
    let declaration = &text[..text.starts_with("<?xml").then(|| text.find("?>"))??];
    let attribute = declaration.find("encoding")? + "encoding".len();
    let quote = attribute + declaration[attribute..].find(['"', '\''])?;
    let start = quote + 1;
    let length = declaration[start..].find(declaration[quote..].chars().next()?)?;
    Some(start..start + length)
}

/// The encoding that an XML file names, as far as bytes without a mark can be read.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let first = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
    declared(&first).map(|range| first[range].to_owned())
}

/// The bytes of an XML text, whose declaration then names the encoding that it is in.
fn xml_content(runner: &Runner, text: &str, storage: Storage) -> Vec<u8> {
    let named = |charset: Charset| {
        let mut text = text.to_owned();
        if let Some(range) = declared(&text)
            && Charset::named(&text[range.clone()]) != Named::Known(charset)
        {
            text.replace_range(range, &charset.name());
        }
        text
    };
    let right = named(storage.charset);
    if storage.encode(&right).is_ok() {
        return encoded(runner, &right, storage).into_owned();
    }
    let plain = Storage {
        charset: Charset::Utf8,
        marked: false,
    };
    runner.log.warning(&format!(
        "Unable to represent the output with encoding {}. Trying next the alternative: utf-8.",
        storage.charset
    ));
    encoded(runner, &named(Charset::Utf8), plain).into_owned()
}
