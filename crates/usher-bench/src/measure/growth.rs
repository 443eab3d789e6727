//! `growth`: whether anything costs more where there is more of it.

use std::time::Duration;

use super::idle::{Kind, case, settle};
use super::{Bench, echo};
use crate::BenchError;
use crate::clock::now;
use crate::crowd::data;
use crate::numbers::{float, float_of, millis};
use crate::record::{Metric, Record};
use crate::server::{Server, Settings};
use crate::sources::{AT_ONCE, no_room, open_many, source};
use crate::subject::{Role, Subject};
use crate::wire::Socket;

pub(crate) const CONNECT: Metric = Metric { name: "connect", unit: "µs of CPU" };
pub(crate) const MESSAGE: Metric = Metric { name: "message", unit: "µs of CPU" };
pub(crate) const PUBLISH: Metric = Metric { name: "publish to ten", unit: "µs of CPU" };
const ROUNDS: usize = 3;
/// Far away: the heartbeats of those who are there would be counted with what one connect costs.
const HEARTBEAT: Duration = Duration::from_mins(10);
/// Connections of which the cost is taken, beside those that are there.
pub(crate) const CONNECTS: usize = 1_500;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for _ in 0..bench.plan.rounds.min(ROUNDS) {
        for &size in &bench.plan.growth {
            for subject in [Subject::Floor, Subject::Usher] {
                one(bench, subject, size, record).await?;
            }
        }
    }
    Ok(())
}

async fn one(bench: &Bench, subject: Subject, size: usize, record: &mut Record) -> Result<(), BenchError> {
    let settings = Settings { heartbeat: Some(HEARTBEAT), ..Settings::default() };
    let server = bench.server_with(subject, settings).await?;
    let crowd = settle(&server, Kind::Plain, size).await?;
    let (name, case) = (subject.name(), case(size));
    let users = server.users(bench.plan.connects.min(CONNECTS), Role::Client)?;
    let before = server.process.cpu_at_rest().await?;
    let opened = open_many(server.address, &users, AT_ONCE, no_room).await.all()?;
    let spent = server.process.cpu_at_rest().await?.saturating_sub(before);
    record.add(name, &case, CONNECT, millis(spent) * 1e3 / float_of(opened.len()));
    drop(opened);
    let rate = echo::messages(&server, 1, bench.plan.window).await?;
    record.add(name, &case, MESSAGE, 1e6 / rate);
    if subject == Subject::Usher {
        record.add(name, &case, PUBLISH, publish(&server, &crowd, bench).await?);
    }
    crowd.leave().await;
    Ok(())
}

/// Publishes to one room of ten among all of them; µs for each.
async fn publish(server: &Server, crowd: &crate::crowd::Crowd, bench: &Bench) -> Result<f64, BenchError> {
    let how = server.user(0, Role::Publisher)?;
    let mut publisher = Socket::open(server.address, source(0), &how).await?;
    let room = "full-0";
    if let Some((join, joined)) = server.subject.join(room) {
        publisher.send(&join).await?;
        publisher.expect(joined).await?;
    }
    let members = bench.plan.growth.first().map_or(10, |size| (*size).min(10)) as u64;
    let text = server.subject.publish(room, &data(128));
    let before = server.process.cpu_at_rest().await?;
    let (mut expected, mut published) = (crowd.deliveries(), 0);
    let until = now() + bench.plan.window;
    while now() < until {
        publisher.send(&text).await?;
        expected += members;
        published += 1;
        crowd.until_delivered(expected).await?;
    }
    let spent = server.process.cpu_at_rest().await?.saturating_sub(before);
    Ok(millis(spent) * 1e3 / float(published))
}
