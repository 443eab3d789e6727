//! `idle`: memory for each connection that does nothing.

use super::{Bench, of_peer};
use crate::BenchError;
use crate::crowd::Crowd;
use crate::mint::Signed;
use crate::numbers::{float, float_of};
use crate::record::{Metric, Record};
use crate::server::{Server, Settings};
use crate::sockjs;
use crate::sources::{AT_ONCE, open_many};
use crate::subject::{Role, Subject, Way};
use crate::wire::Handshake;

pub(crate) const PER_CONNECTION: Metric = Metric { name: "memory a connection", unit: "KiB" };
/// Members of a room.
const ROOM: usize = 10;
/// There before anything is counted, and all the time: what a server makes once, it has made for these, and nothing they would leave
/// behind is there for the others to use.
const WARM_UP: usize = 200;

/// What kind of connection is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The way in that everybody has.
    Plain,
    SockJsWebSocket,
    SockJsStream,
}

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for round in 0..bench.plan.idle_rounds {
        // Floor and Usher take turns at each size.
        for &size in &bench.plan.idle {
            for subject in [Subject::Floor, Subject::Usher] {
                one(bench, subject, Kind::Plain, size, record).await?;
            }
        }
        for kind in [Kind::SockJsWebSocket, Kind::SockJsStream] {
            one(bench, Subject::Usher, kind, bench.plan.idle_of_sockjs, record).await?;
        }
        for subject in bench.peers_of_many(round, record) {
            let outcome = one(bench, subject, Kind::Plain, bench.plan.idle_of_peers, record).await;
            of_peer(subject, outcome, record)?;
        }
    }
    Ok(())
}

pub(crate) fn case(size: usize) -> String {
    format!("{size} connections")
}

async fn one(bench: &Bench, subject: Subject, kind: Kind, size: usize, record: &mut Record) -> Result<(), BenchError> {
    let settings = Settings { heartbeat: Some(bench.plan.heartbeat), ..Settings::default() };
    let server = bench.server_with(subject, settings).await?;
    let early = settle(&server, kind, WARM_UP.min(size)).await?;
    let before = server.process.memory()?;
    let crowd = settle(&server, kind, size).await?;
    if subject == Subject::Usher {
        crowd.until_all_had_a_heartbeat(size).await?;
    }
    server.process.cpu_at_rest().await?;
    let grown = server.process.memory()?.proportional.saturating_sub(before.proportional);
    record.add(subject.name(), &kind.case(size), PER_CONNECTION, float(grown) / float_of(size));
    crowd.leave().await;
    early.leave().await;
    Ok(())
}

/// Lets so many in, in rooms of ten, and waits until the server is at rest.
pub(super) async fn settle(server: &Server, kind: Kind, size: usize) -> Result<Crowd, BenchError> {
    let users = kind.clients(server, size)?;
    let room = |number: usize| kind.join(server.subject, &format!("full-{}", number / ROOM));
    let crowd = Crowd::listen(open_many(server.address, &users, AT_ONCE, room).await.all()?);
    server.process.cpu_at_rest().await?;
    Ok(crowd)
}

impl Kind {
    fn case(self, size: usize) -> String {
        match self {
            Self::Plain => case(size),
            Self::SockJsWebSocket => format!("{size} SockJS WebSockets"),
            Self::SockJsStream => format!("{size} SockJS xhr_streaming sessions"),
        }
    }

    fn clients(self, server: &Server, count: usize) -> Result<Vec<Handshake>, BenchError> {
        let way = match self {
            Self::Plain => return server.users(count, Role::Client),
            Self::SockJsWebSocket => Way::SockJs,
            Self::SockJsStream => Way::SockJsStream,
        };
        let client = |user| Ok(server.handshake(&way(server.mint.token(Signed::Hs256, user)?)));
        (0..count).map(client).collect()
    }

    fn join(self, subject: Subject, room: &str) -> Option<(String, &'static str)> {
        match self {
            Self::Plain => subject.join(room),
            Self::SockJsWebSocket | Self::SockJsStream => Some(sockjs::join(room)),
        }
    }
}
