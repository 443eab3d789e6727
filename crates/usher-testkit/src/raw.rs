//! HTTP/1.1 by hand, for requests no client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// An answer, taken apart just enough.
#[derive(Debug)]
pub struct RawResponse {
    /// The status; 0 if the server closed without an answer.
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    /// As much of the rest as came.
    pub body: Vec<u8>,
}

impl RawResponse {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends `request` as it is and reads the answer up to the end of its head, and of its body if it has a length.
pub async fn raw_request(base: &Url, request: &[u8]) -> RawResponse {
    let address = (base.host_str().expect("a host").to_owned(), base.port().expect("a port"));
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
            }
            if complete(&answer) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), read).await.expect("an answer in time");
    let (head, body) = match find_end(&answer) {
        Some(end) => (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end..].to_vec()),
        None => (String::from_utf8_lossy(&answer).into_owned(), Vec::new()),
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    RawResponse { status, head, body }
}

fn find_end(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

fn complete(answer: &[u8]) -> bool {
    let Some(end) = find_end(answer) else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    answer.len() - end >= length.unwrap_or(0)
}
