use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::dialogue::DialogueError;
use crate::protocol::message::{RequestMessage, ResponseMessage};

/// The requests that wait for one polling agent, first in, first out (`tentacle-protocol.md` 9.3). Each is
/// taken by exactly one connection, or by none.
#[derive(Default)]
pub struct PendingRequestQueue {
    waiting: Mutex<VecDeque<Entry>>,
    arrived: Notify,
}

struct Entry {
    request: RequestMessage,
    reply: Reply,
    taken: oneshot::Sender<()>,
}

/// A request that a connection has taken.
pub struct Taken {
    /// What to ask the agent.
    pub request: RequestMessage,
    /// Where the answer goes.
    pub reply: Reply,
}

/// The way back to the caller.
pub struct Reply(oneshot::Sender<Result<ResponseMessage, DialogueError>>);

impl Reply {
    /// Hands over the outcome. A caller who went away does not get it.
    pub fn send(self, outcome: Result<ResponseMessage, DialogueError>) {
        drop(self.0.send(outcome));
    }

    /// Returns once the caller went away.
    pub async fn abandoned(&mut self) {
        self.0.closed().await;
    }
}

/// Why a queued request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Nobody took it in time; it is out of the queue.
    #[error("the agent did not collect the request within {} s", .0.as_secs_f32())]
    NotCollected(Duration),
    /// The caller cancelled before anyone took it; it is out of the queue.
    #[error("the call was cancelled before the agent collected it")]
    CancelledWhileQueued,
    /// The caller cancelled afterwards. It may have been executed.
    #[error("the call was cancelled while the agent had it")]
    CancelledWhileTransferring,
    /// The connection that took it failed. It may have been executed.
    #[error(transparent)]
    Transfer(DialogueError),
}

impl PendingRequestQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a request into the queue and waits for its answer: up to `pick_up` until a connection takes it,
    /// and from then on until the connection is done with it. When the future is dropped, the request is as
    /// good as cancelled.
    pub async fn queue_and_wait(
        &self,
        request: RequestMessage,
        pick_up: Duration,
        cancel: &CancellationToken,
    ) -> Result<ResponseMessage, QueueError> {
        let (reply, mut answer) = oneshot::channel();
        let (taken, mut was_taken) = oneshot::channel();
        let id = request.id.clone();
        self.lock().push_back(Entry {
            request,
            reply: Reply(reply),
            taken,
        });
        self.arrived.notify_one();

        let not_taken = tokio::select! {
            biased;
            outcome = &mut answer => return delivered(outcome),
            _ = &mut was_taken => None,
            () = cancel.cancelled() => Some(QueueError::CancelledWhileQueued),
            () = tokio::time::sleep(pick_up) => Some(QueueError::NotCollected(pick_up)),
        };
        if let Some(error) = not_taken
            && self.remove(&id)
        {
            return Err(error);
        }
        tokio::select! {
            biased;
            outcome = &mut answer => delivered(outcome),
            () = cancel.cancelled() => Err(QueueError::CancelledWhileTransferring),
        }
    }

    /// Takes the oldest request whose caller still waits; none when there is none for so long. Safe to drop:
    /// a request is either returned or still there.
    pub async fn dequeue(&self, wait: Duration) -> Option<Taken> {
        let next = async {
            loop {
                let arrived = self.arrived.notified();
                if let Some(taken) = self.take() {
                    return taken;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(wait, next).await.ok()
    }

    /// Number of requests that nobody has taken yet.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&self) -> Option<Taken> {
        let mut waiting = self.lock();
        while let Some(entry) = waiting.pop_front() {
            let Entry {
                request,
                reply,
                taken,
            } = entry;
            if !reply.0.is_closed() && taken.send(()).is_ok() {
                if !waiting.is_empty() {
                    // One notification may stand for several requests.
                    self.arrived.notify_one();
                }
                return Some(Taken { request, reply });
            }
        }
        None
    }

    fn remove(&self, id: &str) -> bool {
        let mut waiting = self.lock();
        let position = waiting.iter().position(|entry| entry.request.id == id);
        position.is_some_and(|position| waiting.remove(position).is_some())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delivered(
    outcome: Result<Result<ResponseMessage, DialogueError>, oneshot::error::RecvError>,
) -> Result<ResponseMessage, QueueError> {
    match outcome {
        Ok(outcome) => outcome.map_err(QueueError::Transfer),
        // The connection ended without a word, for instance because its trust was revoked.
        Err(_) => Err(QueueError::Transfer(DialogueError::Lost("the response"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::value::Value;

    const LONG: Duration = Duration::from_secs(60);

    fn request(name: &str) -> RequestMessage {
        RequestMessage::new("IService", name, Vec::new())
    }

    fn answer(taken: Taken) -> String {
        let Taken { request, reply } = taken;
        reply.send(Ok(ResponseMessage {
            id: request.id,
            result: Ok(Value::Null),
        }));
        request.method
    }

    #[tokio::test]
    async fn requests_are_taken_in_order_and_each_once() {
        let queue = Arc::new(PendingRequestQueue::new());
        let cancel = CancellationToken::new();
        let mut callers = Vec::new();
        for name in ["first", "second", "third"] {
            let (queue, cancel) = (Arc::clone(&queue), cancel.clone());
            callers.push(tokio::spawn(async move {
                queue.queue_and_wait(request(name), LONG, &cancel).await
            }));
            tokio::task::yield_now().await;
        }
        let mut takers = Vec::new();
        for _ in 0..4 {
            let queue = Arc::clone(&queue);
            takers.push(tokio::spawn(async move {
                queue.dequeue(Duration::from_millis(200)).await.map(answer)
            }));
            tokio::task::yield_now().await;
        }
        let mut names = Vec::new();
        for taker in takers {
            names.extend(taker.await.expect("ran"));
        }
        assert_eq!(names, ["first", "second", "third"]);
        for caller in callers {
            assert!(caller.await.expect("ran").is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_collects_is_certainly_not_executed() {
        let queue = PendingRequestQueue::new();
        let cancel = CancellationToken::new();
        let outcome = queue
            .queue_and_wait(request("late"), Duration::from_secs(120), &cancel)
            .await;
        assert!(matches!(outcome, Err(QueueError::NotCollected(_))));
        assert!(queue.is_empty());
        assert!(queue.dequeue(Duration::from_secs(30)).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_collected_request_may_take_longer_than_its_collection() {
        let queue = Arc::new(PendingRequestQueue::new());
        let agent = Arc::clone(&queue);
        let agent = tokio::spawn(async move {
            let taken = agent.dequeue(LONG).await.expect("a request");
            tokio::time::sleep(Duration::from_secs(240)).await;
            answer(taken)
        });
        let outcome = queue
            .queue_and_wait(
                request("slow"),
                Duration::from_secs(120),
                &CancellationToken::new(),
            )
            .await;
        assert!(outcome.is_ok());
        agent.await.expect("answered");
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_tells_whether_the_request_was_taken() {
        let queue = Arc::new(PendingRequestQueue::new());
        let cancel = CancellationToken::new();
        let soon = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            soon.cancel();
        });
        let outcome = queue.queue_and_wait(request("queued"), LONG, &cancel).await;
        assert!(matches!(outcome, Err(QueueError::CancelledWhileQueued)));
        assert!(
            queue.dequeue(Duration::ZERO).await.is_none(),
            "a cancelled request is never delivered"
        );

        let cancel = CancellationToken::new();
        let (agent, stop) = (Arc::clone(&queue), cancel.clone());
        let agent = tokio::spawn(async move {
            let mut taken = agent.dequeue(LONG).await.expect("a request");
            stop.cancel();
            taken.reply.abandoned().await;
            answer(taken);
        });
        let outcome = queue.queue_and_wait(request("taken"), LONG, &cancel).await;
        assert!(matches!(outcome, Err(QueueError::CancelledWhileTransferring)));
        agent.await.expect("the late answer is dropped");
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_a_word_fails_the_call() {
        let queue = Arc::new(PendingRequestQueue::new());
        let agent = Arc::clone(&queue);
        tokio::spawn(async move { drop(agent.dequeue(LONG).await) });
        let outcome = queue
            .queue_and_wait(request("dropped"), LONG, &CancellationToken::new())
            .await;
        assert!(matches!(
            outcome,
            Err(QueueError::Transfer(DialogueError::Lost(_)))
        ));
    }

    #[tokio::test]
    async fn a_request_whose_caller_is_gone_is_passed_over() {
        let queue = PendingRequestQueue::new();
        {
            let cancel = CancellationToken::new();
            let call = queue.queue_and_wait(request("gone"), LONG, &cancel);
            tokio::select! { biased; _ = call => panic!("nobody answers"), () = tokio::task::yield_now() => {} }
        }
        assert!(queue.dequeue(Duration::ZERO).await.is_none());
    }
}
