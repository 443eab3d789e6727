//! Accounts without HTTP: log-ins, sessions and their refresh tokens, tickets, passwords, and what ends them.
//!
//! [`Sessions`] starts, refreshes, slides and ends sessions; [`PasswordHasher`] checks passwords in the turns that [`LoginQueue`] gives; [`LiveRevoker`] makes
//! a revocation durable first, then closes live connections, then tells the other nodes.

mod access_tokens;
mod live_revoker;
mod login_queue;
mod passwords;
mod revoker;
mod sealed;
mod session_feed;
mod sessions;
mod ticket_issuer;
mod turns;

pub use access_tokens::AccessTokens;
pub use live_revoker::{LiveRevoker, RevokerParts};
pub use login_queue::{LoginQueue, QueueFull, Turn};
pub use passwords::{
    Busy, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordHasher, UnacceptablePassword, check_new_password,
    needs_rehash,
};
pub use revoker::{Revoker, StoreRevoker, owner};
pub use session_feed::SessionFeed;
pub use sessions::{EndError, Granted, LoginOrigin, NewLogIn, RefreshError, Sessions, SessionsParts};
pub use ticket_issuer::{TicketError, TicketIssuer};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
