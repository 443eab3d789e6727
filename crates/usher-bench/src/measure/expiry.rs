//! `expiry`: all tokens end in one second.

use std::time::Duration;

use futures_util::future::try_join_all;
use hdrhistogram::Histogram;

use super::{Bench, P99};
use crate::BenchError;
use crate::clock::{now, unix_now};
use crate::crowd::Crowd;
use crate::mint::Signed;
use crate::numbers::{millis, nanos};
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::sources::{AT_ONCE, histogram, no_room, open_many};
use crate::subject::{Role, Subject, Way};
use crate::wire::Socket;

const FIRST: Metric = Metric { name: "first close", unit: "ms" };
pub(crate) const LAST: Metric = Metric { name: "last close", unit: "ms" };
/// "Session expired".
const EXPIRED: u16 = 4002;
/// For so many clients to come in before their tokens end.
const CLIENTS_A_SECOND: usize = 1_500;
const BYSTANDERS: usize = 8;
const PING_EVERY: Duration = Duration::from_millis(10);
/// How long bystanders are listened to before and after.
const AROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 2;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for _ in 0..bench.plan.rounds.min(ROUNDS) {
        one(bench, record).await?;
    }
    Ok(())
}

async fn one(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(Subject::Usher).await?;
    let count = bench.plan.crowd;
    let seconds = (count / CLIENTS_A_SECOND + 5) as u64;
    let end = Duration::from_secs(unix_now().as_secs() + seconds);
    let end_here = now() + end.saturating_sub(unix_now());
    let hows = (0..count).map(|user| {
        let token = server.mint.token_until(Signed::Hs256, user, end)?;
        Ok(server.handshake(&Way::Header(token)))
    });
    let hows = hows.collect::<Result<Vec<_>, BenchError>>()?;
    let crowd = Crowd::listen(open_many(server.address, &hows, AT_ONCE, no_room).await.all()?);
    if now() + AROUND > end_here {
        return Err(BenchError::TooLate { what: "clients to come in before they expire", patience: end });
    }
    let before = bystanders(&server, end_here).await?;
    let (after, ends) =
        futures_util::future::try_join(bystanders(&server, end_here + AROUND), crowd.until_ended(count)).await?;
    if ends.iter().any(|end| end.code != Some(EXPIRED)) {
        return Err(BenchError::Peer("an expired socket was closed without 4002"));
    }
    let times = ends.iter().map(|end| end.at.saturating_sub(end_here));
    let case = format!("{count} tokens");
    for (metric, time) in [(FIRST, times.clone().min()), (LAST, times.max())] {
        record.add("usher", &case, metric, millis(time.unwrap_or_default()));
    }
    for (case, latency) in [("bystanders before", before), ("bystanders meanwhile", after)] {
        record.add("usher", case, P99, millis(Duration::from_nanos(latency.value_at_quantile(0.99))));
    }
    Ok(())
}

/// A few that ping all the time until then; how long the answers took.
async fn bystanders(server: &Server, until: Duration) -> Result<Histogram<u64>, BenchError> {
    let users = server.users(BYSTANDERS, Role::Client)?;
    let mut sockets = open_many(server.address, &users, AT_ONCE, no_room).await.all()?;
    let pinging = sockets.iter_mut().map(|socket| ping(socket, until));
    let mut all = histogram();
    for taken in try_join_all(pinging).await?.into_iter().flatten() {
        all.saturating_record(nanos(taken));
    }
    Ok(all)
}

async fn ping(socket: &mut Socket, until: Duration) -> Result<Vec<Duration>, BenchError> {
    let mut ticks = tokio::time::interval(PING_EVERY);
    let mut taken = Vec::new();
    while now() < until {
        ticks.tick().await;
        let sent = now();
        socket.send(Subject::Usher.echo()).await?;
        socket.expect("{\"type\":\"pong\"").await?;
        taken.push(now().saturating_sub(sent));
    }
    Ok(taken)
}
