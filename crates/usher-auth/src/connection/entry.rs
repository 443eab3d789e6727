//! Where a credential came from that is being decided about, and how long its client may still take.

use std::time::Duration;

use crate::close_code::CloseCause;
use crate::credential::Carrier;
use crate::route::RouteRules;
use crate::time::Now;
use crate::wire::FrameId;

/// Where a credential came from that is being decided about.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// The upgrade request: there is no socket yet.
    Upgrade {
        /// `None`: none was presented, and the route lets anonymous users in.
        carrier: Option<Carrier>,
        browser: bool,
    },
    /// A message of a waiting socket.
    Message { wait: Wait, id: Option<FrameId> },
}

impl Entry {
    pub(super) fn wait(&self) -> Option<Wait> {
        match self {
            Self::Upgrade { .. } => None,
            Self::Message { wait, .. } => Some(*wait),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.wait().map(|wait| wait.deadline)
    }
}

/// A wait for a credential in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Nothing extends it (req E1).
    pub(super) deadline: Duration,
    /// So many credentials may be presented still; after the last refused one the connection ends.
    pub(super) attempts: u8,
    /// The connection was authenticated before, and this ended it.
    pub(super) after: Option<CloseCause>,
}

impl Wait {
    pub(super) fn for_first_message(rules: &RouteRules, now: Now) -> Self {
        let attempts = rules.protocol.attempts();
        Self { deadline: now.monotonic + rules.first_message.timeout, attempts, after: None }
    }
}
