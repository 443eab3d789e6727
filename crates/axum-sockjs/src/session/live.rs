//! A machine between tasks: a lock round it, the wake-ups, and the task that tells it the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::machine::{Attach, Left, Machine, ReceiverId, ReceiverKind, Rules, Transmit};
use super::message::{Incoming, Untaken};
use crate::Transport;
use crate::ambient::Clock;
use crate::close::{Close, Ended};
use crate::codec::Frame;

/// How long a receiver that finds the place taken waits for it to be left.
const STILL_OPEN_GRACE: Duration = Duration::from_millis(100);

/// A session as all who have to do with it share it. The machine is the one thing behind the lock, and the lock is never held over
/// an await.
#[derive(Debug)]
pub(crate) struct Live {
    /// Names the session in logs and in the registry; its SockJS id is a secret.
    pub(crate) number: u64,
    /// Of the request that opened it.
    pub(crate) transport: Transport,
    clock: Clock,
    machine: Mutex<Machine>,
    /// For the receiver. A permit that nobody waits for is kept, so nothing that happens before the wait is missed.
    transmit: Notify,
    /// For the application's task: the client sent something.
    incoming: AtomicWaker,
    /// For the application's task: all that it sent has been handed to the client's connection.
    handed_over: AtomicWaker,
    /// Bytes that the client may still send.
    input_left: AtomicUsize,
    /// Frames of the client that brought no message and were not asked about yet.
    empty_frames: AtomicUsize,
    /// For the driver: the next timeout is another one.
    timeout: Notify,
    /// For everybody with messages that did not fit; these may be many, and register before they look.
    room: Notify,
    /// For receivers that found the place taken.
    left: Notify,
    ended: watch::Sender<Option<Ended>>,
}

/// The session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionEnded;

/// Messages on their way to the application.
pub(crate) type Deliver = Option<Vec<Incoming>>;

impl Live {
    pub(crate) fn new(number: u64, transport: Transport, rules: Rules, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            number,
            transport,
            machine: Mutex::new(Machine::new(rules, clock.now())),
            clock,
            transmit: Notify::new(),
            incoming: AtomicWaker::new(),
            handed_over: AtomicWaker::new(),
            input_left: AtomicUsize::new(usize::MAX),
            empty_frames: AtomicUsize::new(0),
            timeout: Notify::new(),
            room: Notify::new(),
            left: Notify::new(),
            ended: watch::Sender::new(None),
        })
    }

    /// Does something to the machine, and wakes those whom it concerns.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Machine, Duration) -> R) -> R {
        let mut machine = self.machine.lock();
        let timeout = machine.poll_timeout();
        let had_ended = machine.ended().is_some();
        let had_receiver = machine.has_receiver();
        let had_unsent = machine.has_unsent();
        let result = act(&mut machine, self.clock.now());
        let timeout_changed = machine.poll_timeout() != timeout;
        let wants_transmit = machine.wants_transmit();
        let ended = machine.ended().filter(|_| !had_ended).cloned();
        let over = machine.is_dead();
        let left = had_receiver && !machine.has_receiver();
        let handed_over = had_unsent && !machine.has_unsent();
        drop(machine);

        if timeout_changed || over {
            self.timeout.notify_one();
        }
        if wants_transmit || over {
            self.transmit.notify_one();
        }
        if left {
            self.left.notify_waiters();
        }
        if handed_over || ended.is_some() {
            self.handed_over.wake();
        }
        if let Some(why) = ended {
            tracing::debug!(
                session = self.number,
                transport = self.transport.as_str(),
                why = why.as_str(),
                "session ended"
            );
            self.ended.send_replace(Some(why));
            self.incoming.wake();
            self.room.notify_waiters();
        }
        result
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        self.machine.lock().ended().cloned()
    }

    pub(crate) async fn wait_ended(&self) -> Ended {
        let mut watch = self.ended.subscribe();
        match watch.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(why)) => why.clone(),
            Ok(None) | Err(_) => unreachable!("the sender lives as long as `self`, and only a reason was waited for"),
        }
    }

    /// Waits for the next thing the client sent. For one task alone. `None` once the session has ended and all is read.
    pub(crate) fn poll_receive(&self, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        // Before the look: what comes after it wakes.
        self.incoming.register(context.waker());
        let (incoming, ended) = {
            let mut machine = self.machine.lock();
            (machine.poll_incoming(), machine.ended().is_some())
        };
        if incoming.is_some() {
            self.room.notify_waiters();
            return Poll::Ready(incoming);
        }
        if ended { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Ready when nothing waits to be handed to the client's connection, or the session has ended. For one task alone.
    pub(crate) fn poll_handed_over(&self, context: &mut Context<'_>) -> Poll<()> {
        self.handed_over.register(context.waker());
        let machine = self.machine.lock();
        if machine.has_unsent() && machine.ended().is_none() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The client may send so many bytes more.
    pub(crate) fn limit_input(&self, bytes: usize) {
        self.input_left.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that the client may still send.
    pub(crate) fn input_left(&self) -> usize {
        self.input_left.load(Ordering::Relaxed)
    }

    /// The client sent a frame without a message.
    pub(crate) fn count_empty_frame(&self) {
        self.empty_frames.fetch_add(1, Ordering::Relaxed);
        self.incoming.wake();
    }

    /// How many such frames came since this was last asked.
    pub(crate) fn take_empty_frames(&self) -> usize {
        self.empty_frames.swap(0, Ordering::Relaxed)
    }

    /// The client sent so many bytes. False if that is more than it may; then nothing of it counts.
    pub(crate) fn count_input(&self, bytes: usize) -> bool {
        let spend = |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(bytes) };
        self.input_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// Hands messages to the application, waiting for room. Can be dropped and called again: what is not taken stays in `batch`.
    pub(crate) async fn deliver(&self, batch: &mut Deliver) -> Result<(), SessionEnded> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let Some(messages) = batch.take() else { return Ok(()) };
            match self.with(|machine, _| machine.handle_incoming(messages)) {
                Ok(()) => {
                    self.incoming.wake();
                    return Ok(());
                }
                Err(Untaken::Ended) => return Err(SessionEnded),
                Err(Untaken::Full(messages)) => *batch = Some(messages),
            }
            room.await;
        }
    }

    /// Tells the machine the time, until it is dead.
    pub(crate) async fn drive(&self) {
        loop {
            let (dead, timeout) = {
                let machine = self.machine.lock();
                (machine.is_dead(), machine.poll_timeout())
            };
            if dead {
                return;
            }
            tokio::select! {
                () = self.sleep_until(timeout) => self.with(Machine::handle_timeout),
                () = self.timeout.notified() => {}
            }
        }
    }

    async fn sleep_until(&self, then: Option<Duration>) {
        match then {
            Some(then) => self.clock.sleep_until(then).await,
            None => std::future::pending().await,
        }
    }
}

/// Somebody to whom frames go. Dropped without a word, its connection has broken.
#[derive(Debug)]
pub(crate) enum Receiver {
    Attached {
        live: Arc<Live>,
        id: ReceiverId,
    },
    /// Is told this, and is done.
    Answer(Option<Frame>),
}

impl Receiver {
    /// Becomes the session's receiver, or is told why not. A client that broke its last request off and comes back at once may be
    /// faster than the news of its leaving; so one that would find the place taken waits a moment for it.
    pub(crate) async fn attach(live: &Arc<Live>, kind: ReceiverKind) -> Self {
        let left = live.left.notified();
        tokio::pin!(left);
        left.as_mut().enable();
        let attach = || live.with(|machine, now| machine.handle_attach(now, kind));
        let mut attached = attach();
        if attached == Attach::Answer(Frame::Close(Close::STILL_OPEN)) {
            let _ = timeout(STILL_OPEN_GRACE, left).await;
            attached = attach();
        }
        match attached {
            Attach::Receiver(id) => Self::Attached { live: live.clone(), id },
            Attach::Answer(frame) => Self::Answer(Some(frame)),
        }
    }

    /// The next frame; `None` after the last. Can be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let (live, id) = match self {
                Self::Attached { live, id } => (live.clone(), *id),
                Self::Answer(frame) => return frame.take(),
            };
            match live.with(|machine, now| machine.poll_transmit(now, id)) {
                Transmit::Frame(frame) => return Some(frame),
                Transmit::Wait => live.transmit.notified().await,
                Transmit::Over => return None,
            }
        }
    }

    /// It leaves in order.
    pub(crate) fn leave(&mut self, left: Left) {
        if let Self::Attached { live, id } = self {
            live.with(|machine, now| machine.handle_detach(now, *id, left));
        }
    }

    /// The whole of what a poll is told: one frame.
    pub(crate) async fn one(mut self) -> Frame {
        self.next().await.unwrap_or(Frame::Close(Close::GO_AWAY))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Nothing happens where it has left already.
        self.leave(Left::Aborted);
    }
}
