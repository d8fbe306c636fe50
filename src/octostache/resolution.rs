//! Paths to values ("Variable templates" 3, 7; observed 1.10, 1.11, 1.19 to 1.22).

use crate::character::Name;
use crate::context::{Context, Found, Walk};
use crate::echo;
use crate::evaluation::EvaluationError;
use crate::explanation::{Explanation, Read};
use crate::json::{self, Json};
use crate::name_tree::Node;
use crate::run::Run;
use crate::template::{Step, Symbol, Template};
use crate::text;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Texts longer than this, all together, are not remembered as JSON.
const MOST_REMEMBERED: usize = 1000;

/// The error is boxed: the machine calls itself deeply, and every frame holds room for it.
type Outcome<T> = Result<T, Box<EvaluationError>>;

impl<'r> Run<'r> {
    /// The value of a plain reference where it is a text without references that is stored under just these names: all
    /// that most need. None says nothing: the path is to be resolved as any other.
    pub(crate) fn at_hand<'c>(
        &mut self,
        template: &Template,
        range: &Range<usize>,
        context: &'c Context<'c>,
    ) -> Option<&'c str>
    where
        'r: 'c,
    {
        let (start, end) = (range.start + 2, range.end - 1);
        // Reads are told, and circles end here, where the long way says so.
        if self.reads.is_some() || self.chain.iter().any(|(_, at)| *at == start) {
            return None;
        }
        let names = template.text[start..end].split('.');
        if context.parent.is_some() || !self.chain.is_empty() {
            let (node, names) = context.at_hand(names)?;
            return self.stored(node, names);
        }
        // In the template itself and outside of loops, a reference always has the same text.
        if let Some(text) = self.recent.get(&template.text, range) {
            return Some(text);
        }
        let text = self.stored(self.variables.tree().root(), names)?;
        self.recent.add(&template.text, range, text);
        Some(text)
    }

    fn stored<'n, 'p>(
        &mut self,
        mut node: &'n Node,
        names: impl Iterator<Item = &'p str>,
    ) -> Option<&'n str> {
        for name in names {
            self.folded.clear();
            self.folded.push_str(name);
            self.folded.make_ascii_uppercase();
            node = node.child(&self.folded)?;
        }
        node.text().filter(|text| !text.contains("#{"))
    }

    /// The value of a path; none when it is missing.
    pub(crate) fn symbol<'c>(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        context: &'c Context<'c>,
    ) -> Outcome<Option<Cow<'c, str>>> {
        let entry = self.begin_read(template, symbol);
        let Some((found, place)) = self.find(template, symbol, context)? else {
            return Ok(None);
        };
        if let (Some(entry), Some(reads)) = (entry, &mut self.reads) {
            reads[entry].raw = found.text().map(str::to_owned);
        }
        let value = self.text_of(template, symbol, found, place)?;
        if let (Some(entry), Some(reads)) = (entry, &mut self.reads) {
            reads[entry].value = value.as_deref().map(str::to_owned);
        }
        Ok(value)
    }

    fn begin_read(&mut self, template: &Template, symbol: &Symbol) -> Option<usize> {
        let level = self.chain.len();
        let reads = self.reads.as_mut()?;
        if reads.len() >= Explanation::MOST_READS {
            return None;
        }
        reads.push(Read {
            path: echo::symbol(template, symbol),
            level,
            raw: None,
            value: None,
        });
        Some(reads.len() - 1)
    }

    /// What a path leads to, and the context where it was found.
    pub(crate) fn find<'c>(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        context: &'c Context<'c>,
    ) -> Outcome<Option<(Found<'c>, &'c Context<'c>)>> {
        if self
            .chain
            .iter()
            .any(|(_, position)| *position == symbol.position)
        {
            let path = echo::symbol(template, symbol);
            let link = (path, symbol.position);
            if self.chain.contains(&link) {
                return Err(self.circle(template, symbol, link.0));
            }
        }
        let mut steps = Vec::with_capacity(symbol.steps.len());
        for step in &symbol.steps {
            steps.push(match step {
                Step::Name(name) => Walk {
                    named: true,
                    name: Cow::Borrowed(name),
                },
                Step::Index(name) => Walk {
                    named: false,
                    name: Cow::Borrowed(name),
                },
                Step::Written(range) => Walk {
                    named: false,
                    name: Cow::Owned(Name::new(text::index(&template.text[range.clone()]))),
                },
                Step::Computed(at) => {
                    self.deeper()?;
                    let index = self.symbol(template, template.index_symbol(*at), context)?;
                    self.depth -= 1;
                    match index {
                        Some(index) => Walk {
                            named: false,
                            name: Cow::Owned(Name::new(index.into_owned())),
                        },
                        None => return Ok(None),
                    }
                }
            });
        }
        let mut place = Some(context);
        while let Some(here) = place {
            if let Some((start, taken)) = here.enter(&steps)
                && let Some(found) = self.walk(template, symbol, start, &steps[taken..], here)?
            {
                return Ok(Some((found, here)));
            }
            place = here.parent;
        }
        Ok(None)
    }

    fn walk<'c>(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        start: Found<'c>,
        steps: &[Walk<'_>],
        place: &'c Context<'c>,
    ) -> Outcome<Option<Found<'c>>> {
        let mut here = start;
        for step in steps {
            if let Found::Node(node) = &here {
                let below = if step.named {
                    node.child(&step.name.folded)
                } else {
                    node.index(&step.name)
                };
                if let Some(below) = below {
                    here = Found::Node(below);
                    continue;
                }
            }
            // A nameless step is taken in the tree alone: JSON keys that are empty cannot be reached.
            if step.name.written.is_empty() {
                return Ok(None);
            }
            match self.json_step(template, symbol, here, &step.name.written, place)? {
                Some(text) => here = Found::Text(text),
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// The member or element of a text that is JSON; none when there is no such text.
    fn json_step(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        container: Found<'_>,
        key: &str,
        place: &Context<'_>,
    ) -> Outcome<Option<String>> {
        let hopeless = |text: &str| !text.contains("#{") && !json::may_be_container(text);
        if container.text().is_none_or(hopeless) {
            return Ok(None);
        }
        let (depth, barred, links) = (self.depth, self.barred, self.chain.len());
        self.muted += 1;
        let text = self.text_of(template, symbol, container, place);
        self.muted -= 1;
        let text = match text {
            Ok(text) => text,
            // A circle while a text is only tried as JSON means that it is none.
            Err(error) if matches!(*error, EvaluationError::Circular { .. }) => {
                (self.depth, self.barred) = (depth, barred);
                self.chain.truncate(links);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match text {
            Some(text) => self.below(template, symbol, &text, key),
            None => Ok(None),
        }
    }

    /// The member or element of a text that has no references any more.
    fn below(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        text: &str,
        key: &str,
    ) -> Outcome<Option<String>> {
        match self.document(text).as_deref() {
            Some(Json::Object(members)) => Ok(Some(
                json::member(members, key).map(Json::text).unwrap_or_default(),
            )),
            Some(Json::Array(elements)) => match crate::number::int32(key) {
                None => Ok(None),
                Some(index) => match usize::try_from(index) {
                    Ok(index) => Ok(Some(elements.get(index).map(Json::text).unwrap_or_default())),
                    Err(_) => Err(Box::new(EvaluationError::Unreadable {
                        what: echo::symbol(template, symbol),
                        reason: "an index of an array is negative",
                        place: self.place(template, symbol.position),
                    })),
                },
            },
            _ => Ok(None),
        }
    }

    /// A text as JSON; none when it is no object or array.
    pub(crate) fn document(&mut self, text: &str) -> Option<Rc<Json>> {
        if !json::may_be_container(text) {
            return None;
        }
        if let Some(known) = self.documents.get(text) {
            return known.clone();
        }
        let document = json::read(text).map(Rc::new);
        if self.documents.len() < MOST_REMEMBERED {
            self.documents.insert(text.to_owned(), document.clone());
        }
        document
    }

    /// The text of what was found, with its own references evaluated where it was found.
    pub(crate) fn text_of<'c>(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        found: Found<'c>,
        place: &Context<'_>,
    ) -> Outcome<Option<Cow<'c, str>>> {
        match found {
            Found::Nothing => Ok(None),
            Found::Node(node) => match node.text() {
                None => Ok(None),
                Some(text) if !text.contains("#{") => Ok(Some(Cow::Borrowed(text))),
                Some(text) => match node.template() {
                    Some(parsed) => {
                        let parsed = Arc::clone(parsed);
                        self.nested(template, symbol, &parsed, place)
                            .map(|value| Some(Cow::Owned(value)))
                    }
                    None => Ok(Some(Cow::Borrowed(text))),
                },
            },
            Found::Text(text) if !text.contains("#{") => Ok(Some(Cow::Owned(text))),
            Found::Text(text) => {
                let parsed = match self.parsed.get(&text) {
                    Some(parsed) => parsed.clone(),
                    None => {
                        let parsed = Template::parse(&text)
                            .ok()
                            .map(Template::into_owned)
                            .map(Arc::new);
                        if self.parsed.len() < MOST_REMEMBERED {
                            self.parsed.insert(text.clone(), parsed.clone());
                        }
                        parsed
                    }
                };
                match parsed {
                    Some(parsed) => self
                        .nested(template, symbol, &parsed, place)
                        .map(|value| Some(Cow::Owned(value))),
                    None => Ok(Some(Cow::Owned(text))),
                }
            }
        }
    }

    fn nested(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        parsed: &Template,
        place: &Context<'_>,
    ) -> Outcome<String> {
        let path = echo::symbol(template, symbol);
        if self.chain.len() >= self.limits.depth || self.stack_is_used_up() {
            return Err(self.circle(template, symbol, path));
        }
        self.chain.push((path, symbol.position));
        self.barred += 1;
        let mut value = String::new();
        self.body(parsed, parsed.whole(), place, &mut value)?;
        self.barred -= 1;
        self.chain.pop();
        Ok(value)
    }

    fn circle(&self, template: &Template, symbol: &Symbol, path: String) -> Box<EvaluationError> {
        // A long way round is told by its end.
        let shown = self.chain.len().saturating_sub(20);
        let mut chain: Vec<&str> = self.chain[shown..]
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        chain.push(&path);
        let chain = chain.join(" -> ");
        let chain = if shown > 0 {
            format!("… -> {chain}")
        } else {
            chain
        };
        let mut place = self.place(template, symbol.position);
        place.chain.drain(..shown);
        Box::new(EvaluationError::Circular { path, chain, place })
    }
}

impl Found<'_> {
    /// The text as it is stored.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Node(node) => node.text(),
            Self::Text(text) => Some(text),
            Self::Nothing => None,
        }
    }
}
