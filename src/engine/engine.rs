//! The start and the end of a node's engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use application::{Context, Machines};
use contracts::CapabilityCache;
use halibut::{Caller, TrustList};
use tokio::task::JoinHandle;

use crate::execution::Means;
use crate::execution::difference::Differences;
use crate::execution::runner::Runners;
use crate::machines::Reach;
use crate::queue::Queue;
use crate::transport::{LocalWorker, Transports};

/// How long calls to a machine are repeated when nothing else is said (`tentacle-protocol.md` 5.6).
pub const PATIENCE: Duration = Duration::from_secs(150);

/// How many tasks a node runs at once when nothing else is said.
pub const TASK_CAP: i64 = 5;

/// What the engine of a node is given.
pub struct EngineOptions {
    /// Calls agents of both modes.
    pub caller: Arc<Caller>,
    /// Whom the listener for polling agents lets in; the engine keeps it in step with the machines.
    pub trust: Arc<TrustList>,
    /// Runners: `<platform>/calamari`, or one `calamari` for the Server's own platform.
    pub runners: PathBuf,
    /// How many tasks run at once; [`TASK_CAP`].
    pub task_cap: i64,
    /// How long calls to a machine are repeated; [`PATIENCE`].
    pub patience: Duration,
}

/// Makes a node work.
pub struct Engine;

/// A node at work. Dropped without [`drain`](Self::drain), its tasks break off and go on at the next start.
pub struct Running {
    queue: Arc<Queue>,
    work: JoinHandle<()>,
    reach: Arc<Reach>,
}

impl Engine {
    /// Starts to take tasks. The caller holds the lock of the node's name (`storage::Database::lock_node`) until the engine has
    /// ended. From now on `context.machines()` answers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(context: Arc<Context>, options: EngineOptions) -> storage::Result<Running> {
        let EngineOptions {
            caller,
            trust,
            runners,
            task_cap,
            patience,
        } = options;
        let reach = Arc::new(Reach::new(context.clone(), caller.clone(), trust));
        reach.follow().await?;
        // Set once; a second engine of one context works with the first one's view, which is the same.
        let _first = context.machines.set(reach.clone() as Arc<dyn Machines>).is_ok();
        let owner = security::token::identifier();
        let now = context.clock.now();
        let mut session = context.database.write().await?;
        let (name, version) = (&context.node_name, &context.product_version);
        storage::node::register(&mut session, name, &owner, version, task_cap, now).await?;
        session.commit().await?;
        let local = context
            .builtin_worker
            .then(|| LocalWorker::new(context.files.cache().join("worker")));
        let transports = Transports {
            caller,
            capabilities: Arc::new(CapabilityCache::new()),
            local,
        };
        let means = Means {
            differences: Differences::new(context.files.cache()),
            transports,
            runners: Runners::new(runners),
            patience,
        };
        let queue = Arc::new(Queue::new(context, Arc::new(means), reach.clone(), owner));
        let work = tokio::spawn(queue.clone().run());
        Ok(Running { queue, work, reach })
    }
}

impl Running {
    /// Takes no more tasks, waits for those at work at most as long as given, and gives the rest back: another node, or the next
    /// start of this one, goes on with them. Scripts on machines run on meanwhile.
    pub async fn drain(self, wait: Duration) {
        self.queue.draining.cancel();
        let mut work = self.work;
        if tokio::time::timeout(wait, &mut work).await.is_err() {
            self.queue.stopping.cancel();
            if let Err(error) = work.await {
                tracing::error!(%error, "the engine broke off");
            }
        }
    }

    /// The machines as this engine reaches them.
    #[must_use]
    pub fn machines(&self) -> Arc<dyn Machines> {
        self.reach.clone()
    }
}
