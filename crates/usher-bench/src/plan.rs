//! How much is measured: in full, quickly, or only to see that it works.

use std::time::Duration;

use crate::measure::{ECHO_CONNECTIONS, GROWTH_CONNECTS};

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    /// Runs of ours and of the floor, one after the other.
    pub(crate) rounds: usize,
    /// Runs of everybody else.
    pub(crate) peer_rounds: usize,
    /// The same where it takes them minutes: thousands of clients, at some hundred a second.
    pub(crate) peer_rounds_of_many: usize,
    /// Runs of `idle`, which hangs less on the moment than CPU time does.
    pub(crate) idle_rounds: usize,
    /// Connections of one run of `connect`.
    pub(crate) connects: usize,
    pub(crate) connects_of_peers: usize,
    /// Sessions of local users in `connect`: each takes a log-in, which hashes a password.
    pub(crate) sessions: usize,
    /// Usher's heartbeat in `idle`, so that every connection has had one before its memory is looked at.
    pub(crate) heartbeat: Duration,
    pub(crate) idle: Vec<usize>,
    pub(crate) idle_of_sockjs: usize,
    pub(crate) idle_of_peers: usize,
    pub(crate) members: Vec<usize>,
    pub(crate) members_of_peers: Vec<usize>,
    /// How long one mode of `fan-out` or `echo` goes on.
    pub(crate) window: Duration,
    /// How long latencies are taken for.
    pub(crate) latency_for: Duration,
    /// Of `revoke`, `storm`, `expiry` and `waiting`.
    pub(crate) crowd: usize,
    pub(crate) revoked_singly: usize,
    pub(crate) growth: Vec<usize>,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            quick: false,
            rounds: 3,
            peer_rounds: 2,
            peer_rounds_of_many: 1,
            idle_rounds: 3,
            connects: 3_000,
            connects_of_peers: 1_500,
            sessions: 1_000,
            heartbeat: Duration::from_secs(5),
            idle: vec![1_000, 5_000, 18_000],
            idle_of_sockjs: 5_000,
            idle_of_peers: 5_000,
            members: vec![100, 1_000, 10_000],
            members_of_peers: vec![100, 1_000, 10_000],
            window: Duration::from_secs(1),
            latency_for: Duration::from_millis(1_500),
            crowd: 10_000,
            revoked_singly: 50,
            growth: vec![1_000, 5_000, 18_000],
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            quick: true,
            rounds: 2,
            peer_rounds: 1,
            peer_rounds_of_many: 1,
            idle_rounds: 1,
            connects: 1_500,
            connects_of_peers: 1_000,
            sessions: 300,
            heartbeat: Duration::from_secs(5),
            idle: vec![1_000, 5_000],
            idle_of_sockjs: 1_000,
            idle_of_peers: 1_000,
            members: vec![100, 1_000],
            members_of_peers: vec![1_000],
            window: Duration::from_millis(700),
            latency_for: Duration::from_secs(1),
            crowd: 2_000,
            revoked_singly: 20,
            growth: vec![1_000, 5_000],
        }
    }

    /// Most connections that are open at once.
    pub(crate) fn most_connections(&self) -> usize {
        let growth =
            self.growth.iter().max().map_or(0, |size| size + self.connects.min(GROWTH_CONNECTS) + ECHO_CONNECTIONS);
        let others = [self.connects, self.crowd, self.idle_of_sockjs, self.idle_of_peers, growth];
        others.into_iter().chain(self.idle.iter().chain(&self.members).copied()).max().unwrap_or(0)
    }

    /// For a test: no number of it means anything.
    pub(crate) fn smoke() -> Self {
        Self {
            quick: true,
            rounds: 1,
            peer_rounds: 0,
            peer_rounds_of_many: 0,
            idle_rounds: 1,
            connects: 5,
            connects_of_peers: 0,
            sessions: 2,
            heartbeat: Duration::from_secs(1),
            idle: vec![5],
            idle_of_sockjs: 5,
            idle_of_peers: 0,
            members: vec![5],
            members_of_peers: Vec::new(),
            window: Duration::from_millis(20),
            latency_for: Duration::from_millis(100),
            crowd: 10,
            revoked_singly: 2,
            growth: vec![5, 10],
        }
    }
}
