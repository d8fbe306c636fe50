//! What an expression consists of.

use super::function::Function;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    /// A comparison; the flag says that both sides are single values.
    Compare(Comparison, bool, Box<Self>, Box<Self>),
    Calculate(Calculation, Box<Self>, Box<Self>),
    Negative(Box<Self>),
    Range(Box<Self>, Box<Self>),
    Combine(Combination, Box<Self>, Box<Self>),
    Sequence(Vec<Self>),
    Number(f64),
    Literal(String),
    Variable(String),
    Call(Function, Vec<Self>),
    If(Box<[Self; 3]>),
    For(String, Box<Self>, Box<Self>),
    /// `every` when the flag is set, else `some`.
    Quantified(bool, String, Box<Self>, Box<Self>),
    Filter(Box<Self>, Vec<Self>),
    Path(Start, Vec<Step>),
}

/// Where a path begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Start {
    Context,
    Root,
    Value(Box<Expression>),
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Along an axis.
    Along(AxisStep),
    /// Whatever an expression yields on each node.
    Value(Expression),
}

/// A step along an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AxisStep {
    pub(super) axis: Axis,
    pub(super) test: Test,
    pub(super) predicates: Vec<Expression>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
    DivideWhole,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combination {
    Union,
    Intersect,
    Except,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Parent,
    Ancestor,
    AncestorOrSelf,
    Following,
    FollowingSibling,
    Preceding,
    PrecedingSibling,
    Attribute,
    Namespace,
    Itself,
}

/// What a step lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Any,
    Text,
    Comment,
    Document,
    Element,
    Attribute,
    Instruction(Option<String>),
    /// Namespace and local part; none for any.
    Name(Option<String>, Option<String>),
}
