//! The operations, as data: what the command line asks for, and what travels over the control socket.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use usher_auth::ids::{ApiKeyId, Role, SessionId, UserId};
use usher_auth::room::RoomAction;
use zeroize::Zeroizing;

/// Most users in one answer.
pub const MAX_LIST: u32 = 1000;
/// Most audit records in one answer.
pub const MAX_TAIL: u32 = 10_000;

/// One operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Add a user.
    AddUser {
        /// Its id, without a colon.
        id: UserId,
        /// For people to read.
        name: String,
        /// What they may do; kept sorted.
        roles: Vec<Role>,
        /// What they log in with.
        password: NewPassword,
    },
    /// Users in the order of their ids.
    ListUsers {
        /// Those after this one.
        after: Option<UserId>,
        /// So many; at most [`MAX_LIST`].
        limit: u32,
    },
    /// Let a user in by nothing any more, and end what they have open.
    DisableUser {
        /// Whom.
        id: UserId,
    },
    /// Let a disabled user in again. They log in anew.
    EnableUser {
        /// Whom.
        id: UserId,
    },
    /// Remove a user with everything of theirs.
    RemoveUser {
        /// Whom.
        id: UserId,
    },
    /// Refuse every credential of another issuer's user, and close their connections.
    BanUser {
        /// The user's id.
        id: UserId,
    },
    /// Accept the credentials of a banned user again.
    UnbanUser {
        /// The user's id.
        id: UserId,
    },
    /// Banned users in the order of their ids.
    ListBanned {
        /// Those after this one.
        after: Option<UserId>,
        /// So many; at most [`MAX_LIST`].
        limit: u32,
    },
    /// Copy the store to a new file.
    BackUp {
        /// The new file's absolute path.
        to: PathBuf,
    },
    /// Set a user's password and end their sessions.
    SetPassword {
        /// Whose.
        id: UserId,
        /// The new one.
        password: NewPassword,
    },
    /// Set what a user may do. What they have open goes on with the new roles.
    SetRoles {
        /// Whose.
        id: UserId,
        /// All of them; those not listed are taken away.
        roles: Vec<Role>,
    },
    /// Make an API key.
    AddKey {
        /// Whose.
        user: UserId,
        /// What its owner calls it.
        label: String,
        /// How long it works, in seconds; without, until it is revoked.
        lifetime_seconds: Option<u64>,
    },
    /// API keys, without the keys themselves.
    ListKeys {
        /// One user's, or everybody's.
        user: Option<UserId>,
    },
    /// End an API key.
    RevokeKey {
        /// Which, by its public name.
        id: ApiKeyId,
    },
    /// A user's sessions.
    ListSessions {
        /// Whose.
        user: UserId,
    },
    /// End one session.
    RevokeSession {
        /// Which, by its public name.
        id: SessionId,
        /// For how long live connections may go on to bring another credential, in seconds.
        #[serde(default)]
        margin_seconds: Option<u64>,
    },
    /// End all of a user's sessions, and tokens of theirs from other issuers.
    RevokeSessionsOf {
        /// Whose.
        user: UserId,
        /// For how long live connections may go on to bring another credential, in seconds.
        #[serde(default)]
        margin_seconds: Option<u64>,
    },
    /// The last audit records.
    TailAudit {
        /// So many; at most [`MAX_TAIL`].
        limit: u32,
    },
    /// Whether the audit trail is as it was written.
    VerifyAudit {
        /// Rotated files of the first file sink, oldest first; absolute paths.
        rotated: Vec<PathBuf>,
    },
    /// Why somebody may or may not do something in a room.
    Explain {
        /// Who.
        user: UserId,
        /// Roles beside those we know of: what a token would say.
        roles: Vec<Role>,
        /// Claims that a token would have.
        claims: BTreeMap<String, Vec<String>>,
        /// The room.
        room: String,
        /// What they would do there.
        action: ExplainedAction,
    },
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ExplainedAction {
    /// Enter and listen.
    Join,
    /// Send to the others.
    Publish,
    /// Show that one is typing.
    Typing,
}

impl From<ExplainedAction> for RoomAction {
    fn from(action: ExplainedAction) -> Self {
        match action {
            ExplainedAction::Join => Self::Join,
            ExplainedAction::Publish => Self::Publish,
            ExplainedAction::Typing => Self::Typing,
        }
    }
}

/// A password on its way to being hashed. It is serialised for the control socket, which its owner alone can read, and never
/// printed.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct NewPassword(pub Zeroizing<String>);

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}
