//! What the connection's machine wants done.

use usher_auth::close_code::CloseCause;
use usher_auth::connection::{Action, PendingUpdates, PermitChange, Verification};
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::throttle::MessagePace;
use usher_auth::{Now, Permit};

use super::{Decision, Driver, Event, LEAST_RETRY, TOO_MANY_RETRY, Transport, new_handle};
use crate::Application;
use crate::admitting::admit_within_patience;
use crate::lingering::HeldPlace;
use crate::observer::{Entry, Event as Observed};
use crate::orders::Amendments;
use crate::refusal_report::report_refusal;

impl<T: Transport, A: Application> Driver<T, A> {
    pub(super) fn carry_out_actions(&mut self) {
        while let Some(action) = self.connection.poll_action() {
            match action {
                Action::Verify(verification) => self.start_verification(verification),
                Action::Admit(permit) => self.ask_application(permit),
                Action::Refused { refusal, carrier } => {
                    let observer = &*self.door.parts().observer;
                    report_refusal(observer, &self.connection, &self.presenter, &refusal, carrier);
                }
                Action::Opened => self.open(),
                Action::PermitChanged(change) => self.permit_changed(change),
                // Behind whatever was queued before it: answers come in the order of what they answer.
                Action::Send(frame) => self.handle.say(&frame),
                Action::DiscardQueued => {
                    self.handle.shut();
                    self.handle.discard();
                }
                Action::Close { code, reason, cause, farewell } => {
                    tracing::info!(code, cause = cause.as_str(), "closing");
                    self.farewell.cause = Some((cause, code));
                    let now = self.now().monotonic;
                    self.farewell.notice = self.farewell.revoked.map(|(_, ordered_at)| now.saturating_sub(ordered_at));
                    // Before it leaves the registry, so that a drain that finds it in neither place finds nothing unwritten.
                    self.ending = Some(self.door.parts().connections.register_ending(&self.handle));
                    self.transport.close(&self.handle, code, &reason);
                    // And the close frame.
                    self.handle.farewell(farewell + 1);
                    self.closing = true;
                    self.end_session();
                }
                Action::Deauthenticate => self.deauthenticate(),
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
    pub(super) fn linger(&mut self) {
        let Some(lingering) = &self.lingering else { return };
        let permit = self.farewell.permit.clone();
        let place = self.place.take().or_else(|| self.take_place(permit.as_ref()));
        if place.is_none() {
            self.transport.forget_ended();
        }
        lingering.hold(place);
    }

    /// A place for a client that is not authenticated any more, or was not.
    fn take_place(&self, permit: Option<&Permit>) -> Option<HeldPlace> {
        match permit.map(Permit::principal).filter(|principal| !principal.anonymous) {
            Some(user) => self.door.ended().take(user.id.clone()).map(HeldPlace::User),
            None => self.door.waiting().take(self.presenter.address.source()).map(HeldPlace::Stranger),
        }
    }

    fn start_verification(&mut self, verification: Verification) {
        let (door, presenter) = (self.door.clone(), self.presenter.clone());
        let (connection, rules) = (self.connection.id(), self.connection.rules().clone());
        self.decision = Some(Box::pin(async move {
            let scene = presenter.scene(connection, &rules.path);
            Decision::Verdict(door.parts().verify(verification, &presenter, &scene).await)
        }));
    }

    fn ask_application(&mut self, permit: Permit) {
        let (application, request, presenter) =
            (self.application.clone(), self.request.clone(), self.presenter.clone());
        self.decision = Some(Box::pin(async move {
            Decision::Admission(admit_within_patience(&application, &request, permit, &presenter).await)
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
        self.door.parts().connections.catch_up(&self.handle, self.connection.rules(), self.generation);
        if self.door.is_draining() {
            // What drains has looked for connections before this one was there.
            self.connection.handle_end(now, CloseCause::Draining, Some(TOO_MANY_RETRY));
            return;
        }
        self.observe(&Observed::Opened { permit: &permit });
        self.farewell.opened_by = Some(Entry::from(&permit));
        self.transport.set_limits(self.connection.input_limits());
        let Some(admitted) = self.admitted.take() else {
            tracing::error!("a connection is open that the application has not taken");
            self.connection.handle_end(now, CloseCause::Internal, None);
            return;
        };
        self.session = Some(self.application.open(admitted, &permit, &self.handle, now));
        tracing::info!(
            user = %permit.principal().id,
            carrier = permit.carrier().map_or("none", |carrier| carrier.as_str()),
            "opened"
        );
    }

    /// Puts the connection where revocations find it. False if it ends instead: one too many, or revoked meanwhile.
    fn register(&mut self, permit: &Permit, now: Now) -> bool {
        let parts = self.door.parts();
        let (connections, facts, limits) = (&parts.connections, permit.shared_credential(), parts.connection_limits);
        let registered = match &mut self.registration {
            Some(registration) => connections.replace(registration, &self.handle, &facts, limits, now),
            None => {
                self.registration = connections.register(&self.handle, &facts, limits, now);
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

    fn permit_changed(&mut self, change: PermitChange) {
        let now = self.now();
        let Some(permit) = self.connection.permit().cloned() else { return };
        if !self.register(&permit, now) {
            return;
        }
        self.place = None;
        let answer = match &mut self.session {
            Some(session) => self.application.permit_changed(session, &permit, change, now),
            None => ApplicationAnswer::default(),
        };
        self.observe(&Observed::Renewed { permit: &permit, answer: &answer });
        self.farewell.permit = Some(permit);
        self.connection.handle_permit_changed(now, &answer);
    }

    /// What changed about the connection from elsewhere.
    pub(super) fn update(&mut self, amendments: Amendments, now: Now) {
        let Amendments { margin, routes, session_used, user, session_renewed } = amendments;
        let rules_changed = routes.is_some();
        let rules = routes.map(|routes| routes.get(&self.connection.rules().path).cloned());
        let updates = PendingUpdates { rules, revoked_with_margin: margin, session_used, user, session_renewed };
        self.connection.handle_updates(now, &updates, self.presenter.origin.as_deref());
        if rules_changed {
            if !self.connection.is_waiting() {
                self.transport.set_limits(self.connection.input_limits());
            }
            if let Some(session) = &mut self.session {
                self.application.rules_changed(session, now);
            }
        }
    }

    /// The credential has ended, and the socket waits as it did at first. What the application still holds of it leads nowhere: it is another
    /// connection to it.
    fn deauthenticate(&mut self) {
        let now = self.now();
        let next = new_handle(&self.connection, &self.presenter, &self.door, &self.transport);
        // Before the other leaves the registry: a change of the rules finds one of the two.
        let waiting = self.connection.is_waiting().then(|| self.door.parts().connections.register_waiting(&next));
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
        let ended = std::mem::take(&mut self.farewell).permit;
        self.opened_at = now;
        tracing::info!(cause = cause.as_str(), "the credential has ended, the socket waits for another");

        self.pace = MessagePace::default();
        self.waiting = waiting;
        if self.waiting.is_none() {
            // The end has begun.
            return;
        }
        self.observe(&Observed::Waiting);
        self.transport.set_limits(self.connection.input_limits());
        self.place = self.take_place(ended.as_ref());
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
            door.parts().verifier.session_used(&session).await;
        });
    }

    /// Whether the client keeps to its pace; else its end has begun. Control frames count as messages (req M11).
    pub(super) fn is_in_pace(&mut self, now: Now) -> bool {
        match self.pace.count(self.door.parts().messages, now) {
            Ok(()) => true,
            Err(wait) => {
                self.connection.handle_end(now, CloseCause::TooMany, Some(wait.max(LEAST_RETRY)));
                false
            }
        }
    }

    /// Leaves the rooms and the registry; nothing more is taken for this peer.
    pub(super) fn end_session(&mut self) {
        self.session = None;
        self.registration = None;
        self.waiting = None;
        self.decision = None;
        self.admitted = None;
        self.handle.shut();
        self.door.parts().connections.tell_taken_in();
    }
}
