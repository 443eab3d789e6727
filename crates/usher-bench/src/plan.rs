//! How much is measured: in full, quickly, or only to see that it works.

use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    /// Runs of ours and of the floor, one after the other.
    pub(crate) rounds: usize,
    /// Runs of everybody else.
    pub(crate) peer_rounds: usize,
    /// Connections of one run of `connect`.
    pub(crate) connects: usize,
    pub(crate) idle: Vec<usize>,
    pub(crate) idle_of_peers: usize,
    pub(crate) members: Vec<usize>,
    pub(crate) members_of_peers: Vec<usize>,
    /// How long one mode of `fan-out` or `echo` goes on.
    pub(crate) window: Duration,
    /// Most deliveries of a window, for servers that take long.
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
            peer_rounds: 1,
            connects: 4_000,
            idle: vec![1_000, 5_000, 18_000],
            idle_of_peers: 5_000,
            members: vec![100, 1_000, 10_000],
            members_of_peers: vec![100, 1_000, 10_000],
            window: Duration::from_millis(1_500),
            latency_for: Duration::from_secs(2),
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
            connects: 1_500,
            idle: vec![1_000, 5_000],
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

    /// For a test: no number of it means anything.
    pub(crate) fn smoke() -> Self {
        Self {
            quick: true,
            rounds: 1,
            peer_rounds: 0,
            connects: 5,
            idle: vec![5],
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
