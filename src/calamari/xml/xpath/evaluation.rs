//! What expressions yield on a document.

use super::conversion::{is_true, read_number, show_number};
use super::expression::{
    Axis, AxisStep, Calculation, Combination, Comparison, Expression, Start, Step, Test,
};
use super::{Dialect, Place, XPathError};
use crate::xml::document::{Document, Kind, NodeId};
use crate::xml::name::split;
use std::collections::HashSet;

/// Nodes and texts that one expression may look at, besides twenty times all there are.
const MOST_WORK: usize = 5_000_000;

/// What an expression yields, in order.
pub type Value = Vec<Item>;

/// One thing that an expression yields.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A node.
    Node(Place),
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// A truth.
    Boolean(bool),
}

pub(super) struct Evaluator<'a> {
    pub(super) document: &'a Document,
    pub(super) dialect: Dialect,
    text: &'a str,
    pub(super) blanks: bool,
    work: usize,
    most_work: usize,
    bound: Vec<(String, Value)>,
}

/// From where an expression is seen.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) item: Item,
    pub(super) position: usize,
    pub(super) size: usize,
}

pub(super) type Evaluated<T = Value> = Result<T, XPathError>;

impl<'a> Evaluator<'a> {
    pub(super) fn new(document: &'a Document, text: &'a str, dialect: Dialect, blanks: bool) -> Self {
        Self {
            document,
            dialect,
            text,
            blanks,
            work: 0,
            most_work: MOST_WORK + 20 * document.nodes.len(),
            bound: Vec::new(),
        }
    }

    pub(super) fn run(mut self, expression: &Expression, place: Place) -> Evaluated {
        let context = Context {
            item: Item::Node(place),
            position: 1,
            size: 1,
        };
        self.evaluate(expression, &context)
    }

    pub(super) fn spend(&mut self, work: usize) -> Evaluated<()> {
        self.work = self.work.saturating_add(work);
        if self.work > self.most_work {
            return Err(XPathError::Endless {
                expression: self.text.to_owned(),
            });
        }
        Ok(())
    }

    pub(super) fn failed(&self, reason: impl Into<String>) -> XPathError {
        XPathError::Failed {
            expression: self.text.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn evaluate(&mut self, expression: &Expression, context: &Context) -> Evaluated {
        self.spend(1)?;
        let truth = |truth| Ok(vec![Item::Boolean(truth)]);
        match expression {
            Expression::Or(left, right) => truth(self.truth(left, context)? || self.truth(right, context)?),
            Expression::And(left, right) => truth(self.truth(left, context)? && self.truth(right, context)?),
            Expression::Compare(comparison, single, left, right) => {
                let left = self.evaluate(left, context)?;
                let right = self.evaluate(right, context)?;
                if *single && (left.is_empty() || right.is_empty()) {
                    return Ok(Vec::new());
                }
                truth(self.compare(*comparison, &left, &right)?)
            }
            Expression::Calculate(calculation, left, right) => {
                let left = self.evaluate(left, context)?;
                let right = self.evaluate(right, context)?;
                if self.dialect == Dialect::Two && (left.is_empty() || right.is_empty()) {
                    return Ok(Vec::new());
                }
                let (left, right) = (self.number(&left)?, self.number(&right)?);
                Ok(vec![Item::Number(match calculation {
                    Calculation::Add => left + right,
                    Calculation::Subtract => left - right,
                    Calculation::Multiply => left * right,
                    Calculation::Divide => left / right,
                    Calculation::DivideWhole => (left / right).trunc(),
                    Calculation::Remainder => left % right,
                })])
            }
            Expression::Negative(operand) => {
                let operand = self.evaluate(operand, context)?;
                Ok(vec![Item::Number(-self.number(&operand)?)])
            }
            Expression::Range(from, to) => self.range(from, to, context),
            Expression::Combine(combination, left, right) => {
                let left = self.evaluate(left, context)?;
                let right = self.evaluate(right, context)?;
                self.combine(*combination, left, right)
            }
            Expression::Sequence(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(self.evaluate(part, context)?);
                }
                Ok(all)
            }
            Expression::Number(number) => Ok(vec![Item::Number(*number)]),
            Expression::Literal(text) => {
                self.spend(text.len())?;
                Ok(vec![Item::Text(text.clone())])
            }
            Expression::Variable(name) => {
                let bound = self.bound.iter().rev().find(|(known, _)| known == name);
                match bound.map(|(_, value)| value.clone()) {
                    Some(value) => Ok(value),
                    None => Err(XPathError::Variable {
                        expression: self.text.to_owned(),
                        name: name.clone(),
                    }),
                }
            }
            Expression::Call(function, arguments) => self.call(*function, arguments, context),
            Expression::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let chosen = if self.truth(condition, context)? {
                    then
                } else {
                    otherwise
                };
                self.evaluate(chosen, context)
            }
            Expression::For(name, values, then) => {
                let mut all = Vec::new();
                for item in self.evaluate(values, context)? {
                    self.bound.push((name.clone(), vec![item]));
                    let outcome = self.evaluate(then, context);
                    self.bound.pop();
                    all.extend(outcome?);
                }
                Ok(all)
            }
            Expression::Quantified(every, name, values, then) => {
                for item in self.evaluate(values, context)? {
                    self.bound.push((name.clone(), vec![item]));
                    let outcome = self.truth(then, context);
                    self.bound.pop();
                    if outcome? != *every {
                        return truth(!every);
                    }
                }
                truth(*every)
            }
            Expression::Filter(value, predicates) => {
                let mut items = self.evaluate(value, context)?;
                for predicate in predicates {
                    items = self.filter(items, predicate)?;
                }
                Ok(items)
            }
            Expression::Path(start, steps) => self.path(start, steps, context),
        }
    }

    fn range(&mut self, from: &Expression, to: &Expression, context: &Context) -> Evaluated {
        let from = self.evaluate(from, context)?;
        let to = self.evaluate(to, context)?;
        let (from, to) = (self.number(&from)?, self.number(&to)?);
        if from.is_nan() || to.is_nan() || from > to {
            return Ok(Vec::new());
        }
        // Numbers of this size cannot be positions.
        let length = (to - from).min(1e9) as usize + 1;
        self.spend(length)?;
        Ok((0..length).map(|step| Item::Number(from + step as f64)).collect())
    }

    fn combine(&mut self, combination: Combination, left: Value, right: Value) -> Evaluated {
        let left = self.places(left)?;
        let right = self.places(right)?;
        let kept = match combination {
            Combination::Union => left.into_iter().chain(right).collect(),
            Combination::Intersect | Combination::Except => {
                let right: HashSet<Place> = right.into_iter().collect();
                let wanted = combination == Combination::Intersect;
                left.into_iter()
                    .filter(|place| right.contains(place) == wanted)
                    .collect()
            }
        };
        Ok(self.in_order(kept)?.into_iter().map(Item::Node).collect())
    }

    fn places(&self, value: Value) -> Evaluated<Vec<Place>> {
        value
            .into_iter()
            .map(|item| match item {
                Item::Node(place) => Ok(place),
                _ => Err(self.failed("a value stands where nodes are expected")),
            })
            .collect()
    }

    fn in_order(&mut self, mut places: Vec<Place>) -> Evaluated<Vec<Place>> {
        self.spend(places.len())?;
        let order = self.document.order();
        let key = |place: &Place| match *place {
            Place::Node(node) => (order[node.0], 0),
            Place::Attribute(node, index) => (order[node.0], index + 1),
        };
        if !places.is_sorted_by(|a, b| key(a) < key(b)) {
            places.sort_by_key(key);
            places.dedup();
        }
        Ok(places)
    }

    fn path(&mut self, start: &Start, steps: &[Step], context: &Context) -> Evaluated {
        // `.` may be a value that is no node.
        if *start == Start::Context
            && let [Step::Along(only)] = steps
            && only.axis == Axis::Itself
            && only.test == Test::Any
            && only.predicates.is_empty()
        {
            return Ok(vec![context.item.clone()]);
        }
        let first = match start {
            Start::Context => vec![context.item.clone()],
            Start::Root => vec![Item::Node(Place::Node(self.document.root()))],
            Start::Value(value) => self.evaluate(value, context)?,
        };
        let mut places = self.places(first)?;
        for (index, step) in steps.iter().enumerate() {
            let step = match step {
                Step::Along(step) => step,
                Step::Value(expression) => {
                    let value = self.each(&places, expression)?;
                    // Values end a path.
                    if index + 1 == steps.len() && !value.iter().all(|item| matches!(item, Item::Node(_))) {
                        return Ok(value);
                    }
                    let found = self.places(value)?;
                    places = self.in_order(found)?;
                    continue;
                }
            };
            let mut next = Vec::new();
            for place in places {
                next.extend(self.step(place, step)?);
            }
            places = self.in_order(next)?;
        }
        Ok(places.into_iter().map(Item::Node).collect())
    }

    /// What an expression yields on each of the nodes.
    fn each(&mut self, places: &[Place], expression: &Expression) -> Evaluated {
        let mut all = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let context = Context {
                item: Item::Node(*place),
                position: index + 1,
                size: places.len(),
            };
            all.extend(self.evaluate(expression, &context)?);
        }
        Ok(all)
    }

    fn step(&mut self, from: Place, step: &AxisStep) -> Evaluated<Vec<Place>> {
        let candidates = self.along(from, step.axis);
        self.spend(candidates.len() + 1)?;
        let mut items: Value = candidates
            .into_iter()
            .filter(|place| self.passes(*place, step))
            .map(Item::Node)
            .collect();
        for predicate in &step.predicates {
            items = self.filter(items, predicate)?;
        }
        self.places(items)
    }

    fn filter(&mut self, items: Value, predicate: &Expression) -> Evaluated {
        let size = items.len();
        let mut kept = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let context = Context {
                item,
                position: index + 1,
                size,
            };
            let value = self.evaluate(predicate, &context)?;
            let passes = match value.as_slice() {
                [Item::Number(number)] => *number == context.position as f64,
                value => is_true(value),
            };
            if passes {
                kept.push(context.item);
            }
        }
        Ok(kept)
    }

    fn passes(&self, place: Place, step: &AxisStep) -> bool {
        let kind = match place {
            Place::Node(node) => Some(self.document.kind(node)),
            Place::Attribute(..) => None,
        };
        match &step.test {
            Test::Any => true,
            Test::Text => matches!(kind, Some(Kind::Text { .. } | Kind::CData(_))),
            Test::Comment => matches!(kind, Some(Kind::Comment(_))),
            Test::Document => matches!(kind, Some(Kind::Root)),
            Test::Element => matches!(kind, Some(Kind::Element(_))),
            Test::Attribute => kind.is_none(),
            Test::Instruction(wanted) => {
                matches!(kind, Some(Kind::Instruction { target, .. })
                    if wanted.as_ref().is_none_or(|wanted| wanted == target))
            }
            Test::Name(namespace, local) => {
                let fits = matches!(kind, Some(Kind::Element(_))) != (step.axis == Axis::Attribute)
                    && matches!(kind, None | Some(Kind::Element(_)));
                fits && local
                    .as_ref()
                    .is_none_or(|local| split(self.name(place)).1 == local)
                    && namespace
                        .as_ref()
                        .is_none_or(|namespace| self.namespace(place) == namespace)
            }
        }
    }

    /// The name as written; that of an instruction is its target.
    pub(super) fn name(&self, place: Place) -> &'a str {
        match place {
            Place::Attribute(node, index) => self
                .document
                .element(node)
                .and_then(|element| element.attributes().get(index))
                .map_or("", |attribute| &attribute.name),
            Place::Node(node) => match self.document.kind(node) {
                Kind::Element(element) => &element.name,
                Kind::Instruction { target, .. } => target,
                _ => "",
            },
        }
    }

    pub(super) fn namespace(&self, place: Place) -> &'a str {
        match place {
            Place::Attribute(node, _) => self.document.attribute_namespace(node, self.name(place)),
            Place::Node(node) if self.document.element(node).is_some() => self.document.namespace(node),
            Place::Node(_) => "",
        }
    }

    /// What a node says.
    pub(super) fn string_of(&mut self, place: Place) -> Evaluated<String> {
        let mut text = String::new();
        match place {
            Place::Attribute(node, index) => {
                let attributes = self.document.element(node).map(|element| element.attributes());
                if let Some(attribute) = attributes.and_then(|attributes| attributes.get(index)) {
                    text.push_str(&attribute.value);
                }
            }
            Place::Node(node) => match self.document.kind(node) {
                Kind::Root | Kind::Element(_) => {
                    for node in self.document.descendants(node) {
                        if !self.is_hidden(node) {
                            push_text(self.document, node, &mut text);
                        }
                    }
                }
                Kind::Text { .. } | Kind::CData(_) => {
                    // All the texts that touch it are one.
                    let siblings = self
                        .document
                        .parent(node)
                        .map_or(&[][..], |p| self.document.children(p));
                    let rest = siblings.iter().skip_while(|sibling| **sibling != node);
                    for sibling in rest {
                        if !matches!(self.document.kind(*sibling), Kind::Text { .. } | Kind::CData(_)) {
                            break;
                        }
                        if !self.is_hidden(*sibling) {
                            push_text(self.document, *sibling, &mut text);
                        }
                    }
                }
                Kind::Comment(content) => text.push_str(content),
                Kind::Instruction { data, .. } => text.push_str(data.trim_start()),
                Kind::Declaration(_) | Kind::Doctype(_) => {}
            },
        }
        self.spend(text.len() / 8)?;
        Ok(text)
    }

    /// The value as a text: that of its first item.
    pub(super) fn string(&mut self, value: &[Item]) -> Evaluated<String> {
        match value.first() {
            None => Ok(String::new()),
            Some(item) => self.string_of_item(item),
        }
    }

    pub(super) fn string_of_item(&mut self, item: &Item) -> Evaluated<String> {
        Ok(match item {
            Item::Node(place) => self.string_of(*place)?,
            Item::Text(text) => text.clone(),
            Item::Number(number) => show_number(*number),
            Item::Boolean(truth) => truth.to_string(),
        })
    }

    /// The value as a number: that of its first item; none is no number.
    pub(super) fn number(&mut self, value: &[Item]) -> Evaluated<f64> {
        match value.first() {
            None => Ok(f64::NAN),
            Some(item) => self.number_of_item(item),
        }
    }

    fn number_of_item(&mut self, item: &Item) -> Evaluated<f64> {
        Ok(match item {
            Item::Number(number) => *number,
            Item::Boolean(truth) => f64::from(u8::from(*truth)),
            Item::Text(text) => read_number(text),
            Item::Node(place) => read_number(&self.string_of(*place)?),
        })
    }

    pub(super) fn truth(&mut self, expression: &Expression, context: &Context) -> Evaluated<bool> {
        Ok(is_true(&self.evaluate(expression, context)?))
    }

    /// Whether the comparison holds for any item of the one and any of the other.
    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        left: &[Item],
        right: &[Item],
    ) -> Evaluated<bool> {
        let is_truth = |value: &[Item]| matches!(value, [Item::Boolean(_)]);
        if is_truth(left) || is_truth(right) {
            let (left, right) = (
                f64::from(u8::from(is_true(left))),
                f64::from(u8::from(is_true(right))),
            );
            return Ok(holds(comparison, left.partial_cmp(&right)));
        }
        for one in left {
            for other in right {
                self.spend(1)?;
                if self.compare_items(comparison, one, other)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn compare_items(&mut self, comparison: Comparison, left: &Item, right: &Item) -> Evaluated<bool> {
        let number = matches!(left, Item::Number(_)) || matches!(right, Item::Number(_));
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if number || !equality && self.dialect == Dialect::One {
            let (left, right) = (self.number_of_item(left)?, self.number_of_item(right)?);
            return Ok(holds(comparison, left.partial_cmp(&right)));
        }
        let (left, right) = (self.string_of_item(left)?, self.string_of_item(right)?);
        Ok(holds(comparison, Some(left.cmp(&right))))
    }
}

fn push_text(document: &Document, node: NodeId, text: &mut String) {
    match document.kind(node) {
        Kind::Text { value, .. } => text.push_str(value),
        Kind::CData(content) => text.push_str(content),
        _ => {}
    }
}

fn holds(comparison: Comparison, order: Option<std::cmp::Ordering>) -> bool {
    match comparison {
        Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::NotEqual => !order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}
