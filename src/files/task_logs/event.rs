//! One line of a log file.

use serde::{Deserialize, Serialize};

/// A place in a log: the epoch of the lease that wrote the line, and the line's number in that epoch's segment.
/// It grows along the log, and as one number it is what a reader sends to continue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Position {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The line in the segment, from 1; 0 = before the first.
    pub line: u64,
}

/// A segment has fewer lines than this.
const LINES: u64 = 1 << 32;

impl From<u64> for Position {
    fn from(number: u64) -> Self {
        Self {
            epoch: number / LINES,
            line: number % LINES,
        }
    }
}

impl From<Position> for u64 {
    fn from(position: Position) -> Self {
        position.epoch * LINES + position.line
    }
}

/// How a block stands (`rest-api.md` 3.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It will be worked on.
    #[default]
    Pending,
    /// It is being worked on.
    Running,
    /// It did what it should.
    Success,
    /// It did not.
    Failed,
    /// It was left out.
    Skipped,
    /// It did what it should, and warned.
    SuccessWithWarning,
    /// It was stopped.
    Canceled,
}

impl Status {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// What a line is to its reader (`rest-api.md` 3.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Category {
    /// For us.
    Trace,
    /// Only in the detailed log.
    Verbose,
    /// Plain output.
    #[default]
    Info,
    /// Stands out in the summary.
    Highlight,
    /// A waiting notice.
    Wait,
    /// Lines were left out here.
    Gap,
    /// Needs a person.
    Alert,
    /// Not quite well.
    Warning,
    /// Wrong.
    Error,
    /// Wrong, and the end of it.
    Fatal,
}

impl Category {
    /// The name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "Trace",
            Self::Verbose => "Verbose",
            Self::Info => "Info",
            Self::Highlight => "Highlight",
            Self::Wait => "Wait",
            Self::Gap => "Gap",
            Self::Alert => "Alert",
            Self::Warning => "Warning",
            Self::Error => "Error",
            Self::Fatal => "Fatal",
        }
    }

    /// Whether only the detailed log shows it.
    #[must_use]
    pub fn is_detail(self) -> bool {
        matches!(self, Self::Trace | Self::Verbose)
    }
}

/// Where a line came from: the script's ticket and the agent's number for the line. The log takes each pair
/// once, so that a repeated status answer adds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The ticket.
    pub ticket: String,
    /// The agent's number, from 1.
    pub sequence: i64,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// A block appears, or goes from Pending to Running. The text is its name.
    Open {
        /// Its name.
        name: String,
        /// The block around it; none for the task itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
        /// Pending or Running.
        status: Status,
    },
    /// A line of text.
    Line {
        /// What it is to its reader.
        category: Category,
        /// The text, masked.
        text: String,
        /// More about it, for those who ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// The agent's line it came from.
        #[serde(default, skip_serializing_if = "Option::is_none", flatten)]
        source: Option<Source>,
    },
    /// How far a block is.
    Progress {
        /// 0 to 100.
        percentage: u8,
        /// What is being done.
        text: String,
    },
    /// A block ends.
    Close {
        /// How.
        status: Status,
    },
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place.
    pub position: Position,
    /// When, in milliseconds since 1970 UTC.
    pub time: i64,
    /// The block it belongs to.
    pub block: String,
    /// What it says.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Event {
    /// The line as it stands in the file, without its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("an event holds only texts and numbers")
    }

    /// Reads a line of a file.
    #[must_use]
    pub fn from_line(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        let text = "\\PC{0,20}[\\n\\r\"\\\\]?";
        prop_oneof![
            (text, proptest::option::of(text), Just(Status::Running))
                .prop_map(|(name, parent, status)| Kind::Open { name, parent, status }),
            (text, proptest::option::of((text, any::<i64>()))).prop_map(|(text, source)| Kind::Line {
                category: Category::Warning,
                text,
                detail: None,
                source: source.map(|(ticket, sequence)| Source { ticket, sequence }),
            }),
            (0_u8..=100, text).prop_map(|(percentage, text)| Kind::Progress { percentage, text }),
            Just(Kind::Close {
                status: Status::SuccessWithWarning
            }),
        ]
    }

    proptest! {
        #[test]
        fn an_event_is_one_line_and_comes_back(kind in kinds(), epoch in 1_u64..1000, line in 1_u64..1_000_000, time in any::<i64>()) {
            let event = Event { position: Position { epoch, line }, time, block: "ServerTasks-1_A/b".into(), kind };
            let text = event.to_line();
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(Event::from_line(text.as_bytes()), Some(event));
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Event::from_line(&bytes).is_none());
        }

        #[test]
        fn positions_are_ordered_like_their_numbers(one in any::<(u32, u32)>(), two in any::<(u32, u32)>()) {
            let of = |(epoch, line): (u32, u32)| Position { epoch: u64::from(epoch) >> 8, line: u64::from(line) };
            prop_assert_eq!(of(one).cmp(&of(two)), u64::from(of(one)).cmp(&u64::from(of(two))));
            prop_assert_eq!(Position::from(u64::from(of(one))), of(one));
        }
    }

    #[test]
    fn a_line_is_readable_with_plain_tools() {
        let event = Event {
            position: Position { epoch: 1, line: 7 },
            time: 1_714_557_600_000,
            block: "ServerTasks-1_A".into(),
            kind: Kind::Line {
                category: Category::Info,
                text: "hello".into(),
                detail: None,
                source: Some(Source {
                    ticket: "t".into(),
                    sequence: 3,
                }),
            },
        };
        assert_eq!(
            event.to_line(),
            r#"{"position":4294967303,"time":1714557600000,"block":"ServerTasks-1_A","kind":"line","category":"Info","text":"hello","ticket":"t","sequence":3}"#
        );
    }
}
