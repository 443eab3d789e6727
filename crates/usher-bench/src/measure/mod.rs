//! What is measured.

mod connect;
mod echo;
mod expiry;
mod fan_out;
mod growth;
mod idle;
mod revoke;
mod storm;
mod waiting;

/// The figures that targets are about.
pub(crate) mod figures {
    pub(crate) use super::connect::{BARE, CONNECTS, VERIFICATION};
    pub(crate) use super::fan_out::DELIVERIES;
    pub(crate) use super::growth::{CONNECT as GROWTH_CONNECT, MESSAGE, PUBLISH};
    pub(crate) use super::idle::PER_CONNECTION;
    pub(crate) use super::storm::{FAILURES, TICKETS, TOKENS, UNTIL_ALL};
    pub(crate) use super::{MOST, P99};
}

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::mint::Mint;
use crate::plan::Plan;
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::subject::Subject;
use crate::{BenchError, Programs};

/// What Usher logs while it is measured. The floor logs nothing, and the audit trail is on.
const LOG: &str = "warn";

/// A measurement, and what of it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measurement {
    Connect,
    Idle,
    FanOut,
    Echo,
    Revoke,
    Storm,
    Expiry,
    Waiting,
    Growth,
}

impl Measurement {
    pub(crate) const ALL: [Self; 9] = [
        Self::Connect,
        Self::Idle,
        Self::FanOut,
        Self::Echo,
        Self::Revoke,
        Self::Storm,
        Self::Expiry,
        Self::Waiting,
        Self::Growth,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Idle => "idle",
            Self::FanOut => "fan-out",
            Self::Echo => "echo",
            Self::Revoke => "revoke",
            Self::Storm => "storm",
            Self::Expiry => "expiry",
            Self::Waiting => "waiting",
            Self::Growth => "growth",
        }
    }

    /// What it is, for the reader of the results.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Connect => {
                "Authenticated connects per CPU-second of the server: TCP, upgrade, verification, and for Usher the audit record and \
                 the `authenticated` frame. Every client is another user. *First seen* tokens were made for the run; *seen* ones were \
                 presented once before. Usher logs warnings; one row has its default log. The cookie is one session's. `connect and leave` counts the end of the connection, too. \
                 *Bare* is one verification alone, on one core, by jsonwebtoken."
            }
            Self::Idle => {
                "Memory of the server for each idle connection (proportional set size, less what it was before they came). Usher's and \
                 the peers' are authenticated and in a room of ten; heartbeats are on where the server has them."
            }
            Self::FanOut => {
                "Deliveries per CPU-second of the server, from one publisher to everybody else in a room. *Single*: the next is published \
                 when everybody has the last, so that nothing can be coalesced. *Burst*: 16 are published in one write. The floor is a bare \
                 loop that writes the same bytes to the same sockets, 16 in one write in a burst. Latency is from publishing to receiving \
                 at a fixed rate of some 20,000 deliveries a second, with the generator on the same cores."
            }
            Self::Echo => {
                "Messages per CPU-second that are answered with one frame, on 64 connections: for the floor an echo, for the others a ping \
                 of their own that is answered with a pong. One at a time, and 16 in one write."
            }
            Self::Revoke => {
                "From the answer to `POST /auth/logout` to the close frame, 0 if the close frame was first: sessions with one socket each \
                 among all others, one after the other; then one user with all sockets."
            }
            Self::Storm => {
                "All clients reconnect at once: time until all are let in, how many were not, and the most memory that was resident. Tokens \
                 were seen before; tickets were bought right before. The server accepts with the backlog that tokio sets."
            }
            Self::Expiry => {
                "All tokens expire in the same second: when the close frames came, counted from that second, and how long the pings of \
                 bystanders took meanwhile."
            }
            Self::Waiting => {
                "Silent sockets that have not authenticated, as many as may wait: memory for each, and how long a good client takes to \
                 connect beside them."
            }
            Self::Growth => {
                "The same costs at different numbers of connections, in rooms of ten: whether anything grows with how many there are."
            }
        }
    }

    /// Measures.
    pub(crate) async fn run(self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        match self {
            Self::Connect => connect::run(bench, record).await,
            Self::Idle => idle::run(bench, record).await,
            Self::FanOut => fan_out::run(bench, record).await,
            Self::Echo => echo::run(bench, record).await,
            Self::Revoke => revoke::run(bench, record).await,
            Self::Storm => storm::run(bench, record).await,
            Self::Expiry => expiry::run(bench, record).await,
            Self::Waiting => waiting::run(bench, record).await,
            Self::Growth => growth::run(bench, record).await,
        }
    }
}

/// What every measurement needs.
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) plan: Plan,
    pub(crate) mint: Arc<Mint>,
}

impl Bench {
    /// A server of its own for one run.
    async fn server(&self, subject: Subject) -> Result<Server, BenchError> {
        Server::start(subject, &self.programs, &self.mint, LOG).await
    }

    /// Who is measured in that round, in that order: ours and the floor in all, the others in the first few.
    fn subjects(&self, round: usize, record: &mut Record) -> Vec<Subject> {
        let mut subjects = vec![Subject::Floor, Subject::Usher];
        for peer in Subject::PEERS.into_iter().filter(|_| round < self.plan.peer_rounds) {
            let program = if peer == Subject::FastApi { &self.programs.python } else { &self.programs.node };
            if program.is_some() {
                subjects.push(peer);
            } else {
                record.missing(format!("{}: its packages are not installed", peer.name()));
            }
        }
        subjects
    }
}

/// A peer that fails is named and left out; ours and the floor must not.
fn of_peer(subject: Subject, outcome: Result<(), BenchError>, record: &mut Record) -> Result<(), BenchError> {
    match outcome {
        Err(error) if Subject::PEERS.contains(&subject) => {
            record.missing(format!("{}: {error}", subject.name()));
            Ok(())
        }
        outcome => outcome,
    }
}

pub(crate) const P50: Metric = Metric { name: "p50", unit: "ms" };
pub(crate) const P99: Metric = Metric { name: "p99", unit: "ms" };
pub(crate) const MOST: Metric = Metric { name: "most", unit: "ms" };
