use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::dialogue::{Connection, Dialled, Settings};
use crate::identity::{Identity, IdentityError, Thumbprint};
use crate::protocol::message::{RequestMessage, ResponseMessage};
use crate::rpc::{CallError, ListeningUri, Stage};
use crate::transport::connect::{ConnectError, connect};
use crate::transport::tls::{CertificateMismatch, OwnCertificate};

/// Idle connections kept for one agent (`tentacle-protocol.md` 2.6).
const IDLE: usize = 5;

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// Calls listening agents, over connections that are kept for a while.
pub struct Client {
    own: OwnCertificate,
    settings: Settings,
    pool: Arc<Pool>,
}

type Link = Dialled<TlsStream<TcpStream>>;
type Key = (ListeningUri, Thumbprint);

impl Client {
    /// A client with its certificate. Must be made inside a tokio runtime.
    pub fn new(identity: &Identity, settings: Settings) -> Result<Self, IdentityError> {
        let pool = Arc::new(Pool::default());
        tokio::spawn(sweep(Arc::downgrade(&pool), settings.timeouts.pooled));
        Ok(Self {
            own: OwnCertificate::new(identity)?,
            settings,
            pool,
        })
    }

    /// Makes a call. Connecting is tried several times; once the request began to be written, nothing is
    /// (`tentacle-protocol.md` 2.7).
    pub async fn call(
        &self,
        uri: &ListeningUri,
        thumbprint: &Thumbprint,
        request: &RequestMessage,
        cancel: &CancellationToken,
    ) -> Result<ResponseMessage, CallError> {
        let key = (uri.clone(), thumbprint.clone());
        let mut link = cancellable(uri, Stage::Connecting, cancel, self.ready_link(&key)).await??;
        let transfer = async {
            link.call(request)
                .await
                .map_err(|error| CallError::of_transfer(uri, &error))
        };
        // When this ends early the link is dropped, which closes the connection.
        let response = cancellable(uri, Stage::Transferring, cancel, transfer).await??;
        if link.is_quiet() {
            self.pool.put(key, link, self.settings.timeouts.pooled);
        }
        Ok(response)
    }

    /// Drops the idle connections to an agent, such as one whose trust was withdrawn.
    pub fn forget(&self, uri: &ListeningUri, thumbprint: &Thumbprint) {
        self.pool.clear(&(uri.clone(), thumbprint.clone()));
    }

    /// Says goodbye on all idle connections.
    pub async fn close(&self) {
        let pools = std::mem::take(&mut *self.pool.lock());
        for idle in pools.into_values().flatten() {
            idle.link.end().await;
        }
    }

    /// Number of idle connections to an agent.
    pub fn idle(&self, uri: &ListeningUri, thumbprint: &Thumbprint) -> usize {
        self.pool
            .lock()
            .get(&(uri.clone(), thumbprint.clone()))
            .map_or(0, Vec::len)
    }

    /// A connection on which a request can be written.
    async fn ready_link(&self, key: &Key) -> Result<Link, CallError> {
        while let Some(mut link) = self.pool.take(key, self.settings.timeouts.pooled) {
            if link.reuse().await.is_ok() {
                return Ok(link);
            }
            // Agents close idle connections early, and all at once when they restart: the others are not
            // worth asking.
            self.pool.clear(key);
        }
        self.new_link(key).await
    }

    async fn new_link(&self, (uri, thumbprint): &Key) -> Result<Link, CallError> {
        let timeouts = &self.settings.timeouts;
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let reason = match connect(uri, Some(&self.own), Some(thumbprint.clone()), timeouts.connect).await
            {
                Ok(stream) => match Dialled::open(Connection::new(stream, self.settings.clone())).await {
                    Ok(link) => return Ok(link),
                    Err(error) => {
                        format!("{error}; check that the agent trusts the certificate of this Server")
                    }
                },
                Err(ConnectError::Mismatch(CertificateMismatch { expected, got })) => {
                    return Err(CallError::CertificateMismatch {
                        endpoint: uri.to_string(),
                        expected,
                        got,
                    });
                }
                Err(error @ ConnectError::UnknownHost(_)) => {
                    return Err(CallError::Connecting {
                        endpoint: uri.to_string(),
                        reason: error.to_string(),
                    });
                }
                Err(error) => error.to_string(),
            };
            if attempt >= timeouts.attempts || begun.elapsed() >= timeouts.attempts_total {
                let reason = format!("{reason} (tried {attempt} times)");
                return Err(CallError::Connecting {
                    endpoint: uri.to_string(),
                    reason,
                });
            }
            attempt += 1;
            tokio::time::sleep(timeouts.attempt_pause).await;
        }
    }
}

async fn cancellable<T>(
    uri: &ListeningUri,
    stage: Stage,
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, CallError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(CallError::Cancelled { endpoint: uri.to_string(), stage }),
        done = work => Ok(done),
    }
}

#[derive(Default)]
struct Pool(Mutex<HashMap<Key, Vec<Idle>>>);

struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    /// The connection that was used last.
    fn take(&self, key: &Key, lifetime: Duration) -> Option<Link> {
        let mut pool = self.lock();
        let idle = pool.get_mut(key)?.pop()?;
        if idle.since.elapsed() < lifetime {
            return Some(idle.link);
        }
        // The others are older still.
        let expired = pool.remove(key).unwrap_or_default();
        drop(pool);
        end_all(expired.into_iter().chain([idle]));
        None
    }

    fn put(&self, key: Key, link: Link, lifetime: Duration) {
        let mut pool = self.lock();
        let idle = pool.entry(key).or_default();
        idle.push(Idle {
            link,
            since: Instant::now(),
        });
        let surplus = idle.len().saturating_sub(IDLE);
        let expired = idle
            .iter()
            .take_while(|idle| idle.since.elapsed() >= lifetime)
            .count();
        let old: Vec<_> = idle.drain(..surplus.max(expired)).collect();
        drop(pool);
        end_all(old);
    }

    fn clear(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Idle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that nobody used again, as long as there is a client.
async fn sweep(pool: Weak<Pool>, lifetime: Duration) {
    loop {
        tokio::time::sleep(SWEEP.min(lifetime)).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut old = Vec::new();
        pool.lock().retain(|_, idle| {
            let expired = idle
                .iter()
                .take_while(|idle| idle.since.elapsed() >= lifetime)
                .count();
            old.extend(idle.drain(..expired));
            !idle.is_empty()
        });
        end_all(old);
    }
}

fn end_all(old: impl IntoIterator<Item = Idle>) {
    for idle in old {
        tokio::spawn(idle.link.end());
    }
}
