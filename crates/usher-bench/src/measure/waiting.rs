//! `waiting`: sockets that say nothing, and a good client beside them.

use std::time::Duration;

use super::idle::PER_CONNECTION;
use super::{Bench, P50, P99};
use crate::BenchError;
use crate::crowd::Crowd;
use crate::numbers::{float, float_of, millis};
use crate::record::Record;
use crate::server::Server;
use crate::sources::{AT_ONCE, no_room, open_many};
use crate::subject::{Role, Subject, Way};

/// Good clients, one after the other.
const GOOD: usize = 300;
const ROUNDS: usize = 2;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for _ in 0..bench.plan.rounds.min(ROUNDS) {
        for subject in [Subject::Floor, Subject::Usher] {
            one(bench, subject, record).await?;
        }
    }
    Ok(())
}

async fn one(bench: &Bench, subject: Subject, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(subject).await?;
    let count = bench.plan.crowd;
    let good = GOOD.min(count);
    good_clients(&server, good, "a good client, alone", record).await?;
    let before = server.process.memory()?;
    let silent = vec![server.handshake(&Way::Silent); count];
    let crowd = Crowd::listen(open_many(server.address, &silent, AT_ONCE, no_room).await.all()?);
    server.process.cpu_at_rest().await?;
    let grown = server.process.memory()?.proportional.saturating_sub(before.proportional);
    record.add(subject.name(), &format!("{count} silent"), PER_CONNECTION, float(grown) / float_of(count));
    good_clients(&server, good, &format!("a good client beside {count}"), record).await?;
    crowd.leave().await;
    Ok(())
}

async fn good_clients(server: &Server, count: usize, case: &str, record: &mut Record) -> Result<(), BenchError> {
    let users = server.users(count, Role::Client)?;
    let opened = open_many(server.address, &users, 1, no_room).await;
    let latency = opened.latency.clone();
    opened.all()?;
    for (metric, quantile) in [(P50, 0.5), (P99, 0.99)] {
        let time = Duration::from_nanos(latency.value_at_quantile(quantile));
        record.add(server.subject.name(), case, metric, millis(time));
    }
    Ok(())
}
