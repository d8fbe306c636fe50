use crate::protocol::value::Value;

/// Bounds on what a peer can make us hold (`tentacle-protocol.md` 9.1, `security.md` 3.2).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one message on the wire.
    pub compressed: usize,
    /// Bytes of one message once inflated.
    pub inflated: usize,
    /// How deep documents and arrays may stand in each other.
    pub nesting: usize,
    /// Data streams of one message.
    pub streams: usize,
    /// Bytes of one data stream.
    pub stream_length: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed: 16 << 20,
            inflated: 64 << 20,
            nesting: 64,
            streams: 1024,
            stream_length: 100 << 30,
        }
    }
}

/// What a peer did that no peer may do. The connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A control line with a lone carriage return, too long, or not text.
    #[error("the peer sent a malformed control line: {0}")]
    ControlLine(&'static str),
    /// A control line that does not fit the state of the conversation.
    #[error("the peer sent `{got}` where {expected} was due")]
    UnexpectedLine {
        /// The line, shortened.
        got: String,
        /// What would have fitted.
        expected: &'static str,
    },
    /// Bytes that are not a deflate stream.
    #[error("the peer sent a message that is not valid deflate")]
    Deflate,
    /// More than a limit allows.
    #[error("the peer sent {what} beyond the limit of {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Bytes that are not the expected BSON.
    #[error("the peer sent malformed BSON: {0}")]
    Bson(&'static str),
    /// A name twice in one document.
    #[error("the peer sent an element `{0}` twice in one document")]
    DuplicateElement(String),
    /// A `$type` that is not in the closed set, or not first.
    #[error("the peer sent the type `{0}`, which is not part of the protocol")]
    UnknownType(String),
    /// A message whose parts do not make a request or response.
    #[error("the peer sent a message without a usable {0}")]
    Message(&'static str),
    /// A data-stream frame that fits no reference, or whose two lengths differ.
    #[error("the peer sent a data stream that cannot be: {0}")]
    DataStream(&'static str),
}

impl ProtocolError {
    pub(crate) fn unexpected_line(got: &str, expected: &'static str) -> Self {
        Self::UnexpectedLine {
            got: got.chars().take(60).collect(),
            expected,
        }
    }

    pub(crate) fn unknown_type(value: &Value) -> Self {
        Self::UnknownType(value.as_str().unwrap_or("(not text)").chars().take(120).collect())
    }
}
