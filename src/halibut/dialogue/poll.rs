use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::dialogue::dial::introduce;
use crate::dialogue::serve::{execute, put_answer};
use crate::dialogue::{Connection, DialogueError};
use crate::protocol::ProtocolError;
use crate::protocol::control_line::{ControlLine, Greeting};
use crate::protocol::message::Message;
use crate::protocol::subscription::Subscription;
use crate::service::Service;

/// Takes requests from a Server that we dialled, until it ends the conversation (`tentacle-protocol.md` 2.5).
/// `identified` is called once the Server has accepted us.
pub async fn poll<S>(
    mut connection: Connection<S>,
    subscription: &Subscription,
    service: &Arc<dyn Service>,
    identified: impl FnOnce(),
) -> Result<(), DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    introduce(&mut connection, &Greeting::Subscriber(subscription.clone())).await?;
    identified();
    let timeouts = connection.settings().timeouts;
    loop {
        match connection
            .read_message(timeouts.polled_request, "a request")
            .await?
        {
            Message::Heartbeat => {}
            Message::Request(request) => {
                let response = execute(service, request).await;
                put_answer(&mut connection, response).await?;
            }
            Message::Response(_) => return Err(ProtocolError::Message("request").into()),
        }
        connection.put(ControlLine::Next.as_bytes());
        connection.flush().await?;
        match connection.read_control(timeouts.proceed, "PROCEED").await? {
            ControlLine::Proceed => {}
            ControlLine::End => return Ok(()),
            ControlLine::Next => return Err(ProtocolError::unexpected_line("NEXT", "PROCEED").into()),
        }
    }
}
