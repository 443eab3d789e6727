//! One record: what is known of something that happened.

mod folded;
mod line;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use usher_auth::client_address::ClientAddress;
use usher_auth::ids::{ConnectionId, SessionId, UserId};
use usher_auth::refusal::RefusalKind;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::{Permit, Refusal};

pub(super) use self::folded::Groups;
use self::folded::{Claimed, Folded};
use super::{AuditEvent, AuditKeys, Outcome};

/// Longest text of one field, in bytes; what is longer is cut (req N4).
const MAX_FIELD_BYTES: usize = 256;

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
            RevocationTarget::IssuerSession(issuer, _) | RevocationTarget::IssuerSubject { issuer, .. } => {
                record.detail = Some(issuer.to_string());
            }
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

    /// On a connection.
    #[must_use]
    pub fn on(self, connection: ConnectionId) -> Self {
        Self { connection: Some(connection), ..self }
    }

    /// A renewal that took away so many rooms.
    #[must_use]
    pub fn losing_rooms(mut self, count: usize) -> Self {
        self.extra.rooms_lost = Some(count);
        self
    }

    /// The end of a connection that lasted so long, and the code of its close frame if it got one.
    #[must_use]
    pub fn closed(mut self, code: Option<u16>, lasted: Duration) -> Self {
        self.extra.code = code;
        self.extra.lasted_ms = Some(u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX));
        self
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
}

fn capped(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_FIELD_BYTES {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(MAX_FIELD_BYTES)]))
}
