//! What one WebSocket route asks of those who come: which carriers it takes, from which Origins, and how it refuses.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::close_code::CloseCodes;
use crate::credential::{Carrier, CarrierSet};
use crate::ids::ConnectionId;
use crate::origin::{AllowedOrigins, RequestOrigin};
use crate::protocol::{Protocol, Transparent};

/// The rules of one route, resolved: nothing in here is optional any more.
#[derive(Clone, Debug)]
pub struct RouteRules {
    /// Where it is, such as `/ws`.
    pub path: String,
    /// The carriers it takes.
    pub carriers: CarrierSet,
    /// Whether it lets people in who present nothing.
    pub anonymous: bool,
    /// The pages whose visitors' cookies count.
    pub origins: AllowedOrigins,
    /// Name of the session cookie.
    pub cookie_name: String,
    /// Longest life of a connection, whatever the credential says.
    pub max_age: Option<Duration>,
    /// The wait for a first message.
    pub first_message: FirstMessageRules,
    /// How a refusal is shown.
    pub refuse: RefuseMode,
    /// The codes it closes with.
    pub close_codes: CloseCodes,
    /// When a client is asked for a new credential.
    pub reauth: ReauthRules,
    /// How long a client may be silent before it is pinged; after twice that it is gone. `None`: it is never asked.
    pub heartbeat: Option<Duration>,
    /// Largest message once authenticated, in bytes; larger ones close with 1009.
    pub max_message_bytes: usize,
    /// What is spoken over its connections.
    pub protocol: Arc<dyn Protocol>,
}

/// The wait for a first message, and how much of it may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstMessageRules {
    /// From the 101 to a verified credential; nothing extends it (req E1).
    pub timeout: Duration,
    /// Largest first message, in bytes, checked on the frame's header (req E2).
    pub max_bytes: usize,
}

impl Default for FirstMessageRules {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), max_bytes: 8 * 1024 }
    }
}

/// When a client is asked for a new credential: that long before its own ends, and half of its life at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReauthRules {
    /// At least; zero is never.
    pub lead: Duration,
    /// Up to so much more, by connection, so that those who logged in together do not all come back at once.
    pub jitter: Duration,
}

impl Default for ReauthRules {
    fn default() -> Self {
        Self { lead: Duration::from_mins(1), jitter: Duration::from_secs(30) }
    }
}

impl ReauthRules {
    /// The lead of one connection. Its id is random, which is all that is asked of jitter.
    pub(crate) fn lead_of(&self, id: ConnectionId) -> Duration {
        if self.lead.is_zero() { Duration::ZERO } else { self.lead + self.jitter.mul_f64(id.fraction()) }
    }
}

/// How long a client may be silent before it is pinged, where nothing else is set.
pub const HEARTBEAT: Duration = Duration::from_secs(25);
/// Largest message, where nothing else is set.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Name of the session cookie, where nothing else is set.
const COOKIE_NAME: &str = "usher";

impl RouteRules {
    /// A route at `/` that speaks `protocol`, with a default for everything else: a credential in the `Authorization` header or in the protocol's own
    /// message, no anonymous users, and no page whose cookies count.
    pub fn speaking(protocol: Arc<dyn Protocol>) -> Self {
        Self {
            path: "/".to_owned(),
            carriers: [Carrier::Header, protocol.carrier()].into_iter().collect(),
            anonymous: false,
            origins: AllowedOrigins::default(),
            cookie_name: COOKIE_NAME.to_owned(),
            max_age: None,
            first_message: FirstMessageRules::default(),
            refuse: RefuseMode::default(),
            close_codes: CloseCodes::default(),
            reauth: ReauthRules::default(),
            heartbeat: Some(HEARTBEAT),
            max_message_bytes: MAX_MESSAGE_BYTES,
            protocol,
        }
    }

    /// The same, over which text and binary messages pass as they are.
    pub fn transparent() -> Self {
        Self::speaking(Arc::new(Transparent))
    }

    /// Whether somebody who came with `carrier` (`None`: as anonymous) from a page of `origin` may be here.
    pub fn would_admit(&self, carrier: Option<Carrier>, origin: Option<&str>) -> bool {
        match carrier {
            None => self.anonymous,
            Some(Carrier::Cookie) => {
                self.carriers.contains(Carrier::Cookie)
                    && self.origins.allow(origin.map_or(RequestOrigin::Absent, RequestOrigin::One))
            }
            Some(carrier) => self.carriers.contains(carrier),
        }
    }

    /// The carrier that a credential in a message counts as, if the route takes one.
    pub fn message_carrier(&self) -> Option<Carrier> {
        Some(self.protocol.carrier()).filter(|carrier| self.carriers.contains(*carrier))
    }

    /// Whether a socket may wait for a first message here.
    pub fn would_await(&self) -> bool {
        self.message_carrier().is_some()
    }
}

/// How a refusal at the upgrade is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefuseMode {
    /// To a browser (a request with an `Origin`) by accepting and closing, because it could not read an HTTP answer; to others over
    /// HTTP. A failed Origin rule and a bad ticket are always HTTP.
    #[default]
    Auto,
    /// Always an HTTP status and problem document.
    Http,
    /// Always accept, then `error`, `bye` and the close code.
    Close,
}
