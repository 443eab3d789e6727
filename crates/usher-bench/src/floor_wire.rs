//! The frames of the floor's bare loop (RFC 6455 §5.2), for `examples/floor.rs`.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A control frame that is to be answered.
pub(crate) const PING: u8 = 0x9;
/// From here on opcodes are of control frames.
const FIRST_CONTROL: u8 = 0x8;

/// Says that two bytes of length follow.
const TWO_BYTES: u8 = 0x7e;
/// Says that eight do.
const EIGHT_BYTES: u8 = 0x7f;

/// The answer to a `Sec-WebSocket-Key` (RFC 6455 §1.3).
pub fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// The client frames at the beginning of `received` up to the last ping, as a server writes them, one after the other; and how many
/// bytes they were. A ping says that what was published together is complete, however it arrives.
pub fn server_frames(received: &[u8]) -> (Vec<u8>, usize) {
    let (mut frames, mut read) = (Vec::new(), 0);
    let (mut complete, mut used) = (0, 0);
    while let Some((opcode, payload, length)) = client_frame(&received[read..]) {
        read += length;
        match opcode {
            PING => (complete, used) = (frames.len(), read),
            _ if opcode >= FIRST_CONTROL => {}
            _ => {
                head(&mut frames, 0x80 | opcode, 0, payload.len());
                frames.extend_from_slice(&payload);
            }
        }
    }
    frames.truncate(complete);
    (frames, used)
}

/// Opcode, unmasked payload, and length on the wire.
fn client_frame(received: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (&first, &second) = (received.first()?, received.get(1)?);
    let (length, start) = payload_length(second & 0x7f, received)?;
    let mask: [u8; 4] = received.get(start..start + 4)?.try_into().ok()?;
    let end = start + 4 + length;
    let payload = received.get(start + 4..end)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some((first & 0x0f, payload, end))
}

/// The length of a frame's payload, and where what follows the length begins.
pub(crate) fn payload_length(short: u8, frame: &[u8]) -> Option<(usize, usize)> {
    match short {
        TWO_BYTES => Some((u16::from_be_bytes(frame.get(2..4)?.try_into().ok()?).into(), 4)),
        EIGHT_BYTES => Some((usize::try_from(u64::from_be_bytes(frame.get(2..10)?.try_into().ok()?)).ok()?, 10)),
        short => Some((short.into(), 2)),
    }
}

/// Writes a frame's first bytes. `masked` is 0x80 for a client's, and 0 for a server's.
pub(crate) fn head(frame: &mut Vec<u8>, first: u8, masked: u8, length: usize) {
    frame.push(first);
    if let Ok(short) = u8::try_from(length)
        && short < 126
    {
        frame.push(masked | short);
    } else if let Ok(length) = u16::try_from(length) {
        frame.push(masked | TWO_BYTES);
        frame.extend_from_slice(&length.to_be_bytes());
    } else {
        frame.push(masked | EIGHT_BYTES);
        frame.extend_from_slice(&(length as u64).to_be_bytes());
    }
}
