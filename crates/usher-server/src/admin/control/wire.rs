//! The lines that are spoken.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::super::Answer;

/// Longest request, in bytes: the largest operation is a user with their name, roles and password.
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// Longest answer, in bytes: a list of a hundred thousand keys.
pub(super) const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// The server's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Ok(Answer),
    Error { code: String, message: String },
}

/// Reads one line of at most `max` bytes, without its end; `None` when the other side has finished. It may hold a password, and is
/// wiped when dropped.
pub(super) async fn read_line(
    stream: &mut (impl AsyncBufRead + Unpin),
    max: usize,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::new());
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let read = stream.take(limit + 1).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        let too_long = read > max;
        let reason = if too_long { "the line is too long" } else { "the line has no end" };
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(Some(line))
}

/// Writes `message` as one line of at most `max` bytes.
pub(super) async fn write_line(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    max: usize,
) -> io::Result<()> {
    let mut line = Zeroizing::new(serde_json::to_vec(message)?);
    line.push(b'\n');
    if line.len() > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
    }
    stream.write_all(&line).await?;
    stream.flush().await
}
