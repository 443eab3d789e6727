//! What others leave for a connection's task to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use usher_auth::UnixTime;
use usher_auth::close_code::{ApplicationClose, CloseCause};
use usher_auth::connection::SessionRenewal;
use usher_auth::ids::SessionId;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::RouteRules;
use usher_auth::user::User;

/// What a connection's task must do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// The credential was revoked.
    Revoked {
        /// Why.
        cause: RevocationCause,
        /// When it was ordered, on the monotonic clock.
        ordered_at: Duration,
    },
    /// End for another cause.
    End(CloseCause, Option<Duration>),
    /// End as the application says.
    Close(Box<ApplicationClose>),
    /// Take in what changed.
    Amend(Box<Amendments>),
}

/// What changed about a connection from elsewhere. Of each kind the last one counts, so that any number of changes takes one place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Amendments {
    /// The credential was revoked, with a margin to bring another.
    pub(crate) margin: Option<(Duration, RevocationCause)>,
    /// The routes, and perhaps the rooms, have other rules.
    pub(crate) routes: Option<Arc<RouteTable>>,
    /// The session was used, and ends then.
    pub(crate) session_used: Option<(SessionId, UnixTime)>,
    /// The user was changed, and read again then.
    pub(crate) user: Option<(Arc<User>, UnixTime)>,
    /// The session was proved anew.
    pub(crate) session_renewed: Option<Arc<SessionRenewal>>,
}

/// The rules of every route, by path.
pub type RouteTable = BTreeMap<String, Arc<RouteRules>>;

/// One change of a connection, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change(u32);

impl Change {
    /// The one of that number.
    pub(crate) fn number(number: u32) -> Self {
        Self(number)
    }

    /// Whether it is one of the first so many.
    pub(crate) fn is_among(self, first: u32) -> bool {
        self.0 <= first
    }
}
