//! What an operation answers.

use std::fmt;

use serde::{Deserialize, Serialize};
use usher_auth::ids::{ApiKeyId, Role, SessionId, UserId};
use zeroize::Zeroizing;

use usher_audit::ChainReport;

/// The answer to an operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Done {
        /// Live connections that were ended by it.
        connections_ended: usize,
    },
    /// A user's sessions have ended.
    SessionsEnded {
        /// Those that had not ended before.
        sessions: usize,
        /// Live connections that were ended by it, with sessions or without.
        connections: usize,
        /// Other issuers' tokens are refused if they were issued no more than so many seconds after the revocation; `None` where there is
        /// no other issuer.
        #[serde(default)]
        leeway_seconds: Option<u64>,
    },
    /// Users.
    Users {
        /// In the order of their ids.
        users: Vec<UserRow>,
    },
    /// Banned users.
    BannedUsers {
        /// In the order of their ids.
        users: Vec<BannedRow>,
    },
    /// A new API key.
    KeyMade {
        /// Its public name.
        id: ApiKeyId,
        /// The key, shown this once.
        key: NewKey,
    },
    /// API keys.
    Keys {
        /// In the order of their ids.
        keys: Vec<KeyRow>,
    },
    /// Sessions.
    Sessions {
        /// In the order of their ids.
        sessions: Vec<SessionRow>,
    },
    /// Audit records, as they were written.
    AuditLines {
        /// In their order.
        lines: Vec<String>,
    },
    /// Whether the audit trail is as it was written.
    AuditVerified {
        /// One for each sink that keeps records.
        chains: Vec<ChainReport>,
    },
    /// A decision and why it is so.
    Explained(Explained),
}

/// A user, for a list. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// The id.
    pub id: UserId,
    /// For people to read.
    pub name: String,
    /// Sorted.
    pub roles: Vec<Role>,
    /// Whether they are let in by nothing.
    pub disabled: bool,
    /// When they were added.
    pub created_at: i64,
}

/// A banned user, for a list. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BannedRow {
    /// The id.
    pub id: UserId,
    /// When the user was banned.
    pub banned_at: i64,
}

/// An API key, for a list. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The public name.
    pub id: ApiKeyId,
    /// Whose.
    pub user: UserId,
    /// What its owner calls it.
    pub label: String,
    /// When it was made.
    pub created_at: i64,
    /// When it stops working.
    pub expires_at: Option<i64>,
}

/// A session, for a list. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The public name.
    pub id: SessionId,
    /// When the log-in was.
    pub created_at: i64,
    /// Last use that counts.
    pub last_seen_at: i64,
    /// When it ends if it is not used again.
    pub expires_at: i64,
    /// Where the log-in came from.
    pub client_ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
}

/// Why somebody may or may not do something in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The decision.
    pub allowed: bool,
    /// The room's name in its one form.
    pub room: String,
    /// The roles that were reckoned with.
    pub roles: Vec<Role>,
    /// The steps to the decision, in order.
    pub lines: Vec<String>,
}

/// A new API key, to be shown once. It is serialised for the control socket and never printed by accident.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct NewKey(pub Zeroizing<String>);

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKey(…)")
    }
}
