//! What others leave for a connection's task: frames to write, and orders to end.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::sync::{Mutex, MutexGuard};
use usher_auth::close_code::CloseCause;
use usher_auth::connection::SessionRenewal;
use usher_auth::ids::{ConnectionId, SessionId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::RouteRules;
use usher_auth::user::User;
use usher_auth::wire::Frame;
use usher_auth::{Now, UnixTime};

use crate::Presenter;
use crate::flusher::{Flusher, Outlet};
use crate::observer::Scene;

/// Places for frames that are kept when the mailbox has run empty: a connection at rest owns little.
const KEPT_CAPACITY: usize = 16;

/// A live connection, as the rest of the process sees it. Owned by the connection's task and by the registry.
pub struct ConnectionHandle {
    id: ConnectionId,
    /// Most bytes that may wait in `frames`: a client that reads more slowly than that is closed.
    outbound_limit: usize,
    presented: Option<(Arc<Presenter>, Arc<RouteRules>)>,
    mailbox: Mutex<Mailbox>,
    /// Held by the connection's task while it takes a message in or begins to write: whoever revokes waits for that, so that after
    /// the revocation nothing more is begun in either direction (req H4). Never held over an await.
    traffic: Mutex<()>,
    /// Who writes in the task's place, and where, if the transport lets others write.
    direct: Option<(Arc<Flusher>, Weak<dyn Outlet>)>,
    /// Drops what a transport holds for the peer in a queue of its own, where it does.
    discard: Option<Box<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Mailbox {
    frames: VecDeque<Frame>,
    bytes: usize,
    order: Option<Order>,
    amendments: Option<Box<Amendments>>,
    /// Set once nothing more may reach the peer: revoked, overflown, or the task has gone.
    shut: bool,
    /// The flusher has it on its list.
    due: bool,
    /// The connection's task is awake, and looks in here before it sleeps.
    attended: bool,
    facts: Option<Arc<CredentialFacts>>,
    /// The connection's task.
    waker: Option<Waker>,
}

/// What a connection's task must do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// The credential was revoked.
    Revoked {
        /// Why.
        cause: RevocationCause,
        /// When it was ordered, on the monotonic clock.
        ordered_at: Duration,
    },
    /// End for another cause.
    End(CloseCause, Option<Duration>),
    /// Take in what changed.
    Amend(Box<Amendments>),
}

/// What changed about a connection from elsewhere. Of each kind the last one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Amendments {
    /// The credential was revoked, with a margin to bring another.
    pub(crate) margin: Option<(Duration, RevocationCause)>,
    /// The routes, and perhaps the rooms, have other rules.
    pub(crate) routes: Option<Arc<RouteTable>>,
    /// The session was used, and ends then.
    pub(crate) session_used: Option<(SessionId, UnixTime)>,
    /// The user was changed, and read again then.
    pub(crate) user: Option<(Arc<User>, UnixTime)>,
    /// The session was proved anew.
    pub(crate) session_renewed: Option<Arc<SessionRenewal>>,
}

/// The rules of every route, by path.
pub type RouteTable = BTreeMap<String, Arc<RouteRules>>;

impl ConnectionHandle {
    pub(crate) fn new(id: ConnectionId, outbound_limit: usize) -> Self {
        let (mailbox, traffic) = (Mutex::default(), Mutex::default());
        Self { id, outbound_limit, presented: None, mailbox, traffic, direct: None, discard: None }
    }

    /// With who opened it and where: for [`ConnectionHandle::scene`].
    pub(crate) fn presented(mut self, by: Arc<Presenter>, at: Arc<RouteRules>) -> Self {
        self.presented = Some((by, at));
        self
    }

    /// With somebody who writes what is delivered, in the task's place.
    pub(crate) fn flushed_by(mut self, flusher: &Arc<Flusher>, outlet: Option<Weak<dyn Outlet>>) -> Self {
        self.direct = outlet.map(|outlet| (flusher.clone(), outlet));
        self
    }

    /// With what drops the frames that the transport holds in a queue of its own.
    pub(crate) fn discarding(mut self, discard: Option<Box<dyn Fn() + Send + Sync>>) -> Self {
        self.discard = discard;
        self
    }

    /// Where it is, for whoever observes what is done over it.
    pub fn scene(&self) -> Option<Scene<'_>> {
        self.presented.as_ref().map(|(presenter, rules)| presenter.scene(self.id, &rules.path))
    }

    /// Tell the connection of a change.
    pub(crate) fn amend(&self, amend: impl FnOnce(&mut Amendments)) {
        let waker = {
            let mut mailbox = self.mailbox.lock();
            amend(mailbox.amendments.get_or_insert_default());
            mailbox.waker.take()
        };
        wake(waker);
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
        let waker = {
            let mut mailbox = self.mailbox.lock();
            if mailbox.shut {
                return;
            }
            mailbox.bytes += frame.len();
            if mailbox.bytes > self.outbound_limit {
                mailbox.shut_with(Order::End(CloseCause::SlowConsumer, None))
            } else {
                mailbox.frames.push_back(frame.clone());
                if mailbox.attended {
                    return;
                }
                if let Some((flusher, _)) = &self.direct {
                    let news = !std::mem::replace(&mut mailbox.due, true);
                    drop(mailbox);
                    if news {
                        flusher.add(self.clone());
                    }
                    return;
                }
                mailbox.waker.take()
            }
        };
        wake(waker);
    }

    /// For the flusher: writes what is queued.
    pub(crate) fn flush(&self, scratch: &mut Vec<Frame>) {
        // Without an outlet there is no task any more.
        if let Some(outlet) = self.outlet()
            && outlet.flush(self, scratch)
        {
            self.leave_to_task();
        }
    }

    fn outlet(&self) -> Option<Arc<dyn Outlet>> {
        self.direct.as_ref()?.1.upgrade()
    }

    /// For the flusher: hands all queued frames over, in order.
    pub(crate) fn take_due(&self, frames: &mut Vec<Frame>) {
        let mut mailbox = self.mailbox.lock();
        mailbox.due = false;
        mailbox.take(|frame| frames.push(frame));
    }

    /// For the flusher: the connection's task is at it already.
    pub(crate) fn is_not_due(&self) {
        self.mailbox.lock().due = false;
    }

    /// For the flusher: the connection's task must look what there is to write. It may have looked before somebody else let go of the
    /// way out, so it is woken.
    pub(crate) fn leave_to_task(&self) {
        let waker = {
            let mut mailbox = self.mailbox.lock();
            mailbox.due = false;
            mailbox.waker.take()
        };
        wake(waker);
    }

    /// End the connection for `cause`. Frames queued before still go out.
    pub fn end(&self, cause: CloseCause, retry_after: Option<Duration>) {
        let waker = {
            let mut mailbox = self.mailbox.lock();
            mailbox.order.get_or_insert(Order::End(cause, retry_after));
            mailbox.waker.take()
        };
        wake(waker);
    }

    /// The credential was revoked: what is queued is dropped now, and nothing more is taken or begun to be written once this returns
    /// (req H4). Whether that is news.
    pub(crate) fn revoke(&self, cause: RevocationCause, now: Now) -> bool {
        let (news, waker) = {
            let mut mailbox = self.mailbox.lock();
            let news = !mailbox.shut;
            (news, mailbox.shut_with(Order::Revoked { cause, ordered_at: now.monotonic }))
        };
        wake(waker);
        // What was under way is done when these are ours.
        drop(self.traffic.lock());
        if let Some(outlet) = self.outlet() {
            outlet.settle();
        }
        if let Some(discard) = &self.discard {
            discard();
        }
        news
    }

    /// Whether the credential was revoked or the end was ordered: nothing more may be taken from the peer.
    pub(crate) fn is_shut(&self) -> bool {
        self.mailbox.lock().shut
    }

    pub(crate) fn shut(&self) {
        let mut mailbox = self.mailbox.lock();
        mailbox.shut = true;
        mailbox.frames = VecDeque::new();
        mailbox.waker = None;
    }

    pub(crate) fn set_facts(&self, facts: Arc<CredentialFacts>) {
        self.mailbox.lock().facts = Some(facts);
    }

    pub(crate) fn facts(&self) -> Option<Arc<CredentialFacts>> {
        self.mailbox.lock().facts.clone()
    }

    /// Bytes that wait to be taken by the connection's task.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.mailbox.lock().bytes
    }

    /// For the connection's task: an order, if there is one; else it is woken when there is something in the mailbox. The waker
    /// is left under the same lock that is looked under, so that nothing which arrives later is missed.
    ///
    /// Amendments are handed out only if it `takes_amendments`; until then they stay.
    pub(crate) fn poll_order(&self, context: &mut Context<'_>, takes_amendments: bool) -> Poll<Order> {
        let mut mailbox = self.mailbox.lock();
        if let Some(order) = mailbox.order.take() {
            return Poll::Ready(order);
        }
        if takes_amendments && let Some(amendments) = mailbox.amendments.take() {
            return Poll::Ready(Order::Amend(amendments));
        }
        mailbox.attended = false;
        if mailbox.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            mailbox.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// For the connection's task: the order, if there is one.
    pub(crate) fn take_order(&self) -> Option<Order> {
        self.mailbox.lock().order.take()
    }

    /// What rules were changed to and not taken in yet.
    pub(crate) fn take_routes(&self) -> Option<Arc<RouteTable>> {
        self.mailbox.lock().amendments.as_mut()?.routes.take()
    }

    /// For the connection's task: hands all queued frames to `take`, in order; whether there were any.
    pub(crate) fn drain(&self, take: impl FnMut(Frame)) -> bool {
        self.mailbox.lock().take(take)
    }
}

impl Mailbox {
    /// Hands all frames over; whether there were any.
    fn take(&mut self, take: impl FnMut(Frame)) -> bool {
        if self.frames.is_empty() {
            return false;
        }
        self.bytes = 0;
        self.frames.drain(..).for_each(take);
        if self.frames.capacity() > KEPT_CAPACITY {
            self.frames.shrink_to(KEPT_CAPACITY);
        }
        true
    }

    fn shut_with(&mut self, order: Order) -> Option<Waker> {
        if !self.shut {
            self.shut = true;
            self.order = Some(order);
        } else if let Order::Revoked { .. } = order {
            // Whatever else was ordered and not carried out yet, a revocation is what the peer should hear of.
            self.order = self.order.take().map(|_| order);
        }
        self.frames = VecDeque::new();
        self.bytes = 0;
        self.waker.take()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
