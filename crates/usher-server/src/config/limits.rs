//! `[limits]`: how much of everything, and what happens beyond.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_auth::route::{HEARTBEAT, MAX_MESSAGE_BYTES};
use usher_auth::throttle::AttemptRate;
use usher_axum::{FailureLimits, LoginLimits, OUTBOUND_LIMIT, WaitingLimits};
use usher_store::TicketBounds;

use super::resolver::Resolver;
use super::units::{ByteSize, Rate, TimeSpan};

/// Largest that a message may be allowed to be: each connection may have to hold one.
const MAX_MESSAGE: ByteSize = ByteSize(16 << 20);
/// Smallest: our own frames must fit.
const MIN_MESSAGE: ByteSize = ByteSize(1 << 10);

/// Shortest heartbeat: each is a packet for each silent client.
const MIN_HEARTBEAT: TimeSpan = TimeSpan::seconds(1);
/// Longest: a client that is gone keeps its place for twice that.
const MAX_HEARTBEAT: TimeSpan = TimeSpan::seconds(3600);

/// How much of everything there may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Sockets on which nobody has authenticated yet. They have a budget of their own and never crowd out users.
    pub waiting: Waiting,
    /// Sockets that were let in as anonymous, where a route says so. One more is refused.
    pub anonymous: Waiting,
    /// Open connections of one user, and of one session. One more is refused.
    pub connections: Connections,
    /// What one user may hold.
    pub per_user: PerUser,
    /// Largest message of an authenticated client; a larger one closes with 1009. 1KiB to 16MiB.
    pub message: ByteSize,
    /// How often a client may send; beyond, it is closed as too many.
    pub messages: Rate,
    /// Rooms that one connection may be in.
    #[schemars(range(min = 1))]
    pub rooms_per_connection: usize,
    /// Most that may be queued for one client; one that reads more slowly is closed as a slow consumer.
    pub outbound: ByteSize,
    /// How long a client may be silent before it is pinged; after twice that without a sign of life it is gone. Browsers answer pings
    /// themselves, also for a tab in the background. 1s to 1h.
    pub heartbeat: TimeSpan,
    /// How often credentials may fail before more attempts have to wait. Good credentials cost nothing.
    pub failures: Failures,
    /// How often users may log in with a password, which costs a hash and a session each time. More are answered with 429.
    pub logins: Logins,
}

/// Sockets of nobody in particular.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Waiting {
    /// In all.
    #[schemars(range(min = 1))]
    pub total: usize,
    /// From one address (for IPv6, one /64).
    #[schemars(range(min = 1))]
    pub per_ip: usize,
}

/// Open connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Of one user.
    #[schemars(range(min = 1))]
    pub per_user: usize,
    /// Of one session.
    #[schemars(range(min = 1))]
    pub per_session: usize,
}

/// What one user may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PerUser {
    /// Sessions. When one more begins, the oldest ends, with its connections.
    #[schemars(range(min = 1))]
    pub sessions: usize,
    /// Tickets that were bought and not yet used. One more is refused with 429.
    #[schemars(range(min = 1))]
    pub tickets: usize,
    /// API keys. One more is refused.
    #[schemars(range(min = 1))]
    pub api_keys: usize,
}

/// Failed credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Failures {
    /// On one account. An account stays open to sources it was used from before.
    pub per_account: Rate,
    /// From one address (for IPv6, one /64).
    pub per_source: Rate,
}

/// Log-ins that succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logins {
    /// On one account.
    pub per_account: Rate,
    /// From one address (for IPv6, one /64).
    pub per_source: Rate,
}

/// `[limits]`, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Sockets that wait for a first message.
    pub waiting: WaitingLimits,
    /// Sockets that were let in as anonymous.
    pub anonymous: WaitingLimits,
    /// Most connections of one user.
    pub connections_per_user: usize,
    /// Most connections of one session.
    pub connections_per_session: usize,
    /// What one user may hold.
    pub per_user: PerUser,
    /// Largest message, in bytes.
    pub message_bytes: usize,
    /// How often a client may send.
    pub messages: Rate,
    /// Most rooms of one connection.
    pub rooms_per_connection: usize,
    /// Most bytes queued for one client.
    pub outbound_bytes: usize,
    /// How long a client may be silent before it is pinged.
    pub heartbeat: Duration,
    /// How often credentials may fail.
    pub failures: FailureLimits,
    /// How often users may log in.
    pub logins: LoginLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting: Waiting::default(),
            anonymous: Waiting::default(),
            connections: Connections::default(),
            per_user: PerUser::default(),
            message: ByteSize(MAX_MESSAGE_BYTES),
            messages: Rate { count: 100, per: Duration::from_secs(1), burst: 200 },
            rooms_per_connection: 128,
            outbound: ByteSize(OUTBOUND_LIMIT),
            heartbeat: TimeSpan(HEARTBEAT),
            failures: Failures::default(),
            logins: Logins::default(),
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        let WaitingLimits { total, per_ip } = WaitingLimits::default();
        Self { total, per_ip }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self { per_user: 200, per_session: 100 }
    }
}

impl Default for PerUser {
    fn default() -> Self {
        Self { sessions: 100, tickets: TicketBounds::default().per_user, api_keys: 50 }
    }
}

impl Default for Failures {
    fn default() -> Self {
        let FailureLimits { per_account, per_source } = FailureLimits::default();
        Self { per_account: written(per_account), per_source: written(per_source) }
    }
}

impl Default for Logins {
    fn default() -> Self {
        let LoginLimits { per_account, per_source } = LoginLimits::default();
        Self { per_account: written(per_account), per_source: written(per_source) }
    }
}

impl Limits {
    pub(super) fn resolve(&self, resolver: &mut Resolver<'_>) -> LimitSettings {
        if !(MIN_MESSAGE..=MAX_MESSAGE).contains(&self.message) {
            let advice = format!("write {MIN_MESSAGE} to {MAX_MESSAGE}");
            resolver.problem("limits.message", format!("{} is out of range", self.message), advice);
        }
        if self.outbound < self.message {
            let reason = format!(
                "{} is less than limits.message ({}): such a message could reach nobody",
                self.outbound, self.message
            );
            resolver.problem("limits.outbound", reason, "make it several times as large");
        }
        if !(MIN_HEARTBEAT..=MAX_HEARTBEAT).contains(&self.heartbeat) {
            let advice = format!("write {MIN_HEARTBEAT} to {MAX_HEARTBEAT}");
            resolver.problem("limits.heartbeat", format!("{} is out of range", self.heartbeat), advice);
        }
        LimitSettings {
            waiting: WaitingLimits { total: self.waiting.total, per_ip: self.waiting.per_ip },
            anonymous: WaitingLimits { total: self.anonymous.total, per_ip: self.anonymous.per_ip },
            connections_per_user: self.connections.per_user,
            connections_per_session: self.connections.per_session,
            per_user: self.per_user,
            message_bytes: self.message.0,
            messages: self.messages,
            rooms_per_connection: self.rooms_per_connection,
            outbound_bytes: self.outbound.0,
            heartbeat: self.heartbeat.0,
            failures: FailureLimits {
                per_account: attempt_rate("limits.failures.per_account", self.failures.per_account, resolver),
                per_source: attempt_rate("limits.failures.per_source", self.failures.per_source, resolver),
            },
            logins: LoginLimits {
                per_account: attempt_rate("limits.logins.per_account", self.logins.per_account, resolver),
                per_source: attempt_rate("limits.logins.per_source", self.logins.per_source, resolver),
            },
        }
    }
}

fn written(rate: AttemptRate) -> Rate {
    Rate { count: rate.attempts, per: rate.per, burst: rate.attempts }
}

fn attempt_rate(key: &str, rate: Rate, resolver: &mut Resolver<'_>) -> AttemptRate {
    if rate.burst != rate.count {
        resolver.problem(key, "takes no burst: as many attempts as the rate says may come at once", "leave it out");
    }
    AttemptRate { attempts: rate.count, per: rate.per }
}
