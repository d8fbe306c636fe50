use std::sync::Arc;

use crate::protocol::message::{RequestMessage, ResponseMessage};
use crate::service::{Service, ServiceError};

/// Executes a request to its end, even when the conversation that brought it ends before.
pub(crate) async fn execute(service: &Arc<dyn Service>, request: RequestMessage) -> ResponseMessage {
    let service = Arc::clone(service);
    let RequestMessage {
        id,
        service: name,
        method,
        params,
        ..
    } = request;
    let called = tokio::spawn(async move { service.call(&name, &method, params).await }).await;
    let result = match called {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(ServiceError::threw(
            "System.Exception",
            "The method failed in a way that it should not; see the agent's log.",
        )
        .into()),
    };
    ResponseMessage { id, result }
}
