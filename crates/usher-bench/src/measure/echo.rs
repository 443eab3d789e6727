//! `echo`: messages per CPU-second that are answered with one frame.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::{Bench, of_peer};
use crate::BenchError;
use crate::clock::now;
use crate::numbers::float;
use crate::record::{Metric, Record};
use crate::server::Server;
use crate::sources::{AT_ONCE, no_room, open_many};
use crate::subject::{Role, Subject};
use crate::wire::{Frame, Socket, masked_text};

pub(crate) const MESSAGES: Metric = Metric { name: "messages", unit: "1/CPU-s" };
/// Connections that ask.
pub(crate) const CONNECTIONS: usize = 64;
pub(crate) const MODES: [(&str, u64); 2] = [("one at a time", 1), ("16 at once", 16)];

pub(super) async fn run(bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
    for round in 0..bench.plan.rounds {
        for subject in bench.subjects(round, record) {
            let outcome = one(bench, subject, record).await;
            of_peer(subject, outcome, record)?;
        }
    }
    Ok(())
}

async fn one(bench: &Bench, subject: Subject, record: &mut Record) -> Result<(), BenchError> {
    let server = bench.server(subject).await?;
    for (mode, at_once) in MODES {
        let rate = messages(&server, at_once, bench.plan.window).await?;
        record.add(subject.name(), mode, MESSAGES, rate);
    }
    Ok(())
}

/// Opens connections that ask for a while; answers per CPU-second.
pub(super) async fn messages(server: &Server, at_once: u64, window: Duration) -> Result<f64, BenchError> {
    let users = server.users(CONNECTIONS, Role::Client)?;
    let mut sockets = open_many(server.address, &users, AT_ONCE, no_room).await.all()?;
    let before = server.process.cpu_at_rest().await?;
    let until = now() + window;
    let asking = sockets.iter_mut().map(|socket| ask(socket, server.subject, at_once, until));
    let answered: u64 = try_join_all(asking).await?.into_iter().sum();
    let spent = server.process.cpu_at_rest().await?.saturating_sub(before);
    Ok(float(answered) / spent.as_secs_f64())
}

async fn ask(socket: &mut Socket, subject: Subject, at_once: u64, until: Duration) -> Result<u64, BenchError> {
    let frames: Vec<u8> = (0..at_once).flat_map(|_| masked_text(subject.echo())).collect();
    let mut all = 0;
    while now() < until {
        socket.send_frames(&frames).await?;
        let mut answered = 0;
        while answered < at_once {
            let open = socket.receive(|frame| answered += u64::from(matches!(frame, Frame::Text(_))));
            if !open.await? {
                return Err(BenchError::Peer("the server hung up"));
            }
        }
        all += answered;
    }
    Ok(all)
}
