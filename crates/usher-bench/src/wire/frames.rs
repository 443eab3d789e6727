//! Frames: reading a server's, and writing a client's (RFC 6455 §5.2).

use crate::BenchError;
use crate::floor_wire::{PING, head, payload_length};

/// Largest frame that is waited for.
const MAX_PAYLOAD: usize = 1 << 20;

/// A frame of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Text(&'a [u8]),
    Ping(&'a [u8]),
    /// Its code; 1005 if it has none.
    Close(u16),
    /// Nothing that is measured.
    Other,
}

/// Takes bytes as they come and hands out frames. Keeps nothing between two frames.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    begun: Vec<u8>,
}

impl FrameReader {
    pub(crate) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Frame<'_>)) -> Result<(), BenchError> {
        if self.begun.is_empty() {
            let used = frames(bytes, &mut take)?;
            self.begun.extend_from_slice(&bytes[used..]);
        } else {
            self.begun.extend_from_slice(bytes);
            let used = frames(&self.begun, &mut take)?;
            if used == self.begun.len() {
                self.begun = Vec::new();
            } else {
                self.begun.drain(..used);
            }
        }
        Ok(())
    }
}

/// Hands out the complete frames; how many bytes they were.
fn frames(bytes: &[u8], take: &mut impl FnMut(Frame<'_>)) -> Result<usize, BenchError> {
    let mut used = 0;
    while let Some((frame, length)) = frame(&bytes[used..])? {
        used += length;
        take(frame);
    }
    Ok(used)
}

fn frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, BenchError> {
    let (Some(&first), Some(&second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err(BenchError::Peer("the server masks its frames"));
    }
    let Some((length, start)) = payload_length(second, bytes) else { return Ok(None) };
    if length > MAX_PAYLOAD {
        return Err(BenchError::Peer("the server sent a frame larger than any that was asked for"));
    }
    let Some(payload) = bytes.get(start..start + length) else { return Ok(None) };
    let frame = match first & 0x0f {
        0x1 => Frame::Text(payload),
        0x8 => Frame::Close(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))),
        PING => Frame::Ping(payload),
        _ => Frame::Other,
    };
    Ok(Some((frame, start + length)))
}

/// A client's text frame. Every mask is as good as another for a server that undoes it.
pub(crate) fn masked_text(text: &str) -> Vec<u8> {
    masked(0x1, text.as_bytes())
}

/// A client's ping.
pub(crate) fn masked_ping() -> Vec<u8> {
    masked(PING, b"")
}

pub(crate) fn masked_pong(payload: &[u8]) -> Vec<u8> {
    masked(0xa, payload)
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = Vec::with_capacity(payload.len() + 14);
    head(&mut frame, 0x80 | opcode, 0x80, payload.len());
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor_wire::server_frames;

    fn read(reader: &mut FrameReader, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        let taken = reader.feed(bytes, |frame| match frame {
            Frame::Text(text) => texts.push(text.to_vec()),
            other => panic!("{other:?}"),
        });
        taken.unwrap();
        texts
    }

    #[test]
    fn what_a_client_writes_a_server_reads_and_what_it_writes_the_client_reads() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(length);
            let sent = [masked_text(&text), masked_ping()].concat();
            let (frames, used) = server_frames(&sent);
            assert_eq!(used, sent.len());
            assert_eq!(read(&mut FrameReader::default(), &frames), [text.as_bytes()]);
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let sent = [masked_text("first"), masked_text(&"second ".repeat(40)), masked_text(""), masked_ping()].concat();
        let (frames, _) = server_frames(&sent);
        for step in [1, 2, 3, 7, frames.len()] {
            let mut reader = FrameReader::default();
            let texts: Vec<_> = frames.chunks(step).flat_map(|bytes| read(&mut reader, bytes)).collect();
            assert_eq!(texts, ["first".as_bytes(), "second ".repeat(40).as_bytes(), b""]);
            assert_eq!(reader.begun.capacity(), 0, "nothing is kept between frames");
        }
    }

    #[test]
    fn what_is_published_together_waits_for_its_last_byte() {
        let sent = [masked_text("one"), masked_text("two"), masked_ping()].concat();
        for length in 0..sent.len() {
            assert_eq!(server_frames(&sent[..length]), (Vec::new(), 0));
        }
        let next = [sent.clone(), masked_text("three")].concat();
        assert_eq!(server_frames(&next).1, sent.len());
    }

    #[test]
    fn a_close_frame_tells_its_code_and_a_masked_frame_is_refused() {
        let mut told = None;
        let mut reader = FrameReader::default();
        reader.feed(&[0x88, 2, 0x0f, 0xa4], |frame| told = Some(format!("{frame:?}"))).unwrap();
        assert_eq!(told.unwrap(), "Close(4004)");
        assert!(reader.feed(&masked_text("hi"), |_| ()).is_err());
    }
}
