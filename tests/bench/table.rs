//! The table: a line for each contender, with its ratio to ours and whether the goal holds.

use std::fmt::Write as _;
use std::time::Duration;

use crate::measure::Spent;

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};

/// What `design/performance.md` asks for: the pass gates a release, the moonshot is aimed at.
#[derive(Clone, Copy, Default)]
pub struct Goal {
    pub pass: Option<Bound>,
    pub moonshot: Option<Bound>,
}

impl Goal {
    pub const NONE: Self = Self {
        pass: None,
        moonshot: None,
    };

    pub fn at_least(pass: f64, moonshot: f64) -> Self {
        Self::of(AtLeast(pass), AtLeast(moonshot))
    }

    pub fn at_most(pass: f64, moonshot: f64) -> Self {
        Self::of(AtMost(pass), AtMost(moonshot))
    }

    pub fn pass(pass: Bound) -> Self {
        Self {
            pass: Some(pass),
            moonshot: None,
        }
    }

    pub fn moonshot(moonshot: Bound) -> Self {
        Self {
            pass: None,
            moonshot: Some(moonshot),
        }
    }

    fn of(pass: Bound, moonshot: Bound) -> Self {
        Self {
            pass: Some(pass),
            moonshot: Some(moonshot),
        }
    }
}

/// Prints lines as they come and keeps what missed its goal.
#[derive(Default)]
pub struct Table {
    missed: Vec<String>,
    passed: usize,
    /// What the lines are about.
    subject: String,
}

impl Table {
    /// Begins a group of lines.
    pub fn about(&mut self, subject: &str) {
        subject.clone_into(&mut self.subject);
        println!("\n{subject}");
    }

    /// Our own time, which others are compared with.
    pub fn ours(&mut self, what: &str, ours: Spent, note: &str) {
        line(what, &times(ours), note);
    }

    /// A peer's time; the ratio is how many times as fast we are.
    pub fn peer(&mut self, what: &str, ours: Spent, peer: Spent, goal: Goal) {
        let (cpu, wall) = (ratio(peer.cpu, ours.cpu), ratio(peer.wall, ours.wall));
        let verdict = self.judge(what, cpu, goal, &|value| format!("{value:.2} ×"));
        line(
            what,
            &times(peer),
            &format!("{cpu:>7.2} × CPU, {wall:.2} × wall{verdict}"),
        );
    }

    /// A figure of ours with its goal.
    pub fn figure(&mut self, what: &str, value: f64, show: &dyn Fn(f64) -> String, goal: Goal, note: &str) {
        let verdict = self.judge(what, value, goal, show);
        line(what, &show(value), &format!("{note}{verdict}"));
    }

    /// The end: what missed a goal.
    pub fn finish(self) {
        println!("\n{} goals hold, {} are missed", self.passed, self.missed.len());
        for missed in self.missed {
            println!("  {missed}");
        }
    }

    fn judge(&mut self, what: &str, value: f64, goal: Goal, show: &dyn Fn(f64) -> String) -> String {
        let mut told = String::new();
        for (name, bound) in [("goal", goal.pass), ("moonshot", goal.moonshot)] {
            let Some(bound) = bound else { continue };
            let (holds, sign, limit) = match bound {
                AtLeast(limit) => (value >= limit, '≥', limit),
                AtMost(limit) => (value <= limit, '≤', limit),
            };
            let asked = format!("{name} {sign} {}", show(limit));
            let verdict = if holds { "holds" } else { "MISSED" };
            write!(told, "; {asked} {verdict}").expect("a text takes what is written to it");
            if holds {
                self.passed += 1;
            } else {
                let subject = &self.subject;
                self.missed
                    .push(format!("{subject}: {what}: {}, {asked}", show(value)));
            }
        }
        told
    }
}

fn line(what: &str, figure: &str, against: &str) {
    println!("  {what:<56} {figure:>26}   {against}");
}

fn ratio(peer: Duration, ours: Duration) -> f64 {
    peer.as_secs_f64() / ours.as_secs_f64().max(1e-6)
}

fn times(spent: Spent) -> String {
    format!(
        "{} ({})",
        milliseconds(spent.cpu.as_secs_f64() * 1e3),
        milliseconds(spent.wall.as_secs_f64() * 1e3)
    )
}

/// A number of milliseconds, with as many digits as it is worth.
pub fn milliseconds(time: f64) -> String {
    match time {
        large if large >= 100.0 => format!("{large:.0} ms"),
        middle if middle >= 1.0 => format!("{middle:.1} ms"),
        small => format!("{small:.3} ms"),
    }
}

/// A number with a unit, thousands apart.
pub fn rate(unit: &'static str) -> impl Fn(f64) -> String {
    move |value| {
        let digits = format!("{value:.0}");
        let mut text = String::new();
        for (position, digit) in digits.char_indices() {
            if position > 0 && (digits.len() - position) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        format!("{text} {unit}")
    }
}

/// A number of bytes in MB.
pub fn megabytes(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}
