//! A room's name, canonicalised once.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

/// Longest room name, in bytes of its canonical form.
pub const MAX_ROOM_NAME_BYTES: usize = 256;

/// A room's name in its one canonical form (Unicode NFC), so that no second spelling slips past a rule (req I2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

/// Why a text names no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoomName {
    /// Nothing there.
    #[error("a room name must not be empty")]
    Empty,
    /// Over [`MAX_ROOM_NAME_BYTES`].
    #[error("a room name may have at most {MAX_ROOM_NAME_BYTES} bytes")]
    TooLong,
    /// Characters that cannot be seen, and could make two names look the same.
    #[error("a room name must not contain spaces, control or invisible characters")]
    Invisible,
}

impl RoomName {
    /// Checks and normalises `text`. Nothing is decoded: `%2F` is three characters.
    pub fn canonical(text: &str) -> Result<Self, InvalidRoomName> {
        if text.is_empty() {
            return Err(InvalidRoomName::Empty);
        }
        if text.len() > 3 * MAX_ROOM_NAME_BYTES {
            return Err(InvalidRoomName::TooLong);
        }
        let name: String = if text.is_ascii() { text.to_owned() } else { text.nfc().collect() };
        if name.len() > MAX_ROOM_NAME_BYTES {
            return Err(InvalidRoomName::TooLong);
        }
        if name.chars().any(is_invisible) {
            return Err(InvalidRoomName::Invisible);
        }
        Ok(Self(Arc::from(name)))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// White space, control characters, and the format characters that join, hide or turn round their neighbours.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomName({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_room_has_one_name() {
        // req I2
        assert_eq!(RoomName::canonical("caf\u{e9}"), RoomName::canonical("cafe\u{301}"));
        assert_ne!(RoomName::canonical("a%2Fb"), RoomName::canonical("a/b"));
        assert_ne!(RoomName::canonical("board-1."), RoomName::canonical("board-1"));
        for invisible in ["a\0", "a b", " a", "a\n", "a\u{200b}", "\u{202e}a", "a\u{feff}"] {
            assert_eq!(RoomName::canonical(invisible), Err(InvalidRoomName::Invisible), "{invisible:?}");
        }
        assert_eq!(RoomName::canonical(""), Err(InvalidRoomName::Empty));
        assert_eq!(RoomName::canonical(&"x".repeat(257)), Err(InvalidRoomName::TooLong));
    }
}
