//! Numbers for operators, in the OpenMetrics text format that Prometheus reads.
//!
//! Every label is the name of something in the code: a carrier, a cause, a reason. Nothing that a client sends and nobody's id is one,
//! so that the number of series is fixed by the code alone (req N6).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use usher_auth::Refusal;
use usher_auth::carriers::Carrier;
use usher_auth::close_code::CloseCause;
use usher_auth::refusal::RefusalKind;
use usher_axum::observer::{Entry, Event, Scene};
use usher_axum::{LiveConnections, Observer, SockJsRoute};
use usher_rooms::Rooms;

use usher_audit::{AuditTrail, SinkKind};
use usher_axum::rooms::RoomsApplication;

/// The type of the answer to `GET /metrics`.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: from a look-up in memory to a client that was given up.
const SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// One label: its name and its value, both of the code's making. Counting by it allocates nothing.
type Label = [(&'static str, &'static str); 1];
type Timings = Family<Label, Histogram, fn() -> Histogram>;

/// What happened so far. A cheap handle.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    opened: Family<Label, Counter>,
    open: Family<Label, Gauge>,
    closed: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    renewed: Counter,
    verify: Timings,
    upgrade: Timings,
    revocation: Histogram,
}

/// What is counted by its owner, and asked for when somebody looks.
pub(crate) struct Owners {
    pub(crate) connections: LiveConnections,
    pub(crate) sockjs: Option<SockJsRoute<RoomsApplication>>,
    pub(crate) rooms: Rooms,
    pub(crate) audit: AuditTrail,
}

impl Default for Metrics {
    /// Nothing happened yet. What is possible is there from the beginning, with 0: an alert on it needs no first time.
    fn default() -> Self {
        let timings = || Timings::new_with_constructor(|| Histogram::new(SECONDS));
        let shared = Shared {
            opened: Family::default(),
            open: Family::default(),
            closed: Family::default(),
            refused: Family::default(),
            renewed: Counter::default(),
            verify: timings(),
            upgrade: timings(),
            revocation: Histogram::new(SECONDS),
        };
        for carrier in Carrier::ALL.map(Carrier::as_str).into_iter().chain([ANONYMOUS]) {
            drop(shared.opened.get_or_create(&[("carrier", carrier)]));
            drop(shared.open.get_or_create(&[("carrier", carrier)]));
        }
        for cause in CloseCause::ALL {
            drop(shared.closed.get_or_create(&[("cause", cause.as_str())]));
        }
        for kind in REFUSALS {
            drop(shared.refused.get_or_create(&[("reason", Refusal::new(kind, "").code())]));
        }
        for yes in [true, false] {
            drop(shared.verify.get_or_create(&good(yes)));
            drop(shared.upgrade.get_or_create(&accepted(yes)));
        }
        Self { shared: Arc::new(shared) }
    }
}

/// One of each code of a refusal.
const REFUSALS: [RefusalKind; 20] = [
    RefusalKind::MissingCredential,
    RefusalKind::MissingTicket,
    RefusalKind::Unauthorized,
    RefusalKind::InvalidSession,
    RefusalKind::InvalidTicket,
    RefusalKind::TicketNotForHere,
    RefusalKind::UserNotFound,
    RefusalKind::Expired,
    RefusalKind::MultipleCredentials,
    RefusalKind::MalformedCredential,
    RefusalKind::CarrierDisabled(Carrier::Query),
    RefusalKind::OriginForbidden,
    RefusalKind::Forbidden,
    RefusalKind::Throttled { retry_after: Duration::ZERO },
    RefusalKind::TooManyConnections { retry_after: Duration::ZERO },
    RefusalKind::AuthenticationTimeout,
    RefusalKind::NotAuthFirst,
    RefusalKind::FirstMessageTooBig,
    RefusalKind::FirstMessageBinary,
    RefusalKind::Unavailable,
];

/// The carrier of those who present nothing.
const ANONYMOUS: &str = "none";

fn carrier(entry: Entry) -> Label {
    match entry {
        Entry::Credential(carrier) => [("carrier", carrier.as_str())],
        Entry::Anonymous => [("carrier", ANONYMOUS)],
    }
}

fn good(yes: bool) -> Label {
    [("result", if yes { "good" } else { "bad" })]
}

fn accepted(yes: bool) -> Label {
    [("result", if yes { "accepted" } else { "refused" })]
}

impl Observer for Metrics {
    fn observe(&self, _: &Scene<'_>, event: &Event<'_>) {
        let shared = &*self.shared;
        match event {
            Event::Verified { took, good: yes, .. } => {
                shared.verify.get_or_create(&good(*yes)).observe(took.as_secs_f64());
            }
            Event::Answered { took, accepted: yes } => {
                shared.upgrade.get_or_create(&accepted(*yes)).observe(took.as_secs_f64());
            }
            // Counted by the door.
            Event::Waiting => {}
            Event::Refused { refusal, .. } => {
                shared.refused.get_or_create(&[("reason", refusal.code())]).inc();
            }
            Event::Opened { permit } => {
                let label = carrier(Entry::from(*permit));
                shared.opened.get_or_create(&label).inc();
                shared.open.get_or_create(&label).inc();
            }
            Event::Renewed { .. } => drop(shared.renewed.inc()),
            Event::Closed { cause, revoked, notice, opened_by, .. } => {
                if let Some(by) = opened_by {
                    shared.open.get_or_create(&carrier(*by)).dec();
                }
                shared.closed.get_or_create(&[("cause", cause.as_str())]).inc();
                if let (Some(_), Some(notice)) = (revoked, notice) {
                    shared.revocation.observe(notice.as_secs_f64());
                }
            }
        }
    }
}

impl Metrics {
    /// All of it as text, for Prometheus.
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    pub(crate) fn text(&self, owners: &Arc<Owners>) -> String {
        let shared = &*self.shared;
        let mut registry = Registry::with_prefix("usher");
        registry.register("connections_opened", "Connections let in, by carrier", shared.opened.clone());
        let help = "Connections open now, by the carrier they came in by";
        registry.register("connections_open", help, shared.open.clone());
        registry.register("connections_closed", "Connections that ended, by cause", shared.closed.clone());
        registry.register("refusals", "Attempts refused, by reason", shared.refused.clone());
        registry.register("renewals", "Credentials renewed on an open connection", shared.renewed.clone());
        let seconds = || Unit::Seconds;
        registry.register_with_unit("verify", "Verifying a credential", seconds(), shared.verify.clone());
        registry.register_with_unit("upgrade", "Answering an upgrade", seconds(), shared.upgrade.clone());
        let help = "From a revocation to the close frame in the queue, for each connection it ended";
        registry.register_with_unit("revocation_to_close", help, seconds(), shared.revocation.clone());
        registry.register_collector(Box::new(owners.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to memory");
        text
    }
}

impl Collector for Owners {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = |encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let status = self.audit.status();
        let states = [("waiting", self.connections.waiting()), ("open", self.connections.count())];
        let of = |count: usize| ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
        let mut family = encoder.encode_descriptor("connections", "Connections by state", None, of(0).metric_type())?;
        for (state, count) in states {
            of(count).encode(family.encode_family(&[("state", state)])?)?;
        }
        let help = "Bytes queued for clients and not written yet, over all transports";
        let queued = self.connections.queued_bytes() + self.sockjs.as_ref().map_or(0, SockJsRoute::queued_bytes);
        gauge(&mut encoder, "outbound_queued_bytes", help, queued)?;
        gauge(&mut encoder, "rooms", "Rooms with somebody in them", self.rooms.room_count())?;
        gauge(&mut encoder, "audit_queued", "Audit records that wait to be written", status.queued)?;
        let help = "Whether an audit sink cannot be written to";
        gauge(&mut encoder, "audit_failing", help, usize::from(status.failing))?;
        let dropped = ConstCounter::new(status.dropped);
        let help = "Audit records lost because the queue was full";
        dropped.encode(encoder.encode_descriptor("audit_dropped", help, None, dropped.metric_type())?)?;
        for (name, help, counts) in [
            ("audit_written", "Audit records written, by sink", status.written),
            ("audit_failed", "Audit records that a sink could not take when they came, by sink", status.failed),
            ("audit_lost", "Audit records lost because too many waited for a sink that fails, by sink", status.lost),
        ] {
            let counter = ConstCounter::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            for (kind, count) in SinkKind::ALL.into_iter().zip(counts) {
                ConstCounter::new(count).encode(family.encode_family(&[("sink", kind.as_str())])?)?;
            }
        }
        let help = "Audit records that wait for a sink that fails, by sink";
        let mut family = encoder.encode_descriptor("audit_waiting", help, None, of(0).metric_type())?;
        for (kind, count) in SinkKind::ALL.into_iter().zip(status.pending) {
            let count = of(usize::try_from(count).unwrap_or(usize::MAX));
            count.encode(family.encode_family(&[("sink", kind.as_str())])?)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owners").finish_non_exhaustive()
    }
}
