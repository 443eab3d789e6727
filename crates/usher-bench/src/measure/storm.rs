//! `storm`: everybody reconnects at once.

use super::connect::BARE;
use super::{Bench, P99, of_peer};
use crate::BenchError;
use crate::mint::Signed;
use crate::numbers::{float, float_of, millis};
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::sources::{AT_ONCE, no_room, open_many};
use crate::subject::{Role, Subject, Way};
use crate::wire::Handshake;

pub(crate) const UNTIL_ALL: Metric = Metric { name: "until all are let in", unit: "ms" };
pub(crate) const FAILURES: Metric = Metric { name: "failures", unit: "" };
const PEAK: Metric = Metric { name: "memory peak", unit: "MiB" };
/// Each is tens of thousands of connections.
const ROUNDS: usize = 3;
pub(crate) const TOKENS: &str = "tokens seen before";
pub(crate) const TICKETS: &str = "tickets bought anew";

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for round in 0..bench.plan.rounds.min(ROUNDS) {
        let peers = bench.peers_of_many(round, record);
        for subject in [Subject::Floor, Subject::Usher].into_iter().chain(peers) {
            let cases = match subject {
                Subject::Usher => vec![TOKENS, TICKETS],
                Subject::Floor => vec![BARE],
                _ => vec![TOKENS],
            };
            for case in cases {
                let outcome = one(bench, subject, case, record).await;
                of_peer(subject, outcome, record)?;
            }
        }
    }
    Ok(())
}

async fn one(bench: &Bench, subject: Subject, case: &str, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(subject).await?;
    let count = bench.plan.crowd;
    let mut clients: Vec<Handshake> = Vec::with_capacity(count);
    for number in 0..count {
        let token = server.mint.token(Signed::Hs256, number)?;
        clients.push(server.handshake_as(Role::Client, &Way::Header(token)));
    }
    // They were all there before, and have just lost their connection.
    open_many(server.address, &clients, AT_ONCE, no_room).await.all().map(drop)?;
    server.process.cpu_at_rest().await?;
    if case == TICKETS {
        clients = tickets(&server, count).await?;
    }
    server.process.forget_peak()?;
    let opened = open_many(server.address, &clients, count, no_room).await;
    let name = subject.name();
    record.add(name, case, UNTIL_ALL, millis(opened.took));
    if let Some(first) = opened.failures.first() {
        let failures = opened.failures.len();
        // The page has the first line alone.
        let said = server.process.said();
        record.remark(format!(
            "{name}, {case}: {failures} of {count} were not let in in one run, the first because: {first}\n{said}"
        ));
    }
    record.add(name, case, FAILURES, float_of(opened.failures.len()));
    record.add(name, case, P99, millis(std::time::Duration::from_nanos(opened.latency.value_at_quantile(0.99))));
    record.add(name, case, PEAK, float(server.process.peak()?) / 1024.0);
    Ok(())
}

async fn tickets(server: &Server, count: usize) -> Result<Vec<Handshake>, BenchError> {
    let tickets = server.tickets(count).await?;
    Ok(tickets.into_iter().map(|ticket| server.handshake(&Way::Ticket(ticket))).collect())
}
