//! Many open sockets that listen: deliveries are counted, pings answered, closes noted with their time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::BenchError;
use crate::clock::now;
use crate::error::within;
use crate::numbers::nanos;
use crate::sources::histogram;
use crate::wire::{Frame, Socket};

/// Longest wait for what was published, or for closes.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often what nobody is told of is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much of a frame is looked at for the mark of what we published.
const HEAD: usize = 256;
/// Begins what we publish; the time it was published follows, in nanoseconds and twenty digits.
const MARK: &[u8] = b"\"@";
const DIGITS: usize = 20;

/// Many open sockets that listen. Dropping it closes them.
pub(crate) struct Crowd {
    heard: Arc<Heard>,
    tasks: JoinSet<()>,
}

/// What the crowd heard.
#[derive(Default)]
struct Heard {
    deliveries: AtomicU64,
    /// At so many deliveries somebody is waiting.
    awaited: AtomicU64,
    reached: Notify,
    /// While it is asked for.
    latency: Mutex<Option<Histogram<u64>>>,
    ends: Mutex<Vec<End>>,
    ended: Notify,
    /// Sockets that the server has asked for a sign of life.
    had_heartbeat: AtomicUsize,
}

/// How a socket of the crowd ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Of the close frame; `None` if there was none.
    pub(crate) code: Option<u16>,
    pub(crate) at: Duration,
}

/// What is published: a mark, the time, and enough to be `bytes` long.
pub(crate) fn data(bytes: usize) -> String {
    format!("{:x<bytes$}", format!("@{:020}", nanos(now())))
}

impl Crowd {
    /// Begins to listen.
    pub(crate) fn listen(sockets: Vec<Socket>) -> Self {
        let heard = Arc::new(Heard::default());
        let mut tasks = JoinSet::new();
        for socket in sockets {
            tasks.spawn(attend(socket, heard.clone()));
        }
        Self { heard, tasks }
    }

    /// So many published messages arrived.
    pub(crate) fn deliveries(&self) -> u64 {
        self.heard.deliveries.load(Ordering::Relaxed)
    }

    /// Waits until so many have arrived in all.
    pub(crate) async fn until_delivered(&self, count: u64) -> Result<(), BenchError> {
        self.heard.awaited.store(count, Ordering::Relaxed);
        within(PATIENCE, "deliveries", async {
            while self.deliveries() < count {
                self.heard.reached.notified().await;
            }
            Ok(())
        })
        .await
    }

    /// From now on the time from publishing to receiving is taken.
    pub(crate) fn begin_latency(&self) {
        *lock(&self.heard.latency) = Some(histogram());
    }

    /// What was taken.
    pub(crate) fn end_latency(&self) -> Histogram<u64> {
        lock(&self.heard.latency).take().unwrap_or_else(histogram)
    }

    /// Waits until so many sockets have ended in all; their ends.
    pub(crate) async fn until_ended(&self, count: usize) -> Result<Vec<End>, BenchError> {
        within(PATIENCE, "close frames", async {
            loop {
                let ends = lock(&self.heard.ends).len();
                if ends >= count {
                    return Ok(lock(&self.heard.ends).clone());
                }
                self.heard.ended.notified().await;
            }
        })
        .await
    }

    /// Waits until the server has asked so many of them for a sign of life.
    pub(crate) async fn until_all_had_a_heartbeat(&self, count: usize) -> Result<(), BenchError> {
        within(PATIENCE, "heartbeats", async {
            while self.heard.had_heartbeat.load(Ordering::Relaxed) < count {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        })
        .await
    }

    /// Closes all and waits until they are.
    pub(crate) async fn leave(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn attend(mut socket: Socket, heard: Arc<Heard>) {
    let mut had_heartbeat = false;
    loop {
        let mut code = None;
        let open = socket.receive(|frame| match frame {
            // The second is SockJS's.
            Frame::Ping(_) | Frame::Text(b"h") if !had_heartbeat => {
                had_heartbeat = true;
                heard.had_heartbeat.fetch_add(1, Ordering::Relaxed);
            }
            Frame::Text(text) => heard.text(text),
            Frame::Close(given) => code = Some(given),
            _ => {}
        });
        let open = open.await;
        if code.is_some() || !matches!(open, Ok(true)) {
            lock(&heard.ends).push(End { code, at: now() });
            heard.ended.notify_one();
            return;
        }
    }
}

impl Heard {
    fn text(&self, text: &[u8]) {
        let head = &text[..text.len().min(HEAD)];
        let Some(mark) = memchr::memmem::find(head, MARK) else { return };
        let mut latency = lock(&self.latency);
        if let Some(latency) = &mut *latency {
            let digits = text.get(mark + MARK.len()..mark + MARK.len() + DIGITS);
            let published = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            latency.saturating_record(nanos(now()).saturating_sub(published.unwrap_or(0)));
        }
        let count = self.deliveries.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.awaited.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
