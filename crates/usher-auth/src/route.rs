//! What one WebSocket route asks of those who come: which carriers it takes, from which Origins, and how it refuses.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::carriers::CarrierSet;
use crate::close_code::CloseCodes;
use crate::origin::AllowedOrigins;

/// The one subprotocol our frames are spoken in.
pub const SUBPROTOCOL: &str = "usher.v1";

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
    /// Largest message once authenticated, in bytes; larger ones close with 1009.
    pub max_message_bytes: usize,
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
