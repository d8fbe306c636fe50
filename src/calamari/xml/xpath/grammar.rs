//! From tokens to expressions.

use super::expression::{
    Axis, AxisStep, Calculation, Combination, Comparison, Expression, Start, Step, Test,
};
use super::function::Function;
use super::lexer::Token;
use super::{Dialect, Prefixes};

/// Deepest nesting of an expression.
const MOST_DEPTH: usize = 64;

/// Reads a whole expression.
pub(super) fn parse(tokens: &[Token], prefixes: &Prefixes, dialect: Dialect) -> Result<Expression, String> {
    let mut parser = Parser {
        tokens,
        place: 0,
        prefixes,
        two: dialect == Dialect::Two,
        depth: 0,
    };
    let expression = parser.expression()?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(format!("{} is not expected", show(token))),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    place: usize,
    prefixes: &'a Prefixes,
    two: bool,
    depth: usize,
}

type Parsed = Result<Expression, String>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.place)
    }

    fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.place + ahead)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.place += usize::from(found);
        found
    }

    fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Sign(next)) if *next == sign)
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.place += usize::from(found);
        found
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Name(prefix, local)) if prefix.is_empty() && local == word)
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(match self.peek() {
            None => format!("'{sign}' is missing at the end"),
            Some(token) => format!("'{sign}' is expected, not {}", show(token)),
        })
    }

    fn expression(&mut self) -> Parsed {
        let first = self.single()?;
        if !self.two || !self.is_sign(0, ",") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.sign(",") {
            parts.push(self.single()?);
        }
        Ok(Expression::Sequence(parts))
    }

    fn single(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(format!("it is nested more than {MOST_DEPTH} deep"));
        }
        let bound = self.two && matches!(self.peek_at(1), Some(Token::Variable(_)));
        let parsed = if self.two && self.is_word(0, "if") && self.is_sign(1, "(") {
            self.conditional()
        } else if bound && self.is_word(0, "for") {
            self.place += 1;
            self.bindings("return", &|name, values, then| {
                Expression::For(name, Box::new(values), Box::new(then))
            })
        } else if bound && (self.is_word(0, "some") || self.is_word(0, "every")) {
            let every = self.is_word(0, "every");
            self.place += 1;
            self.bindings("satisfies", &move |name, values, then| {
                Expression::Quantified(every, name, Box::new(values), Box::new(then))
            })
        } else {
            self.or()
        };
        self.depth -= 1;
        parsed
    }

    fn conditional(&mut self) -> Parsed {
        self.place += 2;
        let condition = self.expression()?;
        self.expect(")")?;
        if !self.word("then") {
            return Err("'then' is missing".to_owned());
        }
        let then = self.single()?;
        if !self.word("else") {
            return Err("'else' is missing".to_owned());
        }
        let otherwise = self.single()?;
        Ok(Expression::If(Box::new([condition, then, otherwise])))
    }

    fn bindings(&mut self, end: &str, make: &dyn Fn(String, Expression, Expression) -> Expression) -> Parsed {
        let Some(Token::Variable(name)) = self.peek() else {
            return Err("a variable is expected".to_owned());
        };
        self.place += 1;
        if !self.word("in") {
            return Err("'in' is missing".to_owned());
        }
        let values = self.single()?;
        let then = if self.sign(",") {
            self.depth += 1;
            if self.depth > MOST_DEPTH {
                return Err(format!("it is nested more than {MOST_DEPTH} deep"));
            }
            let inner = self.bindings(end, make)?;
            self.depth -= 1;
            inner
        } else if self.word(end) {
            self.single()?
        } else {
            return Err(format!("'{end}' is missing"));
        };
        Ok(make(name.clone(), values, then))
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.equality()?;
        while self.word("and") {
            left = Expression::And(Box::new(left), Box::new(self.equality()?));
        }
        Ok(left)
    }

    fn equality(&mut self) -> Parsed {
        let mut left = self.relation()?;
        loop {
            let (comparison, single) = if self.sign("=") {
                (Comparison::Equal, false)
            } else if self.sign("!=") {
                (Comparison::NotEqual, false)
            } else if self.two && self.word("eq") {
                (Comparison::Equal, true)
            } else if self.two && self.word("ne") {
                (Comparison::NotEqual, true)
            } else {
                return Ok(left);
            };
            let right = self.relation()?;
            left = Expression::Compare(comparison, single, Box::new(left), Box::new(right));
        }
    }

    fn relation(&mut self) -> Parsed {
        const WORDS: [(&str, &str, Comparison); 4] = [
            ("<=", "le", Comparison::LessOrEqual),
            (">=", "ge", Comparison::GreaterOrEqual),
            ("<", "lt", Comparison::Less),
            (">", "gt", Comparison::Greater),
        ];
        let mut left = self.range()?;
        loop {
            let found = WORDS
                .iter()
                .find(|(sign, word, _)| self.is_sign(0, sign) || self.two && self.is_word(0, word));
            let Some((sign, _, comparison)) = found else {
                return Ok(left);
            };
            let single = !self.is_sign(0, sign);
            self.place += 1;
            let right = self.range()?;
            left = Expression::Compare(*comparison, single, Box::new(left), Box::new(right));
        }
    }

    fn range(&mut self) -> Parsed {
        let left = self.sum()?;
        if self.two && self.word("to") {
            return Ok(Expression::Range(Box::new(left), Box::new(self.sum()?)));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let calculation = if self.sign("+") {
                Calculation::Add
            } else if self.sign("-") {
                Calculation::Subtract
            } else {
                return Ok(left);
            };
            left = Expression::Calculate(calculation, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.negative()?;
        loop {
            let calculation = if self.sign("*") {
                Calculation::Multiply
            } else if self.word("div") {
                Calculation::Divide
            } else if self.two && self.word("idiv") {
                Calculation::DivideWhole
            } else if self.word("mod") {
                Calculation::Remainder
            } else {
                return Ok(left);
            };
            left = Expression::Calculate(calculation, Box::new(left), Box::new(self.negative()?));
        }
    }

    fn negative(&mut self) -> Parsed {
        let mut negative = false;
        loop {
            if self.sign("-") {
                negative = !negative;
            } else if !(self.two && self.sign("+")) {
                break;
            }
        }
        let operand = self.union()?;
        Ok(if negative {
            Expression::Negative(Box::new(operand))
        } else {
            operand
        })
    }

    fn union(&mut self) -> Parsed {
        let mut left = self.intersection()?;
        while self.sign("|") || self.two && self.word("union") {
            left = Expression::Combine(Combination::Union, Box::new(left), Box::new(self.intersection()?));
        }
        Ok(left)
    }

    fn intersection(&mut self) -> Parsed {
        let mut left = self.path()?;
        loop {
            let combination = if self.two && self.word("intersect") {
                Combination::Intersect
            } else if self.two && self.word("except") {
                Combination::Except
            } else {
                return Ok(left);
            };
            left = Expression::Combine(combination, Box::new(left), Box::new(self.path()?));
        }
    }

    fn path(&mut self) -> Parsed {
        if self.sign("/") {
            if !self.begins_step() {
                return Ok(Expression::Path(Start::Root, Vec::new()));
            }
            return self.steps(Start::Root, Vec::new());
        }
        if self.sign("//") {
            return self.steps(Start::Root, vec![everything()]);
        }
        if !self.begins_primary() {
            return self.steps(Start::Context, Vec::new());
        }
        let mut value = self.primary()?;
        let predicates = self.predicates()?;
        if !predicates.is_empty() {
            value = Expression::Filter(Box::new(value), predicates);
        }
        if self.sign("/") {
            return self.steps(Start::Value(Box::new(value)), Vec::new());
        }
        if self.sign("//") {
            return self.steps(Start::Value(Box::new(value)), vec![everything()]);
        }
        Ok(value)
    }

    fn begins_step(&self) -> bool {
        match self.peek() {
            _ if self.two && self.begins_primary() => true,
            Some(Token::Name(..) | Token::Axis(_)) => !self.begins_primary(),
            Some(Token::Sign(sign)) => matches!(*sign, "." | ".." | "@" | "*"),
            _ => false,
        }
    }

    fn begins_primary(&self) -> bool {
        const NODE_TESTS: [&str; 7] = [
            "node",
            "text",
            "comment",
            "processing-instruction",
            "element",
            "attribute",
            "document-node",
        ];
        match self.peek() {
            Some(Token::Number(_) | Token::Literal(_) | Token::Variable(_)) => true,
            Some(Token::Sign(sign)) => *sign == "(",
            Some(Token::Name(prefix, local)) => {
                let known = if self.two { 7 } else { 4 };
                self.is_sign(1, "(") && !(prefix.is_empty() && NODE_TESTS[..known].contains(&local.as_str()))
            }
            _ => false,
        }
    }

    fn primary(&mut self) -> Parsed {
        let Some(token) = self.peek() else {
            return Err("it ends too early".to_owned());
        };
        self.place += 1;
        match token {
            Token::Number(value) => Ok(Expression::Number(*value)),
            Token::Literal(text) => Ok(Expression::Literal(text.clone())),
            Token::Variable(name) => Ok(Expression::Variable(name.clone())),
            Token::Name(prefix, local) => self.call(prefix, local),
            Token::Sign("(") if self.two && self.sign(")") => Ok(Expression::Sequence(Vec::new())),
            Token::Sign("(") => {
                let inner = if self.two {
                    self.expression()?
                } else {
                    self.single()?
                };
                self.expect(")")?;
                Ok(inner)
            }
            other => Err(format!("{} is not expected", show(other))),
        }
    }

    fn call(&mut self, prefix: &str, local: &str) -> Parsed {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.sign(")") {
            loop {
                arguments.push(self.single()?);
                if self.sign(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        let own = prefix.is_empty() || self.two && prefix == "fn";
        let function = own
            .then(|| Function::named(local, arguments.len(), self.two))
            .flatten()
            .ok_or_else(|| format!("there is no function {local} with {} arguments", arguments.len()))?;
        Ok(Expression::Call(function, arguments))
    }

    fn steps(&mut self, start: Start, mut steps: Vec<Step>) -> Parsed {
        loop {
            steps.push(self.step()?);
            if self.sign("//") {
                steps.push(everything());
            } else if !self.sign("/") {
                return Ok(Expression::Path(start, steps));
            }
        }
    }

    fn step(&mut self) -> Result<Step, String> {
        if self.two && self.begins_primary() {
            let value = self.primary()?;
            let predicates = self.predicates()?;
            return Ok(Step::Value(if predicates.is_empty() {
                value
            } else {
                Expression::Filter(Box::new(value), predicates)
            }));
        }
        self.axis_step().map(Step::Along)
    }

    fn axis_step(&mut self) -> Result<AxisStep, String> {
        let plain = |axis| AxisStep {
            axis,
            test: Test::Any,
            predicates: Vec::new(),
        };
        if self.sign("..") {
            let predicates = if self.two { self.predicates()? } else { Vec::new() };
            return Ok(AxisStep {
                predicates,
                ..plain(Axis::Parent)
            });
        }
        if self.sign(".") {
            let predicates = if self.two { self.predicates()? } else { Vec::new() };
            return Ok(AxisStep {
                predicates,
                ..plain(Axis::Itself)
            });
        }
        let axis = if self.sign("@") {
            Axis::Attribute
        } else if let Some(Token::Axis(name)) = self.peek() {
            self.place += 1;
            axis(name).ok_or_else(|| format!("there is no axis {name}"))?
        } else {
            Axis::Child
        };
        let test = self.test()?;
        let predicates = self.predicates()?;
        // `attribute(x)` alone looks at attributes.
        let axis = if axis == Axis::Child && test == Test::Attribute {
            Axis::Attribute
        } else {
            axis
        };
        Ok(AxisStep {
            axis,
            test,
            predicates,
        })
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.sign("*") {
            return Ok(Test::Name(None, None));
        }
        let Some(Token::Name(prefix, local)) = self.peek() else {
            return Err(match self.peek() {
                None => "a step is missing at the end".to_owned(),
                Some(token) => format!("a step is expected, not {}", show(token)),
            });
        };
        self.place += 1;
        if prefix.is_empty() && self.is_sign(0, "(") {
            return self.kind_test(local);
        }
        let namespace = match prefix.as_str() {
            // Elements without prefix are those without namespace, as attributes are.
            "" => Some(String::new()),
            "*" => None,
            "xml" => Some(crate::xml::name::XML_NAMESPACE.to_owned()),
            prefix => Some(
                self.prefixes
                    .get(prefix)
                    .ok_or_else(|| format!("the prefix {prefix} is not declared"))?
                    .clone(),
            ),
        };
        Ok(Test::Name(namespace, (local != "*").then(|| local.clone())))
    }

    fn kind_test(&mut self, name: &str) -> Result<Test, String> {
        self.expect("(")?;
        let argument = match self.peek() {
            Some(Token::Literal(text)) => Some(text.clone()),
            Some(Token::Name(prefix, local)) if self.two && prefix.is_empty() => Some(local.clone()),
            _ => None,
        };
        let any = self.two && self.sign("*");
        self.place += usize::from(argument.is_some());
        self.expect(")")?;
        match (name, argument) {
            ("node", None) => Ok(Test::Any),
            ("text", None) => Ok(Test::Text),
            ("comment", None) => Ok(Test::Comment),
            ("processing-instruction", target) if !any => Ok(Test::Instruction(target)),
            ("document-node", None) if self.two => Ok(Test::Document),
            ("element", None) if self.two => Ok(Test::Element),
            ("element", Some(local)) if self.two => Ok(Test::Name(Some(String::new()), Some(local))),
            ("attribute", None) if self.two => Ok(Test::Attribute),
            (name, _) => Err(format!(
                "{name}() is no test of a node, or has too much in its brackets"
            )),
        }
    }

    fn predicates(&mut self) -> Result<Vec<Expression>, String> {
        let mut predicates = Vec::new();
        while self.sign("[") {
            predicates.push(if self.two {
                self.expression()?
            } else {
                self.single()?
            });
            self.expect("]")?;
        }
        Ok(predicates)
    }
}

/// The step that `//` stands for.
const fn everything() -> Step {
    Step::Along(AxisStep {
        axis: Axis::DescendantOrSelf,
        test: Test::Any,
        predicates: Vec::new(),
    })
}

fn axis(name: &str) -> Option<Axis> {
    Some(match name {
        "child" => Axis::Child,
        "descendant" => Axis::Descendant,
        "descendant-or-self" => Axis::DescendantOrSelf,
        "parent" => Axis::Parent,
        "ancestor" => Axis::Ancestor,
        "ancestor-or-self" => Axis::AncestorOrSelf,
        "following" => Axis::Following,
        "following-sibling" => Axis::FollowingSibling,
        "preceding" => Axis::Preceding,
        "preceding-sibling" => Axis::PrecedingSibling,
        "attribute" => Axis::Attribute,
        "namespace" => Axis::Namespace,
        "self" => Axis::Itself,
        _ => return None,
    })
}

fn show(token: &Token) -> String {
    match token {
        Token::Number(value) => value.to_string(),
        Token::Literal(text) => format!("'{text}'"),
        Token::Name(prefix, local) if prefix.is_empty() => local.clone(),
        Token::Name(prefix, local) => format!("{prefix}:{local}"),
        Token::Variable(name) => format!("${name}"),
        Token::Axis(name) => format!("{name}::"),
        Token::Sign(sign) => format!("'{sign}'"),
    }
}
