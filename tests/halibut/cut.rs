//! Recorded conversations cut at every message boundary, and stalled there: calls end soon, say whether they
//! may have been executed, and the next call works.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use halibut::rpc::Stage;
use halibut::{CallError, Settings, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::party::{Echo, Pair, identity, loopback, subscription, uri};

/// More at once would make the short timeouts of these tests a matter of the machine's load.
const AT_ONCE: usize = 24;

/// What happens to a connection once so many bytes went through in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Both sides see its end.
    Cut,
    /// Nothing comes through any more, and nobody is told.
    Stall,
}

/// Stands between the parties. Counts bytes towards the agent's port and back; the first connection gets into
/// trouble, later ones do not.
struct Meddler {
    address: std::net::SocketAddr,
    passed: Arc<[AtomicUsize; 2]>,
    connections: Arc<AtomicUsize>,
}

impl Meddler {
    /// `after` bytes in direction 0 (from who dials) or 1 (towards it).
    async fn start(target: std::net::SocketAddr, trouble: Option<(Trouble, usize, usize)>) -> Self {
        let listener = TcpListener::bind(loopback()).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let passed: Arc<[AtomicUsize; 2]> = Arc::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counts, number) = (Arc::clone(&passed), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let trouble = trouble.filter(|_| number.fetch_add(1, Ordering::SeqCst) == 0);
                let counts = Arc::clone(&counts);
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else {
                        return;
                    };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    let of = |direction| {
                        trouble
                            .filter(|(_, where_, _)| *where_ == direction)
                            .map(|(what, _, after)| (what, after))
                    };
                    tokio::select! {
                        () = pass(near_read, far_write, of(0), &counts[0]) => {}
                        () = pass(far_read, near_write, of(1), &counts[1]) => {}
                    }
                });
            }
        });
        Self {
            address,
            passed,
            connections,
        }
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    trouble: Option<(Trouble, usize)>,
    passed: &AtomicUsize,
) {
    let mut total = 0;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let allowed = trouble.map_or(count, |(_, after)| count.min(after.saturating_sub(total)));
        if to.write_all(&buffer[..allowed]).await.is_err() {
            return;
        }
        total += allowed;
        passed.fetch_add(allowed, Ordering::SeqCst);
        match trouble {
            Some((Trouble::Cut, after)) if total >= after => return,
            Some((Trouble::Stall, after)) if total >= after => return std::future::pending().await,
            _ => {}
        }
    }
}

fn impatient() -> Settings {
    let second = Duration::from_millis(700);
    let timeouts = Timeouts {
        handshake: second,
        read: second,
        write: second,
        response: second,
        polled_request: second * 2,
        request: second,
        idle: second,
        next: second,
        proceed: second,
        connect: second,
        heartbeat: Duration::from_millis(150),
        attempt_pause: Duration::from_millis(10),
        pick_up: Duration::from_secs(8),
        redial: (Duration::from_millis(20), Duration::from_millis(40)),
        ..Timeouts::default()
    };
    Settings {
        timeouts,
        ..Settings::default()
    }
}

/// The boundaries of a conversation of two calls: how many bytes had passed when each part of it was through.
/// Sizes of TLS records are the same each time.
async fn boundaries_listening() -> Vec<[usize; 2]> {
    let pair = Pair::listening_with(impatient());
    let meddler = Meddler::start(pair.listener.address(), None).await;
    let endpoint = through(&pair, &meddler);
    let mut boundaries = Vec::new();
    for _ in 0..2 {
        call(&pair, &endpoint).await.expect("an answer");
        boundaries.push([
            meddler.passed[0].load(Ordering::SeqCst),
            meddler.passed[1].load(Ordering::SeqCst),
        ]);
    }
    boundaries
}

fn through(pair: &Pair, meddler: &Meddler) -> halibut::Endpoint {
    halibut::Endpoint::Listening {
        uri: uri(meddler.address),
        thumbprint: pair.endpoint.thumbprint().clone(),
    }
}

async fn call(pair: &Pair, endpoint: &halibut::Endpoint) -> Result<halibut::Value, CallError> {
    let request = halibut::RequestMessage::new("IEcho", "Same", vec!["value".into()]);
    pair.caller
        .call(endpoint, request, &tokio_util::sync::CancellationToken::new())
        .await
}

/// Cuts or stalls a listening conversation of two calls after so many bytes in one direction.
async fn meddle_listening(trouble: Trouble, direction: usize, after: usize) {
    let what = format!("{trouble:?} in direction {direction} after {after} bytes");
    let pair = Pair::listening_with(impatient());
    let meddler = Meddler::start(pair.listener.address(), Some((trouble, direction, after))).await;
    let endpoint = through(&pair, &meddler);
    let begun = Instant::now();
    for made in 1..=2 {
        if let Err(error) = call(&pair, &endpoint).await {
            assert_ne!(
                error.stage(),
                Stage::Connecting,
                "{what}: connecting is tried again: {error}"
            );
        }
        assert!(
            pair.echo.calls.load(Ordering::SeqCst) <= made,
            "{what}: a call is never made twice"
        );
    }
    // The trouble is over with the connection that had it.
    call(&pair, &endpoint)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        pair.echo.calls.load(Ordering::SeqCst) <= 3,
        "{what}: a call is never made twice"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{what}: took {:?}",
        begun.elapsed()
    );
    assert!(
        meddler.connections.load(Ordering::SeqCst) >= 2,
        "{what}: another connection was needed"
    );
}

#[tokio::test]
async fn a_listening_conversation_may_break_at_any_byte() {
    let [_, all] = boundaries_listening().await[..] else {
        panic!("two calls")
    };
    let mut plays = tokio::task::JoinSet::new();
    for trouble in [Trouble::Cut, Trouble::Stall] {
        for direction in [0, 1] {
            // Every boundary of a message or line is among these, as each is a TLS record of more than 24
            // bytes.
            for after in (0..all[direction]).step_by(23) {
                plays.spawn(meddle_listening(trouble, direction, after));
                if plays.len() >= AT_ONCE {
                    plays
                        .join_next()
                        .await
                        .expect("one of many")
                        .expect("the call ends well");
                }
            }
        }
    }
    while let Some(play) = plays.join_next().await {
        play.expect("the call ends well");
    }
}

/// Cuts or stalls the first connection of a polling agent after so many bytes in one direction.
async fn meddle_polling(trouble: Trouble, direction: usize, after: usize) {
    let what = format!("{trouble:?} in direction {direction} after {after} bytes");
    let (server, agent) = (identity(), identity());
    let trust = Arc::new(halibut::TrustList::new());
    trust.bind(subscription(), agent.thumbprint().clone());
    let subscriptions = Arc::new(halibut::Subscriptions::new());
    let mut options = halibut::ListenerOptions::new(loopback(), server.clone(), Arc::clone(&trust) as Arc<_>);
    options.answering.subscriptions = Some(Arc::clone(&subscriptions));
    options.settings = impatient();
    let listener = halibut::Listener::bind(options).expect("a free port");
    let meddler = Meddler::start(listener.address(), Some((trouble, direction, after))).await;
    let echo = Arc::new(Echo::default());
    let mut options = halibut::PollingOptions::new(
        uri(meddler.address),
        server.thumbprint().clone(),
        subscription(),
        agent.clone(),
        Arc::clone(&echo) as Arc<_>,
    );
    options.settings = impatient();
    let _polling = halibut::PollingClient::start(options).expect("a usable certificate");
    let caller = halibut::Caller::new(&server, subscriptions, impatient()).expect("a usable certificate");
    let endpoint = halibut::Endpoint::Polling {
        subscription: subscription(),
        thumbprint: agent.thumbprint().clone(),
    };
    let cancel = tokio_util::sync::CancellationToken::new();
    let begun = Instant::now();
    let mut made = 0;
    loop {
        let request = halibut::RequestMessage::new("IEcho", "Same", vec!["value".into()]);
        let outcome = caller.call(&endpoint, request, &cancel).await;
        made += 1;
        assert!(
            echo.calls.load(Ordering::SeqCst) <= made,
            "{what}: a call is never made twice"
        );
        // Two calls through, the last after any trouble.
        if outcome.is_ok() && made >= 2 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_polling_conversation_may_break_at_any_byte() {
    let mut plays = tokio::task::JoinSet::new();
    for trouble in [Trouble::Cut, Trouble::Stall] {
        for direction in [0, 1] {
            for after in (0..2400).step_by(23) {
                plays.spawn(meddle_polling(trouble, direction, after));
                if plays.len() >= AT_ONCE {
                    plays
                        .join_next()
                        .await
                        .expect("one of many")
                        .expect("the calls end well");
                }
            }
        }
    }
    while let Some(play) = plays.join_next().await {
        play.expect("the calls end well");
    }
}
