//! What belongs to a script among the processes of the machine: its process group, its descendants, and what escaped
//! from both and became a child of the agent, the sub-reaper of its scripts.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::time::Instant;

/// Every process of a script carries its workspace in its environment, unless it cleared it.
pub(crate) const MARK: &str = "MANTLE_SCRIPT_WORKSPACE";
/// How long killing is tried; a process in an uninterruptible wait cannot be killed at all.
const PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(20);

/// The direct children of the agent. Shared by everything that starts or reaps processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children {
    known: Arc<Mutex<HashSet<i32>>>,
    /// Whether orphans of scripts become children of this process, and no other code of it starts processes.
    is_sub_reaper: bool,
}

/// One line of the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    is_zombie: bool,
}

impl Children {
    pub(crate) fn new(is_sub_reaper: bool) -> Children {
        Children {
            known: Arc::default(),
            is_sub_reaper,
        }
    }

    /// Starts a child and notes it, so that nobody takes it for an orphan.
    pub(crate) fn spawn(
        &self,
        command: &mut tokio::process::Command,
    ) -> std::io::Result<tokio::process::Child> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        known.extend(child.id().and_then(|id| i32::try_from(id).ok()));
        Ok(child)
    }

    /// A child has ended and was waited for.
    pub(crate) fn forget(&self, pid: i32) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&pid);
    }

    /// Waits for the ended orphans that this process inherited.
    pub(crate) fn reap(&self) {
        if !self.is_sub_reaper {
            return;
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let own = own_pid();
        for process in processes()
            .into_iter()
            .filter(|one| one.parent == own && one.is_zombie)
        {
            if let Some(pid) = Pid::from_raw(process.pid).filter(|_| !known.contains(&process.pid)) {
                rustix::process::waitpid(Some(pid), WaitOptions::NOHANG).ok();
            }
        }
    }

    /// Kills a script: its process group, its descendants, and what escaped; again and again until nothing is left.
    /// False means that something could not be killed.
    ///
    /// All of it is stopped before the first is killed: a shell whose child is killed first would go on with its
    /// next line.
    pub(crate) async fn kill_script(&self, leader: i32, workspace: &Path) -> bool {
        let give_up = Instant::now() + PATIENCE;
        let mut was_empty = false;
        let mut stopped = HashSet::new();
        loop {
            let alive = self.of_script(Some(leader), workspace);
            // twice: a process may have been born while the table was read
            if alive.is_empty() && was_empty {
                return true;
            }
            was_empty = alive.is_empty();
            let mut running: Vec<i32> = alive.iter().copied().filter(|pid| stopped.insert(*pid)).collect();
            // parents first: a shell with job control goes on when its child is stopped
            running.sort_unstable_by_key(|pid| (*pid != leader, *pid));
            if !running.is_empty() && Instant::now() < give_up {
                signal_all(&running, Signal::STOP);
                tokio::task::yield_now().await;
                // whom they started meanwhile is stopped before any of them is killed
                continue;
            }
            signal_all(&alive, Signal::KILL);
            self.reap();
            if Instant::now() > give_up {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks a script to end: SIGTERM to all that belongs to it.
    pub(crate) fn terminate_script(&self, leader: i32, workspace: &Path) {
        signal_all(&self.of_script(Some(leader), workspace), Signal::TERM);
    }

    /// Kills what scripts of a killed agent left running under a folder of workspaces. Returns how many there were.
    pub(crate) async fn kill_left_overs(&self, workspaces: &Path) -> usize {
        let mut count = 0;
        for _ in 0..50 {
            let own = own_pid();
            let left: Vec<i32> = processes()
                .into_iter()
                .filter(|one| !one.is_zombie && one.pid != own)
                .filter(|one| mark_of(one.pid).is_some_and(|mark| Path::new(&mark).starts_with(workspaces)))
                .map(|one| one.pid)
                .collect();
            if left.is_empty() {
                break;
            }
            count = count.max(left.len());
            signal_all(&left, Signal::KILL);
            tokio::time::sleep(PAUSE).await;
        }
        count
    }

    /// The living processes of a script.
    fn of_script(&self, leader: Option<i32>, workspace: &Path) -> Vec<i32> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let own = own_pid();
        let table = processes();
        let is_alone = known.iter().all(|pid| Some(*pid) == leader);
        let mut found: HashSet<i32> = table
            .iter()
            .filter(|one| !one.is_zombie && one.pid != own)
            .filter(|one| {
                Some(one.pid) == leader
                    || Some(one.group) == leader
                    || mark_of(one.pid).is_some_and(|mark| Path::new(&mark) == workspace)
                    // an orphan that wiped its environment can only be this script's when no other script runs
                    || (self.is_sub_reaper && is_alone && one.parent == own && !known.contains(&one.pid))
            })
            .map(|one| one.pid)
            .collect();
        loop {
            let before = found.len();
            let descendants = table.iter().filter(|one| {
                !one.is_zombie && one.pid != own && !known.contains(&one.pid) && found.contains(&one.parent)
            });
            let descendants: Vec<i32> = descendants.map(|one| one.pid).collect();
            found.extend(descendants);
            if found.len() == before {
                return found.into_iter().collect();
            }
        }
    }
}

/// Makes this process the parent of its scripts' orphans, and unreadable for them.
///
/// # Errors
/// The kernel does not know how.
pub(crate) fn prepare_process() -> std::io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// A process that has ended meanwhile, or belongs to another user, is left alone.
fn signal_all(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        rustix::process::kill_process(pid, signal).ok();
    }
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// `pid (name) state parent group …`, where the name may hold anything.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Process {
        pid,
        is_zombie: matches!(state, "Z" | "X"),
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

fn mark_of(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_process_table_is_read_whatever_the_name() {
        assert_eq!(
            parse(7, "7 (a) b) (c) S 1 7 7 0 -1"),
            Some(Process {
                pid: 7,
                parent: 1,
                group: 7,
                is_zombie: false
            })
        );
        assert!(parse(7, "7 (x) Z 1 2").is_some_and(|one| one.is_zombie));
        assert_eq!(parse(7, "nonsense"), None);
    }

    #[test]
    fn this_process_is_in_the_table() {
        assert!(processes().iter().any(|one| one.pid == own_pid()));
    }
}
