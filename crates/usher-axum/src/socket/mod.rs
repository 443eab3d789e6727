//! The task of one connection: carries out what its state machine wants, and tells it what happens.

mod input;
mod transport;
mod websocket;
mod wire;
#[cfg(test)]
mod wire_tests;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use usher_auth::close_code::CloseCause;
use usher_auth::connection::{Action, Connection, LINGER, Verification, Violation};
use usher_auth::revocation::RevocationCause;
use usher_auth::throttle::MessagePace;
use usher_auth::{Now, Permit, Refusal};

pub(crate) use self::transport::{Incoming, Transport};
pub(crate) use self::websocket::WebSocket;
use crate::admission::{report_refusal, scene};
use crate::budget::{LingeringPlace, WaitingPlace};
use crate::observer::{Entry, Event as Observed};
use crate::orders::{Amendments, Order};
use crate::registry::{EndingRegistration, Registration, WaitingRegistration};
use crate::{ConnectionHandle, Door, Flow, Handler, Presenter};

/// Bytes waiting to be written, while the socket takes no more, at which nothing more is read from the client: whoever asks without
/// reading the answers fills the network's buffers and not ours.
const PAUSE_READING_AT: usize = 64 * 1024;

/// Bytes beside the first message that a waiting socket may send: frame headers, and a few pings (req E2).
const WAITING_OVERHEAD_BYTES: usize = 1024;

/// `bye` and the close frame.
const FAREWELL_FRAMES: usize = 2;

/// A client that sent too much is not told to come back at once.
const LEAST_RETRY: Duration = Duration::from_secs(1);

/// When a client that was one too many should come back.
const TOO_MANY_RETRY: Duration = Duration::from_secs(30);

/// A connection whose upgrade was accepted.
pub(crate) struct Opening<H: Handler> {
    pub(crate) connection: Connection,
    pub(crate) presenter: Arc<Presenter>,
    /// In the budget of those who wait, or of those who are let in as nobody.
    pub(crate) place: Option<WaitingPlace>,
    /// For a place after its end, where it is remembered then.
    pub(crate) lingering: Option<LingeringPlace>,
    pub(crate) door: Door,
    pub(crate) handler: Arc<H>,
}

/// Runs a connection over `transport` to its end. Whatever ends it, also a panic, its session with the handler and its place in the
/// registry go with it: both are guards.
///
/// The future holds the driver once and nothing else: it is most of what a connection costs.
pub(crate) fn run<T: Transport, H: Handler>(mut transport: T, opening: Opening<H>) -> impl Future<Output = ()> + Send {
    let Opening { connection, presenter, place, lingering, door, handler } = opening;
    let handle = new_handle(&connection, &presenter, &door, &transport);
    handle.begins_with(transport.handshake_bytes());
    let door_now = door.parts().clock.now();
    let waiting = connection.is_waiting().then(|| door.parts().revocations.register_waiting(&handle));
    transport.set_message_limit(connection.message_limit());
    if waiting.is_some() {
        transport.limit_input(connection.waiting_input_limit() + WAITING_OVERHEAD_BYTES);
    }
    let mut driver = Driver {
        connection,
        transport,
        handle,
        presenter,
        door,
        handler,
        session: None,
        registration: None,
        place,
        lingering,
        waiting,
        ending: None,
        verification: None,
        timer: None,
        pace: MessagePace::default(),
        closing: false,
        released: false,
        opened_at: door_now,
        farewell: Farewell::default(),
    };
    async move {
        driver.run().await;
        driver.linger();
    }
}

fn new_handle(
    connection: &Connection,
    presenter: &Arc<Presenter>,
    door: &Door,
    transport: &impl Transport,
) -> Arc<ConnectionHandle> {
    let handle = ConnectionHandle::new(connection.id(), door.parts().outbound_limit);
    let handle = handle.presented(presenter.clone(), connection.rules().clone());
    Arc::new(handle.going(transport.way(door.flusher())))
}

type Verdict = Result<Permit, Refusal>;

struct Driver<T, H: Handler> {
    connection: Connection,
    transport: T,
    handle: Arc<ConnectionHandle>,
    presenter: Arc<Presenter>,
    door: Door,
    handler: Arc<H>,
    session: Option<H::Session>,
    registration: Option<Registration>,
    /// While it waits, or is let in as nobody in particular.
    place: Option<WaitingPlace>,
    lingering: Option<LingeringPlace>,
    waiting: Option<WaitingRegistration>,
    /// From the close frame to the end, while there may be something to write.
    ending: Option<EndingRegistration>,
    verification: Option<Pin<Box<dyn Future<Output = Verdict> + Send>>>,
    /// The deadline it is set to, and the timer. One a connection, made when first needed.
    timer: Option<(Duration, Pin<Box<Sleep>>)>,
    pace: MessagePace,
    closing: bool,
    released: bool,
    opened_at: Now,
    farewell: Farewell,
}

/// What is told of the end, once it is there.
#[derive(Default)]
struct Farewell {
    opened_by: Option<Entry>,
    permit: Option<Permit>,
    cause: Option<(CloseCause, u16)>,
    revoked: Option<(RevocationCause, Duration)>,
    notice: Option<Duration>,
}

/// The transport has failed.
struct Failed;

enum Event {
    Order(Order),
    Verdict(Verdict),
    Timeout,
    Incoming(Incoming),
    /// The transport failed.
    Gone,
}

/// Whatever ends the task, also a panic, the end is told of.
impl<T, H: Handler> Drop for Driver<T, H> {
    fn drop(&mut self) {
        let unexpected = if std::thread::panicking() { CloseCause::Internal } else { CloseCause::ClientLeft };
        let (cause, code) = self.farewell.cause.map_or((unexpected, None), |(cause, code)| (cause, Some(code)));
        self.bid_farewell(cause, code);
    }
}

impl<T, H: Handler> Driver<T, H> {
    fn bid_farewell(&self, cause: CloseCause, code: Option<u16>) {
        let parts = self.door.parts();
        let event = Observed::Closed {
            permit: self.farewell.permit.as_ref(),
            opened_by: self.farewell.opened_by,
            cause,
            code,
            revoked: self.farewell.revoked.map(|(cause, _)| cause),
            notice: self.farewell.notice,
            lasted: parts.clock.now().monotonic.saturating_sub(self.opened_at.monotonic),
        };
        parts.observer.observe(&scene(&self.connection, &self.presenter), &event);
    }
}

impl<T: Transport, H: Handler> Driver<T, H> {
    async fn run(&mut self) {
        if self.connection.is_waiting() {
            self.observe(&Observed::Waiting);
        }
        loop {
            self.carry_out_actions();
            if self.released {
                break;
            }
            let event = poll_fn(|context| self.poll_event(context)).await;
            self.handle_event(event);
        }
        if self.ending.is_none() {
            self.ending = Some(self.door.parts().revocations.register_ending(&self.handle));
        }
        self.end_session();
        // The answer to the peer's close frame may still be in the queue; a peer that does not take it does not hold us.
        // In a box, so that a connection has no room for it before.
        let finish = poll_fn(|context| self.transport.poll_flush(&self.handle, context, true));
        let _ = Box::pin(tokio::time::timeout(LINGER, finish)).await;
    }

    fn now(&self) -> Now {
        self.door.parts().clock.now()
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if !self.closing
            && let Poll::Ready(order) =
                self.handle.poll_order(context, self.connection.takes_amendments() || self.waiting.is_some())
        {
            return Poll::Ready(Event::Order(order));
        }
        let Ok(all_written) = self.write(context) else { return Poll::Ready(Event::Gone) };
        if let Some(verification) = &mut self.verification
            && let Poll::Ready(verdict) = verification.as_mut().poll(context)
        {
            self.verification = None;
            return Poll::Ready(Event::Verdict(verdict));
        }
        if self.poll_timer(context).is_ready() {
            return Poll::Ready(Event::Timeout);
        }
        // Only where the task itself waits until it can write on: from what is left to the flusher it would not come back.
        if self.connection.wants_read() && (all_written || !self.handle.holds(PAUSE_READING_AT)) {
            let incoming = self.transport.poll_incoming(&self.handle, context);
            if self.transport.take_heard() {
                self.connection.handle_heard(self.now());
            }
            if let Poll::Ready(incoming) = incoming {
                return Poll::Ready(Event::Incoming(incoming));
            }
            // Reading may have queued a pong.
            if self.handle.holds(1) && self.write(context).is_err() {
                return Poll::Ready(Event::Gone);
            }
        }
        Poll::Pending
    }

    /// Writes what is queued until nothing is left or no more can be written now; whether all is written. An error if the transport has
    /// failed. Everything queued goes into one write; what arrives during it goes into the next.
    fn write(&mut self, context: &mut Context<'_>) -> Result<bool, Failed> {
        // A revocation waits for what is being written, and nothing is begun after it (req H4).
        let traffic = self.handle.traffic();
        if traffic.is_none() && !self.closing {
            return Ok(true);
        }
        match self.transport.poll_flush(&self.handle, context, self.closing) {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(_)) => Err(Failed),
            Poll::Pending => Ok(false),
        }
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.connection.poll_timeout() else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer.as_ref().is_none_or(|(set_to, _)| *set_to != deadline) {
            let wait = deadline.saturating_sub(self.now().monotonic);
            self.timer = Some((deadline, Box::pin(tokio::time::sleep(wait))));
        }
        let Some((_, sleep)) = &mut self.timer else { return Poll::Pending };
        let ready = sleep.as_mut().poll(context);
        if ready.is_ready() {
            // Set anew if the machine finds that it is not time yet.
            self.timer = None;
        }
        ready
    }

    fn handle_event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Order(Order::Revoked { cause, ordered_at }) => {
                self.farewell.revoked = Some((cause, ordered_at));
                self.connection.handle_revoked(now, cause);
            }
            Event::Order(Order::Amend(amendments)) => {
                self.amend(*amendments, now);
                // Rooms are left, and all else that follows is done, before the change is reported as taken in.
                self.carry_out_actions();
                self.handle.taken_in();
                self.door.parts().revocations.tell_taken_in();
            }
            Event::Order(Order::End(cause, retry_after)) => self.connection.handle_end(now, cause, retry_after),
            Event::Verdict(verdict) => self.connection.handle_verdict(now, verdict),
            Event::Timeout => self.connection.handle_timeout(now),
            Event::Incoming(Incoming::Text(text)) => {
                // A WebSocket says so on the frame's header; other transports cannot while their own limit is a larger one.
                if text.len() > self.connection.message_limit() {
                    self.connection.handle_violation(now, Violation::TooBig);
                } else if self.is_in_pace(now) {
                    self.connection.handle_text(now, text.as_str());
                }
            }
            Event::Incoming(Incoming::Unwrapped(mistake, text)) => {
                if self.is_in_pace(now) {
                    self.connection.handle_unwrapped(now, mistake, &text);
                }
            }
            Event::Incoming(Incoming::Control) => {
                self.is_in_pace(now);
            }
            Event::Incoming(Incoming::Violation(violation)) => {
                if violation == Violation::Protocol {
                    tracing::debug!("the client broke the WebSocket protocol");
                }
                self.connection.handle_violation(now, violation);
            }
            Event::Incoming(Incoming::Closed) | Event::Gone => self.connection.handle_peer_closed(),
        }
    }

    fn carry_out_actions(&mut self) {
        while let Some(action) = self.connection.poll_action() {
            match action {
                Action::Verify(verification) => self.start_verification(verification),
                Action::Refused { refusal, carrier } => {
                    let observer = &*self.door.parts().observer;
                    report_refusal(observer, &self.connection, &self.presenter, &refusal, carrier);
                }
                Action::Opened => self.open(),
                Action::Renewed => self.renew(),
                // Behind whatever was queued before it: answers come in the order of what they answer.
                Action::Send(frame) => self.handle.say(&frame),
                Action::Deliver(message) => {
                    let now = self.now();
                    // Whoever revoked has been told that nothing more is taken (req H4).
                    if let Some(session) = &mut self.session
                        && let Some(_traffic) = self.handle.intake()
                        && let Flow::End(cause) = self.handler.message(session, message, now)
                    {
                        self.connection.handle_end(now, cause, None);
                    }
                }
                Action::DiscardQueued => {
                    self.handle.shut();
                    self.handle.discard();
                }
                Action::Close { code, reason, cause } => {
                    tracing::info!(code, cause = cause.as_str(), "closing");
                    self.farewell.cause = Some((cause, code));
                    let now = self.now().monotonic;
                    self.farewell.notice = self.farewell.revoked.map(|(_, ordered_at)| now.saturating_sub(ordered_at));
                    // Before it leaves the registry, so that a drain that finds it in neither place finds nothing unwritten.
                    self.ending = Some(self.door.parts().revocations.register_ending(&self.handle));
                    self.transport.close(&self.handle, code, &reason);
                    self.handle.farewell(FAREWELL_FRAMES);
                    self.closing = true;
                    self.end_session();
                }
                Action::SendAway => self.send_away(),
                Action::Mistaken(mistake, shape) => {
                    tracing::info!(%mistake, sent = shape, write = mistake.reason(), "a client wraps its messages wrongly");
                }
                Action::Ping => self.transport.ping(&self.handle),
                Action::TouchSession => self.touch_session(),
                Action::Release => self.released = true,
                // Both are carried out before there is a socket.
                Action::Accept | Action::Reject(_) => {}
            }
        }
    }

    /// It has ended, and is remembered for a while: it keeps its place, or takes one if it had none. Without one it is forgotten at once.
    fn linger(&mut self) {
        let Some(lingering) = &self.lingering else { return };
        let place = self.place.take();
        let place = place.or_else(|| self.door.waiting().take(self.presenter.address.source()));
        if place.is_none() {
            self.transport.forget_ended();
        }
        lingering.hold(place);
    }

    fn start_verification(&mut self, verification: Verification) {
        let (door, presenter) = (self.door.clone(), self.presenter.clone());
        let (connection, rules) = (self.connection.id(), self.connection.rules().clone());
        self.verification = Some(Box::pin(async move {
            let scene = presenter.scene(connection, &rules.path);
            door.parts().verify(verification, &presenter, &scene).await
        }));
    }

    fn open(&mut self) {
        let now = self.now();
        let Some(permit) = self.connection.permit().cloned() else { return };
        self.waiting = None;
        if !permit.principal().anonymous {
            self.place = None;
        }
        // Also who was one too many is told of by name.
        self.farewell.permit = Some(permit.clone());
        if !self.register(&permit, now) {
            return;
        }
        self.transport.limit_input(usize::MAX);
        self.observe(&Observed::Opened { permit: &permit });
        self.farewell.opened_by = Some(Entry::from(&permit));
        self.transport.set_message_limit(self.connection.message_limit());
        self.session = Some(self.handler.open(&permit, &self.handle, now));
        tracing::info!(
            user = %permit.principal().id,
            carrier = permit.carrier().map_or("none", |carrier| carrier.as_str()),
            "opened"
        );
    }

    /// Puts the connection where revocations find it. False if it ends instead: one too many, or revoked meanwhile.
    fn register(&mut self, permit: &Permit, now: Now) -> bool {
        let parts = self.door.parts();
        let (revocations, facts, limits) = (&parts.revocations, permit.shared_credential(), parts.connections);
        let registered = match &mut self.registration {
            Some(registration) => revocations.replace(registration, &self.handle, &facts, limits, now),
            None => {
                self.registration = revocations.register(&self.handle, &facts, limits, now);
                self.registration.is_some()
            }
        };
        if !registered {
            self.connection.handle_one_too_many(now, TOO_MANY_RETRY);
            return false;
        }
        if self.handle.is_shut() {
            // A revocation meant it already: before anything is said.
            if let Some(order) = self.handle.take_order() {
                self.handle_event(Event::Order(order));
            }
            return false;
        }
        true
    }

    fn renew(&mut self) {
        let now = self.now();
        let Some(permit) = self.connection.permit().cloned() else { return };
        if !self.register(&permit, now) {
            return;
        }
        self.place = None;
        let lost = match &mut self.session {
            Some(session) => self.handler.renew(session, &permit, now),
            None => Vec::new(),
        };
        self.observe(&Observed::Renewed { permit: &permit, rooms_lost: lost.len() });
        self.farewell.permit = Some(permit);
        self.connection.handle_renewed(now, &lost);
    }

    /// What changed about the connection from elsewhere.
    fn amend(&mut self, amendments: Amendments, now: Now) {
        let Amendments { margin, routes, session_used, user, session_renewed } = amendments;
        if let Some(routes) = routes {
            let rules = routes.get(&self.connection.rules().path);
            self.connection.handle_rules_changed(now, rules, self.presenter.origin.as_deref());
            if !self.connection.is_waiting() {
                self.transport.set_message_limit(self.connection.message_limit());
            }
            if let Some(session) = &mut self.session {
                self.handler.recheck(session, now);
            }
        }
        if let Some((margin, cause)) = margin {
            self.connection.handle_revoked_with_margin(now, margin, cause);
        }
        if let Some((session, expires_at)) = session_used {
            self.connection.handle_session_used(now, &session, expires_at);
        }
        if let Some((user, read_at)) = user {
            self.connection.handle_user_changed(now, &user, read_at);
            // The rooms first: one change at a time.
            self.carry_out_actions();
        }
        if let Some(renewal) = session_renewed {
            self.connection.handle_session_renewed(now, &renewal);
        }
    }

    /// Nobody is in any more; the socket waits as it did at first. What others still hold of it leads nowhere: it is another
    /// connection to them.
    fn send_away(&mut self) {
        let now = self.now();
        let next = new_handle(&self.connection, &self.presenter, &self.door, &self.transport);
        // Before the other leaves the registry: a change of the rules finds one of the two.
        let waiting = self.connection.is_waiting().then(|| self.door.parts().revocations.register_waiting(&next));
        self.end_session();
        if let Some(routes) = self.handle.take_routes() {
            next.amend(|amendments| amendments.routes = Some(routes));
        }
        self.handle.discard();
        self.handle = next;
        self.transport.forget_presenter();
        let revoked = self.farewell.revoked;
        let cause = if revoked.is_some() { CloseCause::Revoked } else { CloseCause::Expired };
        self.farewell.notice = revoked.map(|(_, ordered_at)| now.monotonic.saturating_sub(ordered_at));
        self.bid_farewell(cause, None);
        self.farewell = Farewell::default();
        self.opened_at = now;
        tracing::info!(cause = cause.as_str(), "sent away");

        self.pace = MessagePace::default();
        self.waiting = waiting;
        if self.waiting.is_none() {
            // The end has begun.
            return;
        }
        self.observe(&Observed::Waiting);
        self.transport.limit_input(self.connection.waiting_input_limit() + WAITING_OVERHEAD_BYTES);
        self.place = self.door.waiting().take(self.presenter.address.source());
        if self.place.is_none() {
            self.connection.handle_end(now, CloseCause::TooMany, Some(TOO_MANY_RETRY));
        }
    }

    /// Writes down that the session was used, away from the connection's path.
    fn touch_session(&self) {
        let Some(session) = self.connection.permit().and_then(|permit| permit.credential().session.clone()) else {
            return;
        };
        let door = self.door.clone();
        tokio::spawn(async move {
            let parts = door.parts();
            if let Some(expires_at) = parts.verifier.session_used(&session).await {
                parts.revocations.session_used(&session, expires_at);
            }
        });
    }

    /// Whether the client keeps to its pace; else its end has begun. Control frames count as messages (req M11).
    fn is_in_pace(&mut self, now: Now) -> bool {
        match self.pace.count(self.door.parts().messages, now) {
            Ok(()) => true,
            Err(wait) => {
                self.connection.handle_end(now, CloseCause::TooMany, Some(wait.max(LEAST_RETRY)));
                false
            }
        }
    }

    /// Leaves the rooms and the registry; nothing more is taken for this peer.
    fn end_session(&mut self) {
        self.session = None;
        self.registration = None;
        self.waiting = None;
        self.verification = None;
        self.handle.shut();
        self.door.parts().revocations.tell_taken_in();
    }

    fn observe(&self, event: &Observed<'_>) {
        self.door.parts().observer.observe(&scene(&self.connection, &self.presenter), event);
    }
}
