//! What is measured.

mod about;

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
    pub(crate) use super::connect::{AT_INFO, BARE, CONNECTS, COOKIE, FIRST_SEEN, TICKET, VERIFICATION};
    pub(crate) use super::fan_out::DELIVERIES;
    pub(crate) use super::growth::{CONNECT as GROWTH_CONNECT, MESSAGE, PUBLISH};
    pub(crate) use super::idle::PER_CONNECTION;
    pub(crate) use super::storm::{FAILURES, TICKETS, TOKENS, UNTIL_ALL};
    pub(crate) use super::{MOST, P99};
}

pub(crate) use echo::CONNECTIONS as ECHO_CONNECTIONS;
pub(crate) use growth::CONNECTS as GROWTH_CONNECTS;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::mint::Mint;
use crate::plan::Plan;
use crate::record::{Metric, Record};
use crate::server::{Server, Settings};
use crate::subject::Subject;
use crate::{BenchError, Programs};

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
        self.server_with(subject, Settings::default()).await
    }

    async fn server_with(&self, subject: Subject, settings: Settings) -> Result<Server, BenchError> {
        Server::start(subject, &self.programs, &self.mint, settings).await
    }

    /// Who is measured in that round, in that order: ours and the floor in all, the others in the first few.
    fn subjects(&self, round: usize, record: &mut Record) -> Vec<Subject> {
        [vec![Subject::Floor, Subject::Usher], self.peers(round, record)].concat()
    }

    /// The others, in that round.
    fn peers(&self, round: usize, record: &mut Record) -> Vec<Subject> {
        self.installed(round < self.plan.peer_rounds, record)
    }

    /// The others, in that round of something that has thousands of clients.
    fn peers_of_many(&self, round: usize, record: &mut Record) -> Vec<Subject> {
        self.installed(round < self.plan.peer_rounds_of_many, record)
    }

    fn installed(&self, wanted: bool, record: &mut Record) -> Vec<Subject> {
        let mut there = Vec::new();
        for peer in Subject::PEERS.into_iter().filter(|_| wanted) {
            let program = if peer == Subject::FastApi { &self.programs.python } else { &self.programs.node };
            if program.is_some() {
                there.push(peer);
            } else {
                record.missing(format!("{}: its packages are not installed", peer.name()));
            }
        }
        there
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
