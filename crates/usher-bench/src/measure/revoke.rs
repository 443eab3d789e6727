//! `revoke`: from the answer to the close frame.

use std::time::Duration;

use super::{Bench, MOST, P50, P99};
use crate::BenchError;
use crate::clock::now;
use crate::crowd::{Crowd, End};
use crate::numbers::{millis, nanos};
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::sources::{AT_ONCE, histogram, no_room, open_many, source};
use crate::subject::{Role, Subject, Way};
use crate::wire::Socket;

const ANSWER: Metric = Metric { name: "answer to the log-out", unit: "ms" };
/// "Session ended".
const REVOKED: u16 = 4004;
/// Each is several thousand connections.
const ROUNDS: usize = 3;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for _ in 0..bench.plan.rounds.min(ROUNDS) {
        one_by_one(bench, record).await?;
        all_of_one(bench, record).await?;
    }
    Ok(())
}

async fn one_by_one(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(Subject::Usher).await?;
    let singly = bench.plan.revoked_singly;
    let others = server.users(bench.plan.crowd - singly, Role::Client)?;
    let others = Crowd::listen(open_many(server.address, &others, AT_ONCE, no_room).await.all()?);
    let mut sessions = Vec::with_capacity(singly);
    for number in 0..singly {
        let cookie = server.log_in(0).await?;
        let how = server.handshake(&Way::Cookie(cookie.clone()));
        let socket = Socket::open(server.address, source(number), &how).await?;
        sessions.push((cookie, Crowd::listen(vec![socket])));
    }
    let (mut closes, mut answers) = (histogram(), histogram());
    for (cookie, socket) in sessions {
        let (answer, ends) = log_out(&server, &cookie, false, &socket, 1).await?;
        answers.saturating_record(nanos(answer.took));
        closes.saturating_record(nanos(after(&ends, answer.at)));
    }
    let case = format!("one of {}", bench.plan.crowd);
    for (metric, quantile) in [(P50, 0.5), (P99, 0.99), (MOST, 1.0)] {
        record.add("usher", &case, metric, millis(Duration::from_nanos(closes.value_at_quantile(quantile))));
    }
    record.add("usher", &case, ANSWER, millis(Duration::from_nanos(answers.value_at_quantile(0.5))));
    others.leave().await;
    Ok(())
}

async fn all_of_one(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(Subject::Usher).await?;
    let count = bench.plan.crowd;
    let cookie = server.log_in(0).await?;
    let hows = vec![server.handshake(&Way::Cookie(cookie.clone())); count];
    let crowd = Crowd::listen(open_many(server.address, &hows, AT_ONCE, no_room).await.all()?);
    server.process.cpu_at_rest().await?;
    let (answer, ends) = log_out(&server, &cookie, true, &crowd, count).await?;
    let case = format!("all {count} of one user");
    record.add("usher", &case, MOST, millis(after(&ends, answer.at)));
    record.add("usher", &case, ANSWER, millis(answer.took));
    Ok(())
}

/// When a call was answered, and how long that took.
struct Answer {
    at: Duration,
    took: Duration,
}

/// Logs out and waits for so many close frames, all of which must say why.
async fn log_out(
    server: &Server,
    cookie: &str,
    everywhere: bool,
    crowd: &Crowd,
    count: usize,
) -> Result<(Answer, Vec<End>), BenchError> {
    let asked = now();
    let answer = async {
        server.log_out(cookie, everywhere).await?;
        let at = now();
        Ok(Answer { at, took: at.saturating_sub(asked) })
    };
    let (answer, ends) = futures_util::future::try_join(answer, crowd.until_ended(count)).await?;
    if ends.iter().any(|end| end.code != Some(REVOKED)) {
        return Err(BenchError::Peer("a revoked socket was closed without 4004"));
    }
    Ok((answer, ends))
}

/// From then to the last close frame.
fn after(ends: &[End], then: Duration) -> Duration {
    ends.iter().map(|end| end.at.saturating_sub(then)).max().unwrap_or_default()
}
