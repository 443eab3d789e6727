//! Opening many connections, from many loopback addresses: one address has too few ports, and servers count by address.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hdrhistogram::Histogram;

use crate::clock::now;
use crate::error::within;
use crate::numbers::nanos;
use crate::wire::{Handshake, Socket};
use crate::{BenchError, subject::Subject};

/// Loopback addresses that clients come from.
pub(crate) const SOURCES: usize = 64;
/// How many open at once where nothing else is asked for.
pub(crate) const AT_ONCE: usize = 64;

/// How long a client tries. Everybody comes at once in a storm.
const PATIENCE: Duration = Duration::from_mins(1);

/// What became of many connections.
pub(crate) struct Opened {
    pub(crate) sockets: Vec<Socket>,
    /// Why the others are not there.
    pub(crate) failures: Vec<BenchError>,
    /// From the first packet to being let in, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// From the first packet of the first to the last.
    pub(crate) took: Duration,
}

/// The address of the client of that number.
pub(crate) fn source(number: usize) -> Ipv4Addr {
    // SOURCES is far below what an address has room for.
    Ipv4Addr::new(127, 0, 0, u8::try_from(number % SOURCES).unwrap_or(0) + 1)
}

/// Opens them, so many at once, and has each join a room if `room` names one.
pub(crate) async fn open_many(
    server: SocketAddr,
    hows: &[Handshake],
    at_once: usize,
    room: impl Fn(usize) -> Option<(String, &'static str)>,
) -> Opened {
    let began = now();
    let opening = hows.iter().enumerate().map(|(number, how)| {
        let join = room(number);
        async move {
            let start = now();
            let opened = within(PATIENCE, "a client to be let in", async {
                let mut socket = Socket::open(server, source(number), how).await?;
                let took = now().saturating_sub(start);
                if let Some((join, joined)) = join {
                    socket.send(&join).await?;
                    socket.expect(joined).await?;
                }
                Ok((socket, took))
            });
            opened.await
        }
    });
    let mut opening = stream::iter(opening).buffer_unordered(at_once);
    let mut opened = Opened {
        sockets: Vec::with_capacity(hows.len()),
        failures: Vec::new(),
        latency: histogram(),
        took: Duration::ZERO,
    };
    while let Some(outcome) = opening.next().await {
        match outcome {
            Ok((socket, took)) => {
                opened.latency.saturating_record(nanos(took));
                opened.sockets.push(socket);
            }
            Err(error) => opened.failures.push(error),
        }
    }
    opened.took = now().saturating_sub(began);
    opened
}

impl Opened {
    /// The sockets, if there are as many as were asked for.
    pub(crate) fn all(self) -> Result<Vec<Socket>, BenchError> {
        match self.failures.into_iter().next() {
            None => Ok(self.sockets),
            Some(failure) => Err(failure),
        }
    }
}

/// The longest time that is told from longer ones, in nanoseconds: two minutes.
const LONGEST: u64 = 120_000_000_000;

/// Three digits of times in nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST, 3).expect("three digits are possible")
}

/// The room that all join, as `open_many` wants it.
pub(crate) fn all_in(subject: Subject, room: &str) -> impl Fn(usize) -> Option<(String, &'static str)> {
    let join = subject.join(room);
    move |_| join.clone()
}

/// No room.
pub(crate) fn no_room(_: usize) -> Option<(String, &'static str)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_from_a_microsecond_to_a_minute_are_kept() {
        let mut taken = histogram();
        let times = [Duration::from_micros(1), Duration::from_millis(5), Duration::from_mins(1)];
        for time in times {
            taken.saturating_record(nanos(time));
        }
        for (quantile, time) in [0.3, 0.5, 1.0].into_iter().zip(times) {
            let kept = Duration::from_nanos(taken.value_at_quantile(quantile));
            assert!(kept.abs_diff(time) < time / 500, "{kept:?} for {time:?}");
        }
    }

    #[test]
    fn clients_come_from_many_addresses() {
        let addresses: std::collections::BTreeSet<_> = (0..1_000).map(source).collect();
        assert_eq!(addresses.len(), SOURCES);
        assert!(addresses.iter().all(Ipv4Addr::is_loopback));
    }
}
