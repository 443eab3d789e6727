//! A session is remembered from its log-in on: its first connection asks the store nothing.

use std::sync::Arc;

use usher_auth::session::Session;
use usher_auth::user::User;
use usher_auth::{Now, UnixTime};

use super::SessionState;
use crate::session_memory::{Known, LookUp};

/// A log-in that has begun: what this process knew before the store was asked to start its session.
#[derive(Clone, Copy, Debug)]
pub struct BegunLogIn {
    look_up: LookUp,
    read_at: UnixTime,
}

impl SessionState {
    /// A log-in of `user` begins. To be called before the store is asked to start its session.
    pub fn begin_log_in(&self, user: &User, now: Now) -> BegunLogIn {
        BegunLogIn { look_up: self.shared.sessions.begin(), read_at: self.begin_reading(&user.id, now.unix) }
    }

    /// The store has started the session, and found the user as they are here. An event since the log-in began that is about one of them
    /// leaves nothing remembered.
    pub fn logged_in(&self, begun: BegunLogIn, session: &Session, user: &User, now: Now) {
        let known = Known { credential: session.clone(), user: Some(Arc::new(user.clone())), read_at: begun.read_at };
        self.shared.sessions.insert(begun.look_up, known, now.monotonic);
    }
}
