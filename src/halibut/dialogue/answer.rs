use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::dialogue::serve::{execute, put_answer};
use crate::dialogue::{Connection, DialogueError};
use crate::protocol::ProtocolError;
use crate::protocol::control_line::{ControlLine, Greeting};
use crate::protocol::message::Message;
use crate::rpc::{PendingRequestQueue, Taken};
use crate::service::Service;

/// What a peer that dialled us began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Nothing.
    Silent,
    /// A browser, a health check, a discovery: anything that does not speak the protocol.
    Stranger,
    /// The protocol.
    Protocol,
}

/// Reads the first lines of a peer that dialled us. Nothing beyond them is taken.
pub async fn read_opening<S>(connection: &mut Connection<S>) -> Result<Opening, DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let preamble = connection.read_preamble().await?;
    Ok(match &preamble[..] {
        [] => Opening::Silent,
        [b'M', b'X', ..] => Opening::Protocol,
        _ => Opening::Stranger,
    })
}

/// Reads who the peer says it is.
pub async fn read_greeting<S>(connection: &mut Connection<S>) -> Result<Greeting, DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let within = connection.settings().timeouts.handshake;
    connection.read_greeting(within).await
}

/// Executes the requests of a Server that dialled us, until it ends the conversation (`tentacle-protocol.md`
/// 2.4). Its greeting was read; ours is sent first.
pub async fn answer_client<S>(
    mut connection: Connection<S>,
    service: &Arc<dyn Service>,
) -> Result<(), DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let timeouts = connection.settings().timeouts;
    connection.put(&Greeting::Server.to_bytes());
    connection.flush().await?;
    loop {
        match connection.read_message(timeouts.request, "a request").await {
            Ok(Message::Request(request)) => {
                let response = execute(service, request).await;
                put_answer(&mut connection, response).await?;
                connection.flush().await?;
            }
            Ok(Message::Heartbeat) => return Ok(()),
            Ok(Message::Response(_)) => return Err(ProtocolError::Message("request").into()),
            Err(error) => return Err(error),
        }
        match connection.read_control(timeouts.idle, "NEXT or END").await {
            Ok(ControlLine::Next) => {}
            Ok(ControlLine::End) => return Ok(()),
            Ok(ControlLine::Proceed) => {
                return Err(ProtocolError::unexpected_line("PROCEED", "NEXT or END").into());
            }
            // An idle connection may end at any time and in any way.
            Err(DialogueError::Lost(_) | DialogueError::TimedOut { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        connection.put(ControlLine::Proceed.as_bytes());
        connection.flush().await?;
    }
}

/// Gives the requests of a queue to an agent that dialled us, until it goes (`tentacle-protocol.md` 2.5). Its
/// greeting was read; ours is sent first.
pub async fn answer_subscriber<S>(
    mut connection: Connection<S>,
    queue: &PendingRequestQueue,
) -> Result<(), DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let timeouts = connection.settings().timeouts;
    connection.put(&Greeting::Server.to_bytes());
    connection.flush().await?;
    loop {
        // A request must not be given to a connection that is known to be dead.
        let taken = tokio::select! {
            biased;
            gone = connection.watch() => match gone {
                DialogueError::Lost(_) => return Ok(()),
                DialogueError::Protocol(_) => return said_goodbye(&mut connection).await,
                other => return Err(other),
            },
            taken = queue.dequeue(timeouts.heartbeat) => taken,
        };
        match taken {
            None => {
                connection.put_heartbeat();
                connection.flush().await?;
            }
            Some(Taken { request, mut reply }) => {
                let exchange = async {
                    connection.put_request(&request).await?;
                    connection.flush().await?;
                    match connection.read_message(timeouts.response, "the response").await? {
                        Message::Response(response) if response.id == request.id => Ok(response),
                        Message::Response(_) => {
                            Err(ProtocolError::Message("id: it answers another request").into())
                        }
                        Message::Request(_) | Message::Heartbeat => {
                            Err(ProtocolError::Message("response").into())
                        }
                    }
                };
                let outcome = tokio::select! {
                    outcome = exchange => outcome,
                    // The caller went away; the only way to say so is to close the connection.
                    () = reply.abandoned() => return Ok(()),
                };
                match outcome {
                    Ok(response) => reply.send(Ok(response)),
                    Err(error @ DialogueError::TooLargeToSend(_)) => {
                        // Nothing was sent, and the agent still waits.
                        reply.send(Err(error));
                        continue;
                    }
                    Err(error) => {
                        reply.send(Err(error));
                        return Ok(());
                    }
                }
            }
        }
        match connection.read_control(timeouts.next, "NEXT").await {
            Ok(ControlLine::Next) => {}
            Ok(ControlLine::End) | Err(DialogueError::Lost(_)) => return Ok(()),
            Ok(ControlLine::Proceed) => return Err(ProtocolError::unexpected_line("PROCEED", "NEXT").into()),
            Err(error) => return Err(error),
        }
        connection.put(ControlLine::Proceed.as_bytes());
        connection.flush().await?;
    }
}

/// An agent that stops may say END while it waits; it must not say anything else.
async fn said_goodbye<S>(connection: &mut Connection<S>) -> Result<(), DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let within = connection.settings().timeouts.proceed;
    match connection.read_control(within, "END").await? {
        ControlLine::End => Ok(()),
        ControlLine::Next | ControlLine::Proceed => {
            Err(ProtocolError::ControlLine("it came before it was due").into())
        }
    }
}
