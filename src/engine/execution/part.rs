//! Packages that machines make themselves, of what they have and of a part that is sent.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::ServiceMessage;
use halibut::DataStream;

use super::difference::{Differences, Version};
use super::look::Machine;
use super::preparation::{Preparation, Unprepared, Wanted, size, unprepared};
use super::script_body::quote;
use crate::error::Result;
use crate::transport::{TransportError, retry};

impl Preparation<'_> {
    /// Lets the machine make a package of what it has: of an older version and a delta, or of all its packages and the chunks
    /// that none of them has, whichever is less to send. None: there is nothing to make it of, or it did not work out, and the
    /// whole file is to be sent.
    pub(super) async fn send_difference(
        &self,
        differences: &Differences,
        machine: &Machine,
        runner: &str,
        wanted: &Wanted,
        older: &[(String, String)],
    ) -> Result<std::result::Result<Option<String>, Unprepared>> {
        let Some(package) = wanted.package.as_ref().filter(|package| package.in_parts) else {
            return Ok(Ok(None));
        };
        let new = Version {
            file: wanted.file.clone(),
            sha1: wanted.hash.clone(),
        };
        let both = older.iter().find_map(|(there, hash)| {
            let here = package
                .others
                .iter()
                .find(|other| other.sha1.eq_ignore_ascii_case(hash))?;
            Some((there, here))
        });
        let delta = match both {
            Some((there, basis)) => match differences.delta(basis, &new).await {
                Ok(delta) => delta.map(|file| Part {
                    task: self.task.to_owned(),
                    title: "delta",
                    command: format!(
                        "apply-delta --basisFileName={} --fileHash={}",
                        quote(there),
                        basis.sha1
                    ),
                    files: vec![("deltaFileName", file)],
                    verdict: "deltaVerification",
                }),
                Err(error) => return self.not_made(wanted, &error.to_string()),
            },
            None => None,
        };
        let bundle = if machine.has_packages {
            match self.bundle(differences, runner, wanted, &new).await? {
                Ok(bundle) => bundle,
                Err(why) => return Ok(Err(why)),
            }
        } else {
            None
        };
        let parts = [delta, bundle].into_iter().flatten();
        let Some(part) = parts.min_by_key(Part::length) else {
            return Ok(Ok(None));
        };
        self.send_part(runner, wanted, &part).await
    }

    /// The chunks that the machine lacks. None: the whole package is as good, or the machine's runner does not know about
    /// chunks.
    async fn bundle(
        &self,
        differences: &Differences,
        runner: &str,
        wanted: &Wanted,
        new: &Version,
    ) -> Result<std::result::Result<Option<Part>, Unprepared>> {
        let manifest = match differences.manifest(new).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return self.not_made(wanted, &error.to_string()),
        };
        let question = Part {
            task: self.task.to_owned(),
            title: "manifest",
            command: "find-chunks".to_owned(),
            files: vec![("manifestFileName", manifest.clone())],
            verdict: "chunksMissing",
        };
        let lines = match self.hand_over(runner, wanted, &question).await? {
            Ok(Some(lines)) => lines,
            Ok(None) => return Ok(Ok(None)),
            Err(why) => return Ok(Err(why)),
        };
        let Some(selection) = told(&lines, question.verdict)
            .and_then(|message| STANDARD.decode(message.get("selection")?).ok())
        else {
            return Ok(Ok(None));
        };
        match differences.bundle(new, &manifest, selection).await {
            Ok(bundle) => Ok(Ok(bundle.map(|bundle| Part {
                task: self.task.to_owned(),
                title: "chunks",
                command: "apply-chunks".to_owned(),
                files: vec![("manifestFileName", manifest), ("bundleFileName", bundle)],
                verdict: "chunkVerification",
            }))),
            Err(error) => self.not_made(wanted, &error.to_string()),
        }
    }

    async fn send_part(
        &self,
        runner: &str,
        wanted: &Wanted,
        part: &Part,
    ) -> Result<std::result::Result<Option<String>, Unprepared>> {
        let text = format!(
            "Sending {} to '{}' as the difference to what is there ({}, {}).",
            wanted.title,
            self.machine,
            part.title,
            size(part.length())
        );
        self.log.info(self.block, &text)?;
        let lines = match self.hand_over(runner, wanted, part).await? {
            Ok(Some(lines)) => lines,
            Ok(None) => return Ok(Ok(None)),
            Err(why) => return Ok(Err(why)),
        };
        match verified(&lines, part.verdict, &wanted.hash) {
            Ok(made) => Ok(Ok(Some(made))),
            Err(why) => {
                let text = format!(
                    "'{}' could not make {} of the {}: {why}. It is sent whole.",
                    self.machine, wanted.title, part.title
                );
                self.log.warning(self.block, &text)?;
                Ok(Ok(None))
            }
        }
    }

    /// Sends the files of a part and runs its command of the runner; its lines are the answer. None: others removed a file from
    /// the cache meanwhile.
    async fn hand_over(
        &self,
        runner: &str,
        wanted: &Wanted,
        part: &Part,
    ) -> Result<std::result::Result<Option<Vec<String>>, Unprepared>> {
        let (epoch, count) = self.look;
        for (option, file) in &part.files {
            let (Ok(stream), Ok(_)) = (DataStream::from_file(file).await, std::fs::File::open(file)) else {
                return Ok(Ok(None));
            };
            let place = part.place(wanted, option);
            let send = || self.transport.upload(&place, &stream, self.cancel);
            if let Err(error) = retry::repeat(self.patience, self.cancel, |why| self.tell(why), send).await {
                return self.not_handed_over(wanted, error);
            }
        }
        let name = format!("{} {epoch} {count} {}", part.command, wanted.place);
        match self.ask(&name, &part.script(runner, wanted)).await {
            Ok((lines, _)) => Ok(Ok(Some(lines))),
            Err(error) => self.not_handed_over(wanted, error),
        }
    }

    /// What the machine refuses, or takes too long for, is told, and the whole package goes.
    fn not_handed_over<T>(
        &self,
        wanted: &Wanted,
        error: TransportError,
    ) -> Result<std::result::Result<Option<T>, Unprepared>> {
        match error {
            TransportError::Refused(why) => self.not_made(wanted, &why),
            error => Ok(Err(unprepared(self.machine, error))),
        }
    }

    /// The Server could not do its part: that is told, and the whole package goes.
    fn not_made<T>(&self, wanted: &Wanted, why: &str) -> Result<std::result::Result<Option<T>, Unprepared>> {
        let text = format!(
            "No difference of {} could be made: {why}. It is sent whole.",
            wanted.title
        );
        self.log.warning(self.block, &text)?;
        Ok(Ok(None))
    }
}

/// What is sent so that a machine makes a package, and how it does.
struct Part {
    /// Two tasks may bring one package to one machine, each with files of its own.
    task: String,
    /// For people.
    title: &'static str,
    /// The command of the runner, without the options for the files.
    command: String,
    /// Options of the command, and the file for each.
    files: Vec<(&'static str, PathBuf)>,
    /// The message that says what came of it.
    verdict: &'static str,
}

impl Part {
    /// How much is to be sent, in bytes.
    fn length(&self) -> u64 {
        let lengths = self
            .files
            .iter()
            .map(|(_, file)| std::fs::metadata(file).map_or(0, |file| file.len()));
        lengths.sum()
    }

    /// Where a file goes, below the agent's home.
    fn place(&self, wanted: &Wanted, option: &str) -> String {
        format!(
            "{}.{}.{}",
            wanted.place,
            self.task,
            option.trim_end_matches("FileName")
        )
    }

    /// Runs the command and removes what was sent.
    fn script(&self, runner: &str, wanted: &Wanted) -> String {
        let (mut options, mut sent) = (String::new(), String::new());
        for (option, _) in &self.files {
            let place = format!(" \"$TentacleHome\"/{}", quote(&self.place(wanted, option)));
            options.push_str(&format!(" --{option}{place}"));
            sent.push_str(&place);
        }
        let file_name = wanted.place.rsplit('/').next().unwrap_or_default();
        format!(
            "#!/bin/bash\n{} {} --newFileName={}{options}\ncode=$?\nrm -f{sent}\nexit $code\n",
            quote(runner),
            self.command,
            quote(file_name),
        )
    }
}

/// The last message of a name.
fn told(lines: &[String], name: &str) -> Option<ServiceMessage> {
    let places = lines.iter().flat_map(|line| ServiceMessage::find(line));
    let mut messages = places.filter_map(|place| place.message);
    messages.rfind(|message| message.name == name)
}

/// Where the machine made a package, if it says so and it is the right one.
fn verified(lines: &[String], verdict: &str, hash: &str) -> std::result::Result<String, String> {
    let Some(told) = told(lines, verdict) else {
        return Err("it did not say what came of it".into());
    };
    match (told.get("error"), told.get("remotePath"), told.get("hash")) {
        (Some(error), ..) => Err(error.trim().to_owned()),
        (None, Some(path), Some(made)) if made.eq_ignore_ascii_case(hash) => Ok(path.to_owned()),
        _ => Err("what it made is another file".into()),
    }
}
