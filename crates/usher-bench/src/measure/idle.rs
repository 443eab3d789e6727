//! `idle`: memory for each connection that does nothing.

use super::{Bench, of_peer};
use crate::BenchError;
use crate::crowd::Crowd;
use crate::numbers::{float, float_of};
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::sources::{AT_ONCE, no_room, open_many};
use crate::subject::{Role, Subject};

pub(crate) const PER_CONNECTION: Metric = Metric { name: "memory a connection", unit: "KiB" };
/// Members of a room.
const ROOM: usize = 10;
/// Opened and closed before anything is counted, so that what a server makes once is there.
const WARM_UP: usize = 200;
/// Memory does not hang on the moment as CPU time does.
const ROUNDS: usize = 2;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for round in 0..bench.plan.rounds.min(ROUNDS) {
        for subject in bench.subjects(round, record) {
            let peer = Subject::PEERS.contains(&subject);
            let sizes = if peer { vec![bench.plan.idle_of_peers] } else { bench.plan.idle.clone() };
            for size in sizes {
                let outcome = one(bench, subject, size, record).await;
                of_peer(subject, outcome, record)?;
            }
        }
    }
    Ok(())
}

async fn one(bench: &Bench, subject: Subject, size: usize, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(subject).await?;
    let (crowd, each) = settle(&server, size).await?;
    record.add(subject.name(), &format!("{size} connections"), PER_CONNECTION, each);
    crowd.leave().await;
    Ok(())
}

/// Lets so many in, in rooms of ten, and waits until the server is at rest; KiB for each.
pub(super) async fn settle(server: &Server, size: usize) -> Result<(Crowd, f64), BenchError> {
    let subject = server.subject;
    let warm_up = server.users(WARM_UP.min(size), Role::Client)?;
    open_many(server.address, &warm_up, AT_ONCE, no_room).await.all().map(drop)?;
    server.process.cpu_at_rest().await?;
    let before = server.process.memory()?;
    let users = server.users(size, Role::Client)?;
    let room = |number: usize| subject.join(&format!("full-{}", number / ROOM));
    let crowd = Crowd::listen(open_many(server.address, &users, AT_ONCE, room).await.all()?);
    server.process.cpu_at_rest().await?;
    let after = server.process.memory()?;
    let grown = after.proportional.saturating_sub(before.proportional);
    Ok((crowd, float(grown) / float_of(size)))
}
