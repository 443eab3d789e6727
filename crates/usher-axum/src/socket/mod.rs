//! The task of one connection: carries out what its state machine wants, and tells it what happens.

mod actions;
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
use usher_auth::connection::{Connection, LINGER, Recipient, Violation};
use usher_auth::protocol::Received;
use usher_auth::revocation::RevocationCause;
use usher_auth::throttle::MessagePace;
use usher_auth::{Now, Permit, Refusal};

pub(crate) use self::transport::{Incoming, Transport};
pub(crate) use self::websocket::WebSocket;
use crate::budget::WaitingPlace;
use crate::lingering::{HeldPlace, LingeringPlace};
use crate::observer::{Entry, Event as Observed};
use crate::orders::Order;
use crate::refusal_report::scene;
use crate::registry::{EndingRegistration, Registration, WaitingRegistration};
use crate::{Application, ConnectionHandle, Door, Flow, Message, Presenter, Text};

/// Bytes waiting to be written, while the socket takes no more, at which nothing more is read from the client: whoever asks without
/// reading the answers fills the network's buffers and not ours.
pub(crate) const PAUSE_READING_AT: usize = 64 * 1024;

/// A client that sent too much is not told to come back at once.
const LEAST_RETRY: Duration = Duration::from_secs(1);

/// When a client that was one too many should come back.
const TOO_MANY_RETRY: Duration = Duration::from_secs(30);

/// A connection whose upgrade was accepted.
pub(crate) struct Opening<A: Application> {
    pub(crate) connection: Connection,
    pub(crate) presenter: Arc<Presenter>,
    /// In the budget of the sockets that wait, or of the anonymous ones.
    pub(crate) place: Option<WaitingPlace>,
    /// For a place after its end, where it is remembered then.
    pub(crate) lingering: Option<LingeringPlace>,
    pub(crate) door: Door,
    pub(crate) application: Arc<A>,
    pub(crate) request: A::Request,
    /// What the application made of a connection that it has taken already.
    pub(crate) admitted: Option<A::Admitted>,
    /// Of the rules that it began under.
    pub(crate) generation: u64,
}

/// Runs a connection over `transport` to its end. Whatever ends it, also a panic, its session with the handler and its place in the
/// registry go with it: both are guards.
///
/// The future holds the driver once and nothing else: it is most of what a connection costs.
pub(crate) fn run<T: Transport, A: Application>(transport: T, opening: Opening<A>) -> impl Future<Output = ()> + Send {
    let Opening { connection, presenter, place, lingering, door, application, request, admitted, generation } = opening;
    let handle = new_handle(&connection, &presenter, &door, &transport);
    handle.begins_with(transport.handshake_bytes());
    let door_now = door.parts().clock.now();
    let waiting = connection.is_waiting().then(|| door.parts().connections.register_waiting(&handle));
    if waiting.is_some() {
        door.parts().connections.catch_up(&handle, connection.rules(), generation);
    }
    let mut driver = Driver {
        connection,
        transport,
        handle,
        presenter,
        door,
        application,
        request,
        admitted,
        generation,
        session: None,
        registration: None,
        place: place.map(HeldPlace::Stranger),
        lingering,
        waiting,
        ending: None,
        decision: None,
        timer: None,
        pace: MessagePace::default(),
        closing: false,
        released: false,
        unheard: Unheard::default(),
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

/// A decision that is being made.
type Deciding<M> = Pin<Box<dyn Future<Output = Decision<M>> + Send>>;

/// What was decided about a credential or a connection.
enum Decision<M> {
    /// The credential is good, or is not.
    Verdict(Result<Permit, Refusal>),
    /// The application takes the connection, or does not.
    Admission(Result<M, Refusal>),
}

struct Driver<T, A: Application> {
    connection: Connection,
    transport: T,
    handle: Arc<ConnectionHandle>,
    presenter: Arc<Presenter>,
    door: Door,
    application: Arc<A>,
    request: A::Request,
    /// Of the rules that it began under.
    generation: u64,
    /// From the application's answer to the opening.
    admitted: Option<A::Admitted>,
    session: Option<A::Session>,
    registration: Option<Registration>,
    /// While it is not authenticated, or anonymous.
    place: Option<HeldPlace>,
    lingering: Option<LingeringPlace>,
    waiting: Option<WaitingRegistration>,
    /// From the close frame to the end, while there may be something to write.
    ending: Option<EndingRegistration>,
    /// What is being decided. One at a time.
    decision: Option<Deciding<A::Admitted>>,
    /// The deadline it is set to, and the timer. One a connection, made when first needed.
    timer: Option<(Duration, Pin<Box<Sleep>>)>,
    pace: MessagePace,
    closing: bool,
    released: bool,
    unheard: Unheard,
    opened_at: Now,
    farewell: Farewell,
}

/// Why a client that is alive is not heard.
#[derive(Default)]
struct Unheard {
    /// The socket took no more when it was last written to: once it does, the peer has read something.
    stalled: bool,
    /// The application takes no message, so that nothing is read.
    paused: bool,
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

enum Event<M> {
    Order(Order),
    Decided(Decision<M>),
    Timeout,
    Incoming(Incoming),
    /// The transport failed.
    Gone,
}

/// Whatever ends the task, also a panic, the end is told of.
impl<T, A: Application> Drop for Driver<T, A> {
    fn drop(&mut self) {
        let unexpected = if std::thread::panicking() { CloseCause::Internal } else { CloseCause::ClientLeft };
        let (cause, code) = self.farewell.cause.map_or((unexpected, None), |(cause, code)| (cause, Some(code)));
        self.bid_farewell(cause, code);
    }
}

impl<T, A: Application> Driver<T, A> {
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

impl<T: Transport, A: Application> Driver<T, A> {
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
            self.ending = Some(self.door.parts().connections.register_ending(&self.handle));
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

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event<A::Admitted>> {
        if !self.closing
            && let Poll::Ready(order) =
                self.handle.poll_order(context, self.connection.takes_updates() || self.waiting.is_some())
        {
            return Poll::Ready(Event::Order(order));
        }
        let Ok(all_written) = self.write(context) else { return Poll::Ready(Event::Gone) };
        if let Some(decision) = &mut self.decision
            && let Poll::Ready(decided) = decision.as_mut().poll(context)
        {
            self.decision = None;
            return Poll::Ready(Event::Decided(decided));
        }
        if self.poll_timer(context).is_ready() {
            return Poll::Ready(Event::Timeout);
        }
        // Only where the task itself waits until it can write on: from what is left to the flusher it would not come back.
        let writes_on = all_written || !self.handle.holds(PAUSE_READING_AT);
        if self.connection.wants_read() && writes_on && self.application_is_ready(context) {
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

    /// Whether the application can take a message; a client that it has no connection with is read by the machine alone.
    fn application_is_ready(&mut self, context: &mut Context<'_>) -> bool {
        self.unheard.paused = match &mut self.session {
            Some(session) => self.application.poll_ready(session, context).is_pending(),
            None => false,
        };
        !self.unheard.paused
    }

    /// Writes what is queued until nothing is left or no more can be written now; whether all is written. An error if the transport has
    /// failed. Everything queued goes into one write; what arrives during it goes into the next.
    fn write(&mut self, context: &mut Context<'_>) -> Result<bool, Failed> {
        // A revocation waits for what is being written, and nothing is begun after it (req H4).
        let traffic = self.handle.traffic();
        if traffic.is_none() && !self.closing {
            return Ok(true);
        }
        let waited = if self.unheard.stalled { self.handle.queued_bytes() } else { 0 };
        let written = match self.transport.poll_flush(&self.handle, context, self.closing) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => return Err(Failed),
            Poll::Pending => false,
        };
        drop(traffic);
        // A client that reads slowly is alive, and its pongs wait unread while much waits to be written to it.
        if self.unheard.stalled && (written || self.handle.queued_bytes() < waited) {
            self.connection.handle_heard(self.now());
        }
        self.unheard.stalled = !written;
        Ok(written)
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

    fn handle_event(&mut self, event: Event<A::Admitted>) {
        let now = self.now();
        match event {
            Event::Order(Order::Revoked { cause, ordered_at }) => {
                self.farewell.revoked = Some((cause, ordered_at));
                self.connection.handle_revoked(now, cause);
            }
            Event::Order(Order::Amend(amendments)) => {
                self.update(*amendments, now);
                // Rooms are left, and all else that follows is done, before the change is reported as taken in.
                self.carry_out_actions();
                self.handle.taken_in();
                self.door.parts().connections.tell_taken_in();
            }
            Event::Order(Order::End(cause, retry_after)) => self.connection.handle_end(now, cause, retry_after),
            Event::Order(Order::Close(close)) => self.connection.handle_application_close(now, &close),
            Event::Decided(Decision::Verdict(verdict)) => self.connection.handle_verdict(now, verdict),
            Event::Decided(Decision::Admission(admission)) => {
                let admission = admission.map(|admitted| self.admitted = Some(admitted));
                self.connection.handle_admission(now, admission);
            }
            Event::Timeout => {
                if self.unheard.paused {
                    // It is we who do not listen.
                    self.connection.handle_heard(now);
                }
                self.connection.handle_timeout(now);
            }
            Event::Incoming(Incoming::Text(text)) => self.take_message(Message::Text(Text::new(text)), now),
            Event::Incoming(Incoming::Binary(bytes)) => self.take_message(Message::Binary(bytes), now),
            Event::Incoming(Incoming::Misframed(mistake, text)) => {
                if self.is_in_pace(now) {
                    let recipient = self.connection.handle_message(now, Received::Misframed(mistake, &text));
                    self.pass_on(recipient, || Message::Text(Text::from(&*text)), now);
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

    fn take_message(&mut self, message: Message, now: Now) {
        let received = match &message {
            Message::Text(text) => Received::Text(text),
            Message::Binary(bytes) => Received::Binary(bytes),
        };
        let length = match &message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        };
        // A WebSocket says so on the frame's header; other transports cannot while their own limit is a larger one.
        if length > self.connection.input_limits().message {
            self.connection.handle_violation(now, Violation::TooBig);
        } else if self.is_in_pace(now) {
            let recipient = self.connection.handle_message(now, received);
            self.pass_on(recipient, || message, now);
        }
    }

    /// Gives a message to the application, if it is that one's, after what the connection itself has to do.
    fn pass_on(&mut self, recipient: Recipient, message: impl FnOnce() -> Message, now: Now) {
        if recipient != Recipient::Application {
            return;
        }
        self.carry_out_actions();
        // Whoever revoked has been told that nothing more is taken (req H4).
        if let Some(session) = &mut self.session
            && let Some(traffic) = self.handle.intake()
        {
            let flow = self.application.message(session, message(), now);
            drop(traffic);
            match flow {
                Flow::Continue => {}
                Flow::Invalid(invalid) => self.connection.handle_invalid(now, &invalid),
                Flow::End(cause) => self.connection.handle_end(now, cause, None),
                Flow::Close(close) => self.connection.handle_application_close(now, &close),
            }
        }
    }

    fn observe(&self, event: &Observed<'_>) {
        self.door.parts().observer.observe(&scene(&self.connection, &self.presenter), event);
    }
}
