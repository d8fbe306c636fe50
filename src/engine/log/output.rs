//! Reads what a script prints: levels, service messages, plain lines (`calamari.md` 3).

use contracts::service_message::WrappedMessage;
use contracts::{OutputSource, ProcessOutput, ServiceMessage};
use files::task_logs::Category;

/// The longest name of an output variable, artifact or progress message.
const LONGEST_NAME: usize = 1000;

/// What one line of a script means.
#[derive(Clone, PartialEq)]
pub enum Output {
    /// A line for the log.
    Line {
        /// Its level.
        category: Category,
        /// The text, not yet masked.
        text: String,
    },
    /// An output variable.
    Variable {
        /// The name that the script gave.
        name: String,
        /// The value.
        value: String,
        /// Whether it is masked from now on.
        sensitive: bool,
    },
    /// A file to fetch when the script has ended.
    Artifact {
        /// Where it is on the machine.
        path: String,
        /// What people see.
        name: String,
    },
    /// How far the script is.
    Progress {
        /// 0 to 100.
        percentage: u8,
        /// What it is doing.
        message: String,
    },
    /// Why the script fails, in its own words.
    Result(String),
    /// A text that must not be seen from now on.
    Mask(String),
}

impl Output {
    fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Line {
                category: Category::Warning | Category::Error,
                ..
            }
        )
    }
}

/// Reads the lines of one script, from its first on: levels hold until the next one is set.
#[derive(Debug, Clone)]
pub struct OutputReader {
    standard: Standard,
    error: ErrorOutput,
    warned: bool,
    wrapped: WrappedMessage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standard {
    Shown(Category),
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorOutput {
    Error,
    Progress,
    Ignored,
}

impl Default for OutputReader {
    fn default() -> Self {
        Self {
            standard: Standard::Shown(Category::Info),
            error: ErrorOutput::Error,
            warned: false,
            wrapped: WrappedMessage::default(),
        }
    }
}

impl OutputReader {
    /// Whether the script has printed a warning or an error.
    #[must_use]
    pub fn has_warned(&self) -> bool {
        self.warned
    }

    /// What a line means; nothing for a line that only switches the level, or in the middle of a message that goes over
    /// several lines.
    pub fn read(&mut self, line: &ProcessOutput) -> Vec<Output> {
        let mut found = Vec::new();
        if line.source == OutputSource::StdOut {
            for text in self.wrapped.take(&line.text) {
                self.read_text(&text, line.source, &mut found);
            }
        } else {
            self.read_text(&line.text, line.source, &mut found);
        }
        self.warned |= found.iter().any(Output::is_warning);
        found
    }

    /// What the script began to say when it ended.
    pub fn end(&mut self) -> Vec<Output> {
        let mut found = Vec::new();
        for text in self.wrapped.give_up() {
            self.read_text(&text, OutputSource::StdOut, &mut found);
        }
        self.warned |= found.iter().any(Output::is_warning);
        found
    }

    fn read_text(&mut self, line: &str, source: OutputSource, found: &mut Vec<Output>) {
        let mut text = String::new();
        let mut shown = 0;
        let mut understood = false;
        // What looks like a message does not show: values must not stand in the log in Base64.
        for place in ServiceMessage::find(line) {
            text.push_str(&line[shown..place.place.start]);
            shown = place.place.end;
            if let Some(message) = &place.message {
                understood = true;
                self.follow(message, source, found);
            }
        }
        text.push_str(&line[shown..]);
        if !understood || !text.trim().is_empty() {
            let category = match source {
                OutputSource::StdOut => match self.standard {
                    Standard::Shown(category) => Some(category),
                    Standard::Ignored => None,
                },
                OutputSource::StdErr => match self.error {
                    ErrorOutput::Error => Some(Category::Error),
                    ErrorOutput::Progress => Some(Category::Verbose),
                    ErrorOutput::Ignored => None,
                },
                OutputSource::Debug => Some(Category::Verbose),
            };
            found.extend(category.map(|category| Output::Line { category, text }));
        }
    }

    fn follow(&mut self, message: &ServiceMessage, source: OutputSource, found: &mut Vec<Output>) {
        let name = message.name.as_str();
        if let Some(value) = (name == "mask").then(|| message.get("value")).flatten() {
            found.push(Output::Mask(value.into()));
        }
        if source != OutputSource::StdOut {
            return;
        }
        match name {
            "stdout-default" => self.standard = Standard::Shown(Category::Info),
            "stdout-verbose" => self.standard = Standard::Shown(Category::Verbose),
            "stdout-warning" => self.standard = Standard::Shown(Category::Warning),
            "stdout-highlight" => self.standard = Standard::Shown(Category::Highlight),
            "stdout-wait" => self.standard = Standard::Shown(Category::Wait),
            "stdout-error" => self.standard = Standard::Shown(Category::Error),
            "stdout-ignore" => self.standard = Standard::Ignored,
            "stderr-default" | "stderr-error" => self.error = ErrorOutput::Error,
            "stderr-progress" => self.error = ErrorOutput::Progress,
            "stderr-ignore" => self.error = ErrorOutput::Ignored,
            "setVariable" => found.extend(variable(message)),
            "createArtifact" => found.extend(artifact(message)),
            "progress" => found.extend(progress(message)),
            "resultMessage" => found.extend(message.get("message").map(|text| Output::Result(text.into()))),
            _ => {}
        }
    }
}

/// A script may set outputs of its own action only, and none that looks like a fact of the Server.
fn variable(message: &ServiceMessage) -> Option<Output> {
    let name = message
        .get("name")
        .filter(|name| !name.trim().is_empty() && name.len() <= LONGEST_NAME)?;
    let lower = name.to_lowercase();
    if lower.starts_with("octopus.") && !lower.starts_with("octopus.action.") {
        let text = format!(
            "The script set the variable '{name}', which only the Server sets. It is ignored; use another name."
        );
        return Some(Output::Line {
            category: Category::Warning,
            text,
        });
    }
    Some(Output::Variable {
        name: name.into(),
        value: message.get("value").unwrap_or_default().into(),
        sensitive: message
            .get("sensitive")
            .is_some_and(|text| text.eq_ignore_ascii_case("true")),
    })
}

fn artifact(message: &ServiceMessage) -> Option<Output> {
    let path = message.get("path").filter(|path| !path.is_empty())?;
    let named = message.get("name").filter(|name| !name.trim().is_empty());
    let name = domain::artifact::file_name(named.unwrap_or(path))?;
    Some(Output::Artifact {
        path: path.into(),
        name,
    })
}

fn progress(message: &ServiceMessage) -> Option<Output> {
    let percentage = message
        .get("percentage")?
        .trim()
        .parse::<f64>()
        .ok()?
        .clamp(0.0, 100.0);
    // In range by the clamp.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let percentage = percentage as u8;
    Some(Output::Progress {
        percentage,
        message: message.get("message").unwrap_or_default().into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[(OutputSource, &str)]) -> Vec<Output> {
        let mut reader = OutputReader::default();
        let line = |(source, text): &(OutputSource, &str)| ProcessOutput {
            source: *source,
            occurred: 0,
            text: (*text).into(),
        };
        lines.iter().flat_map(|one| reader.read(&line(one))).collect()
    }

    fn line(category: Category, text: &str) -> Output {
        Output::Line {
            category,
            text: text.into(),
        }
    }

    #[test]
    fn a_level_holds_until_the_next_one() {
        use OutputSource::{Debug, StdErr, StdOut};
        let found = read(&[
            (StdOut, "plain"),
            (StdOut, "##octopus[stdout-verbose]"),
            (StdOut, "detail"),
            (StdErr, "bad"),
            (StdOut, "##octopus[stdout-warning]"),
            (StdOut, "careful"),
            (StdOut, "##octopus[stderr-progress]"),
            (StdErr, "50 %"),
            (StdOut, "##octopus[stdout-ignore]"),
            (StdOut, "hidden"),
            (StdOut, "##octopus[stdout-default]"),
            (Debug, "from the agent"),
            (StdOut, ""),
        ]);
        let expected = [
            line(Category::Info, "plain"),
            line(Category::Verbose, "detail"),
            line(Category::Error, "bad"),
            line(Category::Warning, "careful"),
            line(Category::Verbose, "50 %"),
            line(Category::Verbose, "from the agent"),
            line(Category::Info, ""),
        ];
        assert!(found == expected);
    }

    #[test]
    fn messages_become_effects_and_do_not_show() {
        let set = ServiceMessage::new(
            "setVariable",
            &[("name", "X"), ("value", "secret"), ("sensitive", "True")],
        )
        .to_string();
        let artifact =
            ServiceMessage::new("createArtifact", &[("path", "/a/../etc/x"), ("name", "../x")]).to_string();
        let progress =
            ServiceMessage::new("progress", &[("percentage", "250"), ("message", "m")]).to_string();
        let both = format!("before {set} after");
        let found = read(&[
            (OutputSource::StdOut, &both),
            (OutputSource::StdOut, &artifact),
            (OutputSource::StdOut, &progress),
            (OutputSource::StdErr, &set),
        ]);
        let expected = [
            Output::Variable {
                name: "X".into(),
                value: "secret".into(),
                sensitive: true,
            },
            line(Category::Info, "before  after"),
            Output::Artifact {
                path: "/a/../etc/x".into(),
                name: "x".into(),
            },
            Output::Progress {
                percentage: 100,
                message: "m".into(),
            },
        ];
        assert!(found == expected);
    }

    #[test]
    fn a_message_over_several_lines_is_one() {
        use OutputSource::{StdErr, StdOut};
        let mut reader = OutputReader::default();
        let mut read = |source, text: &str| {
            reader.read(&ProcessOutput {
                source,
                occurred: 0,
                text: text.into(),
            })
        };
        assert!(read(StdOut, "##octopus[setVariable name='WA==' value='MT").is_empty());
        assert!(read(StdErr, "aside") == [line(Category::Error, "aside")]);
        let variable = Output::Variable {
            name: "X".into(),
            value: "1234".into(),
            sensitive: true,
        };
        assert!(read(StdOut, "IzNA==' sensitive='VHJ1ZQ==']") == [variable]);
        assert!(read(StdOut, "##octopus[mask value='QUJD").is_empty());
        assert!(reader.end() == [line(Category::Info, "##octopus[mask value='QUJD")]);
    }

    #[test]
    fn a_script_cannot_pretend_to_be_the_server() {
        let set = ServiceMessage::new(
            "setVariable",
            &[("name", "Octopus.Release.Number"), ("value", "9")],
        )
        .to_string();
        let found = read(&[(OutputSource::StdOut, &set)]);
        assert!(matches!(
            found.as_slice(),
            [Output::Line {
                category: Category::Warning,
                ..
            }]
        ));
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_reader(text in "[#octpus\\[\\]a-z='\" ]{0,80}") {
            let found = read(&[(OutputSource::StdOut, &text)]);
            prop_assert!(found.len() <= 8);
        }
    }
}
