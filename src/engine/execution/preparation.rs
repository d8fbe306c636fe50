//! Brings a machine what its actions need: the runner, and the packages. One short script says what is there already, so a
//! second deployment sends nothing.

use std::collections::HashMap;
use std::path::PathBuf;

use contracts::script_service::IsolationLevel;
use contracts::{ProcessState, ScriptTicket, StartScriptCommand};
use halibut::DataStream;
use tokio_util::sync::CancellationToken;

use super::difference::{Differences, Version};
use super::look::{self, Machine};
use super::polling::Pauses;
use super::runner::{Runner, Runners};
use super::ticket;
use crate::error::{Error, Result};
use crate::log::TaskLog;
use crate::transport::{Answer, Transport, TransportError, retry};

/// How long the look at a machine may take: large packages are hashed there.
const LOOK_TIME: std::time::Duration = std::time::Duration::from_secs(600);

/// A file that a machine needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// For people.
    pub title: String,
    /// Where it comes from.
    pub file: PathBuf,
    /// Where it goes, below the agent's home.
    pub place: String,
    /// Its SHA-1 or SHA-256, lower-case hex.
    pub hash: String,
    /// For a package: how it is found again, and what it may be made of.
    pub package: Option<WantedPackage>,
}

/// What is particular to a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPackage {
    /// What the names of its files begin with on machines, whatever the version, below the agent's home.
    pub any_version: String,
    /// What the names of files of this version begin with; it begins with `any_version`.
    pub this_version: String,
    /// What they end with.
    pub extension: String,
    /// Whether it may be sent in parts.
    pub in_parts: bool,
    /// The other versions that the Server has.
    pub others: Vec<Version>,
}

/// A machine that can work.
#[derive(Debug, Clone, Default)]
pub struct Prepared {
    /// The path of the runner.
    pub runner: String,
    /// Whether the runner was missing.
    pub runner_was_missing: bool,
    /// Paths of packages by id and version.
    pub packages: HashMap<(String, String), String>,
}

/// Why a machine cannot work.
pub enum Unprepared {
    /// It cannot be reached.
    Unreachable(String),
    /// It can be reached, and cannot be used.
    Unusable(String),
    /// The task was cancelled.
    Cancelled,
}

/// Everything that preparing takes.
pub struct Preparation<'a> {
    /// The way to the machine.
    pub transport: &'a dyn Transport,
    /// Its name.
    pub machine: &'a str,
    /// The task, which names the scripts.
    pub task: &'a str,
    /// Which executor of the task asks, and how often it has asked: each look has a ticket of its own.
    pub look: (i64, u32),
    /// Where it is told.
    pub log: &'a TaskLog,
    /// In which block.
    pub block: &'a str,
    /// Ends it early.
    pub cancel: &'a CancellationToken,
    /// How long calls are repeated.
    pub patience: std::time::Duration,
}

impl Preparation<'_> {
    /// Looks at the machine and sends what is missing. Packages come with their id and version.
    ///
    /// # Errors
    /// When the Server's own volumes fail. Everything else is the inner error.
    pub async fn run(
        &self,
        runners: &Runners,
        differences: &Differences,
        processor: &str,
        packages: &[((String, String), Wanted)],
    ) -> Result<std::result::Result<Prepared, Unprepared>> {
        // The processor is not known before the first look, so a likely one is asked for in the same look.
        let likely = if processor.is_empty() {
            std::env::consts::ARCH
        } else {
            processor
        };
        let guess = runners.find(likely).await.ok();
        let mut wanted: Vec<Wanted> = packages.iter().map(|(_, wanted)| wanted.clone()).collect();
        wanted.extend(guess.as_ref().map(as_wanted));
        let machine = match self.look(&wanted).await {
            Ok(machine) => machine,
            Err(error) => return Ok(Err(unprepared(self.machine, error))),
        };
        let runner = match runners.find(&machine.processor).await {
            Ok(runner) => runner,
            Err(text) => {
                return Ok(Err(Unprepared::Unusable(format!(
                    "The machine '{}' cannot be used. {text}",
                    self.machine
                ))));
            }
        };
        let known = guess.as_ref() == Some(&runner) && machine.present.contains_key(&packages.len());
        if !known && let Err(why) = self.send(&as_wanted(&runner)).await? {
            return Ok(Err(why));
        }
        let runner = path(&machine.home, &runner.place());
        let mut prepared = Prepared {
            runner: runner.clone(),
            runner_was_missing: !known,
            ..Prepared::default()
        };
        for (position, (key, wanted)) in packages.iter().enumerate() {
            let there = if let Some(there) = machine.present.get(&position) {
                self.log.verbose(
                    self.block,
                    &format!("{} is on '{}' already.", wanted.title, self.machine),
                )?;
                there.clone()
            } else {
                let older = machine.older.get(&position).map_or(&[][..], Vec::as_slice);
                let sent = self.send_difference(differences, &machine, &runner, wanted, older);
                let made = match sent.await? {
                    Ok(made) => made,
                    Err(why) => return Ok(Err(why)),
                };
                match made {
                    Some(made) => made,
                    None => match self.send(wanted).await? {
                        Ok(()) => path(&machine.home, &wanted.place),
                        Err(why) => return Ok(Err(why)),
                    },
                }
            };
            prepared.packages.insert(key.clone(), there);
        }
        Ok(Ok(prepared))
    }

    async fn look(&self, wanted: &[Wanted]) -> Answer<Machine> {
        let (epoch, count) = self.look;
        let (lines, code) = self
            .ask(&format!("look {epoch} {count}"), &look::question(wanted))
            .await?;
        look::answer(&lines).ok_or_else(|| {
            let told: Vec<&str> = lines
                .iter()
                .map(String::as_str)
                .filter(|line| !line.trim().is_empty())
                .take(3)
                .collect();
            TransportError::Refused(format!(
                "A short script that looks at the machine ended with exit code {code} and said: {}",
                if told.is_empty() {
                    "nothing".into()
                } else {
                    told.join(" / ")
                }
            ))
        })
    }

    /// Runs a short script to its end and gives its lines and its exit code. It may be run twice.
    pub(super) async fn ask(&self, name: &str, script: &str) -> Answer<(Vec<String>, i32)> {
        let name = ticket::derive(self.task, name, self.machine, 1);
        let ticket =
            ScriptTicket::parse(&name).map_err(|error| TransportError::Refused(error.to_string()))?;
        let mut command = StartScriptCommand::new(ticket.clone(), self.task, script);
        command.isolation = IsolationLevel::No;
        command.wait = Some(std::time::Duration::from_millis(500));
        let deadline = tokio::time::Instant::now() + LOOK_TIME;
        let cancel = self.cancel;
        let mut status = retry::repeat(
            self.patience,
            cancel,
            |why| self.tell(why),
            || self.transport.start(&command, cancel),
        )
        .await?;
        let (mut lines, mut pauses, mut after) = (Vec::new(), Pauses::default(), 0);
        loop {
            after = status.next_log_sequence.max(after);
            let news = !status.logs.is_empty();
            lines.extend(status.logs.into_iter().map(|line| line.text));
            if status.state == ProcessState::Complete {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                if let Err(error) = self.transport.stop(&ticket, after, cancel).await {
                    tracing::info!(machine = self.machine, %error, "a script could not be told to stop");
                }
                return Err(TransportError::Refused(
                    "A short script of the Server did not end within ten minutes.".into(),
                ));
            }
            tokio::select! {
                () = tokio::time::sleep(pauses.after(news)) => {}
                () = cancel.cancelled() => return Err(TransportError::Cancelled { may_have_run: true }),
            }
            let ask = || self.transport.status(&ticket, after, cancel);
            status = retry::repeat(self.patience, cancel, |why| self.tell(why), ask).await?;
        }
        if let Err(error) = self.transport.complete(&ticket, cancel).await {
            tracing::info!(machine = self.machine, %error, "a script was not cleaned up");
        }
        Ok((lines, status.exit_code))
    }

    pub(super) fn tell(&self, why: &TransportError) {
        self.log.tried_again(self.block, self.machine, why);
    }

    /// Sends a file and compares what arrived.
    async fn send(&self, wanted: &Wanted) -> Result<std::result::Result<(), Unprepared>> {
        let stream = DataStream::from_file(&wanted.file).await.map_err(|error| {
            Error::Broken(format!(
                "The file '{}' cannot be read: {error}.",
                wanted.file.display()
            ))
        })?;
        let length = stream.length();
        let text = format!(
            "Sending {} to '{}' ({}).",
            wanted.title,
            self.machine,
            size(length)
        );
        self.log.info(self.block, &text)?;
        let send = || self.transport.upload(&wanted.place, &stream, self.cancel);
        match retry::repeat(self.patience, self.cancel, |why| self.tell(why), send).await {
            Err(error) => Ok(Err(unprepared(self.machine, error))),
            Ok(result) => {
                let same_length = u64::try_from(result.length).is_ok_and(|sent| sent == length);
                let sha1 = wanted.hash.len() == 40;
                let same_hash = !sha1
                    || result
                        .hash
                        .is_none_or(|hash| hash.eq_ignore_ascii_case(&wanted.hash));
                if same_length && same_hash {
                    return Ok(Ok(()));
                }
                Ok(Err(Unprepared::Unusable(format!(
                    "{} arrived damaged on '{}'. Check the machine's disk and deploy again.",
                    wanted.title, self.machine
                ))))
            }
        }
    }
}

fn as_wanted(runner: &Runner) -> Wanted {
    Wanted {
        title: "the runner".into(),
        file: runner.file.clone(),
        place: runner.place(),
        hash: runner.sha256.clone(),
        package: None,
    }
}

pub(super) fn unprepared(machine: &str, error: TransportError) -> Unprepared {
    match error {
        TransportError::Cancelled { .. } => Unprepared::Cancelled,
        TransportError::Connecting(text)
        | TransportError::Interrupted(text)
        | TransportError::Identity(text) => {
            Unprepared::Unreachable(format!("The machine '{machine}' cannot be reached: {text}"))
        }
        TransportError::Refused(text) => {
            Unprepared::Unusable(format!("The machine '{machine}' cannot be used: {text}"))
        }
    }
}

fn path(home: &str, place: &str) -> String {
    format!("{}/{place}", home.trim_end_matches('/'))
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1024 / 1024),
    }
}
