use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::time::{Instant, timeout, timeout_at};

use crate::data_stream::DataStream;
use crate::dialogue::Settings;
use crate::protocol::ProtocolError;
use crate::protocol::control_line::{self, ControlLine, Greeting};
use crate::protocol::data_stream::{FrameHeader, HEADER_LENGTH, TRAILER_LENGTH};
use crate::protocol::deflate::{Deflater, Inflater};
use crate::protocol::message::{HEARTBEAT, Message, RequestMessage, ResponseMessage};

/// Bytes asked for by one read.
const READ_SIZE: usize = 16 << 10;

/// Bytes given to one write, and the size of pieces of streams.
const WRITE_SIZE: usize = 64 << 10;

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub enum DialogueError {
    /// The peer broke a rule.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The peer is gone.
    #[error("the connection was lost while waiting for {0}")]
    Lost(&'static str),
    /// The peer said nothing.
    #[error("nothing came within {} s while waiting for {waiting_for}", .after.as_secs_f32())]
    TimedOut {
        /// For what.
        waiting_for: &'static str,
        /// How long.
        after: Duration,
    },
    /// The network failed.
    #[error("the connection failed: {0}")]
    Network(#[source] io::Error),
    /// What we wanted to send is beyond the limits; nothing was sent.
    #[error("the message has {0} bytes, more than may be sent; send long content as a data stream")]
    TooLargeToSend(usize),
    /// A stream of ours could not be read or has changed its length.
    #[error("a data stream could not be sent: {0}")]
    Source(#[source] io::Error),
    /// A received stream could not be stored.
    #[error("a received data stream could not be stored in {folder}: {error}")]
    Spool {
        /// Where.
        folder: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

/// A stream of bytes with what is needed to read and write lines, messages and data streams on it. Nothing is
/// read beyond what was asked for without being kept for the next question.
pub struct Connection<S> {
    stream: S,
    settings: Settings,
    received: Vec<u8>,
    consumed: usize,
    inflater: Inflater,
    deflater: Deflater,
    unsent: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection<S> {
    /// A conversation that is about to begin.
    pub fn new(stream: S, settings: Settings) -> Self {
        Self {
            stream,
            settings,
            received: Vec::new(),
            consumed: 0,
            inflater: Inflater::new(),
            deflater: Deflater::new(),
            unsent: Vec::new(),
        }
    }

    /// What holds for this conversation.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The stream beneath.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads up to the blank line that ends the preamble, or what came before the peer stopped.
    pub(crate) async fn read_preamble(&mut self) -> Result<Vec<u8>, DialogueError> {
        let deadline = Instant::now() + self.settings.timeouts.handshake;
        loop {
            if let Some(end) = control_line::preamble_end(self.pending()) {
                let preamble = self.pending()[..end].to_vec();
                self.consumed += end;
                return Ok(preamble);
            }
            match self
                .fill_until(deadline, self.settings.timeouts.handshake, "the preamble")
                .await
            {
                Ok(()) => {}
                Err(DialogueError::Lost(_)) => {
                    let rest = self.pending().to_vec();
                    self.consumed = self.received.len();
                    return Ok(rest);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads an identity with the empty line after it.
    pub(crate) async fn read_greeting(&mut self, within: Duration) -> Result<Greeting, DialogueError> {
        let deadline = Instant::now() + within;
        let greeting = self
            .read_line(deadline, within, "the identity", Greeting::parse)
            .await?;
        self.read_line(deadline, within, "the identity", |line| match line {
            "" => Ok(()),
            other => Err(ProtocolError::unexpected_line(other, "an empty line")),
        })
        .await?;
        Ok(greeting)
    }

    /// Reads NEXT, PROCEED or END, passing over empty lines.
    pub(crate) async fn read_control(
        &mut self,
        within: Duration,
        what: &'static str,
    ) -> Result<ControlLine, DialogueError> {
        let deadline = Instant::now() + within;
        loop {
            let parse = |line: &str| {
                if line.is_empty() {
                    Ok(None)
                } else {
                    ControlLine::parse(line).map(Some)
                }
            };
            if let Some(line) = self.read_line(deadline, within, what, parse).await? {
                return Ok(line);
            }
        }
    }

    /// Reads a message and the streams that belong to it. Only its first byte may take as long as
    /// `first_byte`.
    pub(crate) async fn read_message(
        &mut self,
        first_byte: Duration,
        what: &'static str,
    ) -> Result<Message, DialogueError> {
        if self.pending().is_empty() {
            self.fill_until(Instant::now() + first_byte, first_byte, what)
                .await?;
        }
        loop {
            let (used, whole) = self
                .inflater
                .feed(&self.received[self.consumed..], &self.settings.limits)?;
            self.consumed += used;
            if whole {
                break;
            }
            self.fill(what).await?;
        }
        let bson = self.inflater.take();
        let mut message = Message::from_bson(&bson, self.settings.known_types, &self.settings.limits)?;
        drop(bson);
        self.read_streams(message.streams_mut()).await?;
        Ok(message)
    }

    /// Waits until the peer says something or is gone; both are unexpected. Safe to drop.
    pub(crate) async fn watch(&mut self) -> DialogueError {
        const WHAT: &str = "nothing in particular";
        if self.pending().is_empty() {
            match self.fill_buffer().await {
                Ok(0) => return DialogueError::Lost(WHAT),
                Ok(_) => {}
                Err(error) => return lost_or_failed(error, WHAT),
            }
        }
        DialogueError::Protocol(ProtocolError::ControlLine("it came before it was due"))
    }

    /// Whether the peer has said something that was not yet asked for.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending().is_empty()
    }

    /// Puts bytes into the next write.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    /// Puts the heartbeat into the next write.
    pub(crate) fn put_heartbeat(&mut self) {
        self.deflater.deflate(HEARTBEAT, &mut self.unsent);
    }

    /// Puts a request and its streams into the next write; large streams are written at once.
    pub(crate) async fn put_request(&mut self, request: &RequestMessage) -> Result<(), DialogueError> {
        self.put_message(&request.to_bson())?;
        self.put_streams(&request.streams()).await
    }

    /// As [`Connection::put_request`], for a response.
    pub(crate) async fn put_response(&mut self, response: &ResponseMessage) -> Result<(), DialogueError> {
        self.put_message(&response.to_bson())?;
        self.put_streams(&response.streams()).await
    }

    /// Writes what was put.
    pub(crate) async fn flush(&mut self) -> Result<(), DialogueError> {
        let within = self.settings.timeouts.write;
        for piece in self.unsent.chunks(WRITE_SIZE) {
            let written = timeout(within, self.stream.write_all(piece)).await;
            written
                .map_err(|_| slow_write(within))?
                .map_err(|error| lost_or_failed(error, "a write"))?;
        }
        let flushed = timeout(within, self.stream.flush()).await;
        flushed
            .map_err(|_| slow_write(within))?
            .map_err(|error| lost_or_failed(error, "a write"))?;
        self.unsent.clear();
        if self.unsent.capacity() > WRITE_SIZE {
            self.unsent.shrink_to(0);
        }
        Ok(())
    }

    fn put_message(&mut self, bson: &[u8]) -> Result<(), DialogueError> {
        if bson.len() > self.settings.limits.inflated {
            return Err(DialogueError::TooLargeToSend(bson.len()));
        }
        let before = self.unsent.len();
        self.deflater.deflate(bson, &mut self.unsent);
        let compressed = self.unsent.len() - before;
        if compressed > self.settings.limits.compressed {
            self.unsent.truncate(before);
            return Err(DialogueError::TooLargeToSend(compressed));
        }
        Ok(())
    }

    async fn put_streams(&mut self, streams: &[&DataStream]) -> Result<(), DialogueError> {
        for stream in streams {
            let header = FrameHeader {
                id: stream.id(),
                length: stream.length(),
            };
            self.put(&header.to_bytes());
            match stream.in_memory() {
                Some(content) if content.len() <= WRITE_SIZE => self.put(content),
                _ => self.send_content(stream).await?,
            }
            self.put(&header.trailer());
        }
        Ok(())
    }

    async fn send_content(&mut self, stream: &DataStream) -> Result<(), DialogueError> {
        let mut source = stream.reader().await.map_err(DialogueError::Source)?;
        let mut left = stream.length();
        let mut piece = vec![0; 4 * WRITE_SIZE];
        loop {
            let count = source.read(&mut piece).await.map_err(DialogueError::Source)?;
            let too_much = count as u64 > left;
            if too_much || (count == 0 && left > 0) {
                let text = format!(
                    "it was declared with {} bytes and has {}",
                    stream.length(),
                    if too_much { "more" } else { "fewer" }
                );
                return Err(DialogueError::Source(io::Error::new(
                    io::ErrorKind::InvalidData,
                    text,
                )));
            }
            if count == 0 {
                return Ok(());
            }
            left -= count as u64;
            self.put(&piece[..count]);
            self.flush().await?;
        }
    }

    async fn read_streams(&mut self, mut awaited: Vec<&mut DataStream>) -> Result<(), DialogueError> {
        while awaited.iter().any(|stream| stream.is_awaited()) {
            let header: [u8; HEADER_LENGTH] = self.read_exactly().await?;
            let header = FrameHeader::parse(header, &self.settings.limits)?;
            let stream = awaited
                .iter_mut()
                .find(|stream| stream.is_awaited() && stream.id() == header.id);
            let stream = stream.ok_or(ProtocolError::DataStream(
                "its id fits no reference of the message",
            ))?;
            if stream.length() != header.length {
                return Err(ProtocolError::DataStream("its length differs from that in the message").into());
            }
            if header.length <= self.settings.spool.in_memory {
                stream.fill_with_bytes(self.read_content(header.length).await?);
            } else {
                let file = self.spool_content(header.length).await?;
                stream.fill_with_file(file, header.length);
            }
            let trailer: [u8; TRAILER_LENGTH] = self.read_exactly().await?;
            header.check_trailer(trailer)?;
        }
        Ok(())
    }

    async fn read_content(&mut self, length: u64) -> Result<Vec<u8>, DialogueError> {
        let length = usize::try_from(length).map_err(|_| ProtocolError::DataStream("too long for memory"))?;
        let mut content = Vec::with_capacity(length);
        while content.len() < length {
            let piece = self.next_piece(length - content.len()).await?;
            content.extend(piece);
        }
        Ok(content)
    }

    /// A file that is not finished goes when this future does.
    async fn spool_content(&mut self, length: u64) -> Result<tempfile::TempPath, DialogueError> {
        let folder = self.settings.spool.folder.clone();
        let failed = |error: io::Error| DialogueError::Spool {
            folder: folder.display().to_string(),
            error,
        };
        let created = tempfile::Builder::new()
            .prefix(".received-")
            .tempfile_in(&folder)
            .map_err(failed)?;
        let (file, path) = created.into_parts();
        let mut file = BufWriter::with_capacity(4 * WRITE_SIZE, tokio::fs::File::from_std(file));
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let piece = self.next_piece(most).await?;
            left -= piece.len() as u64;
            file.write_all(piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(path)
    }

    async fn read_exactly<const N: usize>(&mut self) -> Result<[u8; N], DialogueError> {
        while self.pending().len() < N {
            self.fill("a data stream").await?;
        }
        let bytes = self.pending()[..N].try_into().expect("the slice has this length");
        self.consumed += N;
        Ok(bytes)
    }

    /// At least one and at most `most` bytes.
    async fn next_piece(&mut self, most: usize) -> Result<&[u8], DialogueError> {
        if self.pending().is_empty() {
            self.fill("a data stream").await?;
        }
        let start = self.consumed;
        let count = (self.received.len() - start).min(most);
        self.consumed += count;
        Ok(&self.received[start..start + count])
    }

    async fn read_line<T>(
        &mut self,
        deadline: Instant,
        within: Duration,
        what: &'static str,
        parse: impl Fn(&str) -> Result<T, ProtocolError>,
    ) -> Result<T, DialogueError> {
        loop {
            if let Some((line, length)) = control_line::first_line(&self.received[self.consumed..])? {
                let parsed = parse(line)?;
                self.consumed += length;
                return Ok(parsed);
            }
            self.fill_until(deadline, within, what).await?;
        }
    }

    fn pending(&self) -> &[u8] {
        &self.received[self.consumed..]
    }

    async fn fill(&mut self, what: &'static str) -> Result<(), DialogueError> {
        let within = self.settings.timeouts.read;
        self.fill_until(Instant::now() + within, within, what).await
    }

    async fn fill_until(
        &mut self,
        deadline: Instant,
        within: Duration,
        what: &'static str,
    ) -> Result<(), DialogueError> {
        match timeout_at(deadline, self.fill_buffer()).await {
            Err(_) => Err(DialogueError::TimedOut {
                waiting_for: what,
                after: within,
            }),
            Ok(Ok(0)) => Err(DialogueError::Lost(what)),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(lost_or_failed(error, what)),
        }
    }

    /// Safe to drop: what was read is kept.
    async fn fill_buffer(&mut self) -> io::Result<usize> {
        self.received.drain(..self.consumed);
        self.consumed = 0;
        self.received.reserve(READ_SIZE);
        self.stream.read_buf(&mut self.received).await
    }
}

fn slow_write(after: Duration) -> DialogueError {
    DialogueError::TimedOut {
        waiting_for: "the peer to take what was written",
        after,
    }
}

/// Peers end connections with a reset or without TLS's own goodbye; that is no more than an end.
fn lost_or_failed(error: io::Error, what: &'static str) -> DialogueError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => DialogueError::Lost(what),
        _ => DialogueError::Network(error),
    }
}
