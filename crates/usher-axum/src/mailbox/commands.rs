//! What others order a connection to do, and how its task learns of it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use usher_auth::Now;
use usher_auth::close_code::CloseCause;
use usher_auth::revocation::RevocationCause;

use super::{ConnectionHandle, wake};
use crate::orders::{Order, RouteTable};
use crate::way::Way;

impl ConnectionHandle {
    /// End the connection for `cause`. Frames queued before still go out.
    pub fn end(&self, cause: CloseCause, retry_after: Option<Duration>) {
        self.order(Order::End(cause, retry_after));
    }

    pub(super) fn order(&self, order: Order) {
        let (waker, sender) = {
            let mut mailbox = self.mailbox.lock();
            // What is shut ends already.
            if !mailbox.shut {
                mailbox.order.get_or_insert(order);
            }
            (mailbox.waker.take(), mailbox.sender())
        };
        wake(waker);
        wake(sender);
    }

    /// The credential was revoked: what is queued is dropped now, and nothing more is taken or begun to be written once this returns
    /// (req H4). Whether that is news.
    pub(crate) fn revoke(&self, cause: RevocationCause, now: Now) -> bool {
        let (news, waker) = {
            let mut mailbox = self.mailbox.lock();
            let news = !mailbox.shut;
            mailbox.revoked = true;
            let waker = mailbox.shut_with(Order::Revoked { cause, ordered_at: now.monotonic });
            (news, [waker, mailbox.sender()])
        };
        waker.into_iter().for_each(wake);
        // What was under way is done when these are ours.
        drop(self.traffic.lock());
        if let Some(outlet) = self.outlet() {
            outlet.settle();
        }
        if let Way::Session(session) = &self.way {
            session.discard();
        }
        news
    }

    /// Whether the credential was revoked or the end was ordered: nothing more may be taken from the peer.
    pub(crate) fn is_shut(&self) -> bool {
        self.mailbox.lock().shut
    }

    /// Whether the credential was revoked: what the client sent and is not taken in yet must not be.
    pub fn was_revoked(&self) -> bool {
        self.mailbox.lock().revoked
    }

    /// Whether the connection has ended, or ends.
    pub fn has_ended(&self) -> bool {
        let mailbox = self.mailbox.lock();
        mailbox.shut || mailbox.order.is_some()
    }

    /// For the connection's task: nothing is taken for the peer any more but what the task says itself. What is queued still goes out.
    pub(crate) fn shut(&self) {
        let sender = {
            let mut mailbox = self.mailbox.lock();
            mailbox.shut = true;
            mailbox.waker = None;
            mailbox.sender()
        };
        wake(sender);
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
            mailbox.handed_out = mailbox.changes;
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
}
