//! Where commands and the agent say what they do (`observed.md` 10.11, `containers.md` 2.8).

use std::io::Write;
use std::sync::{Arc, Mutex};

use settings::LogFormat;

use crate::log_file::LogFile;

/// Lines for people: what a command answers, or the log of the running agent. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    form: Form,
    sinks: Arc<Mutex<Sinks>>,
    file: Option<Arc<LogFile>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Errors go to standard error, and nothing is marked.
    Command,
    /// Everything goes to standard output, so that its order is kept.
    Log(LogFormat),
}

struct Sinks {
    standard: Box<dyn Write + Send>,
    error: Box<dyn Write + Send>,
}

impl Output {
    /// The streams of this process.
    pub fn of_process() -> Output {
        Output::to(Box::new(std::io::stdout()), Box::new(std::io::stderr()))
    }

    /// Other streams, for tests and for a program that holds an agent in itself.
    pub fn to(standard: Box<dyn Write + Send>, error: Box<dyn Write + Send>) -> Output {
        Output {
            form: Form::Command,
            sinks: Arc::new(Mutex::new(Sinks { standard, error })),
            file: None,
        }
    }

    /// Nowhere.
    pub fn silent() -> Output {
        Output::to(Box::new(std::io::sink()), Box::new(std::io::sink()))
    }

    /// The same streams as the log of a running agent: one event a line, all of it on standard output.
    pub fn as_log(&self, format: LogFormat) -> Output {
        Output {
            form: Form::Log(format),
            sinks: Arc::clone(&self.sinks),
            file: None,
        }
    }

    /// The same, and every line with its time in a file as well.
    pub fn with_file(self, file: LogFile) -> Output {
        Output {
            file: Some(Arc::new(file)),
            ..self
        }
    }

    /// A line of information.
    pub fn info(&self, text: &str) {
        self.line("info", text);
    }

    /// A line about something that may need attention.
    pub fn warning(&self, text: &str) {
        self.line("warning", text);
    }

    /// A line about something that failed.
    pub fn error(&self, text: &str) {
        self.line("error", text);
    }

    /// The answer of a command, bare: no line end is added.
    pub fn answer(&self, text: &str) {
        let mut sinks = self
            .sinks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        write(&mut sinks.standard, text);
    }

    fn line(&self, level: &str, text: &str) {
        if let Some(file) = &self.file {
            file.line(level, &one_line(text));
        }
        let mut sinks = self
            .sinks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match self.form {
            Form::Command if level == "error" => write(&mut sinks.error, &format!("{text}\n")),
            Form::Command => write(&mut sinks.standard, &format!("{text}\n")),
            Form::Log(LogFormat::Text) if level == "info" => {
                write(&mut sinks.standard, &format!("{}\n", one_line(text)));
            }
            Form::Log(LogFormat::Text) => {
                write(&mut sinks.standard, &format!("{level}: {}\n", one_line(text)))
            }
            Form::Log(LogFormat::Json) => {
                let event = serde_json::json!({ "level": level, "message": text });
                write(&mut sinks.standard, &format!("{event}\n"));
            }
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

/// Nobody may read any more; the work goes on all the same.
fn write(sink: &mut Box<dyn Write + Send>, text: &str) {
    sink.write_all(text.as_bytes()).and_then(|()| sink.flush()).ok();
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// What was written to one stream.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn captured() -> (Output, Captured, Captured) {
        let (standard, error) = (Captured::default(), Captured::default());
        (
            Output::to(Box::new(standard.clone()), Box::new(error.clone())),
            standard,
            error,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_speaks_on_two_streams_and_an_agent_on_one() {
        let (output, standard, error) = testing::captured();
        output.info("done");
        output.error("broken");
        let log = output.as_log(LogFormat::Text);
        log.error("two\nlines");
        output.as_log(LogFormat::Json).info("a \"word\"");
        assert_eq!(
            standard.text(),
            "done\nerror: two lines\n{\"level\":\"info\",\"message\":\"a \\\"word\\\"\"}\n"
        );
        assert_eq!(error.text(), "broken\n");
    }
}
