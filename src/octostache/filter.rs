//! The filters of `#{value | Filter argument}` ("Variable templates" 8; observed 1.28 to 1.38).
//!
//! A filter gives a text, nothing (then the construct is echoed and reported), or fails, and with it the evaluation.

mod date;
mod date_format;
mod date_reading;
mod digest;
mod escape;
mod format;
mod markdown;
mod number_format;
mod regular_expression;
mod text;
mod uri;
mod uri_part;
mod version;

use regular_expression::Patterns;

/// What a filter answers: a text, nothing, or why it fails.
type Answer = Result<Option<String>, String>;

/// Filters that a host adds. They are asked when no built-in filter of the name answers.
pub trait HostFilters {
    /// The text of the filter of this name, in whatever case, or none when it is unknown or gives nothing.
    fn apply(&self, name: &str, input: Option<&str>, arguments: &[String]) -> Option<String>;
}

/// The built-in filters, with what they remember within one evaluation.
#[derive(Default)]
pub(crate) struct Filters {
    patterns: Patterns,
}

impl Filters {
    /// Applies the filter of this name; an unknown one gives nothing.
    pub(crate) fn apply(&mut self, name: &str, input: Option<&str>, arguments: &[String]) -> Answer {
        let name = name.to_ascii_lowercase();
        match (name.as_str(), input) {
            ("append", _) => return Ok(text::joined(input.unwrap_or_default(), arguments, false)),
            ("prepend", _) => return Ok(text::joined(input.unwrap_or_default(), arguments, true)),
            ("nowdate", None) => return format::now(arguments, false),
            ("nowdateutc", None) => return format::now(arguments, true),
            _ => {}
        }
        let Some(input) = input else { return Ok(None) };
        if let Some(escaped) = escape::named(&name) {
            return Ok(arguments.is_empty().then(|| escaped(input)));
        }
        if let Some(part) = version::named(&name) {
            return version::part(input, part).map(Some);
        }
        match name.as_str() {
            "tobase64" => Ok(digest::to_base64(input, arguments)),
            "frombase64" => digest::from_base64(input, arguments),
            "md5" | "sha1" | "sha256" | "sha384" | "sha512" => Ok(digest::hash(&name, input, arguments)),
            "startswith" => Ok(text::test(input, arguments, str::starts_with)),
            "endswith" => Ok(text::test(input, arguments, str::ends_with)),
            "contains" => Ok(text::test(input, arguments, str::contains)),
            "substring" => text::substring(input, arguments),
            "truncate" => Ok(text::truncate(input, arguments)),
            "trim" => Ok(text::trim(input, arguments)),
            "indent" => Ok(text::indent(input, arguments)),
            "match" => self.patterns.matches(input, arguments),
            "replace" => self.patterns.replace(input, arguments),
            "markdown" | "markdowntohtml" => Ok(arguments.is_empty().then(|| markdown::to_html(input))),
            "uripart" => Ok(Some(uri_part::of(input, arguments))),
            "format" => Ok(format::format(input, arguments)),
            "addhours" => Ok(format::shifted(input, arguments, date::TICKS_IN_HOUR)),
            "adddays" => Ok(format::shifted(input, arguments, date::TICKS_IN_HOUR * 24)),
            _ => Ok(None),
        }
    }
}
