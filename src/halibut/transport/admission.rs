//! How many connections may be open: few from strangers, more from the trusted (`security.md` 3.2).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::identity::Thumbprint;

/// Connections of one address that have not yet shown that they are trusted.
const STRANGERS_OF_ONE_ADDRESS: usize = 64;

/// All connections that have not yet shown that they are trusted.
const STRANGERS: usize = 1024;

/// Connections of one certificate.
const OF_ONE_IDENTITY: usize = 512;

/// Counts the connections of a listener.
#[derive(Default)]
pub(crate) struct Admission {
    strangers: Arc<Counter<IpAddr>>,
    identities: Arc<Counter<Thumbprint>>,
}

/// A counted connection; it counts until this is dropped.
pub(crate) struct Permit<K: Eq + Hash + Clone> {
    counter: Arc<Counter<K>>,
    key: K,
}

impl Admission {
    /// Lets a stranger in, or not.
    pub(crate) fn stranger(&self, address: IpAddr) -> Option<Permit<IpAddr>> {
        self.strangers
            .enter(address.to_canonical(), STRANGERS_OF_ONE_ADDRESS, STRANGERS)
    }

    /// Lets a trusted peer in, or not.
    pub(crate) fn identity(&self, thumbprint: Thumbprint) -> Option<Permit<Thumbprint>> {
        self.identities.enter(thumbprint, OF_ONE_IDENTITY, usize::MAX)
    }
}

struct Counter<K>(Mutex<Counts<K>>);

struct Counts<K> {
    each: HashMap<K, usize>,
    all: usize,
}

impl<K> Default for Counter<K> {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            each: HashMap::new(),
            all: 0,
        }))
    }
}

impl<K: Eq + Hash + Clone> Counter<K> {
    fn enter(self: &Arc<Self>, key: K, most_of_each: usize, most: usize) -> Option<Permit<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = counts.each.get(&key).copied().unwrap_or(0);
        if of_this >= most_of_each || counts.all >= most {
            return None;
        }
        counts.each.insert(key.clone(), of_this + 1);
        counts.all += 1;
        drop(counts);
        Some(Permit {
            counter: Arc::clone(self),
            key,
        })
    }
}

impl<K: Eq + Hash + Clone> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut counts = self.counter.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(of_this) = counts.each.get_mut(&self.key) {
            *of_this -= 1;
            if *of_this == 0 {
                counts.each.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_counted_by_address_and_in_all() {
        let admission = Admission::default();
        let address = |number: u8| IpAddr::from([10, 0, 0, number]);
        let mut inside: Vec<_> = (0..64)
            .map(|_| admission.stranger(address(1)).expect("room"))
            .collect();
        assert!(admission.stranger(address(1)).is_none());
        assert!(
            admission
                .stranger("::ffff:10.0.0.1".parse().expect("an address"))
                .is_none(),
            "the same address"
        );
        inside.pop();
        assert!(admission.stranger(address(1)).is_some());
        inside.clear();
        for number in 0..16 {
            inside.extend((0..64).map(|_| admission.stranger(address(number)).expect("room")));
        }
        assert!(admission.stranger(address(99)).is_none());
        inside.clear();
        assert!(admission.stranger(address(99)).is_some());
        assert!(admission.strangers.0.lock().expect("whole").each.is_empty());
    }
}
