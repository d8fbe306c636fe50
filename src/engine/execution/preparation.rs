//! Brings a machine what its actions need: the runner, and the packages. One short script says what is there already, so a
//! second deployment sends nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::script_service::IsolationLevel;
use contracts::{ProcessState, ScriptTicket, StartScriptCommand, service_message};
use halibut::DataStream;
use tokio_util::sync::CancellationToken;

use super::delta::{Deltas, Version};
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
    /// The other versions that the Server has; none when the whole file is to be sent.
    pub others: Vec<Version>,
}

/// What is known of a machine after the look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The agent's home.
    pub home: String,
    /// What `uname -m` says.
    pub processor: String,
    /// Where the wanted files are that are there with the right content, by their place in the question.
    present: HashMap<usize, String>,
    /// Path and SHA-1 of other versions of packages that are not there, the newest first.
    older: HashMap<usize, Vec<(String, String)>>,
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
        deltas: &Deltas,
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
                let made = match self.send_delta(deltas, &runner, wanted, older).await? {
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

    /// Lets the machine make a package of an older one that it has. None: there is no such, or it did not work out, and
    /// the whole file is to be sent.
    async fn send_delta(
        &self,
        deltas: &Deltas,
        runner: &str,
        wanted: &Wanted,
        older: &[(String, String)],
    ) -> Result<std::result::Result<Option<String>, Unprepared>> {
        let others = wanted.package.as_ref().map_or(&[][..], |package| &package.others);
        let both = older.iter().find_map(|(there, hash)| {
            let here = others
                .iter()
                .find(|other| other.sha1.eq_ignore_ascii_case(hash))?;
            Some((there, here))
        });
        let Some((there, basis)) = both else {
            return Ok(Ok(None));
        };
        let new = Version {
            file: wanted.file.clone(),
            sha1: wanted.hash.clone(),
        };
        let delta = match deltas.between(basis, &new).await {
            Ok(Some(delta)) => delta,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => {
                let text = format!(
                    "No delta of {} could be made: {error}. It is sent whole.",
                    wanted.title
                );
                self.log.warning(self.block, &text)?;
                return Ok(Ok(None));
            }
        };
        let stream = match DataStream::from_file(&delta).await {
            Ok(stream) => stream,
            // Others made room meanwhile.
            Err(_) => return Ok(Ok(None)),
        };
        let text = format!(
            "Sending {} to '{}' as the difference to an older one ({}).",
            wanted.title,
            self.machine,
            size(stream.length())
        );
        self.log.info(self.block, &text)?;
        let place = format!("{}.delta", wanted.place);
        let send = || self.transport.upload(&place, &stream, self.cancel);
        if let Err(error) = retry::repeat(self.patience, self.cancel, |why| self.tell(why), send).await {
            return Ok(Err(unprepared(self.machine, error)));
        }
        let (epoch, count) = self.look;
        let name = format!("delta {epoch} {count} {}", wanted.place);
        let (lines, code) = match self
            .ask(&name, &apply(runner, there, &basis.sha1, &place, wanted))
            .await
        {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(unprepared(self.machine, error))),
        };
        match verified(&lines, &wanted.hash) {
            Ok(made) => Ok(Ok(Some(made))),
            Err(why) => {
                let text = format!(
                    "'{}' could not make {} of the delta (exit code {code}): {why}. It is sent whole.",
                    self.machine, wanted.title
                );
                self.log.warning(self.block, &text)?;
                Ok(Ok(None))
            }
        }
    }

    async fn look(&self, wanted: &[Wanted]) -> Answer<Machine> {
        let (epoch, count) = self.look;
        let (lines, code) = self
            .ask(&format!("look {epoch} {count}"), &question(wanted))
            .await?;
        answer(&lines).ok_or_else(|| {
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
    async fn ask(&self, name: &str, script: &str) -> Answer<(Vec<String>, i32)> {
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
        Ok((lines, status.exit_code))
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
        package: None,
    }
}

/// The script that lets the runner make a package (`calamari.md` 11.3).
fn apply(runner: &str, basis: &str, basis_hash: &str, delta: &str, wanted: &Wanted) -> String {
    let file_name = wanted.place.rsplit('/').next().unwrap_or_default();
    format!(
        "#!/bin/bash\n\
         delta=\"$TentacleHome\"/{delta}\n\
         {runner} apply-delta --basisFileName={basis} --fileHash={basis_hash} --deltaFileName=\"$delta\" --newFileName={new}\n\
         code=$?\n\
         rm -f \"$delta\"\n\
         exit $code\n",
        delta = quote(delta),
        runner = quote(runner),
        basis = quote(basis),
        new = quote(file_name),
    )
}

/// Where the machine made a package, if it says so and it is the right one.
fn verified(lines: &[String], hash: &str) -> std::result::Result<String, String> {
    let told = lines.iter().flat_map(|line| service_message::find_all(line));
    let Some(told) = told
        .filter(|message| message.name.eq_ignore_ascii_case("deltaVerification"))
        .last()
    else {
        return Err("it did not say what came of it".into());
    };
    match (told.get("error"), told.get("remotePath"), told.get("hash")) {
        (Some(error), ..) => Err(error.trim().to_owned()),
        (None, Some(path), Some(made)) if made.eq_ignore_ascii_case(hash) => Ok(path.to_owned()),
        _ => Err("what it made is another file".into()),
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
         encoded() { printf %s \"$1\" | base64 | tr -d '\n'; }\n\
         hash() { \"$1\" < \"$2\" 2>/dev/null | cut -d' ' -f1; }\n\
         look() {\n\
         \x20 if [ -f \"$home/$2\" ] && [ \"$(hash \"$3\" \"$home/$2\")\" = \"$4\" ]; then\n\
         \x20   printf 'mantle-file %s %s\\n' \"$1\" \"$(encoded \"$home/$2\")\"\n\
         \x20 fi\n\
         }\n\
         package() {\n\
         \x20 for file in \"$home/$2\"*\"$4\"; do\n\
         \x20   if [ -f \"$file\" ] && [ \"$(hash sha1sum \"$file\")\" = \"$5\" ]; then\n\
         \x20     printf 'mantle-file %s %s\\n' \"$1\" \"$(encoded \"$file\")\"; return\n\
         \x20   fi\n\
         \x20 done\n\
         \x20 if [ \"$6\" = older ]; then\n\
         \x20   ls -t -- \"$home/$3\"*\"$4\" 2>/dev/null | head -n 3 | while IFS= read -r file; do\n\
         \x20     printf 'mantle-older %s %s %s\\n' \"$1\" \"$(encoded \"$file\")\" \"$(hash sha1sum \"$file\")\"\n\
         \x20   done\n\
         \x20 fi\n\
         }\n",
    );
    for (position, file) in wanted.iter().enumerate() {
        if let Some(package) = &file.package {
            let older = if package.others.is_empty() {
                "none"
            } else {
                "older"
            };
            let words = [
                &package.this_version,
                &package.any_version,
                &package.extension,
                &file.hash,
            ]
            .map(|word| quote(word));
            writeln!(script, "package {position} {} {older}", words.join(" ")).expect("memory");
            continue;
        }
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
    let decoded = |text: &str| String::from_utf8(STANDARD.decode(text).ok()?).ok();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["mantle-home", home] => machine.home = decoded(home)?,
            ["mantle-processor", processor] => machine.processor = processor.into(),
            ["mantle-file", position, path] => {
                machine.present.insert(position.parse().ok()?, decoded(path)?);
            }
            ["mantle-older", position, path, hash] => {
                let older = machine.older.entry(position.parse().ok()?).or_default();
                older.push((decoded(path)?, hash.to_owned()));
            }
            ["mantle-end"] => whole = true,
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
            package: None,
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
        let present: Vec<_> = (0..4)
            .map(|position| machine.present.contains_key(&position))
            .collect();
        assert_eq!(present, [true, true, false, false]);
        assert_eq!(
            machine.present[&0],
            home.path().join("Files/it's").to_str().unwrap()
        );
        assert!(answer(&lines[..lines.len() - 1]).is_none());
    }

    #[test]
    fn a_machine_says_which_versions_of_a_package_it_has() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("Files")).unwrap();
        for (name, content) in [
            ("A%40b@S1.0@0A.zip", "one"),
            ("A%40b@S1.1@0B.zip", "two"),
            ("A%40b.C@S1.0@0C.zip", "x"),
        ] {
            std::fs::write(home.path().join("Files").join(name), content).unwrap();
        }
        let one = "fe05bcdcdc4928012781a5f1a2a77cbb5398e106";
        let wanted = |version: &str, hash: &str, others: Vec<Version>| Wanted {
            title: String::new(),
            file: PathBuf::new(),
            place: String::new(),
            hash: hash.into(),
            package: Some(WantedPackage {
                any_version: "Files/A%40b@S".into(),
                this_version: format!("Files/A%40b@S{version}@"),
                extension: ".zip".into(),
                others,
            }),
        };
        let other = Version {
            file: PathBuf::new(),
            sha1: one.into(),
        };
        let files = [
            wanted("1.0", one, vec![]),
            wanted("1.2", &"0".repeat(40), vec![other]),
            wanted("1.2", one, vec![]),
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
        let path = |name: &str| home.path().join("Files").join(name).to_str().unwrap().to_owned();
        assert_eq!(machine.present, HashMap::from([(0, path("A%40b@S1.0@0A.zip"))]));
        let mut older = machine.older[&1].clone();
        older.sort();
        assert_eq!(
            older.iter().map(|(there, _)| there.clone()).collect::<Vec<_>>(),
            [path("A%40b@S1.0@0A.zip"), path("A%40b@S1.1@0B.zip")]
        );
        assert_eq!(older[0].1, one);
        assert!(!machine.older.contains_key(&2), "nothing to make it of");
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(lines in proptest::collection::vec("(mantle-(home|processor|file|older|end) )?[a-z0-9= ]{0,20}", 0..8)) {
            prop_assert!(answer(&lines).is_none_or(|machine| !machine.home.is_empty()));
        }
    }
}
