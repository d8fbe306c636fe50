//! Brings a machine what its actions need: the runner, and the packages. One short script says what is there already, so a
//! second deployment sends nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::script_service::IsolationLevel;
use contracts::{ProcessState, ScriptTicket, StartScriptCommand};
use halibut::DataStream;
use tokio_util::sync::CancellationToken;

use super::polling::Pauses;
use super::runner::{Runner, Runners};
use super::script_body::quote;
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
}

/// What is known of a machine after the look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The agent's home.
    pub home: String,
    /// What `uname -m` says.
    pub processor: String,
    /// Which of the wanted files are there with the right content, by their place in the question.
    present: HashMap<usize, bool>,
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
        let known = guess.as_ref() == Some(&runner) && machine.present.get(&packages.len()) == Some(&true);
        if !known && let Err(why) = self.send(&as_wanted(&runner)).await? {
            return Ok(Err(why));
        }
        let mut prepared = Prepared {
            runner: path(&machine.home, &runner.place()),
            runner_was_missing: !known,
            ..Prepared::default()
        };
        for (position, (key, wanted)) in packages.iter().enumerate() {
            if machine.present.get(&position) == Some(&true) {
                self.log.verbose(
                    self.block,
                    &format!("{} is on '{}' already.", wanted.title, self.machine),
                )?;
            } else if let Err(why) = self.send(wanted).await? {
                return Ok(Err(why));
            }
            prepared
                .packages
                .insert(key.clone(), path(&machine.home, &wanted.place));
        }
        Ok(Ok(prepared))
    }

    async fn look(&self, wanted: &[Wanted]) -> Answer<Machine> {
        let (epoch, count) = self.look;
        let name = ticket::derive(self.task, &format!("look {epoch} {count}"), self.machine, 1);
        let ticket =
            ScriptTicket::parse(&name).map_err(|error| TransportError::Refused(error.to_string()))?;
        let mut command = StartScriptCommand::new(ticket.clone(), self.task, &question(wanted));
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
                return Err(TransportError::Refused(
                    "The look at the machine did not end within ten minutes.".into(),
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
        answer(&lines).ok_or_else(|| {
            let told: Vec<&str> = lines
                .iter()
                .map(String::as_str)
                .filter(|line| !line.trim().is_empty())
                .take(3)
                .collect();
            TransportError::Refused(format!(
                "A short script that looks at the machine ended with exit code {} and said: {}",
                status.exit_code,
                if told.is_empty() {
                    "nothing".into()
                } else {
                    told.join(" / ")
                }
            ))
        })
    }

    fn tell(&self, why: &TransportError) {
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
    }
}

fn unprepared(machine: &str, error: TransportError) -> Unprepared {
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

/// The script that tells home, processor and which files are there.
fn question(wanted: &[Wanted]) -> String {
    let mut script = String::from(
        "#!/bin/bash\n\
         home=\"${TentacleHome:-}\"\n\
         if [ -z \"$home\" ]; then echo 'The agent gives no TentacleHome.' >&2; exit 1; fi\n\
         printf 'mantle-home %s\\n' \"$(printf %s \"$home\" | base64 | tr -d '\\n')\"\n\
         printf 'mantle-processor %s\\n' \"$(uname -m)\"\n\
         look() {\n\
         \x20 state=no\n\
         \x20 if [ -f \"$home/$2\" ] && [ \"$(\"$3\" < \"$home/$2\" 2>/dev/null | cut -d' ' -f1)\" = \"$4\" ]; then state=yes; fi\n\
         \x20 printf 'mantle-file %s %s\\n' \"$1\" \"$state\"\n\
         }\n",
    );
    for (position, file) in wanted.iter().enumerate() {
        let tool = if file.hash.len() == 40 {
            "sha1sum"
        } else {
            "sha256sum"
        };
        // Writing to a text cannot fail.
        writeln!(
            script,
            "look {position} {} {tool} {}",
            quote(&file.place),
            quote(&file.hash)
        )
        .expect("memory");
    }
    script.push_str("echo mantle-end\n");
    script
}

fn answer(lines: &[String]) -> Option<Machine> {
    let mut machine = Machine::default();
    let mut whole = false;
    for line in lines {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("mantle-home"), Some(home), None) => {
                machine.home = String::from_utf8(STANDARD.decode(home).ok()?).ok()?;
            }
            (Some("mantle-processor"), Some(processor), None) => machine.processor = processor.into(),
            (Some("mantle-file"), Some(position), Some(state)) => {
                machine.present.insert(position.parse().ok()?, state == "yes");
            }
            (Some("mantle-end"), None, None) => whole = true,
            _ => {}
        }
    }
    (whole && !machine.home.is_empty() && !machine.processor.is_empty()).then_some(machine)
}

fn path(home: &str, place: &str) -> String {
    format!("{}/{place}", home.trim_end_matches('/'))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1024 / 1024),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_machine_says_what_it_has() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("Files")).unwrap();
        std::fs::write(home.path().join("Files/it's"), "one").unwrap();
        std::fs::write(home.path().join("Files/other"), "changed").unwrap();
        let wanted = |place: &str, hash: &str| Wanted {
            title: place.into(),
            file: PathBuf::new(),
            place: place.into(),
            hash: hash.into(),
        };
        let sha1 = "fe05bcdcdc4928012781a5f1a2a77cbb5398e106";
        let sha256 = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        let files = [
            wanted("Files/it's", sha1),
            wanted("Files/it's", sha256),
            wanted("Files/other", sha1),
            wanted("Files/none", sha1),
        ];
        let output = std::process::Command::new("/bin/bash")
            .arg("-c")
            .arg(question(&files))
            .env("TentacleHome", home.path())
            .output()
            .unwrap();
        let lines: Vec<String> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        let machine = answer(&lines).unwrap();
        assert_eq!(machine.home, home.path().to_str().unwrap());
        assert_eq!(machine.processor, std::env::consts::ARCH);
        let present: Vec<_> = (0..4).map(|position| machine.present[&position]).collect();
        assert_eq!(present, [true, true, false, false]);
        assert!(answer(&lines[..lines.len() - 1]).is_none());
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(lines in proptest::collection::vec("(mantle-(home|processor|file|end) )?[a-z0-9= ]{0,20}", 0..8)) {
            prop_assert!(answer(&lines).is_none_or(|machine| !machine.home.is_empty()));
        }
    }
}
