//! SIGTERM and SIGINT: end the running child with all it started, then let the command clean up (observed 9.37).

use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a child may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(8);

/// Whether the process was asked to stop. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interruption {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The signal that came first; 0 for none.
    signal: AtomicI32,
    child: Mutex<Option<Pid>>,
    child_gone: Condvar,
}

impl Interruption {
    /// Listens for the signals from now on, in a thread of its own.
    ///
    /// # Errors
    /// The system refuses to install the handlers.
    pub fn listen() -> std::io::Result<Self> {
        let interruption = Self::default();
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let state = interruption.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    state.raise(signal);
                }
            })?;
        Ok(interruption)
    }

    /// The signal that asked the process to stop.
    pub fn signal(&self) -> Option<i32> {
        match self.state.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Whether the step can go on; `meanwhile` says what it was doing.
    ///
    /// # Errors
    /// The process was asked to stop.
    pub fn check(&self, meanwhile: impl std::fmt::Display) -> Result<(), Failure> {
        match self.signal() {
            None => Ok(()),
            Some(signal) => Err(Failure {
                message: format!("The step was asked to stop (signal {signal}) while {meanwhile}"),
                exit_code: 128 + signal,
            }),
        }
    }

    /// Asks to stop, as a signal does.
    pub fn raise(&self, signal: i32) {
        self.state.signal.store(signal, Ordering::SeqCst);
        let child = self.state.child.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(group) = *child else { return };
        // The group may have ended by itself just now.
        kill_process_group(group, Signal::TERM).ok();
        let (child, waited) = self
            .state
            .child_gone
            .wait_timeout_while(child, PATIENCE, |child| *child == Some(group))
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && *child == Some(group) {
            kill_process_group(group, Signal::KILL).ok();
        }
    }

    /// Names the process group that a signal ends.
    pub(crate) fn child_started(&self, group: Pid) {
        *self.state.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(group);
        if self.signal().is_some() {
            kill_process_group(group, Signal::TERM).ok();
        }
    }

    /// There is no child any more. What it left behind is ended when the process was asked to stop.
    pub(crate) fn child_ended(&self) {
        let group = self
            .state
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.state.child_gone.notify_all();
        if let Some(group) = group.filter(|_| self.signal().is_some()) {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}
