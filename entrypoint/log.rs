//! One line an event on standard output, as text or as JSON.

use std::io::Write;

use settings::{LogFormat, NoteLevel};

/// Where process 1 says what it does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log(pub(crate) LogFormat);

impl Log {
    pub(crate) fn info(self, text: &str) {
        self.line("info", text);
    }

    pub(crate) fn warning(self, text: &str) {
        self.line("warning", text);
    }

    pub(crate) fn error(self, text: &str) {
        self.line("error", text);
    }

    /// Debug notes are for those who run the program by hand; there is no level to turn them on here.
    pub(crate) fn note(self, note: &settings::Note) {
        match note.level {
            NoteLevel::Warning => self.warning(&note.text),
            NoteLevel::Info => self.info(&note.text),
            NoteLevel::Debug => {}
        }
    }

    /// Nobody may read any more; the work goes on all the same.
    fn line(self, level: &str, text: &str) {
        let line = match (self.0, level) {
            (LogFormat::Text, "info") => format!("{text}\n"),
            (LogFormat::Text, _) => format!("{level}: {text}\n"),
            (LogFormat::Json, _) => format!("{{\"level\":\"{level}\",\"message\":\"{}\"}}\n", escape(text)),
        };
        std::io::stdout().write_all(line.as_bytes()).ok();
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            control if control < ' ' => escaped.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_text_is_one_json_string() {
        assert_eq!(super::escape("a \"b\"\\\n"), "a \\\"b\\\"\\\\\\u000a");
    }
}
