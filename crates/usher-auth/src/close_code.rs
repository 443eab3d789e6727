//! Why a connection ends, and the close code that says so: one cause, one code, in three profiles.
//!
//! Sources: RFC 6455 §7.4 for what may be sent at all, the IANA registry for 3000, 3003 and 3008, and the two conventions that
//! applications already ship for the others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest close reason, in bytes of UTF-8 (RFC 6455 §5.5: 125 bytes less the code).
pub const MAX_REASON_BYTES: usize = 123;

/// Everything that ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloseCause {
    /// The client left.
    ClientLeft,
    /// The server goes away for good.
    GoingAway,
    /// The server restarts and drains its connections.
    Draining,
    /// A frame that RFC 6455 forbids.
    ProtocolError,
    /// A binary frame where JSON text is spoken.
    UnsupportedData,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A message that is not framed as the endpoint frames them.
    Malformed,
    /// A message over the limit.
    MessageTooBig,
    /// The credential is missing or invalid.
    Unauthorized,
    /// The session or token has expired.
    Expired,
    /// Verified, but not allowed here.
    Forbidden,
    /// Revoked, logged out, disabled.
    Revoked,
    /// No credential came in time.
    AuthenticationTimeout,
    /// Over a rate or a number.
    TooMany,
    /// The client reads more slowly than it is written to.
    SlowConsumer,
    /// The client no longer answers.
    PingTimeout,
    /// The upstream behind the gateway is gone.
    UpstreamLost,
    /// The application ended it, with a code and a reason of its own.
    Application,
    /// An error of ours.
    Internal,
}

/// What a client should do after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reconnect {
    /// It would be refused again.
    No,
    /// With a new credential.
    Renew,
    /// Yes, backing off (or after `retry_after_ms`, where given).
    Yes,
}

/// A named set of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloseProfile {
    /// 4001 Unauthorized, 4002 Session expired, 4003 Forbidden, and 40xx for the rest.
    #[default]
    Usher,
    /// 1008 for a missing or invalid token, 4001 expired, 4003 forbidden.
    Policy,
    /// 3000, 3003 and 3008 as registered with IANA.
    Iana,
}

/// The codes a route closes with: a profile, and single codes put in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseCodes {
    profile: CloseProfile,
    overrides: BTreeMap<CloseCause, u16>,
}

/// A code that must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is not a close code that may be sent: allowed are 1000-1003, 1007-1014 and 3000-4999 (RFC 6455 section 7.4)"
)]
pub struct ForbiddenCode(pub u16);

/// Whether RFC 6455 §7.4 and the IANA registry let an endpoint send `code` (req A6).
pub const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

impl CloseCause {
    /// Every cause.
    pub const ALL: [Self; 19] = [
        Self::ClientLeft,
        Self::GoingAway,
        Self::Draining,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::InvalidUtf8,
        Self::Malformed,
        Self::MessageTooBig,
        Self::Unauthorized,
        Self::Expired,
        Self::Forbidden,
        Self::Revoked,
        Self::AuthenticationTimeout,
        Self::TooMany,
        Self::SlowConsumer,
        Self::PingTimeout,
        Self::UpstreamLost,
        Self::Application,
        Self::Internal,
    ];

    /// The reason sent when nothing more exact is known. Never holds internals.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ClientLeft | Self::Application => "",
            Self::GoingAway => "Going away",
            Self::Draining => "Server restarting",
            Self::ProtocolError => "Protocol error",
            Self::UnsupportedData => "Text frames only",
            Self::InvalidUtf8 => "Text must be UTF-8",
            Self::Malformed => "Malformed message",
            Self::MessageTooBig => "Message too big",
            Self::Unauthorized => "Unauthorized",
            Self::Expired => "Session expired",
            Self::Forbidden => "Forbidden",
            Self::Revoked => "Session ended",
            Self::AuthenticationTimeout => "Authentication timeout",
            Self::TooMany => "Too many",
            Self::SlowConsumer => "Slow consumer",
            Self::PingTimeout => "Ping timeout",
            Self::UpstreamLost => "Upstream lost",
            Self::Internal => "Internal error",
        }
    }

    /// Its stable name in `error` frames, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientLeft => "client_left",
            Self::GoingAway => "going_away",
            Self::Draining => "draining",
            Self::ProtocolError => "protocol_error",
            Self::UnsupportedData => "unsupported_data",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Malformed => "malformed",
            Self::MessageTooBig => "message_too_big",
            Self::Unauthorized => "unauthorized",
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::Revoked => "revoked",
            Self::AuthenticationTimeout => "authentication_timeout",
            Self::TooMany => "too_many",
            Self::SlowConsumer => "slow_consumer",
            Self::PingTimeout => "ping_timeout",
            Self::UpstreamLost => "upstream_lost",
            Self::Application => "application",
            Self::Internal => "internal",
        }
    }

    /// Whether it makes sense for the client to come back.
    pub const fn reconnect(self) -> Reconnect {
        match self {
            Self::Expired => Reconnect::Renew,
            Self::GoingAway
            | Self::Draining
            | Self::AuthenticationTimeout
            | Self::TooMany
            | Self::SlowConsumer
            | Self::PingTimeout
            | Self::UpstreamLost
            | Self::Application
            | Self::Internal => Reconnect::Yes,
            Self::ClientLeft
            | Self::ProtocolError
            | Self::UnsupportedData
            | Self::InvalidUtf8
            | Self::Malformed
            | Self::MessageTooBig
            | Self::Unauthorized
            | Self::Forbidden
            | Self::Revoked => Reconnect::No,
        }
    }

    const fn code(self, profile: CloseProfile) -> u16 {
        match (self, profile) {
            (Self::ClientLeft | Self::Application, _) => 1000,
            (Self::GoingAway, _) => 1001,
            (Self::Draining, _) => 1012,
            (Self::ProtocolError, _) => 1002,
            (Self::UnsupportedData, _) => 1003,
            (Self::InvalidUtf8 | Self::Malformed, _) => 1007,
            (Self::MessageTooBig, _) => 1009,
            (Self::UpstreamLost, _) => 1014,
            (Self::Internal, _) => 1011,

            (Self::Unauthorized, CloseProfile::Usher) => 4001,
            (Self::Expired, CloseProfile::Usher) => 4002,
            (Self::Forbidden, CloseProfile::Usher) => 4003,
            (Self::Revoked, CloseProfile::Usher) => 4004,
            (Self::AuthenticationTimeout, CloseProfile::Usher) => 4008,
            (Self::TooMany, CloseProfile::Usher) => 4029,
            (Self::SlowConsumer, CloseProfile::Usher) => 4010,
            (Self::PingTimeout, CloseProfile::Usher) => 4011,

            (Self::Expired, CloseProfile::Policy) => 4001,
            (Self::Forbidden, CloseProfile::Policy) => 4003,
            (Self::PingTimeout, CloseProfile::Policy | CloseProfile::Iana) => 1001,
            (
                Self::Unauthorized | Self::Revoked | Self::AuthenticationTimeout | Self::TooMany | Self::SlowConsumer,
                CloseProfile::Policy,
            ) => 1008,

            (Self::Unauthorized | Self::Expired | Self::Revoked, CloseProfile::Iana) => 3000,
            (Self::Forbidden, CloseProfile::Iana) => 3003,
            (Self::AuthenticationTimeout, CloseProfile::Iana) => 3008,
            (Self::TooMany | Self::SlowConsumer, CloseProfile::Iana) => 1013,
        }
    }
}

/// How an application ends a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationClose {
    code: u16,
    reason: Cow<'static, str>,
}

impl ApplicationClose {
    /// With that code, and that reason, of which at most [`MAX_REASON_BYTES`] are sent.
    ///
    /// # Errors
    /// If the code must not be sent (RFC 6455 §7.4).
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Result<Self, ForbiddenCode> {
        if !may_be_sent(code) {
            return Err(ForbiddenCode(code));
        }
        let mut reason = reason.into();
        if reason.len() > MAX_REASON_BYTES {
            let cut = reason.floor_char_boundary(MAX_REASON_BYTES);
            reason.to_mut().truncate(cut);
        }
        Ok(Self { code, reason })
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl CloseCodes {
    /// The codes of `profile` with `overrides` put in their place; refuses codes that must not be sent.
    pub fn new(profile: CloseProfile, overrides: BTreeMap<CloseCause, u16>) -> Result<Self, ForbiddenCode> {
        match overrides.values().find(|code| !may_be_sent(**code)) {
            Some(code) => Err(ForbiddenCode(*code)),
            None => Ok(Self { profile, overrides }),
        }
    }

    /// The code for `cause`.
    pub fn code(&self, cause: CloseCause) -> u16 {
        self.overrides.get(&cause).copied().unwrap_or_else(|| cause.code(self.profile))
    }
}

impl From<CloseProfile> for CloseCodes {
    fn from(profile: CloseProfile) -> Self {
        Self { profile, overrides: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_may_be_sent_and_every_reason_fits() {
        // req A6, H10
        for cause in CloseCause::ALL {
            assert!(cause.reason().len() <= MAX_REASON_BYTES);
            for profile in [CloseProfile::Usher, CloseProfile::Policy, CloseProfile::Iana] {
                assert!(may_be_sent(CloseCodes::from(profile).code(cause)), "{cause:?} in {profile:?}");
            }
        }
    }

    #[test]
    fn the_table_of_the_contract() {
        // req H10
        let table = [
            (CloseCause::Unauthorized, 4001, 1008, 3000),
            (CloseCause::Expired, 4002, 4001, 3000),
            (CloseCause::Forbidden, 4003, 4003, 3003),
            (CloseCause::Revoked, 4004, 1008, 3000),
            (CloseCause::AuthenticationTimeout, 4008, 1008, 3008),
            (CloseCause::TooMany, 4029, 1008, 1013),
            (CloseCause::SlowConsumer, 4010, 1008, 1013),
            (CloseCause::PingTimeout, 4011, 1001, 1001),
            (CloseCause::MessageTooBig, 1009, 1009, 1009),
            (CloseCause::Draining, 1012, 1012, 1012),
            (CloseCause::UpstreamLost, 1014, 1014, 1014),
            (CloseCause::Internal, 1011, 1011, 1011),
        ];
        for (cause, usher, policy, iana) in table {
            let codes = [CloseProfile::Usher, CloseProfile::Policy, CloseProfile::Iana]
                .map(|p| CloseCodes::from(p).code(cause));
            assert_eq!(codes, [usher, policy, iana], "{cause:?}");
        }
    }

    #[test]
    fn an_application_closes_with_what_may_be_sent() {
        // req A6
        let close = ApplicationClose::new(4100, "é".repeat(100)).expect("a code of its own");
        assert_eq!((close.code(), close.reason()), (4100, &*"é".repeat(61)));
        for code in [0, 1005, 1006, 1015, 2000, 5000] {
            assert_eq!(ApplicationClose::new(code, ""), Err(ForbiddenCode(code)));
        }
    }

    #[test]
    fn an_override_must_be_a_code_that_may_be_sent() {
        let with = |code| CloseCodes::new(CloseProfile::Usher, BTreeMap::from([(CloseCause::Forbidden, code)]));
        assert_eq!(with(4403).map(|codes| codes.code(CloseCause::Forbidden)), Ok(4403));
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert_eq!(with(code), Err(ForbiddenCode(code)));
        }
    }
}
