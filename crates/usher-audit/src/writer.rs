//! The one task that writes records to the sinks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use usher_auth::UnixTime;

use super::Record;
use super::outlet::{Loss, MAX_BATCH, Outlet};
use super::sinks::{Rendered, Sink};
use super::trail_core::Core;

/// How long after a record it is waited for others to be written with it: under load, most of what a record costs is the sync.
const GATHER: Duration = Duration::from_millis(20);
/// How often it is looked whether counted records are due, lost ones can be told of, and something is not settled.
const TICK: Duration = Duration::from_secs(1);

/// What the writer is asked to do.
pub(super) enum Order {
    Write(UnixTime, Box<Record>),
    /// Answer when everything before this was written, or could not be.
    Flush(oneshot::Sender<()>),
}

/// Writes records to the sinks.
pub struct AuditWriter {
    orders: mpsc::Receiver<Order>,
    core: Arc<Core>,
    sinks: Vec<Outlet>,
    /// When the sinks last did what they put off, on the monotonic clock.
    settled_at: Duration,
}

impl AuditWriter {
    pub(super) fn new(orders: mpsc::Receiver<Order>, core: Arc<Core>, sinks: Vec<Sink>) -> Self {
        let sinks = sinks.into_iter().map(Outlet::new).collect();
        Self { orders, core, sinks, settled_at: Duration::ZERO }
    }

    /// Writes until nobody has a handle to the trail any more.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut orders = Vec::with_capacity(MAX_BATCH);
        loop {
            tokio::select! {
                biased;
                received = self.orders.recv_many(&mut orders, MAX_BATCH) => {
                    self.gather(&mut orders).await;
                    self.carry_out(&mut orders).await;
                    if received == 0 {
                        self.settle().await;
                        return;
                    }
                }
                _ = tick.tick() => {
                    self.write(&mut Vec::new(), false).await;
                    self.settle().await;
                }
            }
        }
    }

    /// Waits for more, unless somebody waits for what is there.
    async fn gather(&mut self, orders: &mut Vec<Order>) {
        let hurried = orders.iter().any(|order| matches!(order, Order::Flush(_)));
        if hurried || orders.is_empty() || orders.len() == MAX_BATCH {
            return;
        }
        tokio::time::sleep(GATHER).await;
        while orders.len() < MAX_BATCH
            && let Ok(order) = self.orders.try_recv()
        {
            orders.push(order);
        }
    }

    async fn carry_out(&mut self, orders: &mut Vec<Order>) {
        let mut records = Vec::new();
        for order in orders.drain(..) {
            match order {
                Order::Write(at, record) => records.push((at, *record)),
                Order::Flush(done) => {
                    self.write(&mut records, true).await;
                    self.settle().await;
                    let _ = done.send(());
                }
            }
        }
        self.write(&mut records, false).await;
        // The tick does not come while there is always more to write.
        if self.core.clock.now().monotonic.saturating_sub(self.settled_at) >= TICK {
            self.settle().await;
        }
    }

    /// Writes `records`, what was counted meanwhile, and what must be said about the trail itself. Sinks that failed a moment ago are tried
    /// again only if it is `urgent`.
    async fn write(&mut self, records: &mut Vec<(UnixTime, Record)>, urgent: bool) {
        let now = self.core.clock.now();
        records.extend(self.core.flood.lock().due(now).into_iter().map(|record| (now.unix, record)));
        let dropped = self.core.counters.unreported.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::error!(records = dropped, "audit records were lost: the sinks are slower than what happens");
            let loss = Loss { count: dropped, first: now.unix, last: now.unix };
            records.push((now.unix, loss.record("queue_full")));
        }
        let rendered: Vec<Rendered> =
            records.drain(..).map(|(at, record)| (at, record.to_json(at, &self.core.keys).into())).collect();
        for outlet in &mut self.sinks {
            outlet.write(&rendered, urgent, &self.core).await;
        }
        let failing = self.sinks.iter().any(Outlet::is_failing);
        self.core.counters.failing.store(failing, Ordering::Relaxed);
    }

    /// Has every sink do what it put off.
    async fn settle(&mut self) {
        for outlet in &mut self.sinks {
            outlet.settle().await;
        }
        self.settled_at = self.core.clock.now().monotonic;
    }
}
