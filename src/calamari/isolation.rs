//! Keeps scripts of one agent from running at the same time, with the lock files that agents use, too (18).

use crate::command_line::CommandLine;
use crate::failure::Failure;
use crate::interruption::Interruption;
use crate::log::Log;
use contracts::ServiceMessage;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// A lock that is held until dropped; the kernel lets go of it when the process dies. None when no isolation was asked for.
#[derive(Debug)]
pub struct Isolation {
    _file: File,
}

/// The waits between two attempts.
const DELAYS: [u64; 6] = [10, 20, 50, 100, 200, 500];

impl Isolation {
    /// Takes the lock that the options ask for: exclusive for `FullIsolation`, shared for `NoIsolation`.
    ///
    /// # Errors
    /// A name that no file can have, a missing folder, the time is over, or the process was asked to stop.
    pub fn take(
        line: &CommandLine,
        home: Option<&str>,
        log: &Log,
        interruption: &Interruption,
    ) -> Result<Option<Self>, Failure> {
        let (Some(level), Some(name)) = (
            line.option("scriptIsolationLevel"),
            line.option("scriptIsolationMutexName"),
        ) else {
            return Ok(None);
        };
        let Some(home) = home else {
            log.verbose("TentacleHome is not set, so that no script isolation lock is taken");
            return Ok(None);
        };
        let exclusive = if level.eq_ignore_ascii_case("FullIsolation") {
            true
        } else if level.eq_ignore_ascii_case("NoIsolation") {
            false
        } else {
            log.verbose(&format!(
                "Unknown script isolation level '{level}'; no lock is taken"
            ));
            return Ok(None);
        };
        if name.contains(['/', '\0']) {
            return Err(Failure::unexpected(format!(
                "Invalid mutex name '{name}'; it must be usable in a file name"
            )));
        }
        log.verbose(&format!(
            "Acquiring script isolation mutex {name} with {} lock",
            kind(exclusive)
        ));
        let file_name = format!("ScriptIsolation.{name}.lock");
        let patience = line.option("scriptIsolationTimeout").and_then(time_span);
        let wait = |path: &Path, exclusive| wait(path, exclusive, patience, interruption);
        let path = Path::new(home).join(&file_name);
        let failure = match wait(&path, exclusive) {
            Ok(file) => return Ok(Some(Self { _file: file })),
            Err(Stopped::Failed(failure)) => return Err(failure),
            Err(Stopped::Unsupported(reason)) => reason,
        };
        // The file system of the agent's folder has no such locks: what comes nearest is better than none.
        let asked = kind(exclusive);
        if !exclusive && let Ok(file) = wait(&path, true) {
            alert(log, asked, "Exclusive", false, &failure);
            return Ok(Some(Self { _file: file }));
        }
        let elsewhere = std::env::temp_dir().join(&file_name);
        match wait(&elsewhere, exclusive) {
            Ok(file) => {
                alert(log, asked, asked, true, &failure);
                Ok(Some(Self { _file: file }))
            }
            Err(Stopped::Failed(failure)) => Err(failure),
            Err(Stopped::Unsupported(_)) => {
                alert(log, asked, "None", true, &failure);
                Ok(None)
            }
        }
    }
}

/// Why there is no lock.
enum Stopped {
    /// The file system has no such locks.
    Unsupported(String),
    /// The time is over, or the process is to stop.
    Failed(Failure),
}

fn kind(exclusive: bool) -> &'static str {
    if exclusive { "Exclusive" } else { "Shared" }
}

fn alert(log: &Log, asked: &str, taken: &str, elsewhere: bool, reason: &str) {
    log.warning(&format!(
        "The script isolation lock could not be taken as asked ({asked}): {reason}; taken: {taken}"
    ));
    log.message(&ServiceMessage::new(
        "calamari-script-isolation-alert",
        &[
            ("requestedType", asked),
            ("enforcedType", taken),
            ("fallbackUsed", if elsewhere { "True" } else { "False" }),
            ("capabilityInfo", reason),
        ],
    ));
}

fn wait(
    path: &Path,
    exclusive: bool,
    patience: Option<Duration>,
    interruption: &Interruption,
) -> Result<File, Stopped> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
        .map_err(|error| Stopped::Failed(Failure::at(path, "open the lock file", &error)))?;
    let started = Instant::now();
    for attempt in 0.. {
        let taken = if exclusive {
            file.try_lock()
        } else {
            file.try_lock_shared()
        };
        match taken {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(Stopped::Unsupported(format!(
                    "Could not lock {}: {error}",
                    path.display()
                )));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        interruption
            .check("it waited for other scripts of this agent")
            .map_err(Stopped::Failed)?;
        let delay = Duration::from_millis(*DELAYS.get(attempt).unwrap_or(&500));
        match patience {
            Some(patience) if started.elapsed() + delay > patience => break,
            _ => std::thread::sleep(delay),
        }
    }
    Err(Stopped::Failed(Failure::unexpected(format!(
        "Lock acquisition failed: another script of this agent holds {} for longer than the {} s that this one may wait; \
         run it again when that one is done",
        path.display(),
        started.elapsed().as_secs()
    ))))
}

/// `[d.]hh:mm:ss[.fraction]`; none when it is not one.
pub(crate) fn time_span(text: &str) -> Option<Duration> {
    let (days, time) = match text.split_once('.') {
        Some((days, time)) if !days.contains(':') => (days.parse().ok()?, time),
        _ => (0, text),
    };
    let parts: Vec<&str> = time.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else {
        return None;
    };
    let seconds: f64 = seconds
        .parse()
        .ok()
        .filter(|seconds: &f64| (0.0..60.0).contains(seconds))?;
    let whole: u64 = days * 86_400 + hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60;
    Some(Duration::from_secs(whole) + Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_read() {
        assert_eq!(time_span("00:00:01"), Some(Duration::from_secs(1)));
        assert_eq!(time_span("1.02:03:04.5"), Some(Duration::from_millis(93_784_500)));
        assert_eq!(time_span("soon"), None);
    }
}
