//! The life of a session as a state machine: `handle_*` in, `poll_*` out, time passed in. No I/O, no clock, no task.
//!
//! A session has at most one receiver: the poll, stream or socket over which the server talks. Between two receivers it waits; if
//! none comes within the disconnect delay, it dies.

use std::sync::Arc;
use std::time::Duration;

use super::message::{Incoming, Outgoing, Unsendable, Untaken};
use super::queue::{Queue, cost};
pub use super::receiving::{Attach, Left, ReceiverId, ReceiverKind, Rules, Transmit, Unsent};
use crate::close::{Close, Ended};
use crate::codec::{Frame, quote};

/// Most bytes of messages that one frame is made of, if it has more than one message: what a transport makes of a frame is a copy, and may be several times as
/// long.
const FRAME_BYTES: usize = 64 * 1024;
/// Longest time in which a client may receive a complete answer before the wait for its next request begins.
const TAKING: Duration = Duration::from_secs(30);

/// One session.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    phase: Phase,
    /// Whether the client was told `o`.
    told_open: bool,
    outbound: Queue<Arc<str>>,
    /// Bytes of messages that receivers took and have not written yet.
    on_their_way: usize,
    /// Bytes by which these are longer as they are written.
    escapes: usize,
    inbound: Queue<Incoming>,
    /// The application took a message and has not asked for the next.
    answering: bool,
    /// The client broke the rules after what is in `inbound`.
    violation: Option<Close>,
    /// The client was told that the session is closed.
    told_close: bool,
    after_close: AfterClose,
    receiver: Option<Receiver>,
    receivers_so_far: u64,
}

/// What becomes of a session that is closed and has no receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterClose {
    /// It is remembered for a while, for a client that comes to fetch the close frame.
    Remembered,
    /// It dies at once.
    Forgotten,
}

#[derive(Debug)]
enum Phase {
    /// `lonely_until` is set while there is no receiver.
    Open {
        lonely_until: Option<Duration>,
    },
    /// Whoever asks is told `close`, until it dies.
    Closing {
        close: Close,
        why: Ended,
        dies_at: Duration,
    },
    Dead {
        why: Ended,
    },
}

#[derive(Debug)]
struct Receiver {
    id: ReceiverId,
    kind: ReceiverKind,
    heartbeat_at: Duration,
    heartbeat_due: bool,
}

impl Machine {
    /// A session that was accepted just now; its first receiver is about to attach.
    pub fn new(rules: Rules, now: Duration) -> Self {
        let lonely_until = Some(now + rules.disconnect_delay);
        Self {
            told_open: !rules.framed,
            rules,
            phase: Phase::Open { lonely_until },
            outbound: Queue::default(),
            on_their_way: 0,
            escapes: 0,
            inbound: Queue::default(),
            answering: false,
            violation: None,
            told_close: false,
            after_close: AfterClose::Remembered,
            receiver: None,
            receivers_so_far: 0,
        }
    }

    /// Somebody wants to receive.
    pub fn handle_attach(&mut self, now: Duration, kind: ReceiverKind) -> Attach {
        match &mut self.phase {
            Phase::Open { .. } if self.receiver.is_some() => return Attach::Answer(Frame::Close(Close::STILL_OPEN)),
            Phase::Open { lonely_until } => *lonely_until = None,
            // What was sent before the close goes out before it, to one receiver.
            Phase::Closing { .. } if self.receiver.is_none() && !(self.told_open && self.outbound.is_empty()) => {}
            Phase::Closing { close, .. } => return Attach::Answer(Frame::Close(close.clone())),
            Phase::Dead { .. } => return Attach::Answer(Frame::Close(Close::GO_AWAY)),
        }
        self.receivers_so_far += 1;
        let id = ReceiverId(self.receivers_so_far);
        let heartbeat_at = now + self.rules.heartbeat;
        self.receiver = Some(Receiver { id, kind, heartbeat_at, heartbeat_due: false });
        Attach::Receiver(id)
    }

    /// A receiver left. Nothing happens if it had been let go before.
    pub fn handle_detach(&mut self, now: Duration, id: ReceiverId, left: Left) {
        let Some(receiver) = self.receiver.take_if(|receiver| receiver.id == id) else { return };
        let Phase::Open { lonely_until } = &mut self.phase else {
            if receiver.kind == ReceiverKind::Socket || self.after_close == AfterClose::Forgotten {
                self.die(Ended::Client(None));
            }
            return;
        };
        match (receiver.kind, left) {
            (ReceiverKind::Socket, Left::Closed(code)) => self.die(Ended::Client(code)),
            (ReceiverKind::Socket, _) => self.die(Ended::Interrupted),
            (_, Left::Finished) => {
                // The client sends its next request when it has received all of this answer.
                let wait = if self.on_their_way > 0 {
                    TAKING.max(self.rules.disconnect_delay)
                } else {
                    self.rules.disconnect_delay
                };
                *lonely_until = Some(now + wait);
            }
            (_, Left::Aborted | Left::Closed(_)) => {
                self.handle_close(now, Close::INTERRUPTED, Ended::Interrupted, Unsent::Drop);
            }
        }
    }

    /// The application sends something.
    ///
    /// # Errors
    /// When the session has ended, also by this.
    pub fn handle_send(&mut self, now: Duration, item: Outgoing) -> Result<(), Unsendable> {
        let Phase::Open { .. } = self.phase else { return Err(Unsendable::Ended) };
        let encoded = match item {
            Outgoing::Text(text) if self.rules.framed => quote(&text).into(),
            Outgoing::Text(text) | Outgoing::Json(text) => text.into(),
            Outgoing::Shared(encoded) => encoded,
        };
        // Without the escapes: how the client fetches is no reason to close its session.
        if self.outbound.bytes() + self.on_their_way + cost(encoded.len()) > self.rules.outbound_bytes {
            self.handle_close(now, self.rules.overflow.clone(), Ended::Overflow, Unsent::Drop);
            return Err(Unsendable::Overflow);
        }
        let bytes = encoded.len();
        self.outbound.push(encoded, bytes);
        Ok(())
    }

    /// The application sends something if no more than `most` bytes wait then; an empty queue takes one message of any size.
    ///
    /// # Errors
    /// When the session has ended, or if there is no room: then nothing has changed.
    pub fn handle_send_within(&mut self, now: Duration, encoded: Arc<str>, most: usize) -> Result<(), Unsendable> {
        let waiting = self.outbound_bytes();
        if self.ended().is_none() && waiting > 0 && waiting + cost(encoded.len()) > most {
            return Err(Unsendable::Full);
        }
        self.handle_send(now, Outgoing::Shared(encoded))
    }

    /// Bytes that wait to be sent, or are on their way into the network; with what each message costs beside them.
    pub fn outbound_bytes(&self) -> usize {
        self.outbound.bytes() + self.on_their_way + self.escapes
    }

    /// Bytes of messages that receivers were given and have not written, with what each message costs beside them.
    pub fn on_their_way(&self) -> usize {
        self.on_their_way
    }

    /// What a receiver makes of what [`Self::poll_transmit`] gave it is longer by so many bytes.
    pub fn handle_escaped(&mut self, more: usize) {
        self.escapes += more;
    }

    /// A receiver has written so many bytes that [`Self::poll_transmit`] gave it, or never will, and those that [`Self::handle_escaped`] was
    /// told of them.
    pub fn handle_written(&mut self, now: Duration, bytes: usize, escapes: usize) {
        self.on_their_way -= bytes;
        self.escapes -= escapes;
        if let (0, Phase::Open { lonely_until: Some(then) }) = (self.on_their_way, &mut self.phase) {
            *then = (*then).min(now + self.rules.disconnect_delay);
        }
    }

    /// The receiver has taken more of what [`Self::poll_transmit`] gave it: its client reads.
    pub fn handle_taken(&mut self, now: Duration, id: ReceiverId) {
        if let Some(receiver) = self.receiver.as_mut().filter(|receiver| receiver.id == id) {
            receiver.heartbeat_at = now + self.rules.heartbeat;
            receiver.heartbeat_due = false;
        }
    }

    /// A receiver has written the close frame.
    pub fn handle_close_written(&mut self) {
        self.told_close = self.ended().is_some();
    }

    /// Whether the session is closed and its client has still to hear of it. One that broke off has left.
    pub fn owes_close(&self) -> bool {
        matches!(&self.phase, Phase::Closing { why, .. } if *why != Ended::Interrupted) && !self.told_close
    }

    /// Closes the session; the first close stays. With `Unsent::Drop` what waits is dropped even if it was closed before.
    pub fn handle_close(&mut self, now: Duration, close: Close, why: Ended, unsent: Unsent) {
        if unsent == Unsent::Drop {
            self.outbound = Queue::default();
        }
        if let Phase::Open { .. } = self.phase {
            if !matches!(why, Ended::Client(_) | Ended::TimedOut | Ended::Interrupted) {
                self.inbound = Queue::default();
            }
            self.phase = Phase::Closing { close, why, dies_at: now + self.rules.disconnect_delay };
            self.die_if_forgotten();
        }
    }

    /// The session need not be remembered once it is closed: only a receiver that it has then is told so.
    pub fn handle_forget(&mut self) {
        self.after_close = AfterClose::Forgotten;
        self.die_if_forgotten();
    }

    fn die_if_forgotten(&mut self) {
        if let Phase::Closing { why, .. } = &self.phase
            && self.after_close == AfterClose::Forgotten
            && self.receiver.is_none()
        {
            self.die(why.clone());
        }
    }

    /// The client broke the rules, and nothing more is read from it. What it sent before is still taken and answered; then the session
    /// is closed.
    pub fn handle_violation(&mut self, now: Duration, close: Close) {
        if let Phase::Open { .. } = self.phase {
            self.violation.get_or_insert(close);
            self.handle_all_answered(now);
        }
    }

    /// Whether all that came before a violation was taken and answered, so that [`Self::handle_all_answered`] is due.
    pub fn has_violation_due(&self) -> bool {
        self.violation.is_some() && self.inbound.is_empty() && !self.answering
    }

    /// The application may have asked for more than came before a violation: its answers have been sent then.
    pub fn handle_all_answered(&mut self, now: Duration) {
        if self.has_violation_due()
            && let Some(close) = self.violation.take()
        {
            self.handle_close(now, close.clone(), Ended::Malformed(close), Unsent::Deliver);
        }
    }

    /// The client sent `batch`, which is taken as a whole or not at all.
    ///
    /// # Errors
    /// When the session has ended, or there is no room.
    pub fn handle_incoming(&mut self, batch: Vec<Incoming>) -> Result<(), Untaken> {
        let Phase::Open { .. } = self.phase else { return Err(Untaken::Ended) };
        let bytes: usize = batch.iter().map(|incoming| cost(incoming.bytes())).sum();
        if !self.inbound.is_empty() && self.inbound.bytes() + bytes > self.rules.inbound_bytes {
            return Err(Untaken::Full(batch));
        }
        for incoming in batch {
            let bytes = incoming.bytes();
            self.inbound.push(incoming, bytes);
        }
        Ok(())
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some(receiver) = &mut self.receiver
            && now >= receiver.heartbeat_at
        {
            if receiver.heartbeat_due {
                let id = receiver.id;
                self.handle_detach(now, id, Left::Aborted);
            } else {
                receiver.heartbeat_due = true;
                receiver.heartbeat_at = now + self.rules.heartbeat;
            }
        }
        match &self.phase {
            Phase::Open { lonely_until: Some(then) } if now >= *then => self.die(Ended::TimedOut),
            Phase::Closing { dies_at, why, .. } if now >= *dies_at => self.die(why.clone()),
            _ => {}
        }
    }

    /// What a receiver writes next.
    pub fn poll_transmit(&mut self, now: Duration, id: ReceiverId) -> Transmit {
        let script_waits = self.script_waits();
        let Some(receiver) = self.receiver.as_mut().filter(|receiver| receiver.id == id) else { return Transmit::Over };
        let frame = if !self.told_open {
            self.told_open = true;
            Frame::Open
        } else if !self.outbound.is_empty() {
            if script_waits {
                return Transmit::Wait;
            }
            // A client that fetches what was sent before the close has as long again to fetch the rest.
            if let Phase::Closing { dies_at, .. } = &mut self.phase {
                *dies_at = now + self.rules.disconnect_delay;
            }
            // Without framing one at a time, so that those after it can still be dropped.
            let most = match receiver.kind {
                _ if !self.rules.framed => 0,
                // Written as it is.
                ReceiverKind::Poll => usize::MAX,
                _ => FRAME_BYTES,
            };
            let messages = Frame::Messages(self.outbound.take_within(most, |message| message.len()));
            self.on_their_way += messages.cost();
            messages
        } else if let Phase::Closing { close, .. } = &self.phase {
            Frame::Close(close.clone())
        } else if receiver.heartbeat_due {
            Frame::Heartbeat
        } else {
            return Transmit::Wait;
        };
        receiver.heartbeat_at = now + self.rules.heartbeat;
        receiver.heartbeat_due = false;
        let polls = matches!(receiver.kind, ReceiverKind::Poll | ReceiverKind::Script);
        if polls || (receiver.kind == ReceiverKind::Stream && frame.is_close()) {
            self.handle_detach(now, id, Left::Finished);
        }
        Transmit::Frame(frame)
    }

    /// Whether the receiver has something to write.
    pub fn wants_transmit(&self) -> bool {
        let Some(receiver) = &self.receiver else { return false };
        if !self.told_open {
            return true;
        }
        // True exactly where [`Self::poll_transmit`] has a frame: a receiver that is woken for nothing would wake itself without end.
        if !self.outbound.is_empty() {
            return !self.script_waits();
        }
        receiver.heartbeat_due || self.ended().is_some()
    }

    /// Whether the receiver makes a script, and one is not written yet: so there are not more escapes at once than those of one frame.
    fn script_waits(&self) -> bool {
        let script = self.receiver.as_ref().is_some_and(|receiver| receiver.kind == ReceiverKind::Script);
        script && self.on_their_way > 0
    }

    /// Drops the messages that wait to be handed to a receiver.
    pub fn handle_discard(&mut self) {
        self.outbound = Queue::default();
    }

    /// Whether fewer bytes wait than [`Rules::read_again_below`].
    pub fn has_few_outbound(&self) -> bool {
        self.outbound_bytes() < self.rules.read_again_below
    }

    /// Whether somebody is the receiver.
    pub fn has_receiver(&self) -> bool {
        self.receiver.is_some()
    }

    /// Whether this one is the receiver.
    pub fn is_receiver(&self, id: ReceiverId) -> bool {
        self.receiver.as_ref().is_some_and(|receiver| receiver.id == id)
    }

    /// The next thing the client sent.
    pub fn poll_incoming(&mut self) -> Option<Incoming> {
        let incoming = self.inbound.take_within(0, Incoming::bytes).pop();
        self.answering = incoming.is_some();
        incoming
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let phase = match &self.phase {
            Phase::Open { lonely_until } => *lonely_until,
            Phase::Closing { dies_at, .. } => Some(*dies_at),
            Phase::Dead { .. } => return None,
        };
        let heartbeat = self.receiver.as_ref().map(|receiver| receiver.heartbeat_at);
        phase.into_iter().chain(heartbeat).min()
    }

    /// Why nothing more can be sent or taken, if so.
    pub fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Open { .. } => None,
            Phase::Closing { why, .. } | Phase::Dead { why } => Some(why),
        }
    }

    /// Whether it can be forgotten.
    pub fn is_dead(&self) -> bool {
        matches!(self.phase, Phase::Dead { .. })
    }

    fn die(&mut self, why: Ended) {
        let why = self.ended().cloned().unwrap_or(why);
        self.phase = Phase::Dead { why };
        self.receiver = None;
        self.outbound = Queue::default();
    }
}

impl Frame {
    pub(super) fn is_close(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    /// What its messages count for in [`Machine::outbound_bytes`].
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Messages(messages) => messages.iter().map(|message| cost(message.len())).sum(),
            Self::Open | Self::Heartbeat | Self::Close(_) => 0,
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "machine_properties.rs"]
mod properties;
