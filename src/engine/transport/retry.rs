//! Repeats calls that failed on the way (`tentacle-protocol.md` 5.6).

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Answer, TransportError};

/// A repeated call that has less time than this is not made.
const LEAST: Duration = Duration::from_secs(1);

/// Makes a call, and again after 1, 2, 3 … at most 10 seconds while it fails on the way, until `span` is used up. What comes back
/// then is the last real error; it says that the call may have been carried out if any attempt may have been. `notice` hears of
/// the first failure that is tried again.
///
/// # Errors
/// The last error of the call.
pub async fn repeat<T, F: Future<Output = Answer<T>>>(
    span: Duration,
    cancel: &CancellationToken,
    notice: impl Fn(&TransportError),
    mut call: impl FnMut() -> F,
) -> Answer<T> {
    let end = Instant::now() + span;
    let mut interrupted = false;
    for attempt in 1_u32.. {
        let first = attempt == 1;
        let answer = if first {
            call().await
        } else {
            cut_at(end, call()).await
        };
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        interrupted |= error.may_have_run();
        let told = |error: TransportError| match error {
            TransportError::Connecting(text)
            | TransportError::Refused(text)
            | TransportError::Identity(text)
                if interrupted =>
            {
                TransportError::Interrupted(text)
            }
            TransportError::Cancelled { .. } => TransportError::Cancelled {
                may_have_run: interrupted,
            },
            other => other,
        };
        let pause = Duration::from_secs(u64::from(attempt.min(10)));
        if cancel.is_cancelled() {
            return Err(TransportError::Cancelled {
                may_have_run: interrupted,
            });
        }
        if !error.is_passing() || Instant::now() + pause + LEAST > end {
            return Err(told(error));
        }
        if first {
            notice(&error);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => return Err(TransportError::Cancelled { may_have_run: interrupted }),
        }
    }
    unreachable!("attempts are not limited by their number")
}

async fn cut_at<T>(end: Instant, call: impl Future<Output = Answer<T>>) -> Answer<T> {
    match tokio::time::timeout_at(end, call).await {
        Ok(answer) => answer,
        Err(_) => Err(TransportError::Interrupted(
            "The machine did not answer in the time that was left.".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(30);

    async fn outcome(mut answers: Vec<Answer<u8>>) -> (Answer<u8>, usize) {
        let total = answers.len();
        answers.reverse();
        let answer = repeat(
            SPAN,
            &CancellationToken::new(),
            |_| {},
            || std::future::ready(answers.pop().expect("no more calls")),
        )
        .await;
        (answer, total - answers.len())
    }

    fn connecting() -> Answer<u8> {
        Err(TransportError::Connecting("refused".into()))
    }

    fn interrupted() -> Answer<u8> {
        Err(TransportError::Interrupted("reset".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_until_it_succeeds_or_is_refused() {
        assert_eq!(
            outcome(vec![connecting(), interrupted(), Ok(7)]).await,
            (Ok(7), 3)
        );
        let refused = || Err(TransportError::Refused("no".into()));
        assert_eq!(
            outcome(vec![connecting(), refused(), Ok(7)]).await,
            (refused(), 2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_real_error_says_whether_the_call_may_have_run() {
        let (answer, calls) = outcome((0..20).map(|_| connecting()).collect()).await;
        assert_eq!(answer, connecting());
        assert!((5..9).contains(&calls), "{calls}");
        let mut answers: Vec<_> = (0..20).map(|_| connecting()).collect();
        answers[1] = interrupted();
        assert_eq!(
            outcome(answers).await.0,
            Err(TransportError::Interrupted("refused".into()))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancel_ends_the_pause() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let answer = repeat(SPAN, &cancel, |_| {}, || std::future::ready(interrupted())).await;
        assert_eq!(answer, Err(TransportError::Cancelled { may_have_run: true }));
    }
}
