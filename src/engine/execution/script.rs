//! One script from its start to its end, over any transport, whatever happens on the way.

use std::time::Duration;

use contracts::script_service::exit_code;
use contracts::{ProcessState, ScriptStatus, ScriptTicket, StartScriptCommand};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, Known};
use super::polling::Pauses;
use crate::error::{Error, Result};
use crate::fault;
use crate::log::TaskLog;
use crate::log::output::{Output, OutputReader};
use crate::transport::{Answer, Transport, TransportError, retry};

/// How long an agent has to end a script after a cancel (`deployments.md` 8.6).
const CANCEL_TIME: Duration = Duration::from_secs(120);

/// How long the last words to an agent may take; they matter little.
const FAREWELL: Duration = Duration::from_secs(10);

/// What ends work early.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Somebody asked to cancel the task.
    pub cancelling: CancellationToken,
    /// The lease is lost, or the node stops: no request may be made any more.
    pub lost: CancellationToken,
}

impl Stop {
    /// A token that fires with either.
    pub(super) fn either(&self) -> (CancellationToken, tokio_util::sync::DropGuard) {
        let either = self.lost.child_token();
        let (fired, cancelling) = (either.clone(), self.cancelling.clone());
        let done = CancellationToken::new();
        let over = done.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancelling.cancelled() => fired.cancel(),
                () = over.cancelled() => {}
                () = fired.cancelled() => {}
            }
        });
        (either, done.drop_guard())
    }

    fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}

/// How a script ended.
#[derive(Clone, PartialEq)]
pub enum Ended {
    /// By itself, with its exit code.
    Exit {
        /// The code.
        code: i32,
        /// Whether it printed a warning or an error.
        warned: bool,
        /// What it asked for while it ran, in order.
        effects: Vec<Output>,
    },
    /// It certainly did not run.
    NotStarted(String),
    /// Whether and how it ended cannot be known.
    Unknown(String),
    /// It was stopped because the task was cancelled.
    Cancelled,
}

/// What one script needs.
pub struct Script<'a> {
    /// The way to the machine.
    pub transport: &'a dyn Transport,
    /// The name of the machine in texts.
    pub machine: &'a str,
    /// The name of this attempt.
    pub ticket: ScriptTicket,
    /// Where its lines go.
    pub log: &'a TaskLog,
    /// Into which block.
    pub block: &'a str,
    /// What was written of it; None for a question that may be asked again at any time.
    pub journal: Option<&'a Journal>,
    /// What ends it early.
    pub stop: &'a Stop,
    /// How long calls are repeated.
    pub patience: Duration,
}

impl Script<'_> {
    /// Starts the script, or finds it again, and follows it to its end. Without a command it is only asked for: the agent has
    /// it already.
    ///
    /// # Errors
    /// When the lease is lost, or the Server's own database or volume fails.
    pub async fn run(&self, command: Option<StartScriptCommand>) -> Result<Ended> {
        let known = self
            .journal
            .map_or(Known::Nothing, |journal| journal.known(self.ticket.as_str()));
        let (either, _guard) = self.stop.either();
        let mut reading = Reading {
            reader: OutputReader::default(),
            after: 0,
            effects: Vec::new(),
        };
        let first = match &command {
            Some(command) if known != Known::Accepted => {
                if known == Known::Nothing
                    && let Some(journal) = self.journal
                {
                    journal.dispatched(self.ticket.as_str()).await?;
                }
                let start = || self.transport.start(command, &either);
                let answer = retry::repeat(self.patience, &either, |why| self.tell(why), start).await;
                fault::point(fault::SCRIPT_STARTED);
                answer
            }
            _ => {
                let ask = || self.transport.status(&self.ticket, 0, &either);
                retry::repeat(self.patience, &either, |why| self.tell(why), ask).await
            }
        };
        let status = match first {
            Ok(status) => status,
            Err(error) => return self.not_answered(&known, error, &mut reading).await,
        };
        if known != Known::Accepted
            && let Some(journal) = self.journal
        {
            journal.accepted(self.ticket.as_str()).await?;
        }
        self.follow(status, &either, &mut reading).await
    }

    /// Lets the agent forget the script. To be called when everything about it is written down.
    pub async fn complete(&self) {
        let farewell = tokio::time::timeout(FAREWELL, self.transport.complete(&self.ticket, &self.stop.lost));
        match farewell.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::info!(machine = self.machine, ticket = %self.ticket, %error, "a script was not cleaned up")
            }
            Err(_) => {
                tracing::info!(machine = self.machine, ticket = %self.ticket, "a script was not cleaned up in time")
            }
        }
    }

    async fn follow(
        &self,
        mut status: ScriptStatus,
        either: &CancellationToken,
        reading: &mut Reading,
    ) -> Result<Ended> {
        let mut pauses = Pauses::default();
        loop {
            let news = !status.logs.is_empty();
            self.take(&status, reading)?;
            if status.state == ProcessState::Complete {
                fault::point(fault::SCRIPT_ENDED);
                return self.ended(status.exit_code, reading);
            }
            fault::point(fault::SCRIPT_RUNNING);
            tokio::select! {
                () = tokio::time::sleep(pauses.after(news)) => {}
                () = either.cancelled() => {}
            }
            let answer: Answer<ScriptStatus> = if either.is_cancelled() {
                Err(TransportError::Cancelled { may_have_run: true })
            } else {
                let ask = || self.transport.status(&self.ticket, reading.after, either);
                retry::repeat(self.patience, either, |why| self.tell(why), ask).await
            };
            status = match answer {
                Ok(status) => status,
                Err(TransportError::Cancelled { .. }) => return self.cancel(reading).await,
                Err(error) => {
                    self.farewell(reading.after).await;
                    let text = format!(
                        "The machine '{}' stopped answering while the script ran: {error} Whether the script has ended, and how, \
                         is not known. Look at the machine before deploying again.",
                        self.machine
                    );
                    return Ok(Ended::Unknown(text));
                }
            };
        }
    }

    async fn not_answered(
        &self,
        known: &Known,
        error: TransportError,
        reading: &mut Reading,
    ) -> Result<Ended> {
        let fresh = *known == Known::Nothing;
        match error {
            TransportError::Cancelled { may_have_run } => {
                if self.stop.is_lost() {
                    Err(Error::LeaseLost)
                } else if fresh && !may_have_run {
                    Ok(Ended::Cancelled)
                } else {
                    self.cancel(reading).await
                }
            }
            TransportError::Connecting(text)
            | TransportError::Refused(text)
            | TransportError::Identity(text)
                if fresh =>
            {
                Ok(Ended::NotStarted(text))
            }
            other => {
                if other.is_passing() {
                    self.farewell(0).await;
                }
                let text = format!(
                    "Whether the script ran on '{}' is not known: {other} It was not started again. Look at the machine before \
                     deploying again.",
                    self.machine
                );
                Ok(Ended::Unknown(text))
            }
        }
    }

    /// Asks for the end until the script has ended, for two minutes at most.
    async fn cancel(&self, reading: &mut Reading) -> Result<Ended> {
        if self.stop.is_lost() {
            return Err(Error::LeaseLost);
        }
        fault::point(fault::SCRIPT_CANCELLING);
        let end = Instant::now() + CANCEL_TIME;
        let mut pauses = Pauses::default();
        loop {
            let ask = self.transport.stop(&self.ticket, reading.after, &self.stop.lost);
            match tokio::time::timeout_at(end, ask).await {
                Ok(Ok(status)) => {
                    self.take(&status, reading)?;
                    if status.state == ProcessState::Complete {
                        return Ok(Ended::Cancelled);
                    }
                }
                Ok(Err(TransportError::Cancelled { .. })) => return Err(Error::LeaseLost),
                Ok(Err(error)) if error.is_passing() => tokio::time::sleep(Duration::from_secs(1)).await,
                Ok(Err(error)) => {
                    let text = format!("The script on '{}' could not be stopped: {error}", self.machine);
                    self.log.warning(self.block, &text)?;
                    return Ok(Ended::Cancelled);
                }
                Err(_) => {}
            }
            if Instant::now() >= end {
                let text = format!(
                    "The script on '{}' did not end within {} seconds after the cancel. It is left alone; look at the machine.",
                    self.machine,
                    CANCEL_TIME.as_secs()
                );
                self.log.warning(self.block, &text)?;
                return Ok(Ended::Cancelled);
            }
            tokio::select! {
                () = tokio::time::sleep(pauses.after(false)) => {}
                () = self.stop.lost.cancelled() => return Err(Error::LeaseLost),
            }
        }
    }

    fn take(&self, status: &ScriptStatus, reading: &mut Reading) -> Result<()> {
        let (ticket, last) = (self.ticket.as_str(), status.next_log_sequence);
        let effects = self
            .log
            .script_lines(self.block, ticket, &mut reading.reader, &status.logs, last)?;
        reading.effects.extend(effects);
        reading.after = last.max(reading.after);
        Ok(())
    }

    fn ended(&self, code: i32, reading: &mut Reading) -> Result<Ended> {
        for output in reading.reader.end() {
            if let Output::Line { category, text } = output {
                self.log.line(self.block, category, &text)?;
            }
        }
        let machine = self.machine;
        Ok(match code {
            exit_code::UNKNOWN_TICKET => Ended::Unknown(format!(
                "The agent on '{machine}' no longer knows the script, so its result is not known. It was not started again. Look \
                 at the machine before deploying again."
            )),
            exit_code::UNKNOWN_RESULT => Ended::Unknown(format!(
                "The agent on '{machine}' was restarted while the script ran, so its result is not known. It was not started \
                 again. Look at the machine before deploying again."
            )),
            code => Ended::Exit {
                code,
                warned: reading.reader.has_warned(),
                effects: std::mem::take(&mut reading.effects),
            },
        })
    }

    fn tell(&self, why: &TransportError) {
        self.log.tried_again(self.block, self.machine, why);
    }

    /// One last request to stop, whose answer nobody waits for long.
    async fn farewell(&self, after: i64) {
        let stop = self.transport.stop(&self.ticket, after, &self.stop.lost);
        if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, stop).await {
            tracing::debug!(machine = self.machine, ticket = %self.ticket, %error, "a script could not be told to stop");
        }
    }
}

struct Reading {
    reader: OutputReader,
    after: i64,
    effects: Vec<Output>,
}

/// What an exit code other than 0 means, as a sentence.
#[must_use]
pub fn exit_text(code: i32) -> String {
    match code {
        exit_code::FATAL => "The agent could not run the script because of a fault of its own; its log says more.".into(),
        exit_code::SHELL_NOT_STARTED => "The agent could not start the shell. Check that /bin/bash is there.".into(),
        exit_code::CANCELLED_BEFORE_START => "The script was cancelled before it ran.".into(),
        exit_code::ISOLATION_TIMEOUT => {
            "The script waited too long for another script on the machine to end and did not run.".into()
        }
        126 => "The script ended with exit code 126: the runner or a program of the script cannot be executed on this machine. \
                Check the processor of the machine and that its file systems allow programs to run."
            .into(),
        code => format!("The script ended with exit code {code}."),
    }
}
