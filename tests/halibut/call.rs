//! Calls over real sockets, in both modes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use halibut::rpc::Stage;
use halibut::{CallError, DataStream, RequestMessage, ServerErrorKind, Settings, Value};
use tokio_util::sync::CancellationToken;

use crate::party::{Pair, eventually, subscription};

#[tokio::test]
async fn values_go_there_and_back() {
    for pair in Pair::both().await {
        for value in [
            Value::Null,
            Value::Boolean(true),
            Value::Int64(7),
            "h\u{e9}llo".into(),
            Value::Date(1),
        ] {
            let text = format!("{value:?}");
            let back = pair.call("Same", vec![value]).await.expect("an answer");
            assert_eq!(format!("{back:?}"), text);
        }
        let long = "long ".repeat(1 << 20);
        assert_eq!(
            pair.call("Same", vec![long.as_str().into()])
                .await
                .expect("an answer"),
            Value::String(long)
        );
    }
}

#[tokio::test]
async fn streams_of_any_length_go_there_and_back() {
    for pair in Pair::both().await {
        for length in [0, 1, 65_536, 65_537, 3_000_000] {
            let content: Vec<u8> = (0..length).map(|number: u32| (number % 251) as u8).collect();
            let stream = Value::Stream(DataStream::from_bytes(content.clone()));
            let Value::Stream(back) = pair.call("Fresh", vec![stream]).await.expect("an answer") else {
                panic!("a stream")
            };
            assert_eq!(back.length(), u64::from(length));
            assert_eq!(
                back.path().is_some(),
                length > 65_536,
                "only long streams need a file"
            );
            assert!(back.read_to_vec(u64::MAX).await.expect("content") == content);
        }
    }
}

#[tokio::test]
async fn failures_are_told_with_their_kind_and_the_connection_stays() {
    for pair in Pair::both().await {
        for (method, kind) in [
            ("Fail", ServerErrorKind::MethodFailed),
            ("Panic", ServerErrorKind::MethodFailed),
            ("Vanish", ServerErrorKind::MethodNotFound),
        ] {
            match pair.call(method, Vec::new()).await {
                Err(CallError::Remote(error)) => assert_eq!(error.kind(), kind, "{error:?}"),
                other => panic!("{method}: {other:?}"),
            }
        }
        assert!(pair.call("Nothing", Vec::new()).await.is_ok());
        assert!(!pair.heard.has("broke"));
    }
}

#[tokio::test]
async fn a_listening_agent_is_called_over_few_connections() {
    let pair = Arc::new(Pair::listening());
    let halibut::Endpoint::Listening { uri, thumbprint } = &pair.endpoint else {
        panic!("listening")
    };
    for _ in 0..20 {
        pair.call("Nothing", Vec::new()).await.expect("an answer");
    }
    assert_eq!(pair.caller.client().idle(uri, thumbprint), 1);
    let many = (0..20).map(|_| {
        let pair = Arc::clone(&pair);
        tokio::spawn(async move { pair.call("Nothing", Vec::new()).await.map(drop) })
    });
    for call in many.collect::<Vec<_>>() {
        call.await.expect("ran").expect("an answer");
    }
    assert!(pair.caller.client().idle(uri, thumbprint) <= 5);
    assert_eq!(pair.echo.calls.load(Ordering::SeqCst), 40);
}

#[tokio::test]
async fn cancelling_in_flight_closes_the_connection_and_the_next_call_works() {
    for pair in Pair::both().await {
        pair.call("Nothing", Vec::new()).await.expect("an answer");
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let echo = Arc::clone(&pair.echo);
        let stopper = tokio::spawn(async move {
            eventually("the slow call begins", || echo.calls.load(Ordering::SeqCst) == 2).await;
            stop.cancel();
        });
        let begun = Instant::now();
        let outcome = pair
            .caller
            .call(
                &pair.endpoint,
                RequestMessage::new("IEcho", "Slow", Vec::new()),
                &cancel,
            )
            .await;
        assert!(
            matches!(
                outcome,
                Err(CallError::Cancelled {
                    stage: Stage::Transferring,
                    ..
                })
            ),
            "{outcome:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(4));
        stopper.await.expect("ran");
        // A polling agent dials again after five seconds.
        pair.call("Nothing", Vec::new()).await.expect("an answer");
    }
}

#[tokio::test]
async fn what_is_too_large_is_said_so_instead_of_cutting_the_connection() {
    let mut settings = Settings::default();
    settings.limits.inflated = 1500;
    for pair in [
        Pair::listening_with(settings.clone()),
        Pair::polling_with(settings).await,
    ] {
        let error = pair
            .call("Same", vec!["long ".repeat(1000).into()])
            .await
            .expect_err("too large");
        assert!(
            error.certainly_not_executed() && error.to_string().contains("data stream"),
            "{error}"
        );
        assert_eq!(pair.echo.calls.load(Ordering::SeqCst), 0);
        match pair.call("Long", Vec::new()).await {
            Err(CallError::Remote(error)) => {
                assert_eq!(error.kind(), ServerErrorKind::MethodFailed, "{error:?}")
            }
            other => panic!("{other:?}"),
        }
        assert!(pair.call("Nothing", Vec::new()).await.is_ok());
    }
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_breaks_its_call_only() {
    let mut settings = Settings::default();
    settings.timeouts.redial = (Duration::from_millis(20), Duration::from_millis(20));
    let folder = tempfile::tempdir().expect("a folder");
    settings.spool.folder = folder.path().join("spool");
    std::fs::create_dir(&settings.spool.folder).expect("a folder");
    for pair in [
        Pair::listening_with(settings.clone()),
        Pair::polling_with(settings.clone()).await,
    ] {
        for length in [0, 99_999, 100_001, 3_000_000] {
            let path = folder.path().join("content");
            std::fs::write(&path, vec![7; 100_000]).expect("written");
            let stream = DataStream::from_file(&path).await.expect("a file");
            std::fs::write(&path, vec![7; length]).expect("written");
            let error = pair
                .call("Fresh", vec![Value::Stream(stream)])
                .await
                .expect_err("not what was declared");
            assert!(
                error.to_string().contains("declared with 100000 bytes"),
                "{error}"
            );
            assert!(pair.call("Nothing", Vec::new()).await.is_ok());
        }
        assert_eq!(
            pair.echo.calls.load(Ordering::SeqCst),
            4,
            "only the calls that were whole"
        );
    }
    let left = || std::fs::read_dir(&settings.spool.folder).expect("listed").count() == 0;
    eventually("nothing is left of broken streams", left).await;
}

#[tokio::test]
async fn of_a_file_that_grows_the_beginning_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    for pair in Pair::both().await {
        std::fs::write(&path, vec![7; 100_000]).expect("written");
        let stream = DataStream::from_plain_file(&path).await.expect("a file");
        std::fs::write(&path, vec![7; 300_000]).expect("written");
        let answer = pair.call("Fresh", vec![Value::Stream(stream)]).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_knows_which_polling_agents_are_there() {
    let mut pair = Pair::polling().await;
    assert!(pair.subscriptions.is_connected(&subscription()));
    pair.polling.take().expect("polling").close().await;
    eventually("the session ends", || {
        !pair.subscriptions.is_connected(&subscription())
    })
    .await;
}

#[tokio::test]
async fn the_last_calls_of_a_second_are_as_quick_as_the_first() {
    let mut rates = Vec::new();
    for pair in Pair::both().await {
        pair.call("Nothing", Vec::new()).await.expect("an answer");
        let begun = Instant::now();
        let mut calls = 0;
        while begun.elapsed() < Duration::from_millis(500) {
            pair.call("Nothing", Vec::new()).await.expect("an answer");
            calls += 1;
        }
        rates.push(f64::from(calls) / begun.elapsed().as_secs_f64());
    }
    println!(
        "calls a second: listening {:.0}, polling {:.0}",
        rates[0], rates[1]
    );
    // No delayed acknowledgement of 40 ms anywhere; real figures are taken by the benchmarks.
    assert!(rates.iter().all(|rate| *rate > 200.0), "{rates:?}");
}
