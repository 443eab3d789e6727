//! What others leave for a connection's task: frames to write, and orders to end.

#[path = "mailbox/commands.rs"]
mod commands;
#[path = "mailbox/writing.rs"]
mod writing;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use usher_auth::close_code::{ApplicationClose, CloseCause};
use usher_auth::ids::ConnectionId;
use usher_auth::permit::CredentialFacts;
use usher_auth::route::RouteRules;
use usher_auth::wire::Frame;

use crate::Presenter;
use crate::observer::Scene;
use crate::orders::{Amendments, Change, Order};
use crate::sync::{Mutex, MutexGuard};
use crate::way::Way;

/// Places for frames that are kept when the mailbox has run empty: a connection at rest owns little.
const KEPT_CAPACITY: usize = 16;

/// A live connection, as the rest of the process sees it. Owned by the connection's task and by the registry.
///
/// Everything that is to be written to the client waits in one queue, in the order in which it leaves: what others deliver and what the
/// connection's own task says. That queue is the mailbox's, or the SockJS session's; nothing waits behind it.
pub struct ConnectionHandle {
    id: ConnectionId,
    /// Most bytes that may wait to be written: a client that reads more slowly than that is closed.
    outbound_limit: usize,
    presented: Option<(Arc<Presenter>, Arc<RouteRules>)>,
    mailbox: Mutex<Mailbox>,
    /// Held by the connection's task while it takes a message in or begins to write: whoever revokes waits for that, so that after
    /// the revocation nothing more is begun in either direction (req H4). Never held over an await.
    traffic: Mutex<()>,
    way: Way,
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, and as enums they would need room")]
struct Mailbox {
    frames: VecDeque<Frame>,
    /// Bytes of `frames`, and of the frame that is written in part; without what is being written at this moment.
    bytes: usize,
    /// Bytes that are left of the frame that is written in part, which is finished whatever happens.
    begun: usize,
    /// Counts how often `frames` was dropped: a writer that took them before gives nothing back.
    discards: u32,
    /// How many frames at the end of `frames` are the farewell, which is not dropped.
    farewell: u8,
    order: Option<Order>,
    amendments: Option<Box<Amendments>>,
    /// Changes so far; those among them that the task was handed; and those that it goes on with.
    changes: u32,
    handed_out: u32,
    taken_in: u32,
    /// Set once nothing more may reach the peer: revoked, overflown, or the task has gone.
    shut: bool,
    /// The credential was revoked.
    revoked: bool,
    /// The flusher has it on its list.
    due: bool,
    /// The connection's task is awake, and looks in here before it sleeps.
    attended: bool,
    facts: Option<Arc<CredentialFacts>>,
    /// The connection's task.
    waker: Option<Waker>,
    /// Where an application sends with [`ConnectionHandle::send`].
    pipe: Option<Box<Pipe>>,
}

/// What a sender that waits for room needs to know.
#[derive(Debug, Default)]
struct Pipe {
    /// Bytes that are being written at this moment: they are not among those of the mailbox.
    in_flight: usize,
    /// Waits for room.
    sender: Option<Waker>,
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no room for it now. It may be sent again once [`ConnectionHandle::writable`] returns.
    #[error("as much waits for the client as may")]
    Full,
    /// The connection has ended, or ends.
    #[error("the connection has ended")]
    Closed,
}

/// Frames that are being written.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) frames: VecDeque<Frame>,
    /// Their bytes that are not written yet, and those of the frame that was written in part before.
    pub(crate) bytes: usize,
    discards: u32,
    /// Whether [`ConnectionHandle::all_written`] must be told.
    pub(crate) piped: bool,
}

impl ConnectionHandle {
    pub(crate) fn new(id: ConnectionId, outbound_limit: usize) -> Self {
        let (mailbox, traffic) = (Mutex::default(), Mutex::default());
        Self { id, outbound_limit, presented: None, mailbox, traffic, way: Way::Task }
    }

    /// With who opened it and where: for [`ConnectionHandle::scene`].
    pub(crate) fn presented(mut self, by: Arc<Presenter>, at: Arc<RouteRules>) -> Self {
        self.presented = Some((by, at));
        self
    }

    /// With another way for its frames.
    pub(crate) fn going(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// Where it is, for whoever observes what is done over it.
    pub fn scene(&self) -> Option<Scene<'_>> {
        self.presented.as_ref().map(|(presenter, rules)| presenter.scene(self.id, &rules.path))
    }

    /// Tell the connection of a change; for [`ConnectionHandle::has_taken_in`].
    pub(crate) fn amend(&self, amend: impl FnOnce(&mut Amendments)) -> Change {
        let (waker, change) = {
            let mut mailbox = self.mailbox.lock();
            amend(mailbox.amendments.get_or_insert_default());
            mailbox.changes += 1;
            (mailbox.waker.take(), Change::number(mailbox.changes))
        };
        wake(waker);
        change
    }

    /// Whether the connection goes on with that change, or does not go on.
    pub(crate) fn has_taken_in(&self, change: Change) -> bool {
        let mailbox = self.mailbox.lock();
        mailbox.shut || change.is_among(mailbox.taken_in)
    }

    /// For the connection's task: it has taken in all that [`ConnectionHandle::poll_order`] handed out.
    pub(crate) fn taken_in(&self) {
        let mut mailbox = self.mailbox.lock();
        mailbox.taken_in = mailbox.handed_out;
    }

    /// For the handshake: so many bytes of it wait to be written before everything else.
    pub(crate) fn begins_with(&self, handshake: usize) {
        let mut mailbox = self.mailbox.lock();
        mailbox.begun = handshake;
        mailbox.bytes += handshake;
    }

    /// For the connection's task: the right to take in a message, as [`ConnectionHandle::traffic`]. What is delivered meanwhile needs
    /// nobody else to write it: answers leave with whatever the task writes before it sleeps.
    pub(crate) fn intake(&self) -> Option<MutexGuard<'_, ()>> {
        let guard = self.traffic.lock();
        let mut mailbox = self.mailbox.lock();
        mailbox.attended = true;
        (!mailbox.shut).then_some(guard)
    }

    /// For the connection's task: the right to take in a message or to write, which a revocation takes away; `None` once it has.
    pub(crate) fn traffic(&self) -> Option<MutexGuard<'_, ()>> {
        let guard = self.traffic.lock();
        (!self.is_shut()).then_some(guard)
    }

    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Queue a frame. Past the bound the connection ends as a slow consumer and what was queued is dropped; after the end,
    /// frames are dropped.
    pub fn deliver(self: &Arc<Self>, frame: &Frame) {
        let mut mailbox = self.mailbox.lock();
        if mailbox.shut {
            return;
        }
        let waker = if !self.push(&mut mailbox, frame) {
            self.overflow(&mut mailbox)
        } else if mailbox.attended {
            None
        } else {
            match &self.way {
                Way::Task => mailbox.waker.take(),
                Way::Session(_) => None,
                Way::Flushed(flusher, _) => {
                    let news = !std::mem::replace(&mut mailbox.due, true);
                    drop(mailbox);
                    if news {
                        flusher.add(self.clone());
                    }
                    return;
                }
            }
        };
        drop(mailbox);
        wake(waker);
    }

    /// Queue a frame if there is room for it; else nothing happens. There is always room for one if no more than half of the bound waits, whatever
    /// its size: half of the bound and one frame are the most that wait. For a pipe, which waits for [`Self::writable`] and then goes on: a client that reads slowly slows it down.
    ///
    /// # Errors
    /// If there is no room now, or never will be.
    pub fn send(&self, frame: &Frame) -> Result<(), SendError> {
        let mut mailbox = self.mailbox.lock();
        if mailbox.shut || mailbox.order.is_some() {
            return Err(SendError::Closed);
        }
        mailbox.pipe.get_or_insert_default();
        let waiting = self.waiting_bytes(&mailbox);
        // By the same measure as `poll_writable`, so that a sender that waits gets on.
        if waiting + frame.len() > self.outbound_limit && waiting > self.outbound_limit / 2 {
            return Err(SendError::Full);
        }
        let waker = match &self.way {
            Way::Session(session) => {
                session.push(frame, usize::MAX);
                None
            }
            // The connection's own task writes it: there is one receiver, and it waits for nothing else.
            Way::Task | Way::Flushed(..) => {
                mailbox.push(frame);
                if mailbox.attended { None } else { mailbox.waker.take() }
            }
        };
        drop(mailbox);
        wake(waker);
        Ok(())
    }

    /// Returns once no more than half of what may wait for the client does. One sender waits at a time: the last to ask is woken.
    ///
    /// # Errors
    /// If the connection has ended, or ends.
    pub async fn writable(&self) -> Result<(), SendError> {
        std::future::poll_fn(|context| self.poll_writable(context)).await
    }

    /// The same, to be polled.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let mut mailbox = self.mailbox.lock();
        if mailbox.shut || mailbox.order.is_some() {
            return Poll::Ready(Err(SendError::Closed));
        }
        let has_room = self.waiting_bytes(&mailbox) <= self.outbound_limit / 2;
        let pipe = mailbox.pipe.get_or_insert_default();
        if has_room {
            return Poll::Ready(Ok(()));
        }
        pipe.sender = Some(context.waker().clone());
        Poll::Pending
    }

    /// Everything that waits for the client, also what is being written.
    fn waiting_bytes(&self, mailbox: &Mailbox) -> usize {
        match &self.way {
            Way::Session(session) => session.bytes(),
            Way::Task | Way::Flushed(..) => mailbox.bytes + mailbox.pipe.as_ref().map_or(0, |pipe| pipe.in_flight),
        }
    }

    /// For whoever writes: what was taken has left.
    pub(crate) fn all_written(&self) {
        let sender = {
            let mut mailbox = self.mailbox.lock();
            mailbox.written()
        };
        wake(sender);
    }

    /// Close the connection with a code and a reason of the application's. Frames queued before still go out.
    pub fn close(&self, close: ApplicationClose) {
        self.order(Order::Close(Box::new(close)));
    }

    /// For the connection's task: queue what it has to say itself, behind what was delivered before. The bound is the same; once the end
    /// has begun, its few frames are taken beyond it. What is said while an order to end waits is not the farewell, and is dropped.
    pub(crate) fn say(&self, frame: &Frame) {
        let mut mailbox = self.mailbox.lock();
        if mailbox.shut {
            if mailbox.order.is_none() {
                match &self.way {
                    Way::Session(session) => drop(session.push(frame, usize::MAX)),
                    Way::Task | Way::Flushed(..) => mailbox.push(frame),
                }
            }
        } else if mailbox.pipe.is_some() {
            // The pipe keeps the bound. What the connection itself says beside it (a ping, a notice of expiry) must not close it, and is little:
            // while much waits to be written, nothing is read that would have to be answered.
            match &self.way {
                Way::Session(session) => drop(session.push(frame, usize::MAX)),
                Way::Task | Way::Flushed(..) => mailbox.push(frame),
            }
        } else if !self.push(&mut mailbox, frame) {
            // The task is awake, and looks for orders before it sleeps.
            self.overflow(&mut mailbox);
        }
    }

    /// Whether there was room for the frame.
    fn push(&self, mailbox: &mut Mailbox, frame: &Frame) -> bool {
        if let Way::Session(session) = &self.way {
            return session.push(frame, self.outbound_limit);
        }
        let fits = mailbox.bytes + frame.len() <= self.outbound_limit;
        if fits {
            mailbox.push(frame);
        }
        fits
    }

    fn overflow(&self, mailbox: &mut Mailbox) -> Option<Waker> {
        if let Way::Session(session) = &self.way {
            session.discard();
        }
        mailbox.shut_with(Order::End(CloseCause::SlowConsumer, None))
    }

    /// For the connection's task: the last `frames` that it said are the farewell. A revocation that comes now drops the others alone.
    pub(crate) fn farewell(&self, frames: usize) {
        self.mailbox.lock().farewell = u8::try_from(frames).unwrap_or(u8::MAX);
    }

    /// For the connection's task: drops what is queued and not begun.
    pub(crate) fn discard(&self) {
        self.mailbox.lock().discard();
        if let Way::Session(session) = &self.way {
            session.discard();
        }
    }

    pub(crate) fn set_facts(&self, facts: Arc<CredentialFacts>) {
        self.mailbox.lock().facts = Some(facts);
    }

    pub(crate) fn facts(&self) -> Option<Arc<CredentialFacts>> {
        self.mailbox.lock().facts.clone()
    }

    /// Bytes that wait to be written. Those that a session holds are counted where the sessions are.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.mailbox.lock().bytes
    }

    /// Whether at least `bytes` wait to be written, wherever they do.
    pub(crate) fn holds(&self, bytes: usize) -> bool {
        match &self.way {
            Way::Session(session) => session.bytes() >= bytes,
            Way::Task | Way::Flushed(..) => self.queued_bytes() >= bytes,
        }
    }
}

impl Mailbox {
    fn push(&mut self, frame: &Frame) {
        self.bytes += frame.len();
        self.frames.push_back(frame.clone());
    }

    /// A writer has them now, and with them the frame that was written in part.
    fn taken(&mut self, frames: VecDeque<Frame>) -> Taken {
        self.begun = 0;
        let bytes = std::mem::take(&mut self.bytes);
        if let Some(pipe) = &mut self.pipe {
            pipe.in_flight = bytes;
        }
        Taken { frames, bytes, discards: self.discards, piped: self.pipe.is_some() }
    }

    /// What was taken has left or was given back; the sender to be woken.
    fn written(&mut self) -> Option<Waker> {
        let pipe = self.pipe.as_mut()?;
        pipe.in_flight = 0;
        pipe.sender.take()
    }

    /// The sender to be woken.
    fn sender(&mut self) -> Option<Waker> {
        self.pipe.as_mut()?.sender.take()
    }

    /// A queue that has run empty keeps few places.
    fn shrink(&mut self) {
        if self.frames.capacity() > KEPT_CAPACITY {
            self.frames.shrink_to(KEPT_CAPACITY);
        }
    }

    fn discard(&mut self) {
        let dropped = self.frames.len().saturating_sub(self.farewell.into());
        self.frames.drain(..dropped);
        self.shrink();
        self.bytes = self.begun + self.frames.iter().map(Frame::len).sum::<usize>();
        self.discards = self.discards.wrapping_add(1);
    }

    fn shut_with(&mut self, order: Order) -> Option<Waker> {
        if !self.shut {
            self.shut = true;
            self.order = Some(order);
        } else if let Order::Revoked { .. } = order {
            // Whatever else was ordered and not carried out yet, a revocation is what the peer should hear of.
            self.order = self.order.take().map(|_| order);
        }
        self.discard();
        self.waker.take()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
