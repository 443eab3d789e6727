//! How long an open connection goes on: its credential's end, the warning before it, and the heartbeat.

use std::time::Duration;

use super::{Action, Connection, State};
use crate::close_code::CloseCause;
use crate::ids::ConnectionId;
use crate::permit::Permit;
use crate::protocol::Event;
use crate::revocation::RevocationCause;
use crate::route::RouteRules;
use crate::time::{Now, UnixTime};

/// The deadlines of an open connection, each on the clock that does not step.
#[derive(Debug)]
pub(super) struct Life {
    /// When it was let in: `max_age` counts from here, whatever is renewed.
    opened_at: Now,
    /// When it ends, unless it is renewed.
    end: Option<Duration>,
    /// When the client is asked for a new credential.
    ask_at: Option<Duration>,
    /// The credential was revoked with a margin, because of this: the end is a revocation's and not an expiry's.
    revoked: Option<RevocationCause>,
    heartbeat: Option<Heartbeat>,
    /// When a message counts as a use of the session again.
    touch_at: Duration,
}

/// A session is used by the messages of its sockets, but written down at most so often.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// Whether the client still answers. Anything that comes from it is a sign of life; it is asked for one, by a ping, once it has been
/// silent for an interval, and is gone after two. Browsers answer pings themselves, so that a throttled tab stays.
#[derive(Debug)]
struct Heartbeat {
    interval: Duration,
    last_heard: Duration,
    /// When a ping went out that nothing has come after.
    pinged_at: Option<Duration>,
    due: Duration,
}

/// What is due.
pub(super) enum Due {
    /// The credential has ended.
    End,
    /// The credential was revoked, and the margin is over.
    Revoked(RevocationCause),
    /// A new credential should be asked for.
    Ask,
    /// A sign of life should be asked for.
    Ping,
    /// The client is gone.
    Silent,
}

impl Life {
    /// Of a connection that `permit` lets in now. The permit comes back ending no later than the route's `max_age`.
    pub(super) fn begin(id: ConnectionId, rules: &RouteRules, permit: Permit, now: Now) -> (Self, Permit) {
        let heartbeat = rules.heartbeat.map(|interval| Heartbeat {
            interval,
            last_heard: now.monotonic,
            pinged_at: None,
            due: now.monotonic + interval,
        });
        let mut life = Self {
            opened_at: now,
            end: None,
            ask_at: None,
            revoked: None,
            heartbeat,
            touch_at: now.monotonic + TOUCH_EVERY,
        };
        let permit = life.renew(id, rules, permit, now);
        (life, permit)
    }

    /// With a new permit; it comes back ending no later than the route's `max_age`.
    pub(super) fn renew(&mut self, id: ConnectionId, rules: &RouteRules, permit: Permit, now: Now) -> Permit {
        let latest = rules.max_age.map(|age| self.opened_at.after(age));
        self.revoked = None;
        self.end = permit.expires_at().map(|end| now.deadline(end));
        self.ask_at = permit.expires_at().and_then(|end| {
            // Where `max_age` comes first, no credential would help.
            let renewable = latest.is_none_or(|latest| end < latest.unix);
            let left = end.since(now.unix);
            let lead = rules.reauth.lead_of(id).min(left / 2);
            (renewable && !lead.is_zero()).then(|| now.monotonic + left.saturating_sub(lead))
        });
        match latest {
            None => permit,
            Some(latest) => {
                // On each clock by itself, so that a step of the wall clock does not move it (req H2).
                self.end = Some(self.end.map_or(latest.monotonic, |own| own.min(latest.monotonic)));
                permit.capped_at(latest.unix)
            }
        }
    }

    /// The permit ends at another time, or the route caps it at another, without anybody having proved anything: the session was used, or
    /// the rules changed. The margin of a revocation stays.
    pub(super) fn prolong(&mut self, id: ConnectionId, rules: &RouteRules, permit: Permit, now: Now) -> Permit {
        let revoked = self.revoked.zip(self.end);
        let permit = self.renew(id, rules, permit, now);
        if let Some((cause, end)) = revoked {
            let end = self.end.map_or(end, |own| own.min(end));
            (self.end, self.ask_at, self.revoked) = (Some(end), None, Some(cause));
        }
        permit
    }

    /// Whether a message that comes now counts as a use of the session.
    pub(super) fn counts_as_use(&mut self, permit: &Permit, now: Now) -> bool {
        let facts = permit.credential();
        let due = facts.session.is_some() && facts.token.is_none() && now.monotonic >= self.touch_at;
        if due {
            self.touch_at = now.monotonic + TOUCH_EVERY;
        }
        due
    }

    /// The credential was revoked, but the client has `margin` to bring another. Never later than the end that was.
    pub(super) fn end_within(&mut self, margin: Duration, cause: RevocationCause, now: Now) {
        let end = now.monotonic + margin;
        self.end = Some(self.end.map_or(end, |own| own.min(end)));
        self.ask_at = None;
        self.revoked = Some(cause);
    }

    /// Something came from the client.
    pub(super) fn heard(&mut self, now: Now) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.last_heard = now.monotonic;
            heartbeat.pinged_at = None;
        }
    }

    /// The next moment at which something is due.
    pub(super) fn next(&self) -> Option<Duration> {
        let heartbeat = self.heartbeat.as_ref().map(|heartbeat| heartbeat.due);
        [self.end, self.ask_at, heartbeat].into_iter().flatten().min()
    }

    /// What is due now, one at a time. `permit` is looked at by the wall clock, too, which goes on while a machine sleeps.
    pub(super) fn due(&mut self, permit: &Permit, now: Now) -> Option<Due> {
        if self.end.is_some_and(|end| end <= now.monotonic) || permit.has_ended(now.unix) {
            return Some(self.revoked.map_or(Due::End, Due::Revoked));
        }
        if self.ask_at.is_some_and(|at| at <= now.monotonic) {
            self.ask_at = None;
            return Some(Due::Ask);
        }
        self.heartbeat.as_mut().and_then(|heartbeat| heartbeat.due(now.monotonic))
    }
}

impl Heartbeat {
    fn due(&mut self, now: Duration) -> Option<Due> {
        if now < self.due {
            return None;
        }
        if let Some(pinged_at) = self.pinged_at {
            // A timer that comes a whole interval late means that we were stopped, not that the client was silent: ask again.
            if now < pinged_at + 2 * self.interval {
                return Some(Due::Silent);
            }
        } else if now < self.last_heard + self.interval {
            self.due = self.last_heard + self.interval;
            return None;
        }
        self.pinged_at = Some(now);
        self.due = now + self.interval;
        Some(Due::Ping)
    }
}

impl Connection {
    /// Bytes came from the peer, whatever they are.
    pub fn handle_heard(&mut self, now: Now) {
        if let State::Open(open) = &mut self.state {
            open.life.heard(now);
        }
    }

    /// What is due while the connection is authenticated.
    pub(super) fn live_on(&mut self, now: Now) {
        while let State::Open(open) = &mut self.state {
            match open.life.due(&open.permit, now) {
                None => break,
                Some(Due::End) => self.expire(now),
                Some(Due::Revoked(cause)) => self.handle_revoked(now, cause),
                Some(Due::Silent) => self.end(now, CloseCause::PingTimeout),
                Some(Due::Ping) => self.actions.push_back(Action::Ping),
                Some(Due::Ask) => {
                    if let Some(end) = open.permit.expires_at() {
                        self.ask_for_renewal(end, end);
                    }
                }
            }
        }
    }

    /// Asks for another credential: this one ends at `expires_at`, and a new one must have come by `deadline`.
    pub(super) fn ask_for_renewal(&mut self, expires_at: UnixTime, deadline: UnixTime) {
        self.tell(&Event::RenewalWanted { expires_at, deadline });
    }
}
