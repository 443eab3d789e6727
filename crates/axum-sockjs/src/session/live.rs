//! A machine between tasks: a lock round it, the wake-ups, and the task that tells it the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
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
    /// For the application's task: all that it sent has been written.
    written: AtomicWaker,
    /// Bytes that the client may still send.
    input_left: AtomicUsize,
    /// Frames of the client that brought no message and were not asked about yet.
    empty_frames: AtomicUsize,
    /// For the socket's task: such frames were asked about.
    asked: AtomicWaker,
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
            written: AtomicWaker::new(),
            input_left: AtomicUsize::new(usize::MAX),
            empty_frames: AtomicUsize::new(0),
            asked: AtomicWaker::new(),
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
        let had_unwritten = machine.outbound_bytes() > 0;
        let had_few = machine.has_few_outbound();
        let result = act(&mut machine, self.clock.now());
        let timeout_changed = machine.poll_timeout() != timeout;
        let wants_transmit = machine.wants_transmit();
        let ended = machine.ended().filter(|_| !had_ended).cloned();
        let over = machine.is_dead();
        let left = had_receiver && !machine.has_receiver();
        let written = had_unwritten && machine.outbound_bytes() == 0 || !had_few && machine.has_few_outbound();
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
        if written || ended.is_some() {
            self.written.wake();
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
            self.asked.wake();
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

    /// Waits until this receiver is the session's no more, or the session has ended.
    pub(crate) async fn wait_left(&self, id: ReceiverId) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Before the look: what comes after it wakes.
            left.as_mut().enable();
            if !self.machine.lock().is_receiver(id) {
                return;
            }
            tokio::select! {
                () = left => {}
                _ = self.wait_ended() => return,
            }
        }
    }

    /// Waits for the next thing the client sent. For one task alone. `None` once the session has ended and all is read.
    pub(crate) fn poll_receive(&self, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        // Before the look: what comes after it wakes.
        self.incoming.register(context.waker());
        let (incoming, ended, violation_due) = {
            let mut machine = self.machine.lock();
            let incoming = machine.poll_incoming();
            let violation_due = incoming.is_none() && machine.has_violation_due();
            (incoming, machine.ended().is_some(), violation_due)
        };
        if violation_due {
            self.with(Machine::handle_all_answered);
            return Poll::Ready(None);
        }
        if incoming.is_some() {
            self.room.notify_waiters();
            return Poll::Ready(incoming);
        }
        if ended { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Ready when all that was sent has been written, or the session has ended. The task is woken, too, when few bytes wait. For one task alone.
    pub(crate) fn poll_written(&self, context: &mut Context<'_>) -> Poll<()> {
        self.written.register(context.waker());
        let machine = self.machine.lock();
        if machine.outbound_bytes() > 0 && machine.ended().is_none() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Bytes that wait to be sent or are on their way into the network.
    pub(crate) fn outbound_bytes(&self) -> usize {
        self.machine.lock().outbound_bytes()
    }

    /// Bytes that a receiver was given and has not written.
    pub(crate) fn on_their_way(&self) -> usize {
        self.machine.lock().on_their_way()
    }

    /// Whether the session is closed and its client has still to hear of it.
    pub(crate) fn owes_close(&self) -> bool {
        self.machine.lock().owes_close()
    }

    /// The client broke the rules: once the application has taken what came before, the session is closed with `close`.
    pub(crate) fn violated(&self, close: &Close) {
        self.with(|machine, now| machine.handle_violation(now, close.clone()));
        self.incoming.wake();
    }

    /// The client may send so many bytes more.
    pub(crate) fn limit_input(&self, bytes: usize) {
        self.input_left.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that the client may still send.
    pub(crate) fn input_left(&self) -> usize {
        self.input_left.load(Ordering::Relaxed)
    }

    /// The client sent so many frames that brought no message.
    pub(crate) fn count_empty_frames(&self, count: usize) {
        self.empty_frames.fetch_add(count, Ordering::Relaxed);
        self.incoming.wake();
    }

    /// How many such frames came since this was last asked.
    pub(crate) fn take_empty_frames(&self) -> usize {
        let count = self.empty_frames.swap(0, Ordering::Relaxed);
        if count > 0 {
            self.asked.wake();
        }
        count
    }

    /// Ready while no more than `most` such frames came since this was last asked, or once the session has ended. For one task alone.
    pub(crate) fn poll_asked(&self, most: usize, context: &mut Context<'_>) -> Poll<()> {
        let crowded = || self.empty_frames.load(Ordering::Relaxed) > most;
        if !crowded() {
            return Poll::Ready(());
        }
        // Before the look: what comes after it wakes.
        self.asked.register(context.waker());
        if crowded() && self.ended().is_none() { Poll::Pending } else { Poll::Ready(()) }
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
    Answer {
        live: Arc<Live>,
        frame: Option<Frame>,
    },
}

/// A frame that is being written. Dropped when it has been, or never will be: until then its bytes count as queued.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) frame: Frame,
    counted: Counted,
}

/// What a frame counts for, until it is dropped.
#[derive(Debug)]
struct Counted {
    /// Bytes of the frame, and those that its transport adds.
    cost: usize,
    escapes: usize,
    /// Whether it is the close frame.
    closes: bool,
    live: Arc<Live>,
}

impl Sending {
    fn new(frame: Frame, live: Arc<Live>) -> Self {
        let counted = Counted { cost: frame.cost(), escapes: 0, closes: frame.is_close(), live };
        Self { frame, counted }
    }

    /// `bytes`, which say what the frame says and are held in its place; they count as queued until the last of them is let go of. What a
    /// transport has to escape makes them more than those of the frame.
    pub(crate) fn into_chunk(self, bytes: Bytes) -> Bytes {
        let mut counted = self.counted;
        if counted.cost > 0 && bytes.len() > counted.cost {
            counted.escapes = bytes.len() - counted.cost;
            counted.live.with(|machine, _| machine.handle_escaped(counted.escapes));
        }
        Bytes::from_owner(Chunk { bytes, _counted: counted })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.cost > 0 || self.closes {
            self.live.with(|machine, now| {
                machine.handle_written(now, self.cost, self.escapes);
                if self.closes {
                    machine.handle_close_written();
                }
            });
        }
    }
}

struct Chunk {
    bytes: Bytes,
    _counted: Counted,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
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
            Attach::Answer(frame) => Self::Answer { live: live.clone(), frame: Some(frame) },
        }
    }

    /// The next frame; `None` after the last. Can be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Option<Sending> {
        loop {
            let (live, id) = match self {
                Self::Attached { live, id } => (live.clone(), *id),
                Self::Answer { live, frame } => {
                    let live = live.clone();
                    return frame.take().map(|frame| Sending::new(frame, live));
                }
            };
            match live.with(|machine, now| machine.poll_transmit(now, id)) {
                Transmit::Frame(frame) => return Some(Sending::new(frame, live)),
                Transmit::Wait => live.transmit.notified().await,
                Transmit::Over => return None,
            }
        }
    }

    /// More of the last frame was taken.
    pub(crate) fn taken(&mut self) {
        if let Self::Attached { live, id } = self {
            live.with(|machine, now| machine.handle_taken(now, *id));
        }
    }

    /// It leaves in order.
    pub(crate) fn leave(&mut self, left: Left) {
        if let Self::Attached { live, id } = self {
            live.with(|machine, now| machine.handle_detach(now, *id, left));
        }
    }

    /// The whole of what a poll is told: one frame.
    pub(crate) async fn one(mut self) -> Sending {
        let next = self.next().await;
        let (Self::Attached { live, .. } | Self::Answer { live, .. }) = &self;
        next.unwrap_or_else(|| Sending::new(Frame::Close(Close::GO_AWAY), live.clone()))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Nothing happens where it has left already.
        self.leave(Left::Aborted);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use std::task::Wake;

    use super::super::message::Outgoing;
    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn rules() -> Rules {
        Rules {
            heartbeat: Duration::from_secs(25),
            disconnect_delay: Duration::from_secs(5),
            outbound_bytes: 1000,
            inbound_bytes: 1000,
            overflow: Close::SLOW_CONSUMER,
            framed: true,
            read_again_below: 0,
        }
    }

    #[test]
    fn what_a_transport_made_of_a_frame_counts_until_it_is_written() {
        let live = Live::new(1, Transport::EventSource, rules(), Clock::new());
        live.with(|machine, now| machine.handle_send(now, Outgoing::Text("%".repeat(100)))).unwrap();
        let Attach::Receiver(id) = live.with(|machine, now| machine.handle_attach(now, ReceiverKind::Stream)) else {
            panic!("no receiver")
        };
        let mut receiver = Receiver::Attached { live: live.clone(), id };
        let mut next = || receiver.next().now_or_never().flatten().expect("a frame");
        assert_eq!(next().frame, Frame::Open);
        let sending = next();
        assert_eq!(live.outbound_bytes(), 102 + 32);
        let chunk = sending.into_chunk(Bytes::from(vec![b'%'; 310]));
        assert_eq!(live.outbound_bytes(), 310);
        drop(chunk);
        assert_eq!(live.outbound_bytes(), 0);
    }

    #[test]
    fn who_waits_until_all_is_written_is_woken_when_little_waits_too() {
        let rules = Rules { read_again_below: 300, ..rules() };
        let live = Live::new(1, Transport::Xhr, rules, Clock::new());
        let send = || live.with(|machine, now| machine.handle_send(now, Outgoing::Text("x".repeat(198)))).unwrap();
        (0..3).for_each(|_| send());
        let Attach::Receiver(id) = live.with(|machine, now| machine.handle_attach(now, ReceiverKind::Stream)) else {
            panic!("no receiver")
        };
        let mut receiver = Receiver::Attached { live: live.clone(), id };
        let mut next = || receiver.next().now_or_never().flatten().expect("a frame");
        assert_eq!(next().frame, Frame::Open);
        let woken = Arc::new(Count::default());
        let waker = woken.clone().into();
        let mut context = Context::from_waker(&waker);
        assert!(live.poll_written(&mut context).is_pending());
        let sending = next();
        send();
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        drop(sending);
        assert_eq!((live.outbound_bytes(), woken.0.load(Ordering::Relaxed)), (232, 1));
    }

    #[test]
    fn a_poll_whose_script_waits_for_the_last_one_sleeps() {
        // One that is woken by its own look never gives its thread back.
        let live = Live::new(1, Transport::Jsonp, rules(), Clock::new());
        let poll = || match live.with(|machine, now| machine.handle_attach(now, ReceiverKind::Script)) {
            Attach::Receiver(id) => Receiver::Attached { live: live.clone(), id },
            Attach::Answer(frame) => panic!("{frame:?}"),
        };
        let send = || live.with(|machine, now| machine.handle_send(now, Outgoing::Text("<".repeat(100)))).unwrap();
        drop(poll().next().now_or_never().flatten().expect("the open frame"));
        send();
        let unread = poll().next().now_or_never().flatten().expect("a frame");
        send();
        let mut second = poll();
        let mut waiting = std::pin::pin!(second.next());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(unread.into_chunk(Bytes::from(vec![b'<'; 900])));
        assert!(waiting.now_or_never().flatten().is_some());
    }

    #[test]
    fn what_a_transport_made_of_a_frame_is_held_in_its_place() {
        let live = Live::new(1, Transport::Xhr, rules(), Clock::new());
        let message: Arc<str> = "\"a\"".into();
        live.with(|machine, now| machine.handle_send(now, Outgoing::Shared(message.clone()))).unwrap();
        let Attach::Receiver(id) = live.with(|machine, now| machine.handle_attach(now, ReceiverKind::Stream)) else {
            panic!("no receiver")
        };
        let mut receiver = Receiver::Attached { live: live.clone(), id };
        let mut next = || receiver.next().now_or_never().flatten().expect("a frame");
        drop(next());
        let chunk = next().into_chunk(Bytes::from_static(b"a[\"a\"]\n"));
        assert_eq!(Arc::strong_count(&message), 1);
        assert_eq!(live.outbound_bytes(), 35);
        drop(chunk);
    }
}
