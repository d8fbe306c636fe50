//! The functions of XPath.

use super::Place;
use super::conversion::is_true;
use super::evaluation::{Context, Evaluated, Evaluator, Item};
use super::expression::{Comparison, Expression};
use crate::xml::is_blank;
use crate::xml::name::split;
use regex::RegexBuilder;

/// Largest regular expression, in bytes of its program.
const LARGEST_PATTERN: usize = 1 << 20;

/// Longest text that a function may make.
const LONGEST_TEXT: usize = 16 << 20;

macro_rules! functions {
    ($($function:ident $name:literal $from:literal $to:literal $two:literal;)*) => {
        /// A function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function {
            $($function,)*
        }

        /// Name, fewest and most arguments, whether it is of 2.0 alone.
        const FUNCTIONS: &[(Function, &str, usize, usize, bool)] =
            &[$((Function::$function, $name, $from, $to, $two),)*];
    };
}

functions! {
    Last "last" 0 0 false;
    Position "position" 0 0 false;
    Count "count" 1 1 false;
    Id "id" 1 1 false;
    LocalName "local-name" 0 1 false;
    NamespaceUri "namespace-uri" 0 1 false;
    Name "name" 0 1 false;
    String "string" 0 1 false;
    Concat "concat" 2 100 false;
    StartsWith "starts-with" 2 2 false;
    Contains "contains" 2 2 false;
    SubstringBefore "substring-before" 2 2 false;
    SubstringAfter "substring-after" 2 2 false;
    Substring "substring" 2 3 false;
    StringLength "string-length" 0 1 false;
    NormalizeSpace "normalize-space" 0 1 false;
    Translate "translate" 3 3 false;
    Boolean "boolean" 1 1 false;
    Not "not" 1 1 false;
    True "true" 0 0 false;
    False "false" 0 0 false;
    Lang "lang" 1 1 false;
    Number "number" 0 1 false;
    Sum "sum" 1 1 false;
    Floor "floor" 1 1 false;
    Ceiling "ceiling" 1 1 false;
    Round "round" 1 1 false;
    EndsWith "ends-with" 2 2 true;
    LowerCase "lower-case" 1 1 true;
    UpperCase "upper-case" 1 1 true;
    Matches "matches" 2 3 true;
    Replace "replace" 3 4 true;
    Tokenize "tokenize" 2 3 true;
    StringJoin "string-join" 2 2 true;
    Compare "compare" 2 2 true;
    Exists "exists" 1 1 true;
    Empty "empty" 1 1 true;
    Data "data" 1 1 true;
    Root "root" 0 1 true;
    DistinctValues "distinct-values" 1 1 true;
    Reverse "reverse" 1 1 true;
    Subsequence "subsequence" 2 3 true;
    IndexOf "index-of" 2 2 true;
    Abs "abs" 1 1 true;
    Average "avg" 1 1 true;
    Smallest "min" 1 1 true;
    Largest "max" 1 1 true;
}

impl Function {
    /// The function of this name that takes so many arguments.
    pub(super) fn named(name: &str, arguments: usize, two: bool) -> Option<Self> {
        FUNCTIONS
            .iter()
            .find(|(_, known, from, to, later)| {
                *known == name && (*from..=*to).contains(&arguments) && (two || !later)
            })
            .map(|(function, ..)| *function)
    }
}

impl Evaluator<'_> {
    pub(super) fn call(
        &mut self,
        function: Function,
        arguments: &[Expression],
        context: &Context,
    ) -> Evaluated {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.evaluate(argument, context)?);
        }
        // Functions of one argument may leave out the node they stand on.
        let itself = [context.item.clone()];
        let first = values.first().map_or(&itself[..], Vec::as_slice);
        let number = |number: f64| Ok(vec![Item::Number(number)]);
        let truth = |truth: bool| Ok(vec![Item::Boolean(truth)]);
        let text = |text: String| Ok(vec![Item::Text(text)]);
        match function {
            Function::Last => number(context.size as f64),
            Function::Position => number(context.position as f64),
            Function::Count => number(first.len() as f64),
            // No attribute is an identifier without a DTD.
            Function::Id => Ok(Vec::new()),
            Function::LocalName => text(self.of_node(first, |evaluator, place| {
                split(evaluator.name(place)).1.to_owned()
            })),
            Function::Name => text(self.of_node(first, |evaluator, place| evaluator.name(place).to_owned())),
            Function::NamespaceUri => {
                text(self.of_node(first, |evaluator, place| evaluator.namespace(place).to_owned()))
            }
            Function::String => text(self.string(first)?),
            Function::Concat => {
                let mut all = String::new();
                for value in &values {
                    all.push_str(&self.string(value)?);
                    self.bound_text(&all)?;
                }
                text(all)
            }
            Function::StartsWith | Function::Contains | Function::EndsWith => {
                let (whole, part) = (self.string(first)?, self.string(&values[1])?);
                truth(match function {
                    Function::StartsWith => whole.starts_with(&part),
                    Function::EndsWith => whole.ends_with(&part),
                    _ => whole.contains(&part),
                })
            }
            Function::SubstringBefore | Function::SubstringAfter => {
                let (whole, part) = (self.string(first)?, self.string(&values[1])?);
                text(match whole.split_once(&part) {
                    None => String::new(),
                    Some((before, _)) if function == Function::SubstringBefore => before.to_owned(),
                    Some((_, after)) => after.to_owned(),
                })
            }
            Function::Substring => {
                let whole = self.string(first)?;
                let from = round(self.number(&values[1])?);
                let to = match values.get(2) {
                    None => f64::INFINITY,
                    Some(length) => from + round(self.number(length)?),
                };
                let chosen = whole.chars().enumerate().filter(|(index, _)| {
                    let position = *index as f64 + 1.0;
                    position >= from && position < to
                });
                text(chosen.map(|(_, character)| character).collect())
            }
            Function::StringLength => number(self.string(first)?.chars().count() as f64),
            Function::NormalizeSpace => {
                let whole = self.string(first)?;
                let words: Vec<&str> = whole.split(is_blank).filter(|word| !word.is_empty()).collect();
                text(words.join(" "))
            }
            Function::Translate => {
                let whole = self.string(first)?;
                let from: Vec<char> = self.string(&values[1])?.chars().collect();
                let to: Vec<char> = self.string(&values[2])?.chars().collect();
                self.spend(whole.len().saturating_mul(from.len() + 1) / 8)?;
                let translated = whole.chars().filter_map(|character| {
                    match from.iter().position(|known| *known == character) {
                        None => Some(character),
                        Some(index) => to.get(index).copied(),
                    }
                });
                text(translated.collect())
            }
            Function::Boolean => truth(is_true(first)),
            Function::Not => truth(!is_true(first)),
            Function::True => truth(true),
            Function::False => truth(false),
            Function::Lang => {
                let wanted = self.string(first)?.to_lowercase();
                truth(self.language(&context.item).is_some_and(|language| {
                    language == wanted || language.starts_with(&format!("{wanted}-"))
                }))
            }
            Function::Number => number(self.number(first)?),
            Function::Sum | Function::Average | Function::Smallest | Function::Largest => {
                self.aggregate(function, first)
            }
            Function::Floor => number(self.number(first)?.floor()),
            Function::Ceiling => number(self.number(first)?.ceil()),
            Function::Round => number(round(self.number(first)?)),
            Function::Abs => number(self.number(first)?.abs()),
            Function::LowerCase => text(self.string(first)?.to_lowercase()),
            Function::UpperCase => text(self.string(first)?.to_uppercase()),
            Function::Compare => {
                let (left, right) = (self.string(first)?, self.string(&values[1])?);
                number(f64::from(left.cmp(&right) as i8))
            }
            Function::Matches => {
                let whole = self.string(first)?;
                let flags = values
                    .get(2)
                    .map_or(Ok(String::new()), |flags| self.string(flags))?;
                let pattern = self.string(&values[1])?;
                truth(self.pattern(&pattern, &flags)?.is_match(&whole))
            }
            Function::Replace => {
                let whole = self.string(first)?;
                let flags = values
                    .get(3)
                    .map_or(Ok(String::new()), |flags| self.string(flags))?;
                let pattern = self.string(&values[1])?;
                let pattern = self.pattern(&pattern, &flags)?;
                let with = self.string(&values[2])?;
                let grown = pattern.find_iter(&whole).count().saturating_mul(with.len());
                self.spend(grown / 8)?;
                let replaced = pattern.replace_all(&whole, with.as_str()).into_owned();
                self.bound_text(&replaced)?;
                text(replaced)
            }
            Function::Tokenize => {
                let whole = self.string(first)?;
                let flags = values
                    .get(2)
                    .map_or(Ok(String::new()), |flags| self.string(flags))?;
                let pattern = self.string(&values[1])?;
                let pattern = self.pattern(&pattern, &flags)?;
                Ok(pattern
                    .split(&whole)
                    .map(|part| Item::Text(part.to_owned()))
                    .collect())
            }
            Function::StringJoin => {
                let separator = self.string(&values[1])?;
                let mut joined = String::new();
                for (index, item) in first.iter().enumerate() {
                    if index > 0 {
                        joined.push_str(&separator);
                    }
                    joined.push_str(&self.string_of_item(item)?);
                    self.bound_text(&joined)?;
                }
                text(joined)
            }
            Function::Exists => truth(!first.is_empty()),
            Function::Empty => truth(first.is_empty()),
            Function::Data => {
                let mut data = Vec::with_capacity(first.len());
                for item in first {
                    data.push(match item {
                        Item::Node(place) => Item::Text(self.string_of(*place)?),
                        item => item.clone(),
                    });
                }
                Ok(data)
            }
            Function::Root => Ok(vec![Item::Node(Place::Node(self.document.root()))]),
            Function::DistinctValues => {
                let mut seen = std::collections::HashSet::new();
                let mut kept = Vec::new();
                for item in first {
                    let value = self.string_of_item(item)?;
                    if seen.insert(value.clone()) {
                        kept.push(Item::Text(value));
                    }
                }
                Ok(kept)
            }
            Function::Reverse => Ok(first.iter().rev().cloned().collect()),
            Function::Subsequence => {
                let from = round(self.number(&values[1])?);
                let to = match values.get(2) {
                    None => f64::INFINITY,
                    Some(length) => from + round(self.number(length)?),
                };
                let chosen = first.iter().enumerate().filter(|(index, _)| {
                    let position = *index as f64 + 1.0;
                    position >= from && position < to
                });
                Ok(chosen.map(|(_, item)| item.clone()).collect())
            }
            Function::IndexOf => {
                let mut found = Vec::new();
                for (index, item) in first.iter().enumerate() {
                    if self.compare(Comparison::Equal, std::slice::from_ref(item), &values[1])? {
                        found.push(Item::Number(index as f64 + 1.0));
                    }
                }
                Ok(found)
            }
        }
    }

    fn of_node(&self, value: &[Item], read: impl Fn(&Self, Place) -> String) -> String {
        match value.first() {
            Some(Item::Node(place)) => read(self, *place),
            _ => String::new(),
        }
    }

    fn aggregate(&mut self, function: Function, items: &[Item]) -> Evaluated {
        if items.is_empty() && function != Function::Sum {
            return Ok(Vec::new());
        }
        let mut numbers = Vec::with_capacity(items.len());
        for item in items {
            numbers.push(self.number(std::slice::from_ref(item))?);
        }
        let sum: f64 = numbers.iter().sum();
        let has_nan = numbers.iter().any(|number| number.is_nan());
        Ok(vec![Item::Number(match function {
            Function::Sum => sum,
            Function::Average => sum / numbers.len() as f64,
            _ if has_nan => f64::NAN,
            Function::Smallest => numbers.into_iter().fold(f64::INFINITY, f64::min),
            _ => numbers.into_iter().fold(f64::NEG_INFINITY, f64::max),
        })])
    }

    fn language(&self, item: &Item) -> Option<String> {
        let (Item::Node(Place::Node(node)) | Item::Node(Place::Attribute(node, _))) = item else {
            return None;
        };
        let mut place = Some(*node);
        while let Some(node) = place {
            let language = self
                .document
                .element(node)
                .and_then(|tag| tag.attribute("xml:lang"));
            if let Some(language) = language {
                return Some(language.to_lowercase());
            }
            place = self.document.parent(node);
        }
        None
    }

    fn pattern(&mut self, pattern: &str, flags: &str) -> Evaluated<regex::Regex> {
        self.spend(1000 + pattern.len())?;
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(LARGEST_PATTERN);
        for flag in flags.chars() {
            match flag {
                'i' => builder.case_insensitive(true),
                's' => builder.dot_matches_new_line(true),
                'm' => builder.multi_line(true),
                'x' => builder.ignore_whitespace(true),
                _ => return Err(self.failed(format!("'{flag}' is no flag of a regular expression"))),
            };
        }
        builder
            .build()
            .map_err(|error| self.failed(format!("the regular expression '{pattern}': {error}")))
    }

    fn bound_text(&mut self, text: &str) -> Evaluated<()> {
        self.spend(text.len() / 64)?;
        if text.len() > LONGEST_TEXT {
            return Err(self.failed(format!("a text becomes longer than {LONGEST_TEXT} bytes")));
        }
        Ok(())
    }
}

/// To the nearest whole number, halves up.
fn round(number: f64) -> f64 {
    (number + 0.5).floor()
}
