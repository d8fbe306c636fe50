//! Starts children, forwards signals to them, reaps whatever ends, and knows how long a stop may still take.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

/// What the supervisor could not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SupervisorError {
    #[error("The signals cannot be caught: {0}")]
    Signals(#[source] std::io::Error),
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: std::io::Error },
}

/// A child that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Child(Pid);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// A child ended, with its exit code; 128 and the signal's number if a signal ended it.
    Ended(Child, i32),
    /// The first signal to stop came; it has not been forwarded.
    Stop,
    /// The moment waited for has come.
    Timeout,
}

/// The stop that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    signal: Signal,
    /// When it was asked for.
    pub(crate) at: Instant,
    /// The exit code if it was asked for a second time: 130 or 143.
    pub(crate) at_once: Option<i32>,
}

/// Process 1.
pub(crate) struct Supervisor {
    signals: Receiver<i32>,
    /// Our children that run.
    running: Vec<Child>,
    /// Our children that ended and were not reported yet.
    ended: HashMap<Child, i32>,
    stop: Option<Stop>,
}

impl Supervisor {
    /// Catches the signals from now on, adopts orphans, and hides this process's environment from others of
    /// its user.
    pub(crate) fn new() -> Result<Supervisor, SupervisorError> {
        let process =
            |result: rustix::io::Result<()>| result.map_err(|error| SupervisorError::Signals(error.into()));
        process(rustix::process::set_dumpable_behavior(
            rustix::process::DumpableBehavior::NotDumpable,
        ))?;
        process(rustix::process::set_child_subreaper(Some(
            rustix::process::getpid(),
        )))?;
        let mut caught = Signals::new([SIGTERM, SIGINT, SIGCHLD, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2])
            .map_err(SupervisorError::Signals)?;
        let (sender, signals) = channel();
        std::thread::spawn(move || {
            for signal in caught.forever() {
                if sender.send(signal).is_err() {
                    return;
                }
            }
        });
        Ok(Supervisor {
            signals,
            running: Vec::new(),
            ended: HashMap::new(),
            stop: None,
        })
    }

    /// Starts a program with this environment and nothing else, and without input.
    pub(crate) fn start(
        &mut self,
        program: &str,
        arguments: &[String],
        environment: &[(OsString, OsString)],
    ) -> Result<Child, SupervisorError> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::null());
        let child = command.spawn().map_err(|source| SupervisorError::Start {
            program: program.to_owned(),
            source,
        })?;
        let pid = Pid::from_raw(child.id() as i32).expect("a child's id is not zero");
        self.running.push(Child(pid));
        Ok(Child(pid))
    }

    /// Waits for one of our children to end, for the first signal to stop, or for a moment. Other signals are
    /// forwarded to all children on the way, and orphans are reaped.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> Woken {
        loop {
            self.reap();
            if let Some(child) = self.ended.keys().next().copied() {
                let code = self.ended.remove(&child).unwrap_or_default();
                return Woken::Ended(child, code);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let received = match left {
                Some(Duration::ZERO) => return Woken::Timeout,
                Some(left) => self.signals.recv_timeout(left),
                None => self.signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(SIGCHLD) | Err(RecvTimeoutError::Timeout) => {}
                Ok(signal @ (SIGTERM | SIGINT)) => {
                    if self.note_stop(signal) {
                        return Woken::Stop;
                    }
                }
                Ok(signal) => self.forward(signal),
                Err(RecvTimeoutError::Disconnected) => unreachable!("the thread of the signals never ends"),
            }
        }
    }

    /// Waits for one child to its end. A signal to stop is forwarded to it at once.
    pub(crate) fn finish(&mut self, child: Child) -> i32 {
        loop {
            match self.wait(None) {
                Woken::Ended(ended, code) if ended == child => return code,
                Woken::Stop => self.forward_stop(child),
                Woken::Ended(..) | Woken::Timeout => {}
            }
        }
    }

    /// Waits for one child at most until a moment, then kills it.
    pub(crate) fn finish_until(&mut self, child: Child, until: Instant) -> Option<i32> {
        loop {
            match self.wait(Some(until)) {
                Woken::Ended(ended, code) if ended == child => return Some(code),
                Woken::Timeout => break,
                Woken::Stop | Woken::Ended(..) => {}
            }
        }
        self.signal(child, Signal::KILL);
        self.finish(child);
        None
    }

    /// Whether, when and how a stop was asked for.
    pub(crate) fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Hands the signal to stop on to a child.
    pub(crate) fn forward_stop(&mut self, child: Child) {
        if let Some(stop) = self.stop {
            self.signal(child, stop.signal);
        }
    }

    /// Sends a signal to a child of ours that still runs.
    pub(crate) fn signal(&mut self, child: Child, signal: Signal) {
        if self.running.contains(&child) {
            // It may have ended in this moment, and then there is nobody to tell.
            kill_process(child.0, signal).ok();
        }
    }

    /// True for the first signal; a second one goes to the children at once.
    fn note_stop(&mut self, number: i32) -> bool {
        let signal = if number == SIGINT {
            Signal::INT
        } else {
            Signal::TERM
        };
        match &mut self.stop {
            None => {
                self.stop = Some(Stop {
                    signal,
                    at: Instant::now(),
                    at_once: None,
                });
                true
            }
            Some(stop) => {
                stop.at_once = Some(128 + number);
                self.forward(number);
                false
            }
        }
    }

    fn forward(&mut self, number: i32) {
        let Some(signal) = Signal::from_named_raw(number) else {
            return;
        };
        for child in self.running.clone() {
            self.signal(child, signal);
        }
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let child = Child(pid);
            let code = status
                .exit_status()
                .or(status.terminating_signal().map(|signal| 128 + signal));
            let (Some(code), Some(at)) = (code, self.running.iter().position(|known| *known == child)) else {
                continue; // an orphan that we adopted, or a child that was only stopped
            };
            self.running.swap_remove(at);
            self.ended.insert(child, code);
        }
    }
}

/// Puts a program in the place of this one; returns only if that fails.
pub(crate) fn replace(program: &OsString, arguments: &[OsString]) -> std::io::Error {
    Command::new(program).args(arguments).exec()
}
