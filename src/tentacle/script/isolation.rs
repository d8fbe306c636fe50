//! Which scripts may run beside each other (`tentacle-protocol.md` 6.8).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::script_service::{IsolationLevel, OutputSource};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::log::ScriptLog;

/// Nobody is told of a wait that is shorter.
const SILENT: Duration = Duration::from_millis(100);
/// How often a waiting script says so again.
const REMINDER: Duration = Duration::from_secs(600);

/// One table for each agent: named locks; full isolation writes, no isolation reads.
#[derive(Debug, Default)]
pub(crate) struct IsolationTable {
    names: Mutex<HashMap<String, Arc<Named>>>,
}

#[derive(Debug, Default)]
struct Named {
    lock: Arc<RwLock<()>>,
    /// The tasks whose scripts hold the lock.
    holders: Mutex<Vec<String>>,
}

/// What a script asks for.
#[derive(Debug, Clone)]
pub(crate) struct Isolation {
    pub(crate) name: String,
    pub(crate) level: IsolationLevel,
    /// None waits for ever.
    pub(crate) timeout: Option<Duration>,
    pub(crate) task_id: String,
}

/// A held lock; dropping it lets the next script go.
#[derive(Debug)]
pub(crate) struct Held {
    named: Arc<Named>,
    task_id: String,
    _guard: Guard,
}

#[derive(Debug)]
enum Guard {
    Shared(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockReadGuard<()>),
    Exclusive(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockWriteGuard<()>),
}

/// Why a script does not get its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotHeld {
    Cancelled,
    TimedOut,
}

impl IsolationTable {
    /// Waits for the lock, and tells in the script's log what it waits for.
    pub(crate) async fn acquire(
        &self,
        wanted: &Isolation,
        cancel: &CancellationToken,
        log: &ScriptLog,
    ) -> Result<Held, NotHeld> {
        let level = match wanted.level {
            IsolationLevel::No => "NoIsolation",
            IsolationLevel::Full => "FullIsolation",
        };
        say(
            log,
            "verbose",
            &format!(
                "Acquiring isolation mutex {} with {level} in {}",
                wanted.name, wanted.task_id
            ),
        );
        let named = self.named(&wanted.name);
        let started = Instant::now();
        let give_up = wanted.timeout.map(|timeout| started + timeout);
        let lock = Arc::clone(&named.lock);
        let acquiring = async move {
            match wanted.level {
                IsolationLevel::No => Guard::Shared(lock.read_owned().await),
                IsolationLevel::Full => Guard::Exclusive(lock.write_owned().await),
            }
        };
        let mut acquiring = std::pin::pin!(acquiring);
        let mut next_word = started + SILENT;
        loop {
            let wake = give_up.map_or(next_word, |at| at.min(next_word));
            tokio::select! {
                biased;
                guard = &mut acquiring => {
                    named.holders().push(wanted.task_id.clone());
                    let (named, task_id) = (Arc::clone(&named), wanted.task_id.clone());
                    return Ok(Held { named, task_id, _guard: guard });
                }
                () = cancel.cancelled() => {
                    log.append(OutputSource::StdOut, "This task was cancelled while it waited for its turn.");
                    return Err(NotHeld::Cancelled);
                }
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = Instant::now();
            if give_up.is_some_and(|at| now >= at) {
                if now < started + SILENT {
                    say(log, "wait", &named.waiting(&wanted.task_id));
                }
                let minutes = wanted.timeout.unwrap_or_default().as_secs() / 60;
                log.append(
                    OutputSource::StdOut,
                    &format!(
                        "This task waited more than {minutes} minutes and timed out. {} still running.",
                        named.running()
                    ),
                );
                return Err(NotHeld::TimedOut);
            }
            say(log, "wait", &named.waiting(&wanted.task_id));
            next_word = now + REMINDER;
        }
    }

    fn named(&self, name: &str) -> Arc<Named> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|known, named| Arc::strong_count(named) > 1 || known == name);
        Arc::clone(names.entry(name.to_owned()).or_default())
    }
}

impl Named {
    fn holders(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self, task_id: &str) -> String {
        let holders = self.holders();
        let whom = if holders.iter().all(|holder| holder == task_id) {
            "on another script in this task".to_owned()
        } else {
            format!("for {}", links(&holders))
        };
        format!(
            "Waiting {whom} to finish as this task requires that no other Octopus scripts are executing on this target at \
             the same time."
        )
    }

    fn running(&self) -> String {
        let links = links(&self.holders());
        let verb = if links.contains(", ") { "are" } else { "is" };
        format!("{links} {verb}")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut holders = self.named.holders();
        if let Some(at) = holders.iter().position(|holder| *holder == self.task_id) {
            holders.swap_remove(at);
        }
    }
}

fn links(holders: &[String]) -> String {
    let mut tasks: Vec<&str> = holders.iter().map(String::as_str).collect();
    tasks.sort_unstable();
    tasks.dedup();
    if tasks.is_empty() {
        return "Another task".to_owned();
    }
    let links: Vec<String> = tasks
        .iter()
        .take(5)
        .map(|task| format!("Task [{task}](~/app#/tasks/{task})"))
        .collect();
    links.join(", ")
}

/// A line between the service messages that set its level and set it back.
fn say(log: &ScriptLog, level: &str, text: &str) {
    log.append(OutputSource::StdOut, &format!("##octopus[stdout-{level}]"));
    log.append(OutputSource::StdOut, text);
    log.append(OutputSource::StdOut, "##octopus[stdout-default]");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, level: IsolationLevel, timeout: Option<u64>) -> Isolation {
        Isolation {
            name: name.to_owned(),
            level,
            timeout: timeout.map(Duration::from_millis),
            task_id: "ServerTasks-42".to_owned(),
        }
    }

    fn log(folder: &tempfile::TempDir) -> ScriptLog {
        ScriptLog::create(&folder.path().join("Output.log"), u64::MAX).unwrap()
    }

    fn texts(log: &ScriptLog) -> Vec<String> {
        log.read(0)
            .unwrap()
            .lines
            .into_iter()
            .map(|line| line.text)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn full_isolation_waits_and_says_so_in_the_originals_words() {
        let folder = tempfile::tempdir().unwrap();
        let (table, log, cancel) = (IsolationTable::default(), log(&folder), CancellationToken::new());
        let first = table
            .acquire(&wanted("RunningScript", IsolationLevel::No, None), &cancel, &log)
            .await
            .unwrap();
        let second = table
            .acquire(&wanted("RunningScript", IsolationLevel::No, None), &cancel, &log)
            .await
            .unwrap();
        let other = table
            .acquire(&wanted("Other", IsolationLevel::Full, None), &cancel, &log)
            .await
            .unwrap();
        assert_eq!(texts(&log).len(), 9);
        let late = table
            .acquire(
                &wanted("RunningScript", IsolationLevel::Full, Some(2000)),
                &cancel,
                &log,
            )
            .await;
        assert_eq!(late.err(), Some(NotHeld::TimedOut));
        assert_eq!(
            texts(&log)[9..],
            [
                "##octopus[stdout-verbose]",
                "Acquiring isolation mutex RunningScript with FullIsolation in ServerTasks-42",
                "##octopus[stdout-default]",
                "##octopus[stdout-wait]",
                "Waiting on another script in this task to finish as this task requires that no other Octopus scripts are executing on this target at the same time.",
                "##octopus[stdout-default]",
                "This task waited more than 0 minutes and timed out. Task [ServerTasks-42](~/app#/tasks/ServerTasks-42) is still running.",
            ]
        );
        drop((first, second, other));
        table
            .acquire(
                &wanted("RunningScript", IsolationLevel::Full, Some(1)),
                &cancel,
                &log,
            )
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_script_gives_its_place_up() {
        let folder = tempfile::tempdir().unwrap();
        let (table, log, cancel) = (IsolationTable::default(), log(&folder), CancellationToken::new());
        let held = table
            .acquire(&wanted("m", IsolationLevel::Full, None), &cancel, &log)
            .await
            .unwrap();
        let token = cancel.clone();
        let (outcome, ()) = tokio::join!(
            async {
                table
                    .acquire(&wanted("m", IsolationLevel::No, None), &cancel, &log)
                    .await
                    .err()
            },
            async { token.cancel() }
        );
        assert_eq!(outcome, Some(NotHeld::Cancelled));
        drop(held);
    }
}
