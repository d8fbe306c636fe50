use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::protocol::subscription::Subscription;
use crate::rpc::PendingRequestQueue;

/// The polling agents of a Server: a queue for each, and whether it is there.
#[derive(Default)]
pub struct Subscriptions {
    known: Mutex<HashMap<Subscription, Arc<SubscriptionState>>>,
}

/// One polling agent.
pub struct SubscriptionState {
    queue: PendingRequestQueue,
    sessions: watch::Sender<usize>,
}

/// A live connection of a polling agent; it counts until it is dropped.
pub struct Session(Arc<SubscriptionState>);

impl Subscriptions {
    /// Knows nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of a subscription, made when it is new.
    pub fn of(&self, subscription: &Subscription) -> Arc<SubscriptionState> {
        let mut known = self.lock();
        if let Some(state) = known.get(subscription) {
            return Arc::clone(state);
        }
        let state = Arc::new(SubscriptionState {
            queue: PendingRequestQueue::new(),
            sessions: watch::Sender::new(0),
        });
        known.insert(subscription.clone(), Arc::clone(&state));
        state
    }

    /// Whether a connection of the subscription is live.
    pub fn is_connected(&self, subscription: &Subscription) -> bool {
        self.lock()
            .get(subscription)
            .is_some_and(|state| state.sessions() > 0)
    }

    /// The subscriptions with a live connection.
    pub fn connected(&self) -> Vec<Subscription> {
        let known = self.lock();
        known
            .iter()
            .filter(|(_, state)| state.sessions() > 0)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Forgets a subscription, such as that of a deleted machine, once nothing uses it.
    pub fn forget(&self, subscription: &Subscription) {
        self.lock().remove(subscription);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subscription, Arc<SubscriptionState>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubscriptionState {
    /// The requests that wait for the agent.
    pub fn queue(&self) -> &PendingRequestQueue {
        &self.queue
    }

    /// Number of live connections.
    pub fn sessions(&self) -> usize {
        *self.sessions.borrow()
    }

    /// Sees the number of live connections whenever it changes.
    pub fn watch_sessions(&self) -> watch::Receiver<usize> {
        self.sessions.subscribe()
    }

    /// Counts a connection as live.
    pub fn begin_session(self: &Arc<Self>) -> Session {
        self.sessions.send_modify(|count| *count += 1);
        Session(Arc::clone(self))
    }
}

impl Session {
    /// The requests that wait for the agent.
    pub fn queue(&self) -> &PendingRequestQueue {
        &self.0.queue
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.sessions.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_there_as_long_as_one_of_its_connections() {
        let subscriptions = Subscriptions::new();
        let name = Subscription::parse("poll://one/").expect("a subscription");
        assert!(!subscriptions.is_connected(&name));
        let first = subscriptions.of(&name).begin_session();
        let second = subscriptions.of(&name).begin_session();
        drop(first);
        assert!(subscriptions.is_connected(&name));
        assert_eq!(subscriptions.connected(), std::slice::from_ref(&name));
        drop(second);
        assert!(!subscriptions.is_connected(&name));
    }
}
