//! Frames that a later one continues, found in the bytes of a WebSocket before anything is made of them.

/// Longest header of a client's frame: 2 bytes, a 64-bit length and a mask (RFC 6455 §5.2).
const MAX_HEADER_BYTES: usize = 14;
const FINAL: u8 = 0x80;
/// Set in the opcodes of control frames, which are never continued.
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// Follows the frames of a client from header to header. What reads WebSockets gives out messages; a frame without FIN is none and
/// would cost its sender nothing, however many come, so they are counted here.
#[derive(Debug, Default)]
pub struct Fragments {
    header: [u8; MAX_HEADER_BYTES],
    /// Bytes of `header` that have come.
    known: usize,
    /// Bytes of the payload that are still to come.
    payload_left: u64,
    /// Whether the frame of that payload is one.
    in_fragment: bool,
}

impl Fragments {
    /// Takes the next bytes up to the end of the first data frame without FIN that ends in them, and returns how many those are. With
    /// `None` all were taken.
    pub fn take_one(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            if self.payload_left > 0 {
                let here = u64::try_from(bytes.len() - taken).unwrap_or(u64::MAX).min(self.payload_left);
                self.payload_left -= here;
                taken += usize::try_from(here).unwrap_or(usize::MAX);
            } else {
                self.header[self.known] = bytes[taken];
                self.known += 1;
                taken += 1;
                if self.known < 2 || self.known < self.header_bytes() {
                    continue;
                }
                self.payload_left = self.payload_bytes();
                self.in_fragment = self.header[0] & (FINAL | CONTROL) == 0;
                self.known = 0;
            }
            if self.payload_left == 0 && std::mem::take(&mut self.in_fragment) {
                return Some(taken);
            }
        }
        None
    }

    /// How many end in `bytes`.
    pub fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while let Some(taken) = self.take_one(bytes) {
            bytes = &bytes[taken..];
            count += 1;
        }
        count
    }

    fn header_bytes(&self) -> usize {
        let length = match self.header[1] & LENGTH {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.header[1] & MASKED == 0 { 0 } else { 4 }
    }

    fn payload_bytes(&self) -> u64 {
        let long = match self.header[1] & LENGTH {
            126 => &self.header[2..4],
            127 => &self.header[2..10],
            short => return u64::from(short),
        };
        long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as clients send it, with a mask of zeros.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..126 => bytes.push(0x80 | u8::try_from(payload).expect("less")),
            126..65_536 => {
                bytes.push(0xfe);
                bytes.extend(u16::try_from(payload).expect("less").to_be_bytes());
            }
            _ => {
                bytes.push(0xff);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        // The payload looks like headers of fragments.
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + payload, 0);
        bytes
    }

    #[test]
    fn frames_without_fin_are_found_whatever_the_pieces() {
        // req M11
        let frames = [
            (frame(0x81, 10), false),
            (frame(0x01, 0), true),
            (frame(0x00, 0), true),
            (frame(0x89, 4), false),
            (frame(0x00, 300), true),
            (frame(0x00, 70_000), true),
            (frame(0x80, 126), false),
            (frame(0x02, 1), true),
        ];
        let all: Vec<u8> = frames.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let mut ends = Vec::new();
        let mut end = 0;
        for (bytes, fragment) in &frames {
            end += bytes.len();
            if *fragment {
                ends.push(end);
            }
        }
        for piece in [1, 2, 7, 1_000, all.len()] {
            let mut fragments = Fragments::default();
            let (mut found, mut at) = (Vec::new(), 0);
            for mut bytes in all.chunks(piece) {
                while let Some(taken) = fragments.take_one(bytes) {
                    found.push(at + taken);
                    at += taken;
                    bytes = &bytes[taken..];
                }
                at += bytes.len();
            }
            assert_eq!(found, ends, "{piece}");
            let mut fragments = Fragments::default();
            assert_eq!(all.chunks(piece).map(|bytes| fragments.count(bytes)).sum::<usize>(), ends.len());
        }
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.take_one(&[0xff; 100]), None);
        assert_eq!(fragments.take_one(&vec![0; 100_000]), None, "an endless payload");
    }
}
