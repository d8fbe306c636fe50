//! Tokens of expressions.

use super::Dialect;
use crate::xml::is_blank;
use crate::xml::name::{is_part, is_start};

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A number.
    Number(f64),
    /// A text in quotes.
    Literal(String),
    /// A name: prefix (empty when there is none, `*` for any) and local part (`*` for any).
    Name(String, String),
    /// `$name`.
    Variable(String),
    /// An axis with its `::`.
    Axis(String),
    /// Anything else.
    Sign(&'static str),
}

/// Longer ones first. `*` is a sign too; the grammar knows when it is a name.
const SIGNS: [&str; 21] = [
    "//", "..", "!=", "<=", ">=", "<<", ">>", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=",
    "<", ">",
];

/// Cuts an expression into tokens.
pub(super) fn tokens(text: &str, dialect: Dialect) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_blank);
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '"' | '\'' => literal(rest, first, dialect)?,
            '0'..='9' => number(rest)?,
            '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => number(rest)?,
            '$' => {
                let name = name_of(&rest[1..]);
                let length = 1 + name.len();
                let (_, local) = crate::xml::name::split(name);
                if !is_start(local.chars().next().unwrap_or(' ')) {
                    return Err("$ without a name".to_owned());
                }
                (Token::Variable(name.to_owned()), length)
            }
            '*' if dialect == Dialect::Two
                && rest[1..].starts_with(':')
                && rest[2..].starts_with(is_start) =>
            {
                let local = plain(&rest[2..]);
                (Token::Name("*".to_owned(), local.to_owned()), 2 + local.len())
            }
            '*' => (Token::Sign("*"), 1),
            _ if is_start(first) => name(rest),
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => return Err(format!("'{first}' is not expected")),
            },
        };
        tokens.push(token);
        rest = rest[length..].trim_start_matches(is_blank);
    }
    Ok(tokens)
}

fn literal(rest: &str, quote: char, dialect: Dialect) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut from = 1;
    loop {
        let length = rest[from..].find(quote).ok_or("a text is not closed")?;
        text.push_str(&rest[from..from + length]);
        from += length + 1;
        // A doubled quote is one.
        if dialect == Dialect::Two && rest[from..].starts_with(quote) {
            text.push(quote);
            from += 1;
        } else {
            return Ok((Token::Literal(text), from));
        }
    }
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = whole;
    if rest[length..].starts_with('.') && !rest[length..].starts_with("..") {
        length += 1 + rest[length + 1..].bytes().take_while(u8::is_ascii_digit).count();
    }
    let digits = &rest[..length];
    if rest[length..].starts_with(is_start) {
        return Err(format!("a name begins right after the number {digits}"));
    }
    let value = digits
        .trim_end_matches('.')
        .parse()
        .map_err(|_| format!("{digits} is no number"))?;
    Ok((Token::Number(value), length))
}

fn name(rest: &str) -> (Token, usize) {
    let first = plain(rest);
    let after = &rest[first.len()..];
    let trimmed = after.trim_start_matches(is_blank);
    if let Some(behind) = trimmed.strip_prefix("::") {
        return (Token::Axis(first.to_owned()), rest.len() - behind.len());
    }
    if let Some(local) = after.strip_prefix(':') {
        if local.starts_with('*') {
            return (Token::Name(first.to_owned(), "*".to_owned()), first.len() + 2);
        }
        if local.starts_with(is_start) {
            let local = plain(local);
            return (
                Token::Name(first.to_owned(), local.to_owned()),
                first.len() + 1 + local.len(),
            );
        }
    }
    (Token::Name(String::new(), first.to_owned()), first.len())
}

/// The name that the text begins with.
fn plain(text: &str) -> &str {
    &text[..text.find(|character| !is_part(character)).unwrap_or(text.len())]
}

/// The same, with a prefix.
fn name_of(text: &str) -> &str {
    let first = plain(text);
    match text[first.len()..].strip_prefix(':') {
        Some(local) if local.starts_with(is_start) => &text[..first.len() + 1 + plain(local).len()],
        _ => first,
    }
}
