//! What a script says is seen while it goes on, by everybody who reads, once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stack::{Stack, script_step};

/// A reader of one live log.
struct Reader {
    answer: reqwest::Response,
    pending: String,
    /// The position of the last event.
    last: Option<String>,
}

impl Reader {
    async fn open(stack: &Stack, task: &str, last: Option<&str>) -> Self {
        let mut request = stack.request(reqwest::Method::GET, &format!("tasks/{task}/log/stream"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let answer = request.send().await.expect("the Server answers");
        assert!(answer.status().is_success());
        Self {
            answer,
            pending: String::new(),
            last: last.map(str::to_owned),
        }
    }

    /// The next event with its position; None at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.pending.find("\n\n") {
                let event: String = self.pending.drain(..end + 2).collect();
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                if field("event:") == Some("end") {
                    return None;
                }
                let Some(data) = field("data:") else { continue };
                self.last = field("id:").map(str::to_owned);
                return Some(serde_json::from_str(data).expect("an event is JSON"));
            }
            let chunk = self.answer.chunk().await.expect("the stream holds")?;
            self.pending.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_seen_within_a_second_while_the_script_goes_on() {
    let stack = Stack::start().await;
    let body = "echo \"at $(date +%s%3N)\"\nsleep 2\necho \"at $(date +%s%3N)\"\nsleep 3\necho 'last words'";
    stack.project("Live", json!([script_step("Talk", body)])).await;
    stack.release("Live", "1.0").await;
    for agent in ["one", "two"] {
        let task = stack.deploy_to(agent, "Live", "1.0").await;
        let mut reader = Reader::open(&stack, &task, None).await;
        let mut seen = 0;
        while let Some(event) = reader.next().await {
            let text = event["Text"].as_str().unwrap_or_default();
            if let Some(then) = text.strip_prefix("at ") {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .expect("after 1970")
                    .as_millis();
                let then: u128 = then.parse().expect("a time");
                assert!(now.saturating_sub(then) < 1000, "{agent}: {} ms", now - then);
                assert_eq!(stack.get(&format!("tasks/{task}")).await["State"], "Executing");
                seen += 1;
            }
        }
        assert_eq!(seen, 2, "{}", stack.log(&task).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_reconnects_sees_no_gap_and_no_repeat() {
    let stack = Stack::start().await;
    let body = "for i in $(seq 1 300); do echo \"line $i\"; [ $((i % 50)) = 0 ] && sleep 0.3; done";
    stack.project("Read", json!([script_step("Talk", body)])).await;
    stack.release("Read", "1.0").await;
    let task = stack.deploy("Read", "1.0").await;
    let (mut seen, mut last, began) = (Vec::new(), None::<String>, Instant::now());
    'reading: loop {
        let mut reader = Reader::open(&stack, &task, last.as_deref()).await;
        for _ in 0..37 {
            let Some(event) = reader.next().await else {
                break 'reading;
            };
            seen.push(event);
            last.clone_from(&reader.last);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the log has no end");
    }
    stack.succeeds(&task).await;
    let mut whole = Vec::new();
    let mut reader = Reader::open(&stack, &task, None).await;
    while let Some(event) = reader.next().await {
        whole.push(event);
    }
    assert_eq!(seen.len(), whole.len());
    assert_eq!(seen, whole);
    let of = |number: usize| {
        let text = format!("line {number}");
        seen.iter().filter(|event| event["Text"] == text.as_str()).count()
    };
    assert!(
        (1..=300).all(|number| of(number) == 2),
        "each machine says each line once"
    );
}
