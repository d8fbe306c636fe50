//! What every use case works with.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use files::Files;
use security::KeyRing;
use storage::{Database, Notifier};
use tokio::sync::Semaphore;

use crate::{Clock, Error, Machines, Result};

/// How many password checks may wait for a processor; more are turned away (`security.md` 1.3).
const HASHES_WAITING: usize = 64;

/// Storage, files, keys, clock and the rest, made once at the start of the Server.
pub struct Context {
    /// The database.
    pub database: Database,
    /// The volumes.
    pub files: Files,
    /// The keys that secrets are sealed with.
    pub keys: KeyRing,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tells others that there is something to look at; a hint only.
    pub notifier: Notifier,
    /// The installation's GUID, which clients and cookies carry.
    pub installation_id: String,
    /// The product's own version.
    pub product_version: String,
    /// The name of this node.
    pub node_name: String,
    /// The thumbprint of the certificate that agents trust.
    pub server_thumbprint: String,
    /// The public address of the Server, for links in messages; none: links are relative.
    pub server_uri: Option<String>,
    /// When this node started, in milliseconds since 1970.
    pub started_at: i64,
    /// Whether this node takes no more tasks because it is about to stop.
    pub draining: AtomicBool,
    /// Whether script steps may run on the Server itself.
    pub builtin_worker: bool,
    /// The engine's view of machines, set when the engine has started.
    pub machines: OnceLock<Arc<dyn Machines>>,
    /// Turns for hashing passwords: as many at once as there are processors.
    pub hashing: Semaphore,
}

impl Context {
    /// A turn for each processor.
    #[must_use]
    pub fn hashing_turns() -> Semaphore {
        Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
    }

    /// Runs a password hash beside the event loop, a bounded number at a time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait.
    pub async fn hash<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static WAITING: AtomicUsize = AtomicUsize::new(0);
        struct Waiting;
        impl Drop for Waiting {
            fn drop(&mut self) {
                WAITING.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let ahead = WAITING.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting;
        if ahead >= HASHES_WAITING {
            return Err(Error::Unavailable(
                "Too many people are signing in at this moment. Try again in some seconds.".into(),
            ));
        }
        let _turn = self
            .hashing
            .acquire()
            .await
            .map_err(|error| Error::internal("The Server is stopping.", error))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("A password could not be checked.", error))
    }

    /// The engine's view of machines.
    ///
    /// # Errors
    /// [`Error::Unavailable`] until the engine has started.
    pub fn machines(&self) -> Result<&Arc<dyn Machines>> {
        self.machines.get().ok_or_else(|| {
            Error::Unavailable(
                "The Server is still starting and cannot reach machines yet. Try again in a moment.".into(),
            )
        })
    }
}
