//! A client's socket: connect, be let in, send, and hand out what comes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::frames::{Frame, FrameReader, masked_pong, masked_text};
use super::handshake::{Handshake, Transport};
use super::lines::LineReader;
use crate::BenchError;

/// Longest head of an answer that is read.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes read at once. One buffer serves all sockets.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    reader: Reader,
    /// What was read beyond what was waited for.
    early: VecDeque<String>,
}

/// What makes frames of bytes.
#[derive(Debug)]
enum Reader {
    WebSocket(FrameReader),
    XhrStreaming { lines: LineReader, sender: Box<Sender> },
}

/// What a client without a socket to write to needs for its messages.
#[derive(Debug)]
struct Sender {
    server: SocketAddr,
    source: Ipv4Addr,
    how: Handshake,
    target: String,
}

impl Socket {
    /// Connects from `source` and is let in, or not.
    pub(crate) async fn open(server: SocketAddr, source: Ipv4Addr, how: &Handshake) -> Result<Self, BenchError> {
        let stream = connect(server, source).await?;
        let reader = match &how.transport {
            Transport::WebSocket => Reader::WebSocket(FrameReader::default()),
            Transport::XhrStreaming { send } => {
                let sender = Sender { server, source, how: how.clone(), target: send.clone() };
                Reader::XhrStreaming { lines: LineReader::default(), sender: sender.into() }
            }
        };
        let mut socket = Self { stream, reader, early: VecDeque::new() };
        let request = how.request(server);
        socket.stream.write_all(&request).await.map_err(BenchError::io("cannot ask to be let in"))?;
        socket.read_head(how.status()).await?;
        if let Some(first) = &how.first {
            socket.send(first).await?;
        }
        for expected in &how.until {
            socket.expect(expected).await?;
        }
        Ok(socket)
    }

    /// Reads the answer's head; bytes after it are frames.
    async fn read_head(&mut self, expected: &str) -> Result<(), BenchError> {
        let rest = head(&self.stream, expected).await?;
        let early = &mut self.early;
        self.reader.feed(&rest, |frame| keep(early, &frame))
    }

    /// Sends a text.
    pub(crate) async fn send(&mut self, text: &str) -> Result<(), BenchError> {
        match &self.reader {
            Reader::WebSocket(_) => self.send_frames(&masked_text(text)).await,
            Reader::XhrStreaming { sender, .. } => sender.send(text).await,
        }
    }

    /// Sends frames that are masked already, in one write.
    pub(crate) async fn send_frames(&mut self, frames: &[u8]) -> Result<(), BenchError> {
        self.stream.write_all(frames).await.map_err(BenchError::io("cannot send"))
    }

    /// Waits for a text that begins with `start`; what comes before it is dropped.
    pub(crate) async fn expect(&mut self, start: &str) -> Result<(), BenchError> {
        loop {
            while let Some(text) = self.early.pop_front() {
                if text.starts_with(start) {
                    return Ok(());
                }
            }
            let mut texts = VecDeque::new();
            let mut closed = None;
            let open = self.receive(|frame| match frame {
                Frame::Close(code) => closed = Some(code),
                frame => keep(&mut texts, &frame),
            });
            let open = open.await?;
            self.early.append(&mut texts);
            if let Some(code) = closed {
                let said = self.early.iter().cloned().collect::<String>();
                return Err(BenchError::Refused(format!("closed with {code} {said}")));
            }
            if !open {
                return Err(BenchError::Refused("the server hung up".to_owned()));
            }
        }
    }

    /// Waits for bytes and hands out the frames in them; answers pings. False at the end.
    pub(crate) async fn receive(&mut self, mut take: impl FnMut(Frame<'_>)) -> Result<bool, BenchError> {
        let Self { stream, reader, .. } = self;
        let mut pongs = Vec::new();
        let mut whole = Ok(());
        let count = read(stream, |bytes| {
            whole = reader.feed(bytes, |frame| {
                match frame {
                    Frame::Ping(payload) => pongs.extend(masked_pong(payload)),
                    // Socket.IO pings by texts of its own, and hangs up on who does not answer.
                    Frame::Text(b"2") => pongs.extend(masked_text("3")),
                    _ => {}
                }
                take(frame);
            });
        });
        let count = count.await?;
        whole?;
        if !pongs.is_empty() {
            self.send_frames(&pongs).await?;
        }
        Ok(count > 0)
    }
}

impl Reader {
    fn feed(&mut self, bytes: &[u8], take: impl FnMut(Frame<'_>)) -> Result<(), BenchError> {
        match self {
            Self::WebSocket(frames) => frames.feed(bytes, take),
            Self::XhrStreaming { lines, .. } => {
                lines.feed(bytes, take);
                Ok(())
            }
        }
    }
}

impl Sender {
    /// By a connection of its own: the one there is has its answer to wait for.
    async fn send(&self, text: &str) -> Result<(), BenchError> {
        let mut stream = connect(self.server, self.source).await?;
        let request = self.how.post(&self.target, self.server, text);
        stream.write_all(&request).await.map_err(BenchError::io("cannot send"))?;
        head(&stream, "204").await.map(drop)
    }
}

async fn connect(server: SocketAddr, source: Ipv4Addr) -> Result<TcpStream, BenchError> {
    let socket = TcpSocket::new_v4().map_err(BenchError::io("cannot make a socket"))?;
    socket.bind((source, 0).into()).map_err(BenchError::io("cannot bind a loopback address"))?;
    let stream = socket.connect(server).await.map_err(BenchError::io("cannot connect"))?;
    stream.set_nodelay(true).map_err(BenchError::io("cannot set an option"))?;
    Ok(stream)
}

/// Reads the head of an answer, which must have that status; what was read beyond it.
async fn head(stream: &TcpStream, expected: &str) -> Result<Vec<u8>, BenchError> {
    let mut head = Vec::new();
    loop {
        if read(stream, |bytes| head.extend_from_slice(bytes)).await? == 0 {
            return Err(BenchError::Refused("the server hung up".to_owned()));
        }
        if let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") {
            let status = String::from_utf8_lossy(head.get(9..12).unwrap_or_default()).into_owned();
            return if status == expected { Ok(head.split_off(end + 4)) } else { Err(BenchError::Refused(status)) };
        }
        if head.len() > MAX_HEAD {
            return Err(BenchError::Peer("the answer's head has no end"));
        }
    }
}

/// Reads once; how many bytes there were.
async fn read(stream: &TcpStream, take: impl FnOnce(&[u8])) -> Result<usize, BenchError> {
    let mut take = Some(take);
    loop {
        stream.readable().await.map_err(BenchError::io("cannot receive"))?;
        let outcome = BUFFER.with_borrow_mut(|buffer| {
            let count = stream.try_read(buffer)?;
            if let Some(take) = take.take() {
                take(&buffer[..count]);
            }
            Ok(count)
        });
        match outcome {
            Err(error) if io::Error::kind(&error) == io::ErrorKind::WouldBlock => {}
            outcome => return outcome.map_err(BenchError::io("cannot receive")),
        }
    }
}

fn keep(texts: &mut VecDeque<String>, frame: &Frame<'_>) {
    if let Frame::Text(text) = frame {
        texts.push_back(String::from_utf8_lossy(text).into_owned());
    }
}
