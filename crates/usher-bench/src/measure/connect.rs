//! `connect`: authenticated connects per CPU-second.

use std::collections::VecDeque;

use super::{Bench, P50, P99, of_peer};
use crate::BenchError;
use crate::mint::Signed;
use crate::numbers::{float_of, millis};
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::sources::{AT_ONCE, no_room, open_many};
use crate::subject::{Role, Subject, Way};
use crate::wire::Handshake;

pub(crate) const CONNECTS: Metric = Metric { name: "connects", unit: "1/CPU-s" };
const LEAVES: Metric = Metric { name: "connect and leave", unit: "1/CPU-s" };
pub(crate) const VERIFICATION: Metric = Metric { name: "verification", unit: "µs" };
/// The floor's way in.
pub(crate) const BARE: &str = "no authentication";
/// Bare verifications that are timed.
const VERIFICATIONS: u32 = 2_000;

type MakeWay = fn(String) -> Way;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for round in 0..bench.plan.rounds {
        for subject in bench.subjects(round, record) {
            let outcome = match subject {
                Subject::Usher => usher(bench, record).await,
                _ => one_way(bench, subject, record).await,
            };
            of_peer(subject, outcome, record)?;
        }
        for signed in Signed::ALL {
            let took = bench.mint.bare_verification(signed, VERIFICATIONS)?;
            record.add("bare", signed.name(), VERIFICATION, millis(took) * 1e3);
        }
    }
    Ok(())
}

async fn one_way(bench: &Bench, subject: Subject, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(subject).await?;
    let case = if subject == Subject::Floor { BARE } else { "header, HS256, first seen" };
    let users = server.users(bench.plan.connects, Role::Client)?;
    warm_up(&server, bench).await?;
    connect(&server, case, &users, record).await
}

/// A server that has just started has not been everywhere yet.
async fn warm_up(server: &Server, bench: &Bench) -> Result<(), BenchError> {
    let users = server.users(bench.plan.connects / 10 + 1, Role::Client)?;
    open_many(server.address, &users, AT_ONCE, no_room).await.all().map(drop)
}

async fn usher(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(Subject::Usher).await?;
    let count = bench.plan.connects;
    let tokens = |signed| (0..count).map(|user| bench.mint.token(signed, user)).collect::<Result<Vec<_>, _>>();
    let hows = |secrets: Vec<String>, way: MakeWay| -> Vec<Handshake> {
        secrets.into_iter().map(|secret| server.handshake(&way(secret))).collect()
    };
    warm_up(&server, bench).await?;
    for signed in Signed::ALL {
        let users = hows(tokens(signed)?, Way::Header);
        for seen in ["first seen", "seen"] {
            connect(&server, &format!("header, {}, {seen}", signed.name()), &users, record).await?;
        }
    }
    let others =
        [("first message", Way::FirstMessage as MakeWay), ("query", Way::Query), ("subprotocol", Way::Subprotocol)];
    for (name, way) in others {
        let users = hows(tokens(Signed::Hs256)?, way);
        connect(&server, &format!("{name}, HS256, first seen"), &users, record).await?;
    }
    let cookie = server.log_in().await?;
    connect(&server, "cookie", &vec![server.handshake(&Way::Cookie(cookie)); count], record).await?;
    let tickets = hows(server.tickets(count).await?, Way::Ticket);
    connect(&server, "ticket", &tickets, record).await?;
    drop(server);

    // What the default log adds.
    let server = Server::start(Subject::Usher, &bench.programs, &bench.mint, "info").await?;
    let users = server.users(count, Role::Client)?;
    warm_up(&server, bench).await?;
    connect(&server, "header, HS256, first seen, log at info", &users, record).await
}

async fn connect(server: &Server, case: &str, hows: &[Handshake], record: &mut Record) -> Result<(), BenchError> {
    let before = server.process.cpu_at_rest().await?;
    let opened = open_many(server.address, hows, AT_ONCE, no_room).await;
    let after = server.process.cpu_at_rest().await?;
    let latency = opened.latency.clone();
    let mut sockets = VecDeque::from(opened.all()?);
    let count = float_of(sockets.len());
    while sockets.pop_front().is_some() {
        // The server may see them go while the rest is still there.
        tokio::task::yield_now().await;
    }
    let left = server.process.cpu_at_rest().await?;
    let name = server.subject.name();
    record.add(name, case, CONNECTS, count / after.saturating_sub(before).as_secs_f64());
    record.add(name, case, LEAVES, count / left.saturating_sub(before).as_secs_f64());
    for (metric, quantile) in [(P50, 0.5), (P99, 0.99)] {
        let value = std::time::Duration::from_nanos(latency.value_at_quantile(quantile));
        record.add(name, case, metric, millis(value));
    }
    Ok(())
}
