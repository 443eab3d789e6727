//! An API key as the store remembers it.

use crate::ids::{ApiKeyId, UserId};
use crate::secret::HashedToken;
use crate::time::UnixTime;

/// A key that lets a program in as a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Public name, for lists and revocation.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user: UserId,
    /// Of the key itself.
    pub secret: HashedToken,
    /// What the owner calls it.
    pub label: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it stops working; `None` is never.
    pub expires_at: Option<UnixTime>,
}
