//! A user of our own store, and the hash of a password.

use std::fmt;

use crate::ids::{Role, UserId};
use crate::time::UnixTime;

/// A user as the store remembers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Local: no colon in it.
    pub id: UserId,
    /// For people to read; shown to the others in a room.
    pub name: String,
    /// Sorted, without repetition.
    pub roles: Vec<Role>,
    /// A disabled user is let in by nothing.
    pub disabled: bool,
    /// When they were added.
    pub created_at: UnixTime,
}

/// A password as argon2 stores it, in the PHC string format. Not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// From the hasher or the store; the PHC form is checked by whoever verifies with it.
    pub fn from_phc(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string.
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}
