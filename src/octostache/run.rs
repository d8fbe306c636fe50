//! One evaluation: constructs to text ("Variable templates" 4 to 6).

use crate::context::{Context, Found, Item, Scope};
use crate::echo;
use crate::evaluation::{Evaluation, EvaluationError, Evaluator, Limits, is_true};
use crate::explanation::{Explanation, Read};
use crate::filter::{Filters, HostFilters};
use crate::json::Json;
use crate::name_tree::Node;
use crate::number;
use crate::place::Place;
use crate::recent::Recent;
use crate::template::{
    Argument, Body, Branch, Condition, Construct, Expression, Kind, Piece, Side, Sum, Symbol, Template, Term,
};
use crate::text::{before_construct, unescape};
use crate::variable_collection::Variables;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of the stack that an evaluation may use; threads have two megabytes or more. In optimised code the limit of levels
/// is reached long before.
const MOST_STACK: usize = 1_400_000;

/// After so many constructs the clock is looked at: that takes as long as a small construct.
const CLOCK: usize = 16;

/// The state of one evaluation.
pub(crate) struct Run<'r> {
    pub(crate) variables: &'r dyn Variables,
    pub(crate) limits: Limits,
    deadline: Instant,
    /// The address of something on the stack where the evaluation began.
    stack: usize,
    pub(crate) depth: usize,
    rounds: usize,
    /// How many constructs were evaluated, to look at the clock now and then.
    constructs: usize,
    missing: Vec<String>,
    missing_known: HashSet<String>,
    places: Vec<Place>,
    no_value: bool,
    host: Option<&'r dyn HostFilters>,
    /// Loop bodies, values and arguments that the evaluation is in: there the filters of the host do not work.
    pub(crate) barred: usize,
    /// Texts that are only read as JSON: there missing references are not reported.
    pub(crate) muted: usize,
    /// The paths that are being resolved, with the place where each stands.
    pub(crate) chain: Vec<(String, usize)>,
    /// Texts that are no variable's and were parsed already; none for those that do not parse.
    pub(crate) parsed: HashMap<String, Option<Arc<Template<'static>>>>,
    /// Texts that were read as JSON already.
    pub(crate) documents: HashMap<String, Option<Rc<Json>>>,
    filters: Filters,
    /// The name that is looked up, as names are compared.
    pub(crate) folded: String,
    pub(crate) recent: Recent<'r>,
    pub(crate) reads: Option<Vec<Read>>,
}

/// The error is boxed: the machine calls itself deeply, and every frame holds room for it.
type Outcome<T> = Result<T, Box<EvaluationError>>;

impl<'r> Run<'r> {
    pub(crate) fn new(evaluator: &Evaluator<'r>) -> Self {
        Self {
            variables: evaluator.variables,
            limits: evaluator.limits,
            deadline: Instant::now() + evaluator.limits.time,
            stack: address_on_stack(),
            depth: 0,
            rounds: 0,
            constructs: 0,
            missing: Vec::new(),
            missing_known: HashSet::new(),
            places: Vec::new(),
            no_value: false,
            host: evaluator.host,
            barred: 0,
            muted: 0,
            chain: Vec::new(),
            parsed: HashMap::new(),
            documents: HashMap::new(),
            filters: Filters::default(),
            folded: String::new(),
            recent: Recent::default(),
            reads: None,
        }
    }

    pub(crate) fn template(mut self, template: &Template) -> Result<Evaluation, EvaluationError> {
        self.whole(template).map_err(|error| *error)
    }

    /// The answer with everything that was read for it.
    pub(crate) fn explained(mut self, template: &Template) -> Explanation {
        self.reads = Some(Vec::new());
        let outcome = self.whole(template).map_err(|error| *error);
        Explanation {
            outcome,
            reads: self.reads.unwrap_or_default(),
        }
    }

    /// The items of a collection, as raw texts.
    pub(crate) fn indexes(
        mut self,
        path: &Template,
        symbol: &Symbol,
    ) -> Result<Vec<String>, EvaluationError> {
        let root = self.root();
        let items = self.items(path, symbol, &root).map_err(|error| *error)?;
        let texts = items
            .iter()
            .map(|item| item.node().text().unwrap_or_default().to_owned());
        Ok(texts.collect())
    }

    fn root(&self) -> Context<'r> {
        Context {
            parent: None,
            scope: Scope::Root(self.variables),
        }
    }

    fn whole(&mut self, template: &Template) -> Outcome<Evaluation> {
        let root = self.root();
        let mut value = String::with_capacity(template.text.len());
        self.body(template, template.whole(), &root, &mut value)?;
        if self.no_value {
            value.clear();
        }
        Ok(Evaluation {
            value,
            no_value: self.no_value,
            missing: std::mem::take(&mut self.missing),
            places: std::mem::take(&mut self.places),
            parse_error: None,
        })
    }

    /// What is done for every piece stands in one place, so that no piece is copied on the way: files have many.
    pub(crate) fn body(
        &mut self,
        template: &Template,
        body: Body,
        context: &Context<'_>,
        output: &mut String,
    ) -> Outcome<()> {
        for piece in template.body(body) {
            match piece {
                Piece::Text(range) => {
                    let followed = before_construct(&template.text, range.end);
                    let text = &template.text[range];
                    self.admit(output, text.len())?;
                    unescape(text, followed, output);
                }
                Piece::Raw(range) | Piece::Broken(range) => self.append(output, &template.text[range])?,
                Piece::Plain(range) => {
                    self.enter_construct()?;
                    self.plain(template, range, context, output)?;
                    self.depth -= 1;
                }
                Piece::Construct(position) => {
                    self.enter_construct()?;
                    self.construct(template, position, context, output)?;
                    self.depth -= 1;
                }
            }
        }
        Ok(())
    }

    fn enter_construct(&mut self) -> Outcome<()> {
        self.constructs += 1;
        if self.constructs.is_multiple_of(CLOCK) && Instant::now() > self.deadline {
            return Err(EvaluationError::TooSlow(self.limits.time).into());
        }
        self.deeper()
    }

    fn plain(
        &mut self,
        template: &Template,
        range: Range<usize>,
        context: &Context<'_>,
        output: &mut String,
    ) -> Outcome<()> {
        if let Some(text) = self.at_hand(template, &range, context) {
            return self.append(output, text);
        }
        let position = range.start + 2;
        let expression = Expression {
            input: Some(Symbol::of_names(
                &template.text[position..range.end - 1],
                position,
            )),
            filters: Vec::new(),
        };
        self.substitution(template, range.start, &expression, context, output)
    }

    fn construct(
        &mut self,
        template: &Template,
        position: usize,
        context: &Context<'_>,
        output: &mut String,
    ) -> Outcome<()> {
        let Construct { kind, .. } = template.construct(position);
        match kind {
            Kind::Substitution(expression) => {
                self.substitution(template, position, expression, context, output)
            }
            Kind::Conditional { branch, otherwise } => {
                self.conditional(template, branch, *otherwise, context, output)
            }
            Kind::Repetition {
                name,
                collection,
                body,
            } => self.repetition(template, name, collection, *body, context, output),
            Kind::Calculation(sum) => {
                let value = match self.calculation(template, sum, context)? {
                    Some(value) => number::print(value),
                    None => format!("#{{{}}}", echo::calculation(template, sum)),
                };
                self.append(output, &value)
            }
        }
    }

    fn substitution(
        &mut self,
        template: &Template,
        position: usize,
        expression: &Expression,
        context: &Context<'_>,
        output: &mut String,
    ) -> Outcome<()> {
        if let Some(value) = self.expression(template, expression, context)? {
            return self.append(output, &value);
        }
        let echo = echo::substitution(template, expression);
        if template
            .filters(expression)
            .last()
            .is_some_and(|(name, _)| *name == "null")
        {
            if self.chain.is_empty() {
                self.no_value = true;
                return Ok(());
            }
        } else {
            self.report(&echo, template, position);
        }
        self.append(output, &echo)
    }

    fn conditional(
        &mut self,
        template: &Template,
        branch: &Branch,
        otherwise: Option<Body>,
        context: &Context<'_>,
        output: &mut String,
    ) -> Outcome<()> {
        for branch in template.branches(branch) {
            match self.condition(template, &branch.condition, context)? {
                None => {
                    let echo = echo::conditional(template, branch, otherwise);
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
    ) -> Outcome<Option<bool>> {
        let Some(left) = self.side(template, &condition.left, context)? else {
            return Ok(None);
        };
        let Some(comparison) = &condition.comparison else {
            return Ok(Some(is_true(&left)));
        };
        let right = match &comparison.right {
            Side::Text(text) => Cow::Borrowed(text.as_str()),
            Side::Expression(expression) => match self.side(template, expression, context)? {
                Some(right) => right,
                None => return Ok(None),
            },
        };
        Ok(Some((left == right) == comparison.equal))
    }

    /// A plain path that is missing counts as empty; a filter that gives nothing is reported.
    fn side<'c>(
        &mut self,
        template: &Template,
        expression: &Expression,
        context: &'c Context<'c>,
    ) -> Outcome<Option<Cow<'c, str>>> {
        let value = self.expression(template, expression, context)?;
        if value.is_none() {
            if expression.filters.is_empty() {
                return Ok(Some(Cow::Borrowed("")));
            }
            let position = expression.input.as_ref().map_or(0, |input| input.position);
            self.report(&echo::expression(template, expression), template, position);
        }
        Ok(value)
    }

    fn repetition(
        &mut self,
        template: &Template,
        name: &crate::character::Name,
        collection: &Symbol,
        body: Body,
        context: &Context<'_>,
        output: &mut String,
    ) -> Outcome<()> {
        let items = self.items(template, collection, context)?;
        if !items.is_empty() && name.folded == "OCTOPUS" {
            return Err(EvaluationError::ReservedLoopName(name.written.clone()).into());
        }
        let count = items.len();
        self.barred += 1;
        for (index, item) in items.into_iter().enumerate() {
            self.rounds += 1;
            if self.rounds > self.limits.rounds {
                return Err(EvaluationError::TooManyRounds(self.limits.rounds).into());
            }
            if Instant::now() > self.deadline {
                return Err(EvaluationError::TooSlow(self.limits.time).into());
            }
            let scope = Scope::Loop {
                name: name.clone(),
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
        self.barred -= 1;
        Ok(())
    }

    /// What a loop over this path visits: indexes, else the parts of its text.
    fn items<'c>(
        &mut self,
        template: &Template,
        collection: &Symbol,
        context: &'c Context<'c>,
    ) -> Outcome<Vec<Item<'c>>> {
        let Some((found, place)) = self.find(template, collection, context)? else {
            return Ok(Vec::new());
        };
        if let Found::Node(node) = &found
            && node.text().is_none()
        {
            return Ok(node.indexes().iter().map(Item::Borrowed).collect());
        }
        let Some(text) = self.text_of(template, collection, found, place)? else {
            return Ok(Vec::new());
        };
        let items = match self.document(&text).as_deref() {
            Some(Json::Array(elements)) => elements
                .iter()
                .map(|element| Node::of_text(element.text()))
                .collect(),
            Some(Json::Object(members)) => members
                .iter()
                .map(|(key, value)| Node::of_member(key.clone(), value.text()))
                .collect(),
            _ => {
                if text.matches(',').count() > self.limits.rounds {
                    return Err(EvaluationError::TooManyRounds(self.limits.rounds).into());
                }
                text.split(',')
                    .map(|part| Node::of_text(part.to_owned()))
                    .collect::<Vec<_>>()
            }
        };
        Ok(items
            .into_iter()
            .map(|node| Item::Owned(Box::new(node)))
            .collect())
    }

    fn calculation(&mut self, template: &Template, sum: &Sum, context: &Context<'_>) -> Outcome<Option<f64>> {
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

    fn term(&mut self, template: &Template, term: &Term, context: &Context<'_>) -> Outcome<Option<f64>> {
        match term {
            Term::Number(value) => Ok(Some(*value)),
            Term::ForeignDigits(position) => Err(Box::new(EvaluationError::Unreadable {
                what: "a number of a calculation".to_owned(),
                reason: "its digits are not 0 to 9",
                place: self.place(template, *position),
            })),
            Term::Sum(sum) => self.calculation(template, sum, context),
            Term::Symbol(symbol) => Ok(self
                .symbol(template, symbol, context)?
                .and_then(|text| number::read(&text))),
        }
    }

    /// The value of an expression: its input, through its filters.
    fn expression<'c>(
        &mut self,
        template: &Template,
        expression: &Expression,
        context: &'c Context<'c>,
    ) -> Outcome<Option<Cow<'c, str>>> {
        let mut value = match &expression.input {
            Some(symbol) => self.symbol(template, symbol, context)?,
            None => None,
        };
        for (name, written) in template.filters(expression) {
            let mut arguments = Vec::with_capacity(written.len());
            for argument in written {
                arguments.push(match argument {
                    Argument::Text(text) => text.clone(),
                    Argument::Construct(position) => {
                        let mut text = String::new();
                        self.barred += 1;
                        self.body(template, Body::at(*position), context, &mut text)?;
                        self.barred -= 1;
                        text
                    }
                });
            }
            let position = expression.input.as_ref().map_or(0, |input| input.position);
            value = self
                .filtered(template, position, name, value.as_deref(), &arguments)?
                .map(Cow::Owned);
        }
        Ok(value)
    }

    fn filtered(
        &mut self,
        template: &Template,
        position: usize,
        name: &str,
        input: Option<&str>,
        arguments: &[String],
    ) -> Outcome<Option<String>> {
        let failed = |run: &Self, reason: String| {
            Box::new(EvaluationError::Filter {
                filter: name.to_owned(),
                reason,
                place: run.place(template, position),
            })
        };
        let value = self
            .filters
            .apply(name, input, arguments)
            .map_err(|reason| failed(self, reason))?;
        if value
            .as_ref()
            .is_some_and(|value| value.len() > self.limits.output)
        {
            return Err(EvaluationError::TooLarge(self.limits.output).into());
        }
        match (value, self.host) {
            (None, Some(host)) if self.barred == 0 => Ok(host.apply(name, input, arguments)),
            (value, _) => Ok(value),
        }
    }

    pub(crate) fn deeper(&mut self) -> Outcome<()> {
        self.depth += 1;
        // Each value within a value also is a construct within a construct.
        if self.depth > self.limits.depth || self.stack_is_used_up() {
            return Err(EvaluationError::TooDeep(self.limits.depth).into());
        }
        Ok(())
    }

    pub(crate) fn stack_is_used_up(&self) -> bool {
        self.stack.abs_diff(address_on_stack()) > MOST_STACK
    }

    fn report(&mut self, reference: &str, template: &Template, position: usize) {
        if self.muted == 0 && self.missing_known.insert(reference.to_owned()) {
            self.missing.push(reference.to_owned());
            if self.places.len() < Evaluation::MOST_PLACES {
                let place = self.place(template, position);
                self.places.push(*place);
            }
        }
    }

    pub(crate) fn place(&self, template: &Template, position: usize) -> Box<Place> {
        let chain = self.chain.iter().map(|(path, _)| path.clone()).collect();
        Box::new(Place::new(&template.text, position, chain))
    }

    fn append(&self, output: &mut String, text: &str) -> Outcome<()> {
        self.admit(output, text.len())?;
        output.push_str(text);
        Ok(())
    }

    fn admit(&self, output: &str, more: usize) -> Outcome<()> {
        if output.len() + more > self.limits.output {
            return Err(EvaluationError::TooLarge(self.limits.output).into());
        }
        Ok(())
    }
}

fn address_on_stack() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}
