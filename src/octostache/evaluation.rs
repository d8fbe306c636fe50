//! Templates to text ("Variable templates" 3 to 6).

use crate::character::fold;
use crate::echo;
use crate::name_tree::Node;
use crate::number;
use crate::parser::{before_construct, unescape};
use crate::template::{
    Body, Branch, Condition, Expression, Kind, ParseError, Piece, Side, Step, Sum, Symbol, Template, Term,
};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VariableCollection;
    use proptest::prelude::*;

    fn collection(variables: &[(&str, &str)]) -> VariableCollection {
        let mut collection = VariableCollection::new();
        for (name, text) in variables {
            collection.set(name, Some(text));
        }
        collection
    }

    fn answer(text: &str, variables: &[(&str, &str)]) -> (String, Option<String>) {
        let evaluation = evaluate(text, &collection(variables)).expect("no circle");
        let error = evaluation.error();
        (evaluation.value, error)
    }

    fn value(text: &str, variables: &[(&str, &str)]) -> String {
        answer(text, variables).0
    }

    #[test]
    fn names_are_replaced_by_their_values() {
        let variables = [
            ("Region", "eu"),
            ("App Name", "Shop"),
            ("Url", "http://#{Host}/"),
            ("Host", "h1"),
            ("Db.Main.Port", "5432"),
            ("Empty", ""),
            ("svc@host", "a1"),
        ];
        assert_eq!(value("no markers here", &variables), "no markers here");
        assert_eq!(value("#{REGION}-#{ region }", &variables), "eu-eu");
        assert_eq!(value("#{App Name} #{svc@host}", &variables), "Shop a1");
        assert_eq!(value("#{Url}", &variables), "http://h1/");
        assert_eq!(value("#{Db.Main.Port}|#{Empty}|", &variables), "5432||");
    }

    #[test]
    fn what_is_missing_is_echoed_and_reported() {
        let (text, error) = answer("#{A}-#{Nope}-#{  Db }", &[("A", "x#{Gone}"), ("Db.Port", "1")]);
        assert_eq!(text, "x#{Gone}-#{Nope}-#{Db}");
        assert_eq!(
            error.as_deref(),
            Some("The following tokens were unable to be evaluated: '#{Gone}', '#{Nope}', '#{Db}'")
        );
    }

    #[test]
    fn one_bad_construct_blocks_a_strict_text_and_its_place_is_told() {
        for text in ["#{}", "#{ }", "#{A", "#{A+B}", "#{A} and\n #{A!}"] {
            let evaluation = evaluate(text, &collection(&[("A", "1")])).expect("no circle");
            assert_eq!(evaluation.value, text);
            let error = evaluation.parse_error.expect("does not parse");
            if text.contains('\n') {
                assert_eq!((error.line, error.column, error.found.as_str()), (2, 2, "#{A!}"));
            }
        }
    }

    #[test]
    fn hashes_are_escaped_by_doubling() {
        let a = [("A", "1"), ("V", "##{Keep}")];
        assert_eq!(value("##{A}", &a), "#{A}");
        assert_eq!(value("###{A}", &a), "#1");
        assert_eq!(value("####{A}", &a), "###{A}");
        assert_eq!(value("#A ## #{A}#", &a), "#A ## 1#");
        assert_eq!(value("## no marker", &a), "## no marker");
        assert_eq!(value("#{V}#{A}", &a), "#{Keep}1");
    }

    #[test]
    fn indexes_are_literal_computed_or_any() {
        let variables = [
            ("Srv[blue].Ip", "10.0.0.1"),
            ("Color", "blue"),
            ("M[a[0].b].K", "v"),
            ("M[]", "blank"),
            ("M[x y]", "sp"),
        ];
        assert_eq!(value("#{Srv[BLUE].ip}", &variables), "10.0.0.1");
        assert_eq!(value("#{Srv[#{Color}].Ip}", &variables), "10.0.0.1");
        assert_eq!(value("#{Srv[*].Ip}", &variables), "10.0.0.1");
        assert_eq!(value("#{M[a[0].b].K}#{M[]}#{M[x y]}", &variables), "vblanksp");
        assert_eq!(value("#{Srv[#{Nope}].Ip}", &variables), "#{Srv[#{Nope}].Ip}");
    }

    #[test]
    fn conditions_choose_a_branch() {
        let on = "#{if On}yes#{else}no#{/if}";
        for (text, expected) in [
            ("True", "yes"),
            ("False", "no"),
            ("0", "no"),
            (" No ", "no"),
            ("", "no"),
            (" ", "yes"),
            ("00", "yes"),
        ] {
            assert_eq!(value(on, &[("On", text)]), expected);
        }
        assert_eq!(answer(on, &[]), ("no".to_owned(), None));
        assert_eq!(value("#{unless On}off#{else}on#{/unless}", &[("On", "1")]), "on");
        assert_eq!(value("#{if \"Prod\" != Env}D#{/if}", &[("Env", "Test")]), "D");
        assert_eq!(value("#{if Env==\"Prod\"}P#{/if}", &[("Env", "Prod")]), "P");
        assert_eq!(
            value(
                "#{if A}1#{elseif B == \"q\"}2#{elseif C}4#{/if}",
                &[("B", "z"), ("C", "1")]
            ),
            "4"
        );
        assert_eq!(
            value("#{IF A}#{if B}ab#{else}a#{/if}#{/if}", &[("A", "1"), ("B", "0")]),
            "a"
        );
        assert_eq!(value("#{if A}open", &[("A", "1")]), "#{if A}open");
        assert_eq!(
            value("#{if A | Nope == \"x\"}Y#{else}N#{/if}", &[("A", "1")]),
            "#{if A | Nope == \"x\" }Y#{else}N#{/if}"
        );
        assert_eq!(
            value("#{unless A | Nope}Y#{/unless}", &[("A", "1")]),
            "#{if A | Nope}#{else}Y#{/if}"
        );
    }

    #[test]
    fn loops_visit_parts_of_a_text_or_indexes() {
        assert_eq!(value("#{each n in L}[#{n}]#{/each}", &[("L", "a, b")]), "[a][ b]");
        assert_eq!(value("#{each n in L}[#{n}]#{/each}", &[("L", "")]), "[]");
        assert_eq!(answer("#{each n in L}[#{n}]#{/each}", &[]), (String::new(), None));
        assert_eq!(
            value(
                "#{each s in Srv}#{s}=#{s.Ip};#{/each}",
                &[("Srv[b].Ip", "2"), ("Srv[a].Ip", "1")]
            ),
            "b=2;a=1;"
        );
        assert_eq!(
            value(
                "#{each n in L}#{n}#{unless Octopus.Template.Each.Last},#{/unless}#{/each}",
                &[("L", "x,y")]
            ),
            "x,y"
        );
        assert_eq!(
            value(
                "#{each r in R}#{each t in r.Tags}#{r}:#{t} #{/each}#{/each}",
                &[("R[1].Tags", "a,b"), ("R[2].Tags", "c")]
            ),
            "1:a 1:b 2:c "
        );
    }

    #[test]
    fn calculations_use_numbers_and_variables() {
        assert_eq!(
            value("#{calc (2+3)*4} #{calc 7/2} #{calc 10 - 4 - 3}", &[]),
            "20 3.5 3"
        );
        assert_eq!(
            value("#{calc ({A}+{B})*2} #{calc {A}-2}", &[("A", "1"), ("B", "2")]),
            "6 -1"
        );
        assert_eq!(answer("#{calc A*2}", &[("A", "x")]), ("#{A*2}".to_owned(), None));
        assert_eq!(value("#{calc 0.1+0.2}", &[]), "0.30000000000000004");
    }

    #[test]
    fn files_keep_what_does_not_parse() {
        let keep = |text: &str| {
            let variables = collection(&[("A", "1"), ("B", "2")]);
            evaluate_template(&Template::parse_keep_going(text), &variables, Limits::default())
                .expect("no circle")
                .value
        };
        assert_eq!(keep("a #{bad! b #{A}"), "a #{bad! b 1");
        assert_eq!(keep("#{A} tail #{"), "1 tail #{");
        assert_eq!(keep("stray #{/if} #{A}"), "stray #{/if} 1");
        assert_eq!(keep("x(\"#{\"==y) #{A}"), "x(\"#{\"==y) 1");
        assert_eq!(keep("#{A[#{B}"), "#{A[2");
        assert_eq!(keep("#{if A == B}x #{B}"), "#{if A == B}x #{B}");
        assert_eq!(keep("#{if A == B}x#{/unless} #{B}"), "#{if A == B}x#{/unless} 2");
    }

    /// E15
    #[test]
    fn a_circle_is_an_error_that_shows_it() {
        let circular = collection(&[("A", "#{B}"), ("B", "a#{A}"), ("Self", "#{Self}")]);
        // The fastest of some, since a test machine has other things to do.
        let fastest = (0..10).map(|_| {
            let started = Instant::now();
            let error = evaluate("#{A}", &circular).expect_err("circular").to_string();
            assert!(
                error.contains("circular") && error.contains("A -> B -> A"),
                "{error}"
            );
            assert!(evaluate("x#{Self}", &circular).is_err());
            started.elapsed()
        });
        assert!(
            fastest
                .min()
                .is_some_and(|fastest| fastest < Duration::from_millis(10))
        );
    }

    #[test]
    fn unclosed_blocks_and_nested_braces_are_read_in_linear_time() {
        // Generous for a slow machine; a parser that tries again what it tried before would need hours.
        let started = Instant::now();
        assert!(Template::parse(&"#{if a}".repeat(40)).is_ok());
        for hostile in [
            "#{",
            "#{a[",
            "#{a[#{",
            "#{calc (",
            "#{a|b \"",
            "#{a|b \\\"",
            "#{if a == b}",
            "[",
            "#{each a in b}",
            "#{a|b #{a|b ",
            "(",
        ] {
            let text = hostile.repeat(if hostile == "#{" { 100_000 } else { 20_000 });
            Template::parse_keep_going(&text);
            let variables = collection(&[("a", "1")]);
            // Whatever it is, it is answered or refused, not endured.
            drop(evaluate(&text, &variables));
        }
        let nested = "#{if a}".repeat(10_000) + &"#{/if}".repeat(10_000);
        assert_eq!(
            evaluate(&nested, &collection(&[("a", "1")])),
            Err(EvaluationError::TooDeep(Limits::default().depth))
        );
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{:?}",
            started.elapsed()
        );
    }

    /// E18
    #[test]
    fn a_huge_loop_and_a_growing_value_stop_at_their_limits() {
        let mut variables = collection(&[("L", &"a,".repeat(2000))]);
        assert_eq!(
            evaluate("#{each a in L}#{each b in L}#{/each}#{/each}", &variables),
            Err(EvaluationError::TooManyRounds(1_000_000))
        );
        variables.set("X0", Some("0123456789"));
        for level in 1..12 {
            let inner = format!("#{{X{}}}", level - 1).repeat(10);
            variables.set(&format!("X{level}"), Some(&inner));
        }
        let error = evaluate("#{X11}", &variables).expect_err("grows");
        assert!(
            matches!(error, EvaluationError::TooLarge(_) | EvaluationError::TooSlow(_)),
            "{error}"
        );
    }

    #[test]
    fn a_long_chain_of_values_ends_without_exhausting_the_stack() {
        let mut variables = VariableCollection::new();
        for level in 0..2000 {
            variables.set(&format!("V{level}"), Some(&format!("#{{V{}}}", level + 1)));
        }
        assert!(evaluate("#{V0}", &variables).is_err());
        assert!(evaluate("#{V1700}", &variables).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_kept_when_it_holds_no_marker(text in ".{0,200}") {
            let variables = collection(&[("A", "1")]);
            let evaluation = evaluate(&text, &variables);
            if !text.contains("#{") {
                prop_assert_eq!(evaluation.expect("plain").value, text);
            }
        }

        #[test]
        fn pieces_of_the_language_in_any_order_are_read_without_panic(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "#{", "}", "if ", "A", "[", "]", "#{/if}", "#{else}", "#{elseif A}", "each x in A", "#{/each}",
                "calc ", "1", "+", "(", ")", " | F ", "\"", "\\\"", "#", "==", " ", ".", "é", "#{A}", "*",
            ]), 0..40)
        ) {
            let text = parts.concat();
            let variables = collection(&[("A", "1,2"), ("A[x].y", "#{A}")]);
            let kept = evaluate_template(&Template::parse_keep_going(&text), &variables, Limits::default());
            prop_assert!(kept.is_ok());
            if let Ok(strict) = Template::parse(&text) {
                prop_assert!(evaluate_template(&strict, &variables, Limits::default()).is_ok());
            }
        }
    }
}
