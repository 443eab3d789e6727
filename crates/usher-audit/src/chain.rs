//! The chain: each line carries its number, the code of the line before it, and a code of its own over all of that.
//!
//! The code is keyed (HMAC-SHA-256), so that whoever can write the file but has not the key can make no line that fits.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use usher_store::ChainHead;

use super::AuditKeys;

/// What stands between a line's content and its code.
const BEFORE_MAC: &str = ",\"mac\":\"";
/// What stands after it.
const AFTER_MAC: &str = "\"}";
/// Characters of a code: 32 bytes as base64.
const MAC_CHARS: usize = 43;

/// A chain, as far as it has got.
#[derive(Clone, Debug)]
pub struct Chain {
    name: String,
    key: hmac::Key,
    head: ChainHead,
}

/// A line whose code holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) prev: [u8; 32],
    pub(super) head: ChainHead,
}

#[derive(Deserialize)]
struct Seal {
    seq: u64,
    prev: String,
}

impl Chain {
    /// The chain of that name, after `head` or at its beginning.
    pub fn new(name: &str, keys: &AuditKeys, head: Option<ChainHead>) -> Self {
        let beginning = || ChainHead { number: 0, mac: code(&keys.chain, name, "") };
        Self { name: name.to_owned(), key: keys.chain.clone(), head: head.unwrap_or_else(beginning) }
    }

    /// How far it has got.
    pub fn head(&self) -> ChainHead {
        self.head
    }

    /// Append a JSON object; the line that it becomes, without a line break.
    ///
    /// # Panics
    /// If `json` is no object.
    pub fn append(&mut self, json: &str) -> String {
        let content = json.strip_suffix('}').expect("a record is an object");
        let (seq, prev) = (self.head.number + 1, URL_SAFE_NO_PAD.encode(self.head.mac));
        let content = format!("{content},\"seq\":{seq},\"prev\":\"{prev}\"");
        let mac = code(&self.key, &self.name, &content);
        self.head = ChainHead { number: seq, mac };
        format!("{content}{BEFORE_MAC}{}{AFTER_MAC}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// The line, if its code holds: then nothing in it was changed since it was written.
    pub(super) fn read(&self, line: &str) -> Option<Link> {
        let split = line.len().checked_sub(BEFORE_MAC.len() + MAC_CHARS + AFTER_MAC.len())?;
        let (content, rest) = line.split_at_checked(split)?;
        let mac = rest.strip_prefix(BEFORE_MAC)?.strip_suffix(AFTER_MAC)?;
        let mac = decode(mac)?;
        verify_slices_are_equal(&mac, &code(&self.key, &self.name, content)).ok()?;
        let seal: Seal = serde_json::from_str(line).ok()?;
        Some(Link { prev: decode(&seal.prev)?, head: ChainHead { number: seal.seq, mac } })
    }

    /// Takes note of a line that was written and not noted; false if it is not the next one.
    pub(super) fn adopt(&mut self, line: &str) -> bool {
        let next =
            self.read(line).filter(|link| link.head.number == self.head.number + 1 && link.prev == self.head.mac);
        if let Some(link) = next {
            self.head = link.head;
        }
        next.is_some()
    }
}

fn decode(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn code(key: &hmac::Key, name: &str, content: &str) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    context.update(name.as_bytes());
    context.update(&[0]);
    context.update(content.as_bytes());
    let mut mac = [0; 32];
    mac.copy_from_slice(context.sign().as_ref());
    mac
}
