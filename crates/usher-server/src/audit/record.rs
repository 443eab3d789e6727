//! One record, and how it is written.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;
use usher_auth::ids::{ConnectionId, SessionId, UserId};
use usher_auth::refusal::RefusalKind;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::{Permit, Refusal, UnixTime};
use usher_axum::ClientAddress;
use usher_axum::observer::Scene;

use super::tally::Tally;
use super::{AuditEvent, AuditKeys, Outcome};
use crate::hidden_text::escape_in_json;

/// Longest text of one field, in bytes; what is longer is cut (req N4).
const MAX_FIELD_BYTES: usize = 256;
/// Most users, sources and claimed names that a record names which stands for others.
const MAX_NAMED: usize = 10;

/// What is known of something that happened. Times are added when it is recorded.
#[derive(Clone, Debug)]
pub struct Record {
    pub(super) event: AuditEvent,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) connection: Option<ConnectionId>,
    pub(super) session: Option<SessionId>,
    pub(super) subject: Option<UserId>,
    pub(super) claimed: Option<Claimed>,
    pub(super) carrier: Option<&'static str>,
    pub(super) ip: Option<IpAddr>,
    pub(super) origin: Option<String>,
    pub(super) route: Option<String>,
    pub(super) extra: Extra,
    pub(super) folded: Option<Folded>,
}

/// What only some events have.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lasted_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rooms_lost: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections_ended: Option<usize>,
}

/// A name that a client typed at a log-in: perhaps a password in the wrong field. Written as a keyed hash alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Claimed {
    /// As it was typed, as long as a request may be.
    Name(String),
    /// Its hash: what is kept of it for longer than a call.
    Reference(String),
}

impl Claimed {
    fn reference(&self, keys: &AuditKeys) -> String {
        match self {
            Self::Name(name) => keys.reference("name", name),
            Self::Reference(reference) => reference.clone(),
        }
    }
}

/// Several that are alike, as one.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    pub(super) count: u64,
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
    /// Where they are of several sources, or about several users.
    pub(super) groups: Option<Box<Groups>>,
}

/// Whom several records are about, and where they come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    subjects: Tally<UserId>,
    sources: Tally<IpAddr>,
    claimed: Tally<Claimed>,
}

impl Groups {
    /// Takes in one more; its subject, too, if they may differ.
    pub(super) fn add(&mut self, record: Record, subjects_differ: bool) {
        if let Some(ip) = record.ip {
            self.sources.add(ClientAddress(ip).source());
        }
        if let Some(claimed) = record.claimed {
            self.claimed.add(claimed);
        }
        if let Some(subject) = record.subject.filter(|_| subjects_differ) {
            self.subjects.add(subject);
        }
    }
}

/// The record's form. The first twelve are always there, `null` where there is nothing to say (req N2).
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    event: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    connection: Option<String>,
    session: Option<String>,
    subject: Option<Cow<'a, str>>,
    carrier: Option<&'static str>,
    ip: Option<IpAddr>,
    origin: Option<Cow<'a, str>>,
    route: Option<Cow<'a, str>>,
    detail: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<String>,
    #[serde(flatten)]
    extra: &'a Extra,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(flatten)]
    groups: Option<GroupsLine>,
}

/// Lists of the most frequent, and how many more there were.
#[derive(Serialize)]
struct GroupsLine {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<Frequent>,
    #[serde(skip_serializing_if = "is_zero")]
    subjects_more: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<Frequent>,
    #[serde(skip_serializing_if = "is_zero")]
    sources_more: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    claimed_names: Vec<Frequent>,
    #[serde(skip_serializing_if = "is_zero")]
    claimed_names_more: usize,
}

/// One of a list, with how often it occurred at least.
#[derive(Serialize)]
#[serde(untagged)]
enum Frequent {
    Subject { subject: String, count: u64 },
    Source { ip: IpAddr, count: u64 },
    Claimed { claimed: String, count: u64 },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl GroupsLine {
    fn of(groups: &Groups, keys: &AuditKeys) -> Self {
        let (subjects, subjects_more) = groups.subjects.top(MAX_NAMED);
        let (sources, sources_more) = groups.sources.top(MAX_NAMED);
        let (claimed, claimed_names_more) = groups.claimed.top(MAX_NAMED);
        let subject =
            |(user, count): (UserId, u64)| Frequent::Subject { subject: capped(user.as_str()).into_owned(), count };
        let name = |(name, count): (Claimed, u64)| Frequent::Claimed { claimed: name.reference(keys), count };
        Self {
            subjects: subjects.into_iter().map(subject).collect(),
            subjects_more,
            sources: sources.into_iter().map(|(ip, count)| Frequent::Source { ip, count }).collect(),
            sources_more,
            claimed_names: claimed.into_iter().map(name).collect(),
            claimed_names_more,
        }
    }
}

impl Record {
    /// Of an event that went like that, with nothing else known.
    pub fn new(event: AuditEvent, outcome: Outcome) -> Self {
        Self {
            event,
            outcome,
            reason: None,
            detail: None,
            connection: None,
            session: None,
            subject: None,
            claimed: None,
            carrier: None,
            ip: None,
            origin: None,
            route: None,
            extra: Extra::default(),
            folded: None,
        }
    }

    /// Somebody was refused.
    pub fn refused(refusal: &Refusal) -> Self {
        let holder = refusal.holder();
        let revoked = holder.and_then(|holder| holder.revoked);
        let session = holder.and_then(|holder| holder.session.clone());
        let (event, outcome) = match refusal.kind() {
            RefusalKind::Throttled { .. } => (AuditEvent::LoginFailMax, Outcome::Denied),
            RefusalKind::TooManyConnections { .. } => (AuditEvent::RateLimitExceeded, Outcome::Denied),
            RefusalKind::OriginForbidden | RefusalKind::TicketNotForHere | RefusalKind::Forbidden => {
                (AuditEvent::AuthzFail, Outcome::Denied)
            }
            RefusalKind::SpentTicket => (AuditEvent::TokenReuse, Outcome::Failure),
            RefusalKind::Expired => (AuditEvent::SessionUseAfterExpire, Outcome::Failure),
            RefusalKind::InvalidSession if revoked.is_some() => (AuditEvent::SessionUseAfterExpire, Outcome::Failure),
            _ if revoked.is_some() => (AuditEvent::TokenReuse, Outcome::Failure),
            _ => (AuditEvent::LoginFail, Outcome::Failure),
        };
        Self {
            detail: Some(capped(refusal.detail()).into_owned()),
            subject: holder.map(|holder| holder.user.clone()),
            session,
            ..Self::new(event, outcome).reason(refusal.code())
        }
    }

    /// Something was revoked. `user` is whose it was, where the target does not say so.
    pub fn revoked(revocation: &Revocation, user: Option<&UserId>) -> Self {
        let own = matches!(revocation.cause, RevocationCause::Logout | RevocationCause::LogoutEverywhere);
        let event = match revocation.target {
            RevocationTarget::Session(_) if own => AuditEvent::SessionLogout,
            RevocationTarget::Session(_) => AuditEvent::SessionExpired,
            _ => AuditEvent::TokenRevoked,
        };
        let mut record = Self::new(event, Outcome::Success).reason(revocation.cause.as_str());
        record.subject = user.cloned();
        match &revocation.target {
            RevocationTarget::Session(id) => record.session = Some(id.clone()),
            RevocationTarget::User { user, .. } => record.subject = Some(user.clone()),
            RevocationTarget::ApiKey(id) => record.detail = Some(id.to_string()),
            RevocationTarget::Token(..) => {}
        }
        record
    }

    /// A new chain was begun because the key of the old one is lost, and so many records were set aside.
    pub fn begun(count: u64) -> Self {
        let record = Self::new(AuditEvent::AuditBegun, Outcome::Success).reason("key_missing");
        record.detail(format!("{count} records of the chain before were set aside"))
    }

    /// Why, by a stable name.
    #[must_use]
    pub fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// With a note for people: of our own making, or an id.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = Some(capped(&detail).into_owned());
        self
    }

    /// By a connection.
    #[must_use]
    pub fn on(mut self, scene: &Scene<'_>) -> Self {
        self.connection = Some(scene.connection);
        self.from(scene.client, scene.origin, scene.route)
    }

    /// By an HTTP request.
    #[must_use]
    pub fn from(mut self, client: ClientAddress, origin: Option<&str>, route: &str) -> Self {
        self.ip = Some(client.0);
        // Cut here and not only where it is written: a record waits in a queue, and a header may be as long as a request.
        self.origin = origin.map(|origin| capped(origin).into_owned());
        self.route = Some(capped(route).into_owned());
        self
    }

    /// By somebody who was verified.
    #[must_use]
    pub fn by(mut self, permit: &Permit) -> Self {
        self.subject = Some(permit.principal().id.clone());
        self.session.clone_from(&permit.credential().session);
        self.carrier = permit.carrier().map(usher_auth::carriers::Carrier::as_str);
        self
    }

    /// About a user.
    #[must_use]
    pub fn subject(mut self, user: &UserId) -> Self {
        self.subject = Some(user.clone());
        self
    }

    /// About whoever has that name, if anybody does.
    #[must_use]
    pub fn claimed(mut self, name: &str) -> Self {
        self.claimed = Some(Claimed::Name(name.to_owned()));
        self
    }

    /// About a session.
    #[must_use]
    pub fn session(mut self, session: &SessionId) -> Self {
        self.session = Some(session.clone());
        self
    }

    /// How the credential was presented.
    #[must_use]
    pub fn carrier(mut self, carrier: &'static str) -> Self {
        self.carrier = Some(carrier);
        self
    }

    /// In a room.
    #[must_use]
    pub fn room(mut self, room: &str) -> Self {
        self.extra.room = Some(capped(room).into_owned());
        self
    }

    /// So many connections were ended by it.
    #[must_use]
    pub fn connections_ended(mut self, count: usize) -> Self {
        self.extra.connections_ended = Some(count);
        self
    }

    /// It stands for `count`.
    #[must_use]
    pub(super) fn counting(mut self, count: u64, first: UnixTime, last: UnixTime) -> Self {
        self.folded = Some(Folded { count, first, last, groups: None });
        self
    }

    /// With the name that was claimed as a hash alone.
    #[must_use]
    pub(super) fn sealed(mut self, keys: &AuditKeys) -> Self {
        self.claimed = self.claimed.map(|claimed| Claimed::Reference(claimed.reference(keys)));
        self
    }

    /// The first of several, less what is its own.
    #[must_use]
    pub(super) fn folded(self, at: UnixTime) -> Self {
        Self { connection: None, session: None, claimed: None, ..self }.counting(1, at, at)
    }

    /// Stands for `other`, too, which is alike and comes from `source`. What differs between them is no longer said.
    pub(super) fn absorb(&mut self, other: &Self, source: Option<IpAddr>, at: UnixTime) {
        if self.ip != other.ip {
            self.ip = source;
        }
        if self.subject != other.subject {
            self.subject = None;
        }
        self.absorb_rest(other, at);
    }

    /// Stands for `other`, too, which may come from elsewhere, and be about another user where `subjects_differ`.
    pub(super) fn absorb_into_group(&mut self, other: Self, subjects_differ: bool, at: UnixTime) {
        self.absorb_rest(&other, at);
        if let Some(groups) = self.folded.as_mut().and_then(|folded| folded.groups.as_mut()) {
            groups.add(other, subjects_differ);
        }
    }

    fn absorb_rest(&mut self, other: &Self, at: UnixTime) {
        fn common<T: PartialEq>(one: &mut Option<T>, other: Option<&T>) {
            if one.as_ref() != other {
                *one = None;
            }
        }
        common(&mut self.detail, other.detail.as_ref());
        common(&mut self.carrier, other.carrier.as_ref());
        common(&mut self.origin, other.origin.as_ref());
        common(&mut self.route, other.route.as_ref());
        common(&mut self.extra.room, other.extra.room.as_ref());
        common(&mut self.extra.code, other.extra.code.as_ref());
        common(&mut self.extra.lasted_ms, other.extra.lasted_ms.as_ref());
        common(&mut self.extra.rooms_lost, other.extra.rooms_lost.as_ref());
        common(&mut self.extra.connections_ended, other.extra.connections_ended.as_ref());
        if let Some(folded) = &mut self.folded {
            folded.count += 1;
            folded.last = at;
        }
    }

    /// One JSON object on one line, without what chains it to others. Ids of sessions and names that were merely claimed are hashed
    /// with a key here (req N3).
    pub(super) fn to_json(&self, at: UnixTime, keys: &AuditKeys) -> String {
        let folded = self.folded.as_ref();
        let line = Line {
            time: rfc3339(at),
            event: self.event.as_str(),
            outcome: self.outcome.as_str(),
            reason: self.reason,
            connection: self.connection.map(|id| id.to_string()),
            session: self.session.as_ref().map(|id| keys.reference("session", id.as_str())),
            subject: self.subject.as_ref().map(|user| capped(user.as_str())),
            carrier: self.carrier,
            ip: self.ip,
            origin: self.origin.as_deref().map(capped),
            route: self.route.as_deref().map(capped),
            detail: self.detail.as_deref().map(capped),
            claimed: self.claimed.as_ref().map(|claimed| claimed.reference(keys)),
            extra: &self.extra,
            count: folded.map(|folded| folded.count),
            first: folded.map(|folded| rfc3339(folded.first)),
            last: folded.map(|folded| rfc3339(folded.last)),
            groups: folded.and_then(|folded| folded.groups.as_deref()).map(|groups| GroupsLine::of(groups, keys)),
        };
        escape_in_json(serde_json::to_string(&line).expect("plain data"))
    }
}

/// RFC 3339 in UTC, to the millisecond.
fn rfc3339(at: UnixTime) -> String {
    let time = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

fn capped(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_FIELD_BYTES {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(MAX_FIELD_BYTES)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_sent_can_break_out_of_its_field() {
        // req N4
        let keys = AuditKeys::from_secret(&[7; 32]);
        let hostile = "a\r\n{\"event\":\"authn_login_success\"}\u{1b}[2J\u{2028}\u{202e}\u{7f}";
        let client = ClientAddress(IpAddr::from([192, 0, 2, 1]));
        let record = Record::new(AuditEvent::LoginFail, Outcome::Failure)
            .from(client, Some(&format!("{hostile}{}", "x".repeat(1 << 20))), "/ws")
            .detail(hostile)
            .room(hostile)
            .claimed(hostile);
        let line = record.to_json(UnixTime::from_millis(1_760_000_000_007), &keys);
        assert!(!line.contains(['\n', '\r', '\u{1b}', '\u{2028}', '\u{202e}', '\u{7f}']), "{line}");
        assert!(line.len() < 2048, "{}", line.len());
        let value: serde_json::Value = serde_json::from_str(&line).expect("one object");
        assert_eq!(value["time"], "2025-10-09T08:53:20.007Z");
        assert_eq!(value["event"], "authn_login_fail");
        assert_eq!(value["detail"], hostile);
        assert!(value["origin"].as_str().expect("text").ends_with('…'));
        assert_eq!(value["claimed"].as_str().expect("text").len(), 22);
    }
}
