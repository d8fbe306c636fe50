//! The far end of machines, as a story tells it: which addresses answer, and with which certificate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use application::{Discovered, Machines, Probe};
use async_trait::async_trait;

/// Machines that answer or are silent as they are told to; at first all are silent.
#[derive(Debug, Default)]
pub struct TestMachines {
    /// Address and thumbprint of those that answer.
    answering: Mutex<BTreeMap<String, String>>,
    changes: AtomicUsize,
}

impl TestMachines {
    /// From now on an agent with this certificate answers at the address.
    pub fn answer(&self, uri: &str, thumbprint: &str) {
        self.lock().insert(uri.into(), thumbprint.into());
    }

    /// From now on nothing answers at the address.
    pub fn fall_silent(&self, uri: &str) {
        self.lock().remove(uri);
    }

    /// How often the Server said that its machines changed.
    pub fn changes(&self) -> usize {
        self.changes.load(Ordering::SeqCst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Machines for TestMachines {
    async fn discover(&self, host: &str, port: u16) -> Result<Discovered, String> {
        let found = self.lock().get(&format!("https://{host}:{port}/")).cloned();
        found
            .map(|thumbprint| Discovered { thumbprint })
            .ok_or_else(|| format!("Nothing answers at {host}:{port}."))
    }

    async fn probe(&self, uri: &str, thumbprint: &str) -> Probe {
        match self.lock().get(uri) {
            Some(shown) if shown == thumbprint => Probe::Answers,
            _ => Probe::Silent,
        }
    }

    async fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}
