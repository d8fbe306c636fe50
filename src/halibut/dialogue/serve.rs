use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::dialogue::{Connection, DialogueError};
use crate::protocol::message::{RequestMessage, ResponseMessage};
use crate::service::{Service, ServiceError};

/// Executes a request to its end, even when the conversation that brought it ends before. A method that answers at
/// once is spared the way to another thread and back.
pub(crate) async fn execute(service: &Arc<dyn Service>, request: RequestMessage) -> ResponseMessage {
    let service = Arc::clone(service);
    let RequestMessage {
        id,
        service: name,
        method,
        params,
        ..
    } = request;
    let mut call = Box::pin(async move { service.call(&name, &method, params).await });
    let begun =
        poll_fn(|context| Poll::Ready(catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context)))));
    let called = match begun.await {
        Ok(Poll::Ready(result)) => Some(result),
        Ok(Poll::Pending) => tokio::spawn(call).await.ok(),
        Err(_) => None,
    };
    let panicked = || {
        let text = "The method failed in a way that it should not; see the agent's log.";
        ServiceError::threw("System.Exception", text)
    };
    let result = called.unwrap_or_else(|| Err(panicked())).map_err(Into::into);
    ResponseMessage { id, result }
}

/// Puts the answer into the next write; when it is too large to be sent, that is the answer, since a caller
/// that merely lost the connection would ask again and again.
pub(crate) async fn put_answer<S>(
    connection: &mut Connection<S>,
    response: ResponseMessage,
) -> Result<(), DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    match connection.put_response(&response).await {
        Err(error @ DialogueError::TooLargeToSend(_)) => {
            let failure = ServiceError::threw("System.InvalidOperationException", error.to_string());
            connection
                .put_response(&ResponseMessage {
                    id: response.id,
                    result: Err(failure.into()),
                })
                .await
        }
        outcome => outcome,
    }
}
