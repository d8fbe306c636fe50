use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;

use crate::identity::Thumbprint;
use crate::protocol::subscription::Subscription;

/// Who may connect to a listener. Asked after every opening of a connection, and again for each live
/// connection when [`Trust::changes`] says that something changed.
pub trait Trust: Send + Sync {
    /// Whether the holder of a certificate may talk at all.
    fn accepts(&self, thumbprint: &Thumbprint) -> bool;

    /// Whether it may take the requests of a subscription. A subscription belongs to exactly one certificate.
    fn accepts_subscription(&self, subscription: &Subscription, thumbprint: &Thumbprint) -> bool;

    /// Sees a new value whenever an answer may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A list of trusted certificates and of the subscriptions that belong to them.
pub struct TrustList {
    members: RwLock<Members>,
    changes: watch::Sender<u64>,
}

#[derive(Default, PartialEq)]
struct Members {
    clients: HashSet<Thumbprint>,
    subscriptions: HashMap<Subscription, Thumbprint>,
}

impl Default for TrustList {
    fn default() -> Self {
        Self {
            members: RwLock::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl TrustList {
    /// Trusts nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these, for calls to us.
    pub fn of(clients: impl IntoIterator<Item = Thumbprint>) -> Self {
        let list = Self::default();
        list.replace_clients(clients);
        list
    }

    /// Trusts exactly these, for calls to us. Others are cut off, unless a subscription is theirs.
    pub fn replace_clients(&self, clients: impl IntoIterator<Item = Thumbprint>) {
        let clients = clients.into_iter().collect();
        self.change(|members| members.clients = clients);
    }

    /// Knows exactly these subscriptions. Connections of others are cut off.
    pub fn replace_subscriptions(&self, subscriptions: impl IntoIterator<Item = (Subscription, Thumbprint)>) {
        let subscriptions = subscriptions.into_iter().collect();
        self.change(|members| members.subscriptions = subscriptions);
    }

    /// Gives a subscription to a certificate, and takes it from any other.
    pub fn bind(&self, subscription: Subscription, thumbprint: Thumbprint) {
        self.change(|members| {
            members.subscriptions.insert(subscription, thumbprint);
        });
    }

    /// Forgets a subscription and cuts its connections off.
    pub fn unbind(&self, subscription: &Subscription) {
        self.change(|members| {
            members.subscriptions.remove(subscription);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Members)) {
        {
            let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
            change(&mut members);
        }
        self.changes.send_modify(|number| *number += 1);
    }

    fn members(&self) -> RwLockReadGuard<'_, Members> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trust for TrustList {
    fn accepts(&self, thumbprint: &Thumbprint) -> bool {
        let members = self.members();
        members.clients.contains(thumbprint)
            || members.subscriptions.values().any(|owner| owner == thumbprint)
    }

    fn accepts_subscription(&self, subscription: &Subscription, thumbprint: &Thumbprint) -> bool {
        self.members().subscriptions.get(subscription) == Some(thumbprint)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_belongs_to_one_certificate() {
        let (first, second) = (Thumbprint::of(b"first"), Thumbprint::of(b"second"));
        let subscription = Subscription::parse("poll://one/").expect("a subscription");
        let trust = TrustList::new();
        let mut changes = trust.changes();
        trust.bind(subscription.clone(), first.clone());
        assert!(trust.accepts(&first) && !trust.accepts(&second));
        trust.bind(subscription.clone(), second.clone());
        assert!(trust.accepts_subscription(&subscription, &second));
        assert!(!trust.accepts_subscription(&subscription, &first) && !trust.accepts(&first));
        trust.unbind(&subscription);
        assert!(!trust.accepts(&second));
        assert!(changes.has_changed().expect("the list is alive"));
        changes.mark_unchanged();
        trust.replace_clients([first.clone()]);
        assert!(changes.has_changed().expect("the list is alive") && trust.accepts(&first));
    }
}
