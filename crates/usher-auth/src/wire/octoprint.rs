//! What OctoPrint's clients are told: objects with one member each, which is the event's name and its payload. Every member of a
//! message is an event of its own to them, so nothing else may stand beside it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::UserRef;
use crate::close_code::Reconnect;
use crate::revocation::RevocationCause;

/// The OctoPrint whose conventions these are. Clients compare it: dotted numbers and nothing else.
pub const OCTOPRINT_VERSION: &str = "1.11.8";
/// What clients compare over reconnects to see whether they must be loaded anew: never.
const UNCHANGING: &str = "usher";

/// An event for OctoPrint's clients. Times are Unix seconds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OctoPrintEvent<'a> {
    /// The first message, before anybody is in, and only once: clients log in because of it.
    Connected(Connected),
    /// The sender is let in. OctoPrint says nothing of the kind; its clients pass it over.
    Authenticated(Authenticated<'a>),
    /// What OctoPrint's clients take for success: the state of a printer that is not there.
    History(History),
    /// The credential in the last `auth` was not good, or what let the sender in is over.
    ReauthRequired {
        /// Why.
        reason: ReauthReason,
    },
    /// The credential ends soon.
    #[serde(rename = "reauth_required")]
    ReauthSoon {
        /// When it ends.
        expires_at: i64,
        /// When a new one must have come.
        deadline: i64,
    },
    /// Something the client sent was wrong.
    Error {
        /// For people to read.
        error: &'a str,
        /// Stable.
        code: &'a str,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    },
    /// Something the client sent was taken for what it means, and should be written otherwise.
    Notice {
        /// For people to read.
        notice: &'a str,
        /// Stable.
        code: &'a str,
    },
    /// The server is about to close.
    Bye {
        /// The close code that follows.
        code: u16,
        /// The close reason that follows.
        reason: &'a str,
        /// Whether to come back.
        reconnect: Reconnect,
        /// Not before that many milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// Why OctoPrint's clients must log in again: the reasons they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReauthReason {
    /// A wrong key, or one that has ended.
    Stale,
    /// The session was ended.
    Logout,
    /// The user is gone.
    Removed,
    /// The user's rights or password changed.
    Modified,
}

impl From<RevocationCause> for ReauthReason {
    fn from(cause: RevocationCause) -> Self {
        match cause {
            RevocationCause::Logout
            | RevocationCause::LogoutEverywhere
            | RevocationCause::KeyRevoked
            | RevocationCause::Administrator
            | RevocationCause::RefreshReuse
            | RevocationCause::SessionLimit => Self::Logout,
            RevocationCause::UserDeleted | RevocationCause::UserDisabled | RevocationCause::UserBanned => Self::Removed,
            RevocationCause::PasswordChanged | RevocationCause::RolesChanged => Self::Modified,
        }
    }
}

/// Who serves. What is not ours to say is empty, and never missing: clients read all of it.
#[derive(Clone, Debug, Serialize)]
pub struct Connected {
    version: &'static str,
    display_version: &'static str,
    branch: Option<()>,
    python_version: &'static str,
    plugin_hash: &'static str,
    config_hash: &'static str,
    debug: bool,
    safe_mode: bool,
    online: bool,
    permissions: [(); 0],
}

impl Default for Connected {
    fn default() -> Self {
        Self {
            version: OCTOPRINT_VERSION,
            display_version: concat!("Usher ", env!("CARGO_PKG_VERSION")),
            branch: None,
            python_version: "",
            plugin_hash: UNCHANGING,
            config_hash: UNCHANGING,
            debug: false,
            safe_mode: false,
            online: true,
            permissions: [],
        }
    }
}

/// Who was let in, how and until when.
#[derive(Clone, Debug, Serialize)]
pub struct Authenticated<'a> {
    /// Who.
    pub user: UserRef<'a>,
    /// The connection's id.
    pub connection: String,
    /// How they presented the credential; `null` for anonymous visitors.
    pub carrier: Option<&'a str>,
    /// When it ends; `null` is never.
    pub expires_at: Option<i64>,
    /// What the application adds.
    #[serde(flatten)]
    pub answer: &'a Map<String, Value>,
}

/// The state of no printer at all: every object that clients look into is there and empty.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    state: State,
    job: Nothing,
    current_z: Option<()>,
    progress: Nothing,
    offsets: Nothing,
    resends: Nothing,
    temps: [(); 0],
    logs: [(); 0],
    messages: [(); 0],
    markings: [(); 0],
    server_time: i64,
}

#[derive(Clone, Debug, Serialize)]
struct State {
    text: &'static str,
    flags: Nothing,
}

#[derive(Clone, Debug, Serialize)]
struct Nothing {}

impl History {
    /// As of `server_time`, in Unix seconds.
    pub fn at(server_time: i64) -> Self {
        Self {
            state: State { text: "Offline", flags: Nothing {} },
            job: Nothing {},
            current_z: None,
            progress: Nothing {},
            offsets: Nothing {},
            resends: Nothing {},
            temps: [],
            logs: [],
            messages: [],
            markings: [],
            server_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_an_object_with_one_member_of_the_name_that_clients_know() {
        for (event, name) in [
            (OctoPrintEvent::Connected(Connected::default()), "connected"),
            (OctoPrintEvent::History(History::at(7)), "history"),
            (OctoPrintEvent::ReauthRequired { reason: ReauthReason::Stale }, "reauthRequired"),
            (OctoPrintEvent::ReauthSoon { expires_at: 1, deadline: 1 }, "reauth_required"),
            (OctoPrintEvent::Error { error: "e", code: "c", hint: None }, "error"),
            (OctoPrintEvent::Notice { notice: "n", code: "c" }, "notice"),
        ] {
            let json = serde_json::to_value(&event).expect("JSON");
            let members: Vec<&String> = json.as_object().expect("an object").keys().collect();
            assert_eq!(members, [name]);
        }
        let reason = OctoPrintEvent::ReauthRequired { reason: RevocationCause::UserDeleted.into() };
        assert_eq!(serde_json::to_string(&reason).expect("JSON"), r#"{"reauthRequired":{"reason":"removed"}}"#);
    }
}
