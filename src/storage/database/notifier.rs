//! Hints that there is something to look at. Every wait also polls, so a lost hint costs time and nothing else.

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::{broadcast, mpsc};

use super::{Connections, Database};
use crate::Result;

/// The channel's name on PostgreSQL.
const CHANNEL: &str = "mantle";
/// Hints that a slow listener may lag behind before it is told to look at everything.
const KEPT: usize = 256;

/// Sends hints to every node: LISTEN/NOTIFY on PostgreSQL, a channel on SQLite. Clones share one.
#[derive(Clone)]
pub struct Notifier {
    listeners: broadcast::Sender<String>,
    others: Option<mpsc::Sender<String>>,
}

/// The hints that arrive at one listener.
pub struct Notifications(broadcast::Receiver<String>);

impl Notifier {
    /// Starts to listen to the other nodes of the database.
    ///
    /// # Errors
    /// When PostgreSQL gives no connection for it.
    pub async fn start(database: &Database) -> Result<Self> {
        let (listeners, _) = broadcast::channel(KEPT);
        let Connections::Postgres(pool) = &database.connections else {
            return Ok(Self {
                listeners,
                others: None,
            });
        };
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        let (others, outgoing) = mpsc::channel(KEPT);
        tokio::spawn(relay(listener, pool.clone(), listeners.clone(), outgoing));
        Ok(Self {
            listeners,
            others: Some(others),
        })
    }

    /// Gives a hint about a topic, such as `server_task`. Never fails and never waits; at most 200 characters travel.
    pub fn notify(&self, topic: &str) {
        let topic: String = topic.chars().take(200).collect();
        match &self.others {
            // It comes back to this node by PostgreSQL too. A full queue loses the hint, as a hint may be.
            Some(others) => drop(others.try_send(topic)),
            // Nobody listening is no fault.
            None => drop(self.listeners.send(topic)),
        }
    }

    /// A listener for all hints from now on.
    #[must_use]
    pub fn subscribe(&self) -> Notifications {
        Notifications(self.listeners.subscribe())
    }
}

impl Notifications {
    /// Waits for the next hint and gives its topic; None means that hints were lost and everything is worth a look.
    /// Waits for ever once the notifier is gone, so wait with a time limit.
    pub async fn next(&mut self) -> Option<String> {
        match self.0.recv().await {
            Ok(topic) => Some(topic),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Passes hints on, in both directions, until no notifier is left.
async fn relay(
    mut listener: PgListener,
    pool: PgPool,
    listeners: broadcast::Sender<String>,
    mut outgoing: mpsc::Receiver<String>,
) {
    let listening = async {
        loop {
            // The listener connects again by itself; what it missed shows in the next poll.
            match listener.recv().await {
                Ok(hint) => drop(listeners.send(hint.payload().to_string())),
                Err(error) => {
                    tracing::warn!("hints of other nodes cannot be heard now: {error}");
                    tokio::time::sleep(super::PATIENCE).await;
                }
            }
        }
    };
    let sending = async {
        while let Some(topic) = outgoing.recv().await {
            let sent = sqlx::query("select pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(topic)
                .execute(&pool)
                .await;
            if let Err(error) = sent {
                tracing::warn!("a hint could not be sent to other nodes: {error}");
            }
        }
    };
    tokio::select! {
        () = listening => {}
        () = sending => {}
        // Closing waits for every connection, this one too.
        () = pool.close_event() => {}
    }
}
