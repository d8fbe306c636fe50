//! Removes workspaces that nobody completed (`tentacle-protocol.md` 6.9).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use contracts::ScriptTicket;

use super::state::Progress;
use super::workspace::Workspace;
use super::{Scripts, Slot};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(2 * 60 * 60);
/// How long a workspace is kept after its last line.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl Scripts {
    /// Cleans now and every two hours, until it is dropped.
    pub(crate) async fn clean_regularly(&self) {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            period.tick().await;
            self.clean(SystemTime::now()).await;
        }
    }

    /// Removes every workspace older than a day whose script does not run. Returns how many.
    pub(crate) async fn clean(&self, now: SystemTime) -> usize {
        let mut count = 0;
        for workspace in self.workspaces.all() {
            if !is_old(&workspace, now) || self.is_in_use(&workspace) {
                continue;
            }
            let removed = tokio::task::spawn_blocking(move || workspace.remove()).await;
            count += usize::from(matches!(removed, Ok(Ok(()))));
        }
        self.forget_completed();
        count
    }

    /// Whether a script waits or runs there; a ticket whose script has ended is forgotten.
    fn is_in_use(&self, workspace: &Workspace) -> bool {
        let Some(ticket) = workspace.name().and_then(|name| ScriptTicket::parse(name).ok()) else {
            return false;
        };
        let mut slots = self.slots();
        let is_used = slots.get(&ticket).is_some_and(is_used);
        if !is_used {
            slots.remove(&ticket);
        }
        is_used
    }

    /// Forgets tickets that were completed while somebody else asked for them.
    fn forget_completed(&self) {
        self.slots()
            .retain(|ticket, slot| is_used(slot) || self.workspaces.of(ticket).folder().is_dir());
    }
}

fn is_used(slot: &Arc<Slot>) -> bool {
    let has_ended = slot
        .script
        .get()
        .is_some_and(|script| script.progress().0 == Progress::Complete);
    !has_ended || Arc::strong_count(slot) > 1
}

fn is_old(workspace: &Workspace, now: SystemTime) -> bool {
    let modified = |path| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let last = modified(workspace.log())
        .or_else(|| modified(workspace.bootstrap()))
        .or_else(|| modified(workspace.folder().to_owned()));
    last.and_then(|last| now.duration_since(last).ok())
        .is_some_and(|age| age > AGE)
}
