//! Wrong, missing and foreign certificates, and a trusted one without its private key, on all sides; trust
//! that is withdrawn; and what strangers get.

use std::sync::Arc;
use std::time::{Duration, Instant};

use halibut::transport::discover;
use halibut::{
    CallError, Caller, Endpoint, Listener, ListenerOptions, Settings, Subscriptions, Trust, TrustList,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::party::{Echo, Heard, Pair, eventually, identity, loopback, subscription, uri};
use crate::raw_tls;

/// Dials with that certificate, says that line and tells what came back; nothing when the connection was
/// closed or refused.
async fn knock(pair: &Pair, own: Option<&halibut::Identity>, says: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Ok(mut stream) = raw_tls::dial(pair.listener.address(), own).await {
        let conversation = async {
            stream
                .write_all(format!("MX\r\n\r\n{says}\r\n\r\n").as_bytes())
                .await?;
            stream.read_buf(&mut answer).await
        };
        drop(
            tokio::time::timeout(Duration::from_secs(5), conversation)
                .await
                .expect("closed soon"),
        );
    }
    answer
}

#[tokio::test]
async fn an_agent_talks_only_to_its_server() {
    let pair = Pair::listening();
    let [stranger, trusted, thief] = [identity(), identity(), identity()];
    pair.trust.replace_clients([trusted.thumbprint().clone()]);

    assert_eq!(
        knock(&pair, Some(&trusted), "MX-CLIENT 1.0").await,
        b"MX-SERVER 1.0\r\n\r\n"
    );
    assert_eq!(knock(&pair, None, "MX-CLIENT 1.0").await, b"", "no certificate");
    assert_eq!(
        knock(&pair, Some(&stranger), "MX-CLIENT 1.0").await,
        b"",
        "a foreign certificate"
    );
    let stolen = raw_tls::stolen(&trusted, &thief);
    assert_eq!(
        knock(&pair, Some(&stolen), "MX-CLIENT 1.0").await,
        b"",
        "a trusted certificate without its key"
    );
    for reason in ["showed no certificate", "is not trusted", "TLS handshake failed"] {
        eventually(reason, || pair.heard.has(reason)).await;
    }
    assert!(pair.heard.has(stranger.thumbprint().as_str()));
}

#[tokio::test]
async fn the_key_is_verified_in_both_versions_of_tls() {
    let pair = Pair::listening();
    let [trusted, thief] = [identity(), identity()];
    pair.trust.replace_clients([trusted.thumbprint().clone()]);
    let stolen = raw_tls::stolen(&trusted, &thief);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (own, welcome) in [(&trusted, true), (&stolen, false)] {
            let mut answer = Vec::new();
            if let Ok(mut stream) = raw_tls::dial_with(pair.listener.address(), Some(own), &[version]).await
                && stream.write_all(b"MX\n\nMX-CLIENT 1.0\r\n\r\n").await.is_ok()
            {
                // Being thrown out may show as an error or as an end.
                drop(stream.read_buf(&mut answer).await);
            }
            assert_eq!(answer == b"MX-SERVER 1.0\r\n\r\n", welcome, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_server_talks_only_to_the_agent_with_the_right_certificate() {
    let (server, agent, other) = (identity(), identity(), identity());
    let caller = Caller::new(&server, Arc::new(Subscriptions::new()), Settings::default())
        .expect("a usable certificate");
    let mut settings = Settings::default();
    settings.timeouts.attempt_pause = Duration::from_millis(10);
    let cancel = tokio_util::sync::CancellationToken::new();
    for (shown, mismatch) in [(other.clone(), true), (raw_tls::stolen(&agent, &other), false)] {
        let listener = TcpListener::bind(loopback()).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let impostor = tokio::spawn(async move {
            let mut said = Vec::new();
            for _ in 0..5 {
                let (stream, _) = listener.accept().await.expect("dialled");
                if let Ok(mut stream) = raw_tls::accept(stream, &shown).await {
                    drop(stream.read_to_end(&mut said).await);
                }
            }
            said
        });
        let endpoint = Endpoint::Listening {
            uri: uri(address),
            thumbprint: agent.thumbprint().clone(),
        };
        let caller = if mismatch {
            &caller
        } else {
            &Caller::new(&server, Arc::default(), settings.clone()).expect("usable")
        };
        let request = halibut::RequestMessage::new("IEcho", "Nothing", Vec::new());
        let error = caller
            .call(&endpoint, request, &cancel)
            .await
            .expect_err("an impostor");
        assert!(error.certainly_not_executed());
        match error {
            CallError::CertificateMismatch { expected, got, .. } => {
                assert!(mismatch);
                assert_eq!((&expected, &got), (agent.thumbprint(), other.thumbprint()));
                impostor.abort();
            }
            CallError::Connecting { reason, .. } => {
                assert!(!mismatch, "{reason}");
                assert_eq!(
                    impostor.await.expect("ran"),
                    b"",
                    "nothing was said to the impostor"
                );
            }
            unexpected => panic!("{unexpected}"),
        }
    }
}

#[tokio::test]
async fn a_polling_agent_gets_only_its_own_requests() {
    let mut pair = Pair::polling().await;
    pair.polling.take().expect("polling").close().await;
    let [owner, other] = [identity(), identity()];
    let others = halibut::Subscription::parse("poll://vvvvvvvvvvvvvvvvvvvv/").expect("a subscription");
    pair.trust.bind(subscription(), owner.thumbprint().clone());
    pair.trust.bind(others, other.thumbprint().clone());
    let line = format!("MX-SUBSCRIBER 1.0 {}", subscription());

    assert_eq!(
        knock(&pair, Some(&other), &line).await,
        b"",
        "a trusted agent with the subscription of another"
    );
    eventually("the theft is told", || pair.heard.has("which is not its own")).await;
    assert_eq!(
        knock(&pair, Some(&raw_tls::stolen(&owner, &other)), &line).await,
        b""
    );
    assert_eq!(
        knock(&pair, Some(&owner), "MX-CLIENT 1.0").await,
        b"",
        "there is nothing to call on a Server"
    );
    assert_eq!(knock(&pair, Some(&owner), &line).await, b"MX-SERVER 1.0\r\n\r\n");
}

#[tokio::test]
async fn withdrawn_trust_cuts_live_connections() {
    for pair in Pair::both().await {
        pair.call("Nothing", Vec::new()).await.expect("an answer");
        let call = pair.call("Slow", Vec::new());
        let revoke = async {
            eventually("the call begins", || {
                pair.echo.calls.load(std::sync::atomic::Ordering::SeqCst) == 2
            })
            .await;
            pair.trust.replace_clients([]);
            pair.trust.replace_subscriptions([]);
        };
        let begun = Instant::now();
        let (outcome, ()) = tokio::join!(call, revoke);
        let error = outcome.expect_err("cut off");
        assert!(!error.certainly_not_executed(), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(4));
        assert!(pair.heard.has("no longer trusted"));
    }
}

#[tokio::test]
async fn browsers_and_reachability_tests_get_a_page() {
    let pair = Pair::listening();
    for asks in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /handshake HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "HELLO\n\n",
    ] {
        let mut stream = raw_tls::dial(pair.listener.address(), None)
            .await
            .expect("a handshake without certificate");
        stream.write_all(asks.as_bytes()).await.expect("written");
        let mut page = String::new();
        stream
            .read_to_string(&mut page)
            .await
            .expect("a page and an orderly end");
        assert!(
            page.starts_with("HTTP/1.0 200 OK\r\n") && page.contains("Configured successfully"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn the_thumbprint_of_a_listener_is_discovered() {
    let pair = Pair::listening();
    let found = discover(&uri(pair.listener.address()), Duration::from_secs(5))
        .await
        .expect("an agent");
    assert_eq!(&found, pair.endpoint.thumbprint());

    let silent = TcpListener::bind(loopback()).await.expect("a free port");
    let address = silent.local_addr().expect("bound");
    let begun = Instant::now();
    assert!(discover(&uri(address), Duration::from_millis(200)).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(silent);
    assert!(discover(&uri(address), Duration::from_secs(5)).await.is_err());
}

#[tokio::test]
async fn strangers_are_few_and_soon_gone() {
    let (server, agent) = (identity(), identity());
    let trust: Arc<dyn Trust> = Arc::new(TrustList::of([server.thumbprint().clone()]));
    let heard = Heard::default();
    let mut options = ListenerOptions::new(loopback(), agent.clone(), trust);
    options.answering.service = Some(Arc::new(Echo::default()));
    options.settings.timeouts.handshake = Duration::from_millis(700);
    options.observer = heard.observer();
    let listener = Listener::bind(options).expect("a free port");
    let mut crowd = Vec::new();
    for _ in 0..80 {
        crowd.push(
            tokio::net::TcpStream::connect(listener.address())
                .await
                .expect("connected"),
        );
    }
    // Plain HTTP fails at once, and does not wait for the handshake's end.
    eventually("the crowd is too large", || heard.has("too many connections")).await;
    for mut stream in crowd {
        let mut nothing = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut nothing)).await;
        assert!(ended.is_ok(), "closed soon");
    }
    let caller = Caller::new(&server, Arc::default(), Settings::default()).expect("a usable certificate");
    let endpoint = Endpoint::Listening {
        uri: uri(listener.address()),
        thumbprint: agent.thumbprint().clone(),
    };
    let request = halibut::RequestMessage::new("IEcho", "Nothing", Vec::new());
    caller
        .call(&endpoint, request, &tokio_util::sync::CancellationToken::new())
        .await
        .expect("room for friends");

    let mut plain = tokio::net::TcpStream::connect(listener.address())
        .await
        .expect("connected");
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("written");
    let begun = Instant::now();
    drop(plain.read_to_end(&mut Vec::new()).await);
    assert!(
        begun.elapsed() < Duration::from_millis(600),
        "plain HTTP is refused at once"
    );
}

/// The same certificate without the field that says that it is of the third version, as old generators made
/// them. Nobody looks at its own signature.
fn of_the_first_version(identity: &halibut::Identity) -> halibut::Identity {
    /// Content of the first element, and what follows it.
    fn open(bytes: &[u8]) -> (&[u8], &[u8]) {
        let (length, start) = match bytes[1] {
            0x82 => (usize::from(bytes[2]) << 8 | usize::from(bytes[3]), 4),
            0x81 => (usize::from(bytes[2]), 3),
            short => (usize::from(short), 2),
        };
        (&bytes[start..start + length], &bytes[start + length..])
    }
    fn sequence(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&[0x30, 0x82][..], &length, content].concat()
    }
    let (whole, _) = open(identity.certificate_der());
    let (fields, signature) = open(whole);
    let (version, older) = open(fields);
    assert_eq!(version, [2, 1, 2], "the third version");
    let certificate = sequence(&[&sequence(older)[..], signature].concat());
    halibut::Identity::new(certificate, identity.private_key_pkcs8_der().to_vec())
}

#[tokio::test]
async fn certificates_of_any_age_do() {
    let (server, agent) = (
        of_the_first_version(&identity()),
        of_the_first_version(&identity()),
    );
    let trust: Arc<dyn Trust> = Arc::new(TrustList::of([server.thumbprint().clone()]));
    let mut options = ListenerOptions::new(loopback(), agent.clone(), trust);
    options.answering.service = Some(Arc::new(Echo::default()));
    let listener = Listener::bind(options).expect("a free port");
    let caller = Caller::new(&server, Arc::default(), Settings::default()).expect("a usable certificate");
    let endpoint = Endpoint::Listening {
        uri: uri(listener.address()),
        thumbprint: agent.thumbprint().clone(),
    };
    let request = halibut::RequestMessage::new("IEcho", "Nothing", Vec::new());
    caller
        .call(&endpoint, request, &tokio_util::sync::CancellationToken::new())
        .await
        .expect("an answer");
}

#[tokio::test]
async fn a_key_must_belong_to_its_certificate() {
    let stolen = raw_tls::stolen(&identity(), &identity());
    let error = Caller::new(&stolen, Arc::default(), Settings::default())
        .err()
        .expect("refused")
        .to_string();
    assert!(error.contains("belongs to another certificate"), "{error}");
}
