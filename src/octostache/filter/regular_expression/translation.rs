//! .NET syntax to that of the engine.
//!
//! Options are resolved here, all but the one for case; groups are numbered as .NET does it: those without a name first,
//! from left to right, then those with one.

use super::numbering::{Numbering, number_groups};
use super::{Groups, class};

/// Parentheses and sets within each other.
const DEEPEST: usize = 100;

/// The pattern for the engine, with the numbers of its groups.
pub(super) fn translate(pattern: &str) -> Result<(String, Groups), String> {
    let groups = number_groups(pattern)?;
    let mut translator = Translator::new(pattern, &groups);
    translator.alternatives()?;
    if translator.peek() == Some(')') {
        return Err("there are too many )".to_owned());
    }
    let output = translator.output;
    Ok((output, groups.groups))
}

#[derive(Clone, Copy, Default)]
pub(super) struct Options {
    ignore_case: bool,
    multiline: bool,
    single_line: bool,
    explicit: bool,
    pub(super) extended: bool,
}

/// What stands after an opening parenthesis.
pub(super) enum Head {
    Comment,
    /// `(?i)`: for the rest of the group around it.
    Options(Options),
    Capture(Option<String>),
    /// A group that captures nothing, with its beginning for the engine.
    Plain(String, Options),
    /// `(?(…)…)`
    Condition,
}

pub(super) struct Translator<'p> {
    pattern: &'p str,
    position: usize,
    output: String,
    pub(super) options: Options,
    depth: usize,
    groups: &'p Numbering,
}

impl<'p> Translator<'p> {
    pub(super) fn new(pattern: &'p str, groups: &'p Numbering) -> Self {
        Self {
            pattern,
            position: 0,
            output: String::with_capacity(pattern.len() * 2),
            options: Options::default(),
            depth: 0,
            groups,
        }
    }

    fn alternatives(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("it is nested more than {DEEPEST} levels deep"));
        }
        // What could be repeated: nothing at the beginning, and nothing after a repetition.
        let mut repeatable = false;
        let mut repeated = false;
        while let Some(character) = self.peek() {
            match character {
                ')' => break,
                '|' => {
                    self.next();
                    self.output.push('|');
                    (repeatable, repeated) = (false, false);
                }
                '#' if self.options.extended => self.skip_comment(),
                _ if self.options.extended && character.is_ascii_whitespace() => {
                    self.next();
                }
                '*' | '+' | '?' => {
                    self.next();
                    self.quantifier(&character.to_string(), repeatable, repeated)?;
                    (repeatable, repeated) = (false, true);
                }
                '{' => match self.counted()? {
                    Some(quantifier) => {
                        self.quantifier(&quantifier, repeatable, repeated)?;
                        (repeatable, repeated) = (false, true);
                    }
                    None => {
                        self.next();
                        self.output.push_str(r"\{");
                        (repeatable, repeated) = (true, false);
                    }
                },
                _ => {
                    let written = self.atom()?;
                    if written {
                        (repeatable, repeated) = (true, false);
                    }
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn quantifier(&mut self, quantifier: &str, repeatable: bool, repeated: bool) -> Result<(), String> {
        if repeated {
            return Err(format!("the repetition '{quantifier}' stands after another"));
        }
        if !repeatable {
            return Err(format!("the repetition '{quantifier}' follows nothing"));
        }
        self.output.push_str(quantifier);
        if self.peek() == Some('?') {
            self.next();
            self.output.push('?');
        }
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`; other braces are themselves.
    fn counted(&mut self) -> Result<Option<String>, String> {
        let rest = &self.pattern[self.position..];
        let Some(end) = rest.find('}') else {
            return Ok(None);
        };
        let inside = &rest[1..end];
        let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
        let number = |digits: &str| -> Option<u32> {
            (digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty())
                .then(|| digits.parse().ok())?
        };
        let Some(least) = number(least) else {
            return Ok(None);
        };
        if !most.is_empty() {
            let Some(most) = number(most) else { return Ok(None) };
            if most < least {
                return Err(format!(
                    "in {{{inside}}} the first number is larger than the second"
                ));
            }
        }
        let quantifier = rest[..=end].to_owned();
        self.position += end + 1;
        Ok(Some(quantifier))
    }

    /// One thing that may be repeated; false for what stands for nothing, such as a comment.
    fn atom(&mut self) -> Result<bool, String> {
        let Some(character) = self.next() else {
            return Ok(false);
        };
        match character {
            '(' => return self.group(),
            '[' => {
                let set = self.set(0)?;
                self.output.push_str(&set);
            }
            '\\' => self.escape()?,
            '.' => self.output.push_str(if self.options.single_line {
                r"(?s:.)"
            } else {
                r"[^\n]"
            }),
            '^' => self
                .output
                .push_str(if self.options.multiline { "(?m:^)" } else { r"\A" }),
            '$' => self.output.push_str(if self.options.multiline {
                r"(?=\n|\z)"
            } else {
                r"(?=\n?\z)"
            }),
            _ => literal(&mut self.output, character),
        }
        Ok(true)
    }

    fn group(&mut self) -> Result<bool, String> {
        let before = self.options;
        match self.group_head()? {
            Head::Comment => return Ok(false),
            Head::Options(options) => {
                if options.ignore_case != self.options.ignore_case {
                    self.output
                        .push_str(if options.ignore_case { "(?i)" } else { "(?-i)" });
                }
                self.options = options;
                return Ok(false);
            }
            Head::Capture(_) => {
                self.output.push('(');
            }
            Head::Plain(head, options) => {
                self.output.push_str(&head);
                if options.ignore_case != self.options.ignore_case {
                    self.output
                        .push_str(if options.ignore_case { "(?i)" } else { "(?-i)" });
                }
                self.options = options;
            }
            Head::Condition => self.condition()?,
        }
        self.alternatives()?;
        if self.next() != Some(')') {
            return Err("there are not enough )".to_owned());
        }
        self.output.push(')');
        self.options = before;
        Ok(true)
    }

    /// What stands in the inner parentheses of `(?(…)…)`: a group that may have matched, or an expression that looks ahead.
    fn condition(&mut self) -> Result<(), String> {
        let rest = &self.pattern[self.position..];
        let name = rest.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        if let Some((name, _)) = name {
            if let Some(engine) = self.groups.groups.of_name(name) {
                self.position += name.len() + 2;
                self.output.push_str(&format!("(?({engine})"));
                return Ok(());
            }
            if name.starts_with(|digit: char| digit.is_ascii_digit()) {
                return Err(format!("there is no group '{name}'"));
            }
        }
        self.output.push_str("(?(");
        if self.looks_around() {
            self.atom()?;
        } else {
            self.next();
            self.output.push_str("(?=");
            self.alternatives()?;
            if self.next() != Some(')') {
                return Err("there are not enough )".to_owned());
            }
            self.output.push(')');
        }
        self.output.push(')');
        Ok(())
    }

    /// Whether the parenthesis that comes next is no ordinary one.
    pub(super) fn looks_around(&self) -> bool {
        self.pattern[self.position..].starts_with("(?")
    }

    /// What stands after a parenthesis that was just read.
    pub(super) fn group_head(&mut self) -> Result<Head, String> {
        let rest = &self.pattern[self.position..];
        if !rest.starts_with('?') {
            return Ok(if self.options.explicit {
                Head::Plain("(?:".to_owned(), self.options)
            } else {
                Head::Capture(None)
            });
        }
        for head in ["?:", "?=", "?!", "?>", "?<=", "?<!"] {
            if rest.starts_with(head) {
                self.position += head.len();
                return Ok(Head::Plain(format!("({head}"), self.options));
            }
        }
        if rest.starts_with("?#") {
            let end = rest.find(')').ok_or("a comment (?# has no end")?;
            self.position += end + 1;
            return Ok(Head::Comment);
        }
        if rest.starts_with("?(") {
            self.position += 1;
            return Ok(Head::Condition);
        }
        for (open, close) in [("?<", '>'), ("?'", '\'')] {
            if let Some(named) = rest.strip_prefix(open) {
                let end = named.find(close).ok_or("the name of a group has no end")?;
                let name = &named[..end];
                let valid = !name.is_empty()
                    && name
                        .chars()
                        .all(|character| character.is_alphanumeric() || character == '_');
                if name.contains('-') {
                    return Err("balancing groups are not supported".to_owned());
                }
                // A name that begins with a digit is a number.
                let number = name.starts_with(|digit: char| digit.is_ascii_digit());
                let digits = name.bytes().all(|digit| digit.is_ascii_digit());
                if !valid || name == "0" || (number && !digits) {
                    return Err(format!("'{name}' cannot be the name of a group"));
                }
                self.position += open.len() + end + 1;
                return Ok(Head::Capture(Some(name.to_owned())));
            }
        }
        let mut options = self.options;
        let mut on = true;
        self.position += 1;
        while let Some(letter) = self.next() {
            match letter.to_ascii_lowercase() {
                '-' => on = false,
                '+' => on = true,
                'i' => options.ignore_case = on,
                'm' => options.multiline = on,
                's' => options.single_line = on,
                'n' => options.explicit = on,
                'x' => options.extended = on,
                ')' => return Ok(Head::Options(options)),
                ':' => return Ok(Head::Plain("(?:".to_owned(), options)),
                _ => break,
            }
        }
        Err("a group (? begins in an unknown way".to_owned())
    }

    fn escape(&mut self) -> Result<(), String> {
        let letter = self.next().ok_or("it ends in a backslash")?;
        if let Some(set) = class::of_letter(letter) {
            self.output.push_str(set);
            return Ok(());
        }
        match letter {
            'b' | 'B' | 'A' | 'z' | 'G' => {
                self.output.push('\\');
                self.output.push(letter);
            }
            'Z' => self.output.push_str(r"(?=\n?\z)"),
            'p' | 'P' => {
                let set = self.category(letter == 'P')?;
                self.output.push_str(&set);
            }
            'k' => {
                let rest = &self.pattern[self.position..];
                let (open, close) = match rest.chars().next() {
                    Some('<') => ('<', '>'),
                    Some('\'') => ('\'', '\''),
                    _ => return Err(r"after \k the name of a group is expected".to_owned()),
                };
                let named = rest.strip_prefix(open).unwrap_or(rest);
                let end = named.find(close).ok_or(r"the name after \k has no end")?;
                self.position += end + 2;
                self.reference(&named[..end])?;
            }
            '1'..='9' => {
                let rest = &self.pattern[self.position - 1..];
                let digits = rest.len()
                    - rest
                        .trim_start_matches(|digit: char| digit.is_ascii_digit())
                        .len();
                let number = &rest[..digits];
                let known = number
                    .parse()
                    .is_ok_and(|number| self.groups.groups.of_number(number).is_some());
                if known || digits == 1 {
                    self.position += digits - 1;
                    return self.reference(number);
                }
                // Digits that are no group are a character in octal.
                self.position -= 1;
                let character = self.octal()?;
                literal(&mut self.output, character);
            }
            _ => {
                self.position -= letter.len_utf8();
                let character = self.character_escape()?;
                literal(&mut self.output, character);
            }
        }
        Ok(())
    }

    fn reference(&mut self, name: &str) -> Result<(), String> {
        let engine = self
            .groups
            .groups
            .of_name(name)
            .ok_or_else(|| format!("there is no group '{name}'"))?;
        self.output.push_str(&format!(r"(?:\{engine})"));
        Ok(())
    }

    /// `{Lu}` or `{IsGreek}` after `\p`.
    fn category(&mut self, negated: bool) -> Result<String, String> {
        let rest = &self.pattern[self.position..];
        let name = rest
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'))
            .map(|(name, _)| name)
            .ok_or(r"after \p a property in braces is expected")?;
        self.position += name.len() + 2;
        class::of_category(name, negated)
    }

    /// The character of an escape, after the backslash.
    fn character_escape(&mut self) -> Result<char, String> {
        let letter = self.next().ok_or("it ends in a backslash")?;
        Ok(match letter {
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' => '\t',
            'r' => '\r',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'n' => '\n',
            'e' => '\u{1b}',
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'c' => {
                let letter = self.next().ok_or(r"after \c a letter is expected")?;
                let control = u32::from(letter.to_ascii_uppercase()).wrapping_sub(u32::from('@'));
                char::from_u32(control)
                    .filter(|control| *control < ' ')
                    .ok_or(r"after \c a letter is expected")?
            }
            '0'..='7' => {
                self.position -= 1;
                self.octal()?
            }
            '_' => return Err(r"unrecognized escape \_".to_owned()),
            _ if letter.is_alphanumeric() => return Err(format!(r"unrecognized escape \{letter}")),
            _ => letter,
        })
    }

    fn octal(&mut self) -> Result<char, String> {
        let rest = &self.pattern[self.position..];
        let digits: String = rest
            .chars()
            .take(3)
            .take_while(|digit| ('0'..='7').contains(digit))
            .collect();
        self.position += digits.len();
        u32::from_str_radix(&digits, 8)
            .ok()
            .and_then(|code| char::from_u32(code & 0xFF))
            .ok_or_else(|| format!(r"there is no group '{}'", &rest[..rest.len().min(1)]))
    }

    fn hexadecimal(&mut self, count: usize) -> Result<char, String> {
        let code = self.hexadecimal_unit(count)?;
        if !(0xD800..0xDC00).contains(&code) {
            return char::from_u32(code).ok_or_else(|| "half of a pair is no character".to_owned());
        }
        // Two escapes of UTF-16 are one character here.
        let rest = &self.pattern[self.position..];
        if rest.starts_with(r"\u") {
            self.position += 2;
            let low = self.hexadecimal_unit(count)?;
            if (0xDC00..0xE000).contains(&low) {
                return char::from_u32(0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00))
                    .ok_or_else(|| "half of a pair is no character".to_owned());
            }
        }
        Err("half of a pair is no character".to_owned())
    }

    fn hexadecimal_unit(&mut self, count: usize) -> Result<u32, String> {
        let digits = self
            .pattern
            .get(self.position..self.position + count)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or("hexadecimal digits are expected")?;
        self.position += count;
        u32::from_str_radix(digits, 16).map_err(|error| error.to_string())
    }

    /// A set after its opening bracket, for the engine.
    fn set(&mut self, depth: usize) -> Result<String, String> {
        if depth > DEEPEST {
            return Err(format!("sets are nested more than {DEEPEST} levels deep"));
        }
        let negated = self.peek() == Some('^');
        if negated {
            self.next();
        }
        let mut members = String::new();
        let mut first = true;
        let mut subtracted = None;
        loop {
            let character = self.next().ok_or("a set [ has no end")?;
            match character {
                ']' if !first => break,
                '-' if !first && self.peek() == Some('[') => {
                    self.next();
                    subtracted = Some(self.set(depth + 1)?);
                    if self.next() != Some(']') {
                        return Err("a subtraction must be the last part of a set".to_owned());
                    }
                    break;
                }
                _ => self.member(character, &mut members)?,
            }
            first = false;
        }
        let not = if negated { "^" } else { "" };
        Ok(match subtracted {
            None => format!("[{not}{members}]"),
            Some(subtracted) => format!("[[{not}{members}]--{subtracted}]"),
        })
    }

    /// One character, range or class of a set.
    fn member(&mut self, character: char, members: &mut String) -> Result<(), String> {
        let first = match character {
            '\\' => {
                let letter = self.peek().ok_or("a set [ has no end")?;
                if let Some(set) = class::of_letter(letter) {
                    self.next();
                    members.push_str(set);
                    return Ok(());
                }
                if matches!(letter, 'p' | 'P') {
                    self.next();
                    let set = self.category(letter == 'P')?;
                    members.push_str(&set);
                    return Ok(());
                }
                self.character_escape()?
            }
            _ => character,
        };
        let mut ahead = self.pattern[self.position..].chars();
        let is_range = ahead.next() == Some('-') && !matches!(ahead.next(), Some(']' | '[') | None);
        if !is_range {
            set_literal(members, first);
            return Ok(());
        }
        self.next();
        let last = match self.next() {
            Some('\\') => {
                if self
                    .peek()
                    .is_some_and(|letter| class::of_letter(letter).is_some() || matches!(letter, 'p' | 'P'))
                {
                    return Err("a class cannot end a range".to_owned());
                }
                self.character_escape()?
            }
            Some(last) => last,
            None => return Err("a set [ has no end".to_owned()),
        };
        if last < first {
            return Err(format!("the range {first}-{last} is in reverse order"));
        }
        set_literal(members, first);
        members.push('-');
        set_literal(members, last);
        Ok(())
    }

    pub(super) fn skip_set(&mut self) -> Result<(), String> {
        self.set(0).map(|_| ())
    }

    /// To the end of the line.
    pub(super) fn skip_comment(&mut self) {
        while self.next().is_some_and(|character| character != '\n') {}
    }

    fn peek(&self) -> Option<char> {
        self.pattern[self.position..].chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }
}

/// A character that stands for itself.
fn literal(output: &mut String, character: char) {
    if character.is_alphanumeric() || !character.is_ascii() {
        output.push(character);
    } else {
        set_literal(output, character);
    }
}

fn set_literal(output: &mut String, character: char) {
    output.push_str(&format!(r"\x{{{:x}}}", u32::from(character)));
}
