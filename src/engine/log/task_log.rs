//! The log of one running task: the writer, what must not be seen in it, and the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use application::Clock;
use contracts::ProcessOutput;
use files::task_logs::{Category, LogWriter, Source, Status};
use security::masking::NOT_MASKED;

use super::mask::Mask;
use super::output::{Output, OutputReader};

/// Writes what a task has to say. Everything passes the mask.
#[derive(Clone)]
pub struct TaskLog {
    writer: LogWriter,
    mask: Arc<Mask>,
    clock: Arc<dyn Clock>,
    warned: Arc<AtomicBool>,
    /// It was told that texts could not be masked.
    mask_failed: Arc<AtomicBool>,
}

impl TaskLog {
    /// The log of a task that begins or goes on.
    #[must_use]
    pub fn new(writer: LogWriter, clock: Arc<dyn Clock>) -> Self {
        Self {
            writer,
            mask: Arc::default(),
            clock,
            warned: Arc::default(),
            mask_failed: Arc::default(),
        }
    }

    /// What must not be seen.
    #[must_use]
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Whether a warning or an error was written by this node.
    #[must_use]
    pub fn has_warned(&self) -> bool {
        self.warned.load(Ordering::Relaxed)
    }

    /// Opens a block that will be worked on.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn plan(&self, block: &str, parent: Option<&str>, name: &str) -> files::Result<()> {
        self.writer.open_block(
            self.clock.now(),
            block,
            parent,
            &self.mask.apply(name),
            Status::Pending,
        )
    }

    /// Opens a block, or begins one that was planned.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn begin(&self, block: &str, parent: Option<&str>, name: &str) -> files::Result<()> {
        self.writer.open_block(
            self.clock.now(),
            block,
            parent,
            &self.mask.apply(name),
            Status::Running,
        )
    }

    /// Ends a block.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn end(&self, block: &str, status: Status) -> files::Result<()> {
        self.writer.close_block(self.clock.now(), block, status)
    }

    /// Writes a line of the Server's own.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn line(&self, block: &str, category: Category, text: &str) -> files::Result<()> {
        self.note(category);
        self.writer
            .line(self.clock.now(), block, category, self.mask.apply(text))?;
        self.tell_failure(block)
    }

    /// Writes a plain line.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn info(&self, block: &str, text: &str) -> files::Result<()> {
        self.line(block, Category::Info, text)
    }

    /// Writes a line for the detailed log.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn verbose(&self, block: &str, text: &str) -> files::Result<()> {
        self.line(block, Category::Verbose, text)
    }

    /// Writes what is not quite well.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn warning(&self, block: &str, text: &str) -> files::Result<()> {
        self.line(block, Category::Warning, text)
    }

    /// Writes what went wrong.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn error(&self, block: &str, text: &str) -> files::Result<()> {
        self.line(block, Category::Error, text)
    }

    /// Writes that a machine does not answer and is tried again. A log that cannot be written shows at the next line.
    pub fn tried_again(&self, block: &str, machine: &str, why: &dyn std::fmt::Display) {
        let text = format!("The machine '{machine}' does not answer and is tried again. {why}");
        if let Err(error) = self.line(block, Category::Wait, &text) {
            tracing::warn!(%error, "a task log could not be written");
        }
    }

    /// The status of a block as the log has it.
    #[must_use]
    pub fn status(&self, block: &str) -> Option<Status> {
        self.writer.written().blocks.get(block).copied()
    }

    /// Takes lines of a script: writes what is to be seen, and gives back what has another effect, in order. The last of the
    /// lines has the number `last`. Lines that the log has already are not written again, but their effects are given, because
    /// they live in memory only.
    ///
    /// # Errors
    /// When the volume fails.
    pub fn script_lines(
        &self,
        block: &str,
        ticket: &str,
        reader: &mut OutputReader,
        lines: &[ProcessOutput],
        last: i64,
    ) -> files::Result<Vec<Output>> {
        let (mut effects, mut written) = (Vec::new(), Vec::new());
        let first = last - i64::try_from(lines.len()).unwrap_or(0) + 1;
        let known = self.writer.last_sequence(ticket);
        for (sequence, line) in (first..).zip(lines) {
            for output in reader.read(line) {
                match output {
                    Output::Line { category, text } => {
                        self.note(category);
                        let source = Source {
                            ticket: ticket.into(),
                            sequence,
                        };
                        written.push((
                            line.occurred,
                            category,
                            self.mask.apply(&text).into_owned(),
                            source,
                        ));
                    }
                    Output::Mask(value) => self.mask.add([value.as_str()]),
                    Output::Progress { percentage, message } => {
                        if sequence > known {
                            let message = self.mask.apply(&message).into_owned();
                            self.writer.progress(line.occurred, block, percentage, message)?;
                        }
                    }
                    effect => {
                        if let Output::Variable {
                            value,
                            sensitive: true,
                            ..
                        } = &effect
                        {
                            self.mask.add([value.as_str()]);
                        }
                        effects.push(effect);
                    }
                }
            }
        }
        self.writer.agent_lines(block, written)?;
        self.tell_failure(block)?;
        Ok(effects)
    }

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// When the volume fails.
    pub async fn sync(&self) -> files::Result<()> {
        self.writer.sync().await
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Says, once for a task, that texts were left out because they could not be masked.
    fn tell_failure(&self, block: &str) -> files::Result<()> {
        if !self.mask.take_failure() || self.mask_failed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        tracing::error!("a line of a task log could not be masked and was left out; please report it");
        let text = format!(
            "A line could not be searched for sensitive values; each such line is replaced by {NOT_MASKED}. This is a fault \
             of the Server, please report it."
        );
        self.note(Category::Warning);
        self.writer.line(self.clock.now(), block, Category::Warning, text)
    }

    fn note(&self, category: Category) {
        if matches!(category, Category::Warning | Category::Error | Category::Fatal) {
            self.warned.store(true, Ordering::Relaxed);
        }
    }
}
