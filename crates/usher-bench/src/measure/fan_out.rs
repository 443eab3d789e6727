//! `fan-out`: deliveries per CPU-second, and how long they take.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Bench, P50, P99, of_peer};
use crate::BenchError;
use crate::clock::now;
use crate::crowd::{Crowd, data};
use crate::numbers::{float, millis};
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::sources::{AT_ONCE, all_in, open_many, source};
use crate::subject::{Role, Subject};
use crate::wire::{Socket, masked_ping, masked_text};

pub(crate) const DELIVERIES: Metric = Metric { name: "deliveries", unit: "1/CPU-s" };
const ROOM: &str = "off-1";
const SIZES: [(&str, usize); 2] = [("128 B", 128), ("4 KiB", 4096)];
/// Published in one write.
const BURST: u64 = 16;
/// From so many members on it takes the peers long to let all of them in.
const MANY: usize = 10_000;
/// Deliveries a second while latency is taken, within what the slowest can do.
const RATE: u64 = 20_000;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for round in 0..bench.plan.rounds {
        for &members in &bench.plan.members {
            let mut subjects = vec![Subject::Floor, Subject::Usher];
            if bench.plan.members_of_peers.contains(&members) {
                let many = members >= MANY;
                subjects.extend(if many { bench.peers_of_many(round, record) } else { bench.peers(round, record) });
            }
            for subject in subjects {
                let outcome = one(bench, subject, members, record).await;
                of_peer(subject, outcome, record)?;
            }
        }
    }
    Ok(())
}

/// How often it is published before everybody must have heard it.
const TRIES: usize = 50;
/// When nothing more has come for so long, nothing more will.
const QUIET: Duration = Duration::from_millis(100);

/// A room with one who publishes.
struct Room<'a> {
    server: &'a Server,
    members: u64,
    crowd: Crowd,
    publisher: Socket,
}

async fn one(bench: &Bench, subject: Subject, members: usize, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(subject).await?;
    let users = server.users(members, Role::Member)?;
    let opened = open_many(server.address, &users, AT_ONCE, all_in(subject, ROOM)).await;
    let crowd = Crowd::listen(opened.all()?);
    let how = server.user(0, Role::Publisher)?;
    let mut publisher = Socket::open(server.address, source(0), &how).await?;
    if let Some((join, joined)) = subject.join(ROOM) {
        publisher.send(&join).await?;
        publisher.expect(joined).await?;
    }
    let mut room = Room { server: &server, members: members as u64, crowd, publisher };
    // Tasks of the floor's sockets register after their 101: they are all there when the first message has reached everybody.
    room.until_all_hear().await?;
    for (size, bytes) in SIZES {
        for (mode, at_once) in [("single", 1), ("burst", BURST)] {
            let rate = room.deliveries(bytes, at_once, bench.plan.window).await?;
            record.add(subject.name(), &case(members, size, mode), DELIVERIES, rate);
        }
        let [half, most] = room.latency(bytes, bench.plan.latency_for).await?;
        record.add(subject.name(), &case(members, size, "latency"), P50, millis(half));
        record.add(subject.name(), &case(members, size, "latency"), P99, millis(most));
    }
    room.crowd.leave().await;
    Ok(())
}

pub(crate) fn case(members: usize, size: &str, mode: &str) -> String {
    format!("{members} members, {size}, {mode}")
}

impl Room<'_> {
    async fn until_all_hear(&mut self) -> Result<(), BenchError> {
        for _ in 0..TRIES {
            let before = self.crowd.deliveries();
            self.publish(128, 1).await?;
            let mut heard = before;
            loop {
                tokio::time::sleep(QUIET).await;
                if self.crowd.deliveries() == heard {
                    break;
                }
                heard = self.crowd.deliveries();
            }
            if heard - before == self.members {
                return Ok(());
            }
        }
        Err(BenchError::Peer("not everybody heard what was published"))
    }

    async fn publish(&mut self, bytes: usize, count: u64) -> Result<(), BenchError> {
        let one = || masked_text(&self.server.subject.publish(ROOM, &data(bytes)));
        let mut frames: Vec<u8> = (0..count).flat_map(|_| one()).collect();
        if self.server.subject == Subject::Floor {
            frames.extend(masked_ping());
        }
        self.publisher.send_frames(&frames).await
    }

    async fn deliveries(&mut self, bytes: usize, at_once: u64, window: Duration) -> Result<f64, BenchError> {
        let process = &self.server.process;
        let before = process.cpu_at_rest().await?;
        let first = self.crowd.deliveries();
        let until = now() + window;
        let mut expected = first;
        while now() < until {
            self.publish(bytes, at_once).await?;
            expected += self.members * at_once;
            self.crowd.until_delivered(expected).await?;
        }
        let spent = process.cpu_at_rest().await?.saturating_sub(before);
        Ok(float(expected - first) / spent.as_secs_f64())
    }

    async fn latency(&mut self, bytes: usize, lasting: Duration) -> Result<[Duration; 2], BenchError> {
        let each =
            Duration::from_secs(1) * u32::try_from(self.members).unwrap_or(u32::MAX) / u32::try_from(RATE).unwrap_or(1);
        let mut ticks = tokio::time::interval(each.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut expected = self.crowd.deliveries();
        self.crowd.begin_latency();
        let until = now() + lasting;
        while now() < until {
            ticks.tick().await;
            self.publish(bytes, 1).await?;
            expected += self.members;
        }
        self.crowd.until_delivered(expected).await?;
        let taken = self.crowd.end_latency();
        Ok([0.5, 0.99].map(|quantile| Duration::from_nanos(taken.value_at_quantile(quantile))))
    }
}
