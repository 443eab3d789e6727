//! Ids that are 16 random bytes: connections and nodes.
//!
//! Each has a byte form ([`ConnectionId::as_bytes`]) and a text form (`Display` and `FromStr`: 22 characters of base64url without
//! padding), so that another node can name the same connection.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Length of the text form, in bytes.
const TEXT_BYTES: usize = 22;

/// A text that is not the text form of an id of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this id must have {TEXT_BYTES} characters of base64url without padding")]
pub struct InvalidIdText;

macro_rules! random_bytes_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From 16 random bytes, or from the bytes of an id that was made from such bytes.
            pub const fn from_random(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes that the id was made from.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; TEXT_BYTES];
                let length = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&text[..length]).map_err(|_| fmt::Error)?)
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdText;
            /// Reads the text form. No second text stands for the same id.
            fn from_str(text: &str) -> Result<Self, InvalidIdText> {
                parse(text).map(Self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

random_bytes_id! {
    /// One live connection. 128 random bits: no client can guess another connection's id (req J1, CVE-2017-16031).
    ConnectionId
}
random_bytes_id! {
    /// One node of several. The id lives as long as the node's process: a node that starts again is another node.
    NodeId
}

impl ConnectionId {
    /// A number between 0 and 1 that depends on the id alone: it spreads timed work over connections.
    pub(crate) fn fraction(self) -> f64 {
        let [.., high, low] = self.0;
        f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
    }
}

fn parse(text: &str) -> Result<[u8; 16], InvalidIdText> {
    if text.len() != TEXT_BYTES {
        return Err(InvalidIdText);
    }
    // Bits of the last character that stand for no byte must be zero: this decoder refuses others.
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidIdText)?;
    bytes.try_into().map_err(|_| InvalidIdText)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_the_text_form_is_refused() {
        let text = ConnectionId::from_random([0xff; 16]).to_string();
        assert_eq!(text, "_____________________w");
        for wrong in [
            "",
            "_____________________x",
            "_____________________w==",
            "+++++++++++++++++++++w",
            "é____________________w",
        ] {
            assert_eq!(wrong.parse::<ConnectionId>(), Err(InvalidIdText), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_back_from_its_text_and_from_its_bytes(bytes: [u8; 16]) {
            let (connection, node) = (ConnectionId::from_random(bytes), NodeId::from_random(bytes));
            prop_assert_eq!(connection.to_string().parse(), Ok(connection));
            prop_assert_eq!(node.to_string().parse(), Ok(node));
            prop_assert_eq!(ConnectionId::from_random(*connection.as_bytes()), connection);
            prop_assert_eq!(NodeId::from_random(*node.as_bytes()), node);
        }

        #[test]
        fn a_text_that_is_read_is_the_text_that_is_written(text in "[A-Za-z0-9_-]{22}") {
            if let Ok(id) = text.parse::<NodeId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
