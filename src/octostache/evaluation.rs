//! Templates to text ("Variable templates" 3 to 6).

use crate::character::fold;
use crate::echo;
use crate::name_tree::Node;
use crate::number;
use crate::template::{
    Body, Branch, Condition, Expression, Kind, ParseError, Piece, Side, Step, Sum, Symbol, Template, Term,
};
use crate::text::{before_construct, unescape};
use crate::variable_collection::Variables;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What a text became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// The text; what had no value stands in it in normal form.
    pub value: String,
    /// The references that had no value, each once, in order.
    pub missing: Vec<String>,
    /// Why the text was left as it is.
    pub parse_error: Option<ParseError>,
}

impl Evaluation {
    /// What is to be reported beside the value, if anything.
    pub fn error(&self) -> Option<String> {
        if let Some(error) = &self.parse_error {
            return Some(error.to_string());
        }
        if self.missing.is_empty() {
            return None;
        }
        let tokens: Vec<String> = self.missing.iter().map(|token| format!("'{token}'")).collect();
        Some(format!(
            "The following tokens were unable to be evaluated: {}",
            tokens.join(", ")
        ))
    }
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A variable needs its own value.
    #[error(
        "the variable \"{path}\" is defined by a self referencing loop, a circular definition ({chain}); \
         change one of these variables so that it does not lead back to itself"
    )]
    Circular {
        /// The path at which the circle closed.
        path: String,
        /// The way there: `A -> B -> A`.
        chain: String,
    },
    /// Blocks or values within values beyond the limit.
    #[error("the template is nested more than {0} levels deep; write it flatter")]
    TooDeep(usize),
    /// More output than the limit.
    #[error("the template gives more than {0} bytes; a template that large is not evaluated")]
    TooLarge(usize),
    /// More loop rounds than the limit.
    #[error("the template's loops make more than {0} rounds; loop over fewer items")]
    TooManyRounds(usize),
    /// More time than the limit.
    #[error("the template took more than {} s to evaluate; make it simpler", .0.as_secs())]
    TooSlow(Duration),
    /// `#{each Octopus in …}` would hide all system variables.
    #[error("a loop variable cannot be named \"{0}\"; choose another name for it")]
    ReservedLoopName(String),
}

/// What an evaluation may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Blocks and values within each other.
    pub depth: usize,
    /// Bytes of any text that arises.
    pub output: usize,
    /// Rounds of all loops together.
    pub rounds: usize,
    /// Time in all.
    pub time: Duration,
}

impl Default for Limits {
    /// 500 levels, 64 MiB, 1,000,000 rounds, 5 s.
    fn default() -> Self {
        Self {
            depth: 500,
            output: 64 << 20,
            rounds: 1_000_000,
            time: Duration::from_secs(5),
        }
    }
}

/// Evaluates a text strictly: one that does not parse is its own value, and `parse_error` says why.
///
/// # Errors
/// A circular definition, or a limit: there is no value then.
pub fn evaluate(text: &str, variables: &dyn Variables) -> Result<Evaluation, EvaluationError> {
    match Template::parse(text) {
        Ok(template) => evaluate_template(&template, variables, Limits::default()),
        Err(error) => Ok(Evaluation {
            value: text.to_owned(),
            missing: Vec::new(),
            parse_error: Some(error),
        }),
    }
}

/// Evaluates a parsed template, for example one that [`Template::parse_keep_going`] made of a file.
///
/// # Errors
/// A circular definition, or a limit: there is no value then.
pub fn evaluate_template(
    template: &Template,
    variables: &dyn Variables,
    limits: Limits,
) -> Result<Evaluation, EvaluationError> {
    let mut evaluator = Evaluator {
        limits,
        deadline: Instant::now() + limits.time,
        depth: 0,
        rounds: 0,
        missing: Vec::new(),
        missing_known: HashSet::new(),
        parsed: HashMap::new(),
        chain: Vec::new(),
    };
    let root = Context {
        parent: None,
        scope: Scope::Root(variables),
    };
    let mut value = String::new();
    for piece in &template.pieces {
        evaluator.piece(template, piece.clone(), &root, &mut value)?;
    }
    Ok(Evaluation {
        value,
        missing: evaluator.missing,
        parse_error: None,
    })
}

/// The truth of a text: all but `0`, the empty text, and `no` or `false` in any case with surrounding blanks.
pub fn is_true(text: &str) -> bool {
    let word = text.trim();
    !(text.is_empty() || text == "0" || word.eq_ignore_ascii_case("no") || word.eq_ignore_ascii_case("false"))
}

struct Evaluator {
    limits: Limits,
    deadline: Instant,
    depth: usize,
    rounds: usize,
    missing: Vec<String>,
    missing_known: HashSet<String>,
    /// Texts of variables that were parsed already; none for those that do not parse.
    parsed: HashMap<String, Option<Rc<Template>>>,
    /// The paths that are being resolved, with the place where each stands.
    chain: Vec<(String, usize)>,
}

/// Where names are looked up: here, then in the parents.
struct Context<'a> {
    parent: Option<&'a Context<'a>>,
    scope: Scope<'a>,
}

enum Scope<'a> {
    Root(&'a dyn Variables),
    Loop {
        name: &'a str,
        item: Item<'a>,
        index: usize,
        last: bool,
    },
}

#[derive(Clone)]
enum Item<'a> {
    Node(&'a Node),
    Text(String),
}

impl Evaluator {
    fn piece(
        &mut self,
        template: &Template,
        piece: Piece,
        context: &Context<'_>,
        output: &mut String,
    ) -> Result<(), EvaluationError> {
        match piece {
            Piece::Text(range) => {
                let followed = before_construct(&template.text, range.end);
                let text = &template.text[range];
                self.admit(output, text.len())?;
                unescape(text, followed, output);
                Ok(())
            }
            Piece::Raw(range) => self.append(output, &template.text[range]),
            Piece::Construct(position) => {
                if Instant::now() > self.deadline {
                    return Err(EvaluationError::TooSlow(self.limits.time));
                }
                self.deeper()?;
                match &template.construct(position).kind {
                    Kind::Substitution(expression) => {
                        let value = match self.expression(template, expression, context)? {
                            Some(value) => value,
                            None => {
                                let echo = echo::substitution(template, expression);
                                self.report(&echo);
                                echo
                            }
                        };
                        self.append(output, &value)?;
                    }
                    Kind::Conditional { branches, otherwise } => {
                        self.conditional(template, branches, *otherwise, context, output)?;
                    }
                    Kind::Repetition {
                        name,
                        collection,
                        body,
                    } => {
                        self.repetition(template, name, collection, *body, context, output)?;
                    }
                    Kind::Calculation(sum) => {
                        let value = match self.calculation(template, sum, context)? {
                            Some(value) => number::print(value),
                            None => format!("#{{{}}}", echo::calculation(template, sum)),
                        };
                        self.append(output, &value)?;
                    }
                }
                self.depth -= 1;
                Ok(())
            }
        }
    }

    fn body(
        &mut self,
        template: &Template,
        body: Body,
        context: &Context<'_>,
        output: &mut String,
    ) -> Result<(), EvaluationError> {
        for piece in template.body(body) {
            self.piece(template, piece, context, output)?;
        }
        Ok(())
    }

    fn conditional(
        &mut self,
        template: &Template,
        branches: &[Branch],
        otherwise: Option<Body>,
        context: &Context<'_>,
        output: &mut String,
    ) -> Result<(), EvaluationError> {
        for (position, branch) in branches.iter().enumerate() {
            match self.condition(template, &branch.condition, context)? {
                None => {
                    let echo = echo::conditional(template, &branches[position..], otherwise);
                    return self.append(output, &echo);
                }
                Some(holds) if holds != branch.negated => {
                    return self.body(template, branch.body, context, output);
                }
                Some(_) => {}
            }
        }
        otherwise.map_or(Ok(()), |body| self.body(template, body, context, output))
    }

    /// Whether the condition holds; none when a side has no value.
    fn condition(
        &mut self,
        template: &Template,
        condition: &Condition,
        context: &Context<'_>,
    ) -> Result<Option<bool>, EvaluationError> {
        let Some(left) = self.side(template, &condition.left, context)? else {
            return Ok(None);
        };
        let Some(comparison) = &condition.comparison else {
            return Ok(Some(is_true(&left)));
        };
        let right = match &comparison.right {
            Side::Text(text) => text.clone(),
            Side::Expression(expression) => match self.side(template, expression, context)? {
                Some(right) => right,
                None => return Ok(None),
            },
        };
        Ok(Some((left == right) == comparison.equal))
    }

    /// A plain path that is missing counts as empty; a filter that gives nothing is reported.
    fn side(
        &mut self,
        template: &Template,
        expression: &Expression,
        context: &Context<'_>,
    ) -> Result<Option<String>, EvaluationError> {
        let value = self.expression(template, expression, context)?;
        if value.is_none() {
            if expression.filters.is_empty() {
                return Ok(Some(String::new()));
            }
            self.report(&echo::expression(template, expression));
        }
        Ok(value)
    }

    fn repetition(
        &mut self,
        template: &Template,
        name: &str,
        collection: &Symbol,
        body: Body,
        context: &Context<'_>,
        output: &mut String,
    ) -> Result<(), EvaluationError> {
        let Some((found, place)) = self.find(template, collection, context)? else {
            return Ok(());
        };
        let items: Vec<Item<'_>> = match found {
            Item::Node(node) if node.text().is_none() => node.indexes().iter().map(Item::Node).collect(),
            found => {
                let text = self
                    .text_of(template, collection, found, place)?
                    .unwrap_or_default();
                text.split(',').map(|part| Item::Text(part.to_owned())).collect()
            }
        };
        if !items.is_empty() && name.eq_ignore_ascii_case("Octopus") {
            return Err(EvaluationError::ReservedLoopName(name.to_owned()));
        }
        let count = items.len();
        for (index, item) in items.into_iter().enumerate() {
            self.rounds += 1;
            if self.rounds > self.limits.rounds {
                return Err(EvaluationError::TooManyRounds(self.limits.rounds));
            }
            let scope = Scope::Loop {
                name,
                item,
                index,
                last: index + 1 == count,
            };
            let inner = Context {
                parent: Some(context),
                scope,
            };
            self.body(template, body, &inner, output)?;
        }
        Ok(())
    }

    fn calculation(
        &mut self,
        template: &Template,
        sum: &Sum,
        context: &Context<'_>,
    ) -> Result<Option<f64>, EvaluationError> {
        let Some(mut value) = self.term(template, &sum.first, context)? else {
            return Ok(None);
        };
        for (operator, term) in &sum.rest {
            let Some(operand) = self.term(template, term, context)? else {
                return Ok(None);
            };
            value = match operator {
                '+' => value + operand,
                '-' => value - operand,
                '*' => value * operand,
                _ => value / operand,
            };
        }
        Ok(Some(value))
    }

    fn term(
        &mut self,
        template: &Template,
        term: &Term,
        context: &Context<'_>,
    ) -> Result<Option<f64>, EvaluationError> {
        match term {
            Term::Number(value) => Ok(Some(*value)),
            Term::Sum(sum) => self.calculation(template, sum, context),
            Term::Symbol(symbol) => Ok(self
                .symbol(template, symbol, context)?
                .and_then(|text| number::read(&text))),
        }
    }

    /// The value of an expression. No filter is known yet, so one with a filter has none.
    fn expression(
        &mut self,
        template: &Template,
        expression: &Expression,
        context: &Context<'_>,
    ) -> Result<Option<String>, EvaluationError> {
        match &expression.input {
            Some(symbol) if expression.filters.is_empty() => self.symbol(template, symbol, context),
            _ => Ok(None),
        }
    }

    fn symbol(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        context: &Context<'_>,
    ) -> Result<Option<String>, EvaluationError> {
        match self.find(template, symbol, context)? {
            Some((found, place)) => self.text_of(template, symbol, found, place),
            None => Ok(None),
        }
    }

    /// What a path leads to, and the context where it was found.
    fn find<'c>(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        context: &'c Context<'c>,
    ) -> Result<Option<(Item<'c>, &'c Context<'c>)>, EvaluationError> {
        let mut steps = Vec::with_capacity(symbol.steps.len());
        for step in &symbol.steps {
            steps.push(match step {
                Step::Name(name) => (true, name.clone()),
                Step::Index(index) => (false, index.clone()),
                Step::Computed(at) => {
                    self.deeper()?;
                    let index = self.symbol(template, template.index_symbol(*at), context)?;
                    self.depth -= 1;
                    match index {
                        Some(index) => (false, index),
                        None => return Ok(None),
                    }
                }
            });
        }
        let mut place = Some(context);
        while let Some(here) = place {
            if let Some(item) = here.look_up(&steps) {
                return Ok(Some((item, here)));
            }
            place = here.parent;
        }
        Ok(None)
    }

    /// The text of what was found, with its own references evaluated where it was found.
    fn text_of(
        &mut self,
        template: &Template,
        symbol: &Symbol,
        found: Item<'_>,
        place: &Context<'_>,
    ) -> Result<Option<String>, EvaluationError> {
        let text = match &found {
            Item::Text(text) => text.as_str(),
            Item::Node(node) => match node.text() {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        if !text.contains("#{") {
            return Ok(Some(text.to_owned()));
        }
        let path = echo::symbol(template, symbol);
        if self.chain.len() >= self.limits.depth
            || self
                .chain
                .iter()
                .any(|(other, position)| *position == symbol.position && *other == path)
        {
            return Err(self.circle(path));
        }
        let parsed = match self.parsed.get(text) {
            Some(parsed) => parsed.clone(),
            None => {
                let parsed = Template::parse(text).ok().map(Rc::new);
                self.parsed.insert(text.to_owned(), parsed.clone());
                parsed
            }
        };
        let Some(parsed) = parsed else {
            return Ok(Some(text.to_owned()));
        };
        self.chain.push((path, symbol.position));
        let mut value = String::new();
        for piece in &parsed.pieces {
            self.piece(&parsed, piece.clone(), place, &mut value)?;
        }
        self.chain.pop();
        Ok(Some(value))
    }

    fn circle(&self, path: String) -> EvaluationError {
        // A long way round is told by its end.
        let shown = self.chain.len().saturating_sub(20);
        let mut chain: Vec<&str> = self.chain[shown..]
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        chain.push(&path);
        let chain = chain.join(" -> ");
        EvaluationError::Circular {
            path,
            chain: if shown > 0 {
                format!("… -> {chain}")
            } else {
                chain
            },
        }
    }

    fn deeper(&mut self) -> Result<(), EvaluationError> {
        self.depth += 1;
        // Each value within a value also is a construct within a construct.
        if self.depth > self.limits.depth {
            return Err(EvaluationError::TooDeep(self.limits.depth));
        }
        Ok(())
    }

    fn report(&mut self, reference: &str) {
        if self.missing_known.insert(reference.to_owned()) {
            self.missing.push(reference.to_owned());
        }
    }

    fn append(&self, output: &mut String, text: &str) -> Result<(), EvaluationError> {
        self.admit(output, text.len())?;
        output.push_str(text);
        Ok(())
    }

    fn admit(&self, output: &str, more: usize) -> Result<(), EvaluationError> {
        if output.len() + more > self.limits.output {
            return Err(EvaluationError::TooLarge(self.limits.output));
        }
        Ok(())
    }
}

impl<'a> Context<'a> {
    /// Walks the steps, each a name (true) or an index, in this context alone.
    fn look_up(&self, steps: &[(bool, String)]) -> Option<Item<'a>> {
        match &self.scope {
            Scope::Root(variables) => walk(variables.tree().root(), steps).map(Item::Node),
            Scope::Loop {
                name,
                item,
                index,
                last,
            } => {
                let ((_, first), rest) = steps.split_first()?;
                if fold(first) == fold(name) {
                    return match item {
                        Item::Node(node) => walk(node, rest).map(Item::Node),
                        Item::Text(_) if rest.is_empty() => Some(item.clone()),
                        Item::Text(_) => None,
                    };
                }
                let path: Vec<String> = steps.iter().map(|(_, name)| name.to_ascii_lowercase()).collect();
                let truth = |holds: bool| if holds { "True" } else { "False" }.to_owned();
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                match names.as_slice() {
                    ["octopus", "template", "each", "index"] => Some(Item::Text(index.to_string())),
                    ["octopus", "template", "each", "first"] => Some(Item::Text(truth(*index == 0))),
                    ["octopus", "template", "each", "last"] => Some(Item::Text(truth(*last))),
                    _ => None,
                }
            }
        }
    }
}

fn walk<'a>(mut node: &'a Node, steps: &[(bool, String)]) -> Option<&'a Node> {
    for (named, step) in steps {
        node = if *named {
            node.child(step)
        } else {
            node.index(step)
        }?;
    }
    Some(node)
}
