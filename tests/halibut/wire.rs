//! The bytes of a conversation, taken apart without a conversation's rules.

use std::pin::Pin;

use halibut::protocol::Limits;
use halibut::protocol::control_line;
use halibut::protocol::data_stream::{FrameHeader, HEADER_LENGTH, TRAILER_LENGTH};
use halibut::protocol::deflate::Inflater;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// One connection. Reading gives nothing once the peer is gone.
pub struct Wire {
    stream: Pin<Box<dyn Stream>>,
    received: Vec<u8>,
}

impl Wire {
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::pin(stream),
            received: Vec::new(),
        }
    }

    /// Whether the peer still took it.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The preamble with its newlines.
    pub async fn preamble(&mut self) -> Option<String> {
        loop {
            if let Some(end) = control_line::preamble_end(&self.received) {
                return Some(self.take_text(end));
            }
            self.more().await?;
        }
    }

    /// One control line with its end.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some((_, length)) = control_line::first_line(&self.received).expect("a control line") {
                return Some(self.take_text(length));
            }
            self.more().await?;
        }
    }

    /// An identity: a line and an empty line.
    pub async fn identity(&mut self) -> Option<String> {
        Some(self.line().await? + &self.line().await?)
    }

    /// The BSON of a message.
    pub async fn bson(&mut self) -> Option<Vec<u8>> {
        let mut inflater = Inflater::new();
        loop {
            if self.received.is_empty() {
                self.more().await?;
            }
            let (used, whole) = inflater
                .feed(&self.received, &Limits::default())
                .expect("deflate");
            self.received.drain(..used);
            if whole {
                return Some(inflater.take());
            }
        }
    }

    /// The content of a data stream.
    pub async fn content(&mut self) -> Option<Vec<u8>> {
        while self.received.len() < HEADER_LENGTH {
            self.more().await?;
        }
        let head = self.received[..HEADER_LENGTH].try_into().expect("a header");
        let header = FrameHeader::parse(head, &Limits::default()).expect("a header");
        let length = usize::try_from(header.length).expect("short");
        while self.received.len() < HEADER_LENGTH + length + TRAILER_LENGTH {
            self.more().await?;
        }
        let frame: Vec<u8> = self
            .received
            .drain(..HEADER_LENGTH + length + TRAILER_LENGTH)
            .collect();
        let (content, trailer) = frame[HEADER_LENGTH..].split_at(length);
        header
            .check_trailer(trailer.try_into().expect("a trailer"))
            .expect("equal lengths");
        Some(content.to_vec())
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.received).await {
            Ok(count) if count > 0 => Some(()),
            // Ends of all kinds are ends.
            _ => None,
        }
    }

    fn take_text(&mut self, length: usize) -> String {
        String::from_utf8(self.received.drain(..length).collect()).expect("text")
    }
}

/// The content of a recorded frame.
pub fn content_of(frame: &[u8]) -> Vec<u8> {
    frame[HEADER_LENGTH..frame.len() - TRAILER_LENGTH].to_vec()
}
