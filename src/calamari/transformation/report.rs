//! What a transform tells, at the levels that the step's variables ask for.

use crate::variables::Variables;
use crate::xml::Position;
use octostache::EvaluationError;

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the detailed log.
    Verbose,
    /// For everyone.
    Information,
    /// Marks the step.
    Warning,
    /// On standard error.
    Error,
}

/// A line to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// How warnings and errors are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Warnings fail the step.
    pub strict: bool,
    /// Errors are warnings, warnings are information; a pair that cannot be read is passed over.
    pub ignore_errors: bool,
    /// No verbose lines.
    pub quiet: bool,
}

const STRICT: &str = "Octopus.Action.Package.TreatConfigTransformationWarningsAsErrors";
const IGNORE: &str = "Octopus.Action.Package.IgnoreConfigTransformationErrors";
const QUIET: &str = "Octopus.Action.Package.SuppressConfigTransformationLogging";

impl Options {
    /// What the variables of the step ask for.
    ///
    /// # Errors
    /// A circular definition.
    pub fn read(variables: &Variables) -> Result<Self, EvaluationError> {
        let ignore_errors = variables.flag(IGNORE, false)?;
        Ok(Self {
            strict: !ignore_errors && variables.flag(STRICT, true)?,
            ignore_errors,
            quiet: variables.flag(QUIET, false)?,
        })
    }

    /// Says what is unusual about them.
    pub fn lines(self) -> Vec<Line> {
        let mut texts = Vec::new();
        if self.quiet {
            texts.push(format!(
                "Verbose XML transformation logging has been turned off because the variable {QUIET} has been set to true."
            ));
        }
        if self.ignore_errors {
            for (what, becomes) in [("warnings", "information"), ("exceptions", "warnings")] {
                texts.push(format!(
                    "XML transformation {what} will be downgraded to {becomes} because the variable {IGNORE} has been \
                     set to true."
                ));
            }
        } else if self.strict {
            texts.push(format!(
                "Warning will be elevated to errors. Prevent this by adding the variable {STRICT} and setting it to false."
            ));
        }
        let verbose = |text| Line {
            level: Level::Verbose,
            text,
        };
        texts.into_iter().map(verbose).collect()
    }
}

/// A place that a message is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// In the file that is transformed.
    Source(Position),
    /// In the transform.
    Transform(Position),
}

/// Collects lines.
#[derive(Debug)]
pub(super) struct Report {
    source: String,
    transform: String,
    options: Options,
    lines: Vec<Line>,
    failed: bool,
    /// Warnings of this instruction are verbose lines.
    pub(super) hushed: bool,
}

impl Report {
    pub(super) fn new(source: &str, transform: &str, options: Options) -> Self {
        Self {
            source: source.to_owned(),
            transform: transform.to_owned(),
            options,
            lines: Vec::new(),
            failed: false,
            hushed: false,
        }
    }

    pub(super) fn into_lines(self) -> Vec<Line> {
        self.lines
    }

    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) const fn ignores_errors(&self) -> bool {
        self.options.ignore_errors
    }

    fn push(&mut self, level: Level, text: String) {
        self.lines.push(Line { level, text });
    }

    pub(super) fn verbose(&mut self, text: String) {
        if !self.options.quiet {
            self.push(Level::Verbose, text);
        }
    }

    pub(super) fn warning(&mut self, at: At, text: &str) {
        if self.hushed {
            self.verbose(text.to_owned());
            return;
        }
        self.failed |= self.options.strict;
        let level = if self.options.ignore_errors {
            Level::Information
        } else if self.options.strict {
            Level::Error
        } else {
            Level::Warning
        };
        self.say(level, Some(at), text);
    }

    pub(super) fn error(&mut self, at: Option<At>, text: &str) {
        self.failed = true;
        let level = if self.options.ignore_errors {
            Level::Warning
        } else {
            Level::Error
        };
        self.say(level, at, text);
    }

    fn say(&mut self, level: Level, at: Option<At>, text: &str) {
        if let Some(at) = at {
            let (file, position) = match at {
                At::Source(position) => (&self.source, position),
                At::Transform(position) => (&self.transform, position),
            };
            let place = format!("File {file}, {position}:");
            self.push(level, place);
        }
        self.push(level, text.to_owned());
    }
}
