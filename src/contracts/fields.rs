//! Typed reading of documents: missing members are null, unknown ones are ignored.

use std::time::Duration;

use halibut::{DataStream, Document, Value};

use crate::time_span;

/// A value that is not of the agreed shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the member `{member}` is not {expected}")]
pub struct ShapeError {
    member: &'static str,
    expected: &'static str,
}

impl ShapeError {
    pub(crate) fn new(member: &'static str, expected: &'static str) -> Self {
        Self { member, expected }
    }
}

pub(crate) struct Fields(Document);

impl Fields {
    pub(crate) fn of(value: Value, what: &'static str) -> Result<Self, ShapeError> {
        match value {
            Value::Document(document) => Ok(Self(document)),
            _ => Err(ShapeError::new(what, "a document")),
        }
    }

    pub(crate) fn document(&mut self, name: &'static str) -> Result<Fields, ShapeError> {
        Fields::of(self.0.take(name), name)
    }

    pub(crate) fn optional_document(&mut self, name: &'static str) -> Result<Option<Document>, ShapeError> {
        match self.0.take(name) {
            Value::Null => Ok(None),
            Value::Document(document) => Ok(Some(document)),
            _ => Err(ShapeError::new(name, "a document or null")),
        }
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, ShapeError> {
        self.optional_text(name)?.ok_or(ShapeError::new(name, "text"))
    }

    pub(crate) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, ShapeError> {
        match self.0.take(name) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(ShapeError::new(name, "text or null")),
        }
    }

    /// A missing number is zero, as for the original.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<i64, ShapeError> {
        Ok(self.optional_number(name)?.unwrap_or(0))
    }

    pub(crate) fn optional_number(&mut self, name: &'static str) -> Result<Option<i64>, ShapeError> {
        match self.0.take(name) {
            Value::Null => Ok(None),
            other => other.as_i64().map(Some).ok_or(ShapeError::new(name, "a number")),
        }
    }

    pub(crate) fn date(&mut self, name: &'static str) -> Result<i64, ShapeError> {
        match self.0.take(name) {
            Value::Date(moment) => Ok(moment),
            _ => Err(ShapeError::new(name, "a date")),
        }
    }

    pub(crate) fn optional_duration(&mut self, name: &'static str) -> Result<Option<Duration>, ShapeError> {
        let text = self.optional_text(name)?;
        let wrong = ShapeError::new(name, "a duration such as 00:02:00");
        text.map(|text| time_span::parse(&text).ok_or(wrong)).transpose()
    }

    pub(crate) fn stream(&mut self, name: &'static str) -> Result<DataStream, ShapeError> {
        match self.0.take(name) {
            Value::Stream(stream) => Ok(stream),
            _ => Err(ShapeError::new(name, "a data stream")),
        }
    }

    /// A missing list is empty.
    pub(crate) fn list(&mut self, name: &'static str) -> Result<Vec<Value>, ShapeError> {
        match self.0.take(name) {
            Value::Null => Ok(Vec::new()),
            Value::Array(values) => Ok(values),
            _ => Err(ShapeError::new(name, "a list or null")),
        }
    }

    pub(crate) fn list_of_text(&mut self, name: &'static str) -> Result<Vec<String>, ShapeError> {
        let text = |value| match value {
            Value::String(text) => Ok(text),
            _ => Err(ShapeError::new(name, "a list of texts")),
        };
        self.list(name)?.into_iter().map(text).collect()
    }
}
