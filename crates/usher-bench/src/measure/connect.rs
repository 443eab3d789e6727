//! `connect`: authenticated connects per CPU-second.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Bench, P50, P99, of_peer};
use crate::BenchError;
use crate::mint::Signed;
use crate::numbers::{Spread, float_of, millis};
use crate::record::{Metric, Record};
use crate::server::{Server, Settings};
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
/// Connections that a user may have by default.
const CONNECTIONS_OF_USER: usize = 200;

/// The case that everybody has.
pub(crate) const FIRST_SEEN: &str = "header, HS256, first seen";
pub(crate) const COOKIE: &str = "session cookie";
pub(crate) const TICKET: &str = "ticket";
pub(crate) const AT_INFO: &str = "header, HS256, first seen, log at info";

const METRICS: [Metric; 4] = [CONNECTS, LEAVES, P50, P99];

type MakeWay = fn(String) -> Way;

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for round in 0..bench.plan.rounds {
        ours_and_floor(bench, record).await?;
        for subject in bench.peers(round, record) {
            let outcome = peer(bench, subject, record).await;
            of_peer(subject, outcome, record)?;
        }
        for signed in Signed::ALL {
            let took = bench.mint.bare_verification(signed, VERIFICATIONS)?;
            record.add("bare", signed.name(), VERIFICATION, millis(took) * 1e3);
        }
    }
    Ok(())
}

/// The floor waits beside Usher and is measured before, between and after Usher's cases: they take long enough for the machine to
/// have changed its pace. The middle of these is what counts for this round.
async fn ours_and_floor(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    let floor = bench.server(Subject::Floor).await?;
    warm_up(&floor, bench).await?;
    let mut bare = Vec::new();
    let usher = bench.server(Subject::Usher).await?;
    warm_up(&usher, bench).await?;
    bare.push(connect(&floor, &floor.users(bench.plan.connects, Role::Client)?).await?);
    headers(bench, &usher, record).await?;
    bare.push(connect(&floor, &floor.users(bench.plan.connects, Role::Client)?).await?);
    other_tokens(bench, &usher, record).await?;
    sockjs(bench, &usher, record).await?;
    bare.push(connect(&floor, &floor.users(bench.plan.connects, Role::Client)?).await?);
    secrets(bench, &usher, record).await?;
    drop(usher);

    // What the default log adds.
    let usher = bench.server_with(Subject::Usher, Settings { log: "info", ..Settings::default() }).await?;
    warm_up(&usher, bench).await?;
    measure(&usher, AT_INFO, &usher.users(bench.plan.connects, Role::Client)?, record).await?;
    bare.push(connect(&floor, &floor.users(bench.plan.connects, Role::Client)?).await?);
    Taken::middle(&bare).write(Subject::Floor, BARE, record);
    Ok(())
}

async fn peer(bench: &Bench, subject: Subject, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(subject).await?;
    warm_up(&server, bench).await?;
    measure(&server, FIRST_SEEN, &server.users(bench.plan.connects_of_peers, Role::Client)?, record).await
}

/// A server that has just started has not been everywhere yet.
async fn warm_up(server: &Server, bench: &Bench) -> Result<(), BenchError> {
    let users = server.users(bench.plan.connects / 10 + 1, Role::Client)?;
    open_many(server.address, &users, AT_ONCE, no_room).await.all().map(drop)
}

fn new_tokens(server: &Server, bench: &Bench, signed: Signed, way: MakeWay) -> Result<Vec<Handshake>, BenchError> {
    let users = 0..bench.plan.connects;
    users.map(|user| Ok(server.handshake(&way(server.mint.token(signed, user)?)))).collect()
}

async fn headers(bench: &Bench, server: &Server, record: &mut Record) -> Result<(), BenchError> {
    for signed in Signed::ALL {
        let users = new_tokens(server, bench, signed, Way::Header)?;
        for seen in ["first seen", "seen"] {
            measure(server, &format!("header, {}, {seen}", signed.name()), &users, record).await?;
        }
    }
    Ok(())
}

async fn other_tokens(bench: &Bench, server: &Server, record: &mut Record) -> Result<(), BenchError> {
    let others =
        [("first message", Way::FirstMessage as MakeWay), ("query", Way::Query), ("subprotocol", Way::Subprotocol)];
    for (name, way) in others {
        let users = new_tokens(server, bench, Signed::Hs256, way)?;
        measure(server, &format!("{name}, HS256, first seen"), &users, record).await?;
        if name == "first message" {
            measure(server, &format!("{name}, HS256, seen"), &users, record).await?;
        }
    }
    Ok(())
}

async fn sockjs(bench: &Bench, server: &Server, record: &mut Record) -> Result<(), BenchError> {
    let users = new_tokens(server, bench, Signed::Hs256, Way::SockJs)?;
    measure(server, "SockJS WebSocket, message, HS256, first seen", &users, record).await?;
    let users = new_tokens(server, bench, Signed::Hs256, Way::SockJsStream)?;
    measure(server, "SockJS xhr_streaming, header, HS256, first seen", &users, record).await
}

/// What Usher itself gave out. Each session is used once and then, as one that was seen, by as many connections as make up the count; each ticket is
/// used once, and each API key by as many connections as a user may have.
async fn secrets(bench: &Bench, server: &Server, record: &mut Record) -> Result<(), BenchError> {
    let count = bench.plan.connects;
    let users = count.div_ceil(CONNECTIONS_OF_USER);
    let (sessions, sessions_each) = (bench.plan.sessions, bench.plan.sessions.div_ceil(users));
    server.add_users(users)?;
    let cookies = server.sessions(users, sessions_each).await?;
    let hows = |secrets: Vec<String>, way: MakeWay| -> Vec<Handshake> {
        secrets.into_iter().map(|secret| server.handshake(&way(secret))).collect()
    };
    let cookies: Vec<_> = cookies.into_iter().take(sessions).collect();
    // The log-ins have hashed a password each, which is not what a connection finds.
    warm_up(server, bench).await?;
    measure(server, &format!("{COOKIE}, first seen"), &hows(cookies.clone(), Way::Cookie), record).await?;
    let seen = cookies.iter().cycle().take(count).cloned().collect();
    measure(server, &format!("{COOKIE}, seen"), &hows(seen, Way::Cookie), record).await?;
    let keys = (0..users).map(|user| server.api_key(user)).collect::<Result<Vec<_>, _>>()?;
    let keys = (0..count).map(|number| keys[number % users].clone()).collect();
    measure(server, "API key", &hows(keys, Way::ApiKey), record).await?;
    let tickets = hows(server.tickets(count).await?, Way::Ticket);
    measure(server, TICKET, &tickets, record).await
}

/// What many connects cost.
#[derive(Clone, Copy)]
struct Taken([f64; METRICS.len()]);

impl Taken {
    fn write(self, subject: Subject, case: &str, record: &mut Record) {
        for (metric, value) in METRICS.into_iter().zip(self.0) {
            record.add(subject.name(), case, metric, value);
        }
    }

    /// The median of each figure.
    fn middle(of: &[Self]) -> Self {
        Self(std::array::from_fn(|index| {
            let values: Vec<f64> = of.iter().map(|taken| taken.0[index]).collect();
            Spread::of(&values).map_or(0.0, |spread| spread.median)
        }))
    }
}

async fn measure(server: &Server, case: &str, hows: &[Handshake], record: &mut Record) -> Result<(), BenchError> {
    connect(server, hows).await?.write(server.subject, case, record);
    Ok(())
}

async fn connect(server: &Server, hows: &[Handshake]) -> Result<Taken, BenchError> {
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
    let [half, most] = [0.5, 0.99].map(|quantile| millis(Duration::from_nanos(latency.value_at_quantile(quantile))));
    let rate = |until: Duration| count / until.saturating_sub(before).as_secs_f64();
    Ok(Taken([rate(after), rate(left), half, most]))
}
