//! XML configuration transforms (15.1): a document that mirrors another and says what to change in it.

pub mod candidate;
mod engine;
mod instruction;
mod locator;
pub mod report;
#[cfg(test)]
mod stories;

use crate::failure::Failure;
use crate::xml::{Document, encoding};
use report::Report;

pub use candidate::{Application, Definition};
pub use report::{Level, Line, Options};

/// The namespace of instructions.
pub const NAMESPACE: &str = "http://schemas.microsoft.com/XML-Document-Transform";

/// A file at hand.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// How a transform went.
#[derive(Debug)]
pub struct Outcome {
    /// The new bytes of the source; none when it stays as it is.
    pub result: Result<Option<Vec<u8>>, Failure>,
    /// What there is to tell, in order.
    pub lines: Vec<Line>,
}

/// Applies a transform to a source. Instructions run to the end even when one fails; then nothing is to be written.
pub fn apply(source: File<'_>, transform: File<'_>, options: Options) -> Outcome {
    let mut report = Report::new(source.name, transform.name, options);
    let result = run(source, transform, &mut report);
    Outcome {
        result,
        lines: report.into_lines(),
    }
}

fn run(source: File<'_>, transform: File<'_>, report: &mut Report) -> Result<Option<Vec<u8>>, Failure> {
    let stored = encoding::decode(source.bytes);
    let read = |name: &str, text: &str| {
        Document::parse(text).map_err(|error| {
            format!("The XML file {name} cannot be transformed or used as a transform: {error}")
        })
    };
    let documents = read(source.name, &stored.text).and_then(|document| {
        let transform = read(transform.name, &encoding::decode(transform.bytes).text)?;
        Ok((document, transform))
    });
    let (document, instructions) = match documents {
        Ok(documents) => documents,
        Err(message) => {
            report.error(None, &message);
            // Errors are ignored: this pair is passed over.
            return if report.ignores_errors() {
                Ok(None)
            } else {
                Err(Failure::expected(message))
            };
        }
    };
    let failed = || {
        Failure::expected(format!(
            "The XML configuration file {} failed with transformation file {}.",
            source.name, transform.name
        ))
    };
    let document = engine::run(document, instructions, report);
    if report.has_failed() {
        return Err(failed());
    }
    if document.document_element().is_none() {
        let message = format!(
            "The XML configuration file {} no longer has a root element and is invalid after being transformed by {}; \
             it stays as it was",
            source.name, transform.name
        );
        report.error(None, &message);
        return Err(failed());
    }
    let bytes = encoding::encode(&document, stored.storage).map_err(|error| {
        let message = format!("The transformed file {} cannot be written: {error}", source.name);
        report.error(None, &message);
        Failure::expected(message)
    })?;
    // The text may stand for the same in other bytes, when the file held some that no character has.
    let unchanged = document.print() == stored.text;
    Ok((!unchanged).then_some(bytes))
}
