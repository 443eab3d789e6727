//! A client's socket: connect, upgrade, send, and hand out what comes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::frames::{Frame, FrameReader, masked_pong, masked_text};
use super::handshake::Handshake;
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
    reader: FrameReader,
    /// What was read beyond what was waited for.
    early: VecDeque<String>,
}

impl Socket {
    /// Connects from `source` and is let in, or not.
    pub(crate) async fn open(server: SocketAddr, source: Ipv4Addr, how: &Handshake) -> Result<Self, BenchError> {
        let socket = TcpSocket::new_v4().map_err(BenchError::io("cannot make a socket"))?;
        socket.bind((source, 0).into()).map_err(BenchError::io("cannot bind a loopback address"))?;
        let stream = socket.connect(server).await.map_err(BenchError::io("cannot connect"))?;
        stream.set_nodelay(true).map_err(BenchError::io("cannot set an option"))?;
        let mut socket = Self { stream, reader: FrameReader::default(), early: VecDeque::new() };
        let request = how.request(server);
        socket.stream.write_all(&request).await.map_err(BenchError::io("cannot send the upgrade"))?;
        socket.read_head().await?;
        if let Some(first) = &how.first {
            socket.send(first).await?;
        }
        for expected in &how.until {
            socket.expect(expected).await?;
        }
        Ok(socket)
    }

    /// Reads the answer's head; bytes after it are frames.
    async fn read_head(&mut self) -> Result<(), BenchError> {
        let mut head = Vec::new();
        loop {
            if read(&self.stream, |bytes| head.extend_from_slice(bytes)).await? == 0 {
                return Err(BenchError::Refused("the server hung up".to_owned()));
            }
            if let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") {
                let status = String::from_utf8_lossy(head.get(9..12).unwrap_or_default()).into_owned();
                if status != "101" {
                    return Err(BenchError::Refused(status));
                }
                let early = &mut self.early;
                return self.reader.feed(&head[end + 4..], |frame| keep(early, &frame));
            }
            if head.len() > MAX_HEAD {
                return Err(BenchError::Peer("the answer's head has no end"));
            }
        }
    }

    /// Sends a text.
    pub(crate) async fn send(&mut self, text: &str) -> Result<(), BenchError> {
        self.send_frames(&masked_text(text)).await
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
                if let Frame::Ping(payload) = frame {
                    pongs.extend(masked_pong(payload));
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
