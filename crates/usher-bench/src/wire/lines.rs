//! SockJS frames of a streaming answer: a line each, in chunks (RFC 9112 §7.1).

use super::frames::Frame;

/// Takes the bytes of an answer's body as they come and hands out its lines as texts.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    begun: Vec<u8>,
}

impl LineReader {
    pub(crate) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Frame<'_>)) {
        self.begun.extend_from_slice(bytes);
        let mut used = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.begun[used..]) {
            let line = &self.begun[used..used + length];
            used += length + 1;
            // A chunk's length, or the end of one: a frame has no carriage return, because JSON escapes it.
            if !line.ends_with(b"\r") {
                take(Frame::Text(line));
            }
        }
        if used == self.begun.len() {
            self.begun = Vec::new();
        } else {
            self.begun.drain(..used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_and_chunks_leave_no_trace() {
        let answer = b"5\r\nhhhh\n\r\n2\r\no\n\r\nc\r\na[\"one\",2]\n\r\n0\r\n\r\n";
        for step in [1, 2, 3, answer.len()] {
            let mut reader = LineReader::default();
            let mut lines = Vec::new();
            for bytes in answer.chunks(step) {
                reader.feed(bytes, |frame| match frame {
                    Frame::Text(text) => lines.push(String::from_utf8(text.to_vec()).unwrap()),
                    other => panic!("{other:?}"),
                });
            }
            assert_eq!(lines, ["hhhh", "o", "a[\"one\",2]"]);
            assert_eq!(reader.begun.capacity(), 0, "nothing is kept between frames");
        }
    }
}
