//! Query parameters: names without case, lists by comma or by repetition (`rest-api.md` 0.4 trap 8, 1.12).

use std::collections::HashMap;
use std::convert::Infallible;

use application::{Error, Filter, Slice};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::Failure;

/// The query of a request.
#[derive(Debug, Clone, Default)]
pub struct Parameters(HashMap<String, Vec<String>>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Parameters {
    /// Reads `a=1&b=x%20y`.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut values: HashMap<String, Vec<String>> = HashMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            values
                .entry(decode(name).to_lowercase())
                .or_default()
                .push(decode(value));
        }
        Self(values)
    }

    /// The first non-empty value. `name` is written in lower case.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.iter().find(|value| !value.is_empty()).cloned()
    }

    /// All values, split at commas.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        values
            .iter()
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_string)
            .collect()
    }

    /// `true` or `false` in any case.
    ///
    /// # Errors
    /// A value that is neither.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.text(name).map(|text| text.to_lowercase()).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Failure(Error::invalid(format!(
                "The parameter '{name}' must be true or false, not '{other}'."
            )))),
        }
    }

    /// A whole number of at least 0.
    ///
    /// # Errors
    /// A negative value, or one that is no number.
    pub fn number(&self, name: &str) -> Result<Option<usize>, Failure> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Failure(Error::invalid(format!(
                        "The parameter '{name}' must be a whole number from 0 upwards, not '{text}'."
                    )))
                })
            })
            .transpose()
    }

    /// `skip` and `take`.
    ///
    /// # Errors
    /// See [`Parameters::number`].
    pub fn slice(&self) -> Result<Slice, Failure> {
        let usual = Slice::default();
        Ok(Slice {
            skip: self.number("skip")?.unwrap_or(usual.skip),
            take: self.number("take")?.unwrap_or(usual.take),
        })
    }

    /// The query without `skip` and `take`, for the links of a page.
    #[must_use]
    pub fn others(&self) -> String {
        let mut pairs: Vec<String> = self
            .0
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "skip" | "take" | "apikey"))
            .flat_map(|(name, values)| {
                values
                    .iter()
                    .map(move |value| format!("{}={}", encode(name), encode(value)))
            })
            .collect();
        pairs.sort();
        pairs.join("&")
    }

    /// `ids`, `name`, `partialName`.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter {
            ids: self.list("ids"),
            name: self.text("name"),
            partial_name: self.text("partialname"),
        }
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// One path segment or query value as text. `+` is a blank in a query only, and clients write `%20`.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', "%20"))
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_of_a_list() {
        for query in ["ids=a,b", "ids=a%2Cb", "IDS=a&ids=b"] {
            assert_eq!(Parameters::parse(query).list("ids"), ["a", "b"], "{query}");
        }
    }

    #[test]
    fn everything_is_asked_for_with_a_large_number() {
        let slice = Parameters::parse("skip=0&take=2147483647")
            .slice()
            .expect("a slice");
        assert_eq!(slice.take, 2_147_483_647);
    }

    #[test]
    fn a_negative_page_is_refused() {
        assert!(Parameters::parse("skip=-1").slice().is_err());
        assert!(Parameters::parse("take=x").slice().is_err());
    }
}
