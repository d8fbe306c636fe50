use tokio::io::{AsyncRead, AsyncWrite};

use crate::dialogue::{Connection, DialogueError};
use crate::protocol::ProtocolError;
use crate::protocol::control_line::{ControlLine, Greeting, PREAMBLE};
use crate::protocol::message::{Message, RequestMessage, ResponseMessage};

/// A conversation with a listening agent that we dialled (`tentacle-protocol.md` 2.4).
pub struct Dialled<S>(Connection<S>);

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Dialled<S> {
    /// Introduces us. An agent that does not trust us closes the connection instead of answering.
    pub async fn open(mut connection: Connection<S>) -> Result<Self, DialogueError> {
        introduce(&mut connection, &Greeting::Client).await?;
        Ok(Self(connection))
    }

    /// Before a further call: makes sure that the agent is still there. When this fails, the call has not
    /// begun.
    pub async fn reuse(&mut self) -> Result<(), DialogueError> {
        self.0.put(ControlLine::Next.as_bytes());
        self.0.flush().await?;
        let within = self.0.settings().timeouts.proceed;
        match self.0.read_control(within, "PROCEED").await? {
            ControlLine::Proceed => Ok(()),
            ControlLine::Next => Err(ProtocolError::unexpected_line("NEXT", "PROCEED").into()),
            ControlLine::End => Err(ProtocolError::unexpected_line("END", "PROCEED").into()),
        }
    }

    /// Makes a call. When this fails, the agent may have executed it, except for
    /// [`DialogueError::TooLargeToSend`].
    pub async fn call(&mut self, request: &RequestMessage) -> Result<ResponseMessage, DialogueError> {
        self.0.put_request(request).await?;
        self.0.flush().await?;
        let within = self.0.settings().timeouts.response;
        match self.0.read_message(within, "the response").await? {
            Message::Response(response) if response.id == request.id => Ok(response),
            Message::Response(_) => Err(ProtocolError::Message("id: it answers another request").into()),
            Message::Request(_) | Message::Heartbeat => Err(ProtocolError::Message("response").into()),
        }
    }

    /// Whether the connection can serve another call, as far as can be told without asking.
    pub fn is_quiet(&self) -> bool {
        !self.0.has_pending()
    }

    /// Says goodbye, as well as possible.
    pub async fn end(mut self) {
        self.0.put(ControlLine::End.as_bytes());
        // The peer may be gone already, which is what this is about.
        drop(self.0.flush().await);
    }
}

/// Says who we are and hears that the peer is a Server of conversations. The preamble is a write of its own,
/// as peers expect it.
pub(crate) async fn introduce<S>(
    connection: &mut Connection<S>,
    greeting: &Greeting,
) -> Result<(), DialogueError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    connection.put(PREAMBLE);
    connection.flush().await?;
    connection.put(&greeting.to_bytes());
    connection.flush().await?;
    let within = connection.settings().timeouts.read;
    match connection.read_greeting(within).await? {
        Greeting::Server => Ok(()),
        Greeting::Client => Err(ProtocolError::unexpected_line("MX-CLIENT", "MX-SERVER").into()),
        Greeting::Subscriber(_) => Err(ProtocolError::unexpected_line("MX-SUBSCRIBER", "MX-SERVER").into()),
    }
}
