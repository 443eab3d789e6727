//! Why somebody was not let in, and how that is shown over HTTP and over a WebSocket.
//!
//! Two audiences: the client learns one of a few stable reasons, and beyond them all failures of a token look alike (req F17);
//! the operator's log gets [`Refusal::detail`], which never holds a credential.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::close_code::CloseCause;
use crate::credential::Carrier;
use crate::ids::{SessionId, UserId};
use crate::mistake::Mistake;
use crate::permit::CredentialFacts;
use crate::revocation::RevocationCause;

/// A refusal: what kind, and what the operator's log says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    detail: Cow<'static, str>,
    holder: Option<Holder>,
}

/// Whose the refused credential is, where it said so truthfully: it was found or its signature held, and it was refused all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user: UserId,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// Why it was revoked, if it was.
    pub revoked: Option<RevocationCause>,
}

/// The kinds of refusal a client can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// No credential where one is needed.
    MissingCredential,
    /// No ticket on a route that takes nothing else.
    MissingTicket,
    /// A token or key that does not hold, whatever the reason.
    Unauthorized,
    /// A session cookie that names no session.
    InvalidSession,
    /// A ticket that names nothing.
    InvalidTicket,
    /// A ticket that was good once: spent or too old. Looks like [`RefusalKind::InvalidTicket`], but is no guess.
    SpentTicket,
    /// A good ticket for another path or Origin; it is spent now.
    TicketNotForHere,
    /// The credential is good, but its user is gone.
    UserNotFound,
    /// The credential was good and has ended.
    Expired,
    /// More than one explicit credential, or two of one kind.
    MultipleCredentials,
    /// A credential whose carrier is used wrongly: bad base64, two spaces, no second subprotocol.
    MalformedCredential,
    /// A carrier that the route does not list.
    CarrierDisabled(Carrier),
    /// A cookie from a page that may not use it.
    OriginForbidden,
    /// Verified, but not allowed here.
    Forbidden,
    /// Too many failed attempts from this source or on this account.
    Throttled {
        /// When another attempt makes sense.
        retry_after: Duration,
    },
    /// Too many connections or waiting sockets.
    TooManyConnections {
        /// When another attempt makes sense.
        retry_after: Duration,
    },
    /// The first message did not come in time.
    AuthenticationTimeout,
    /// The first message was something else than `auth`.
    NotAuthFirst,
    /// A SockJS client wrote or wrapped a message wrongly.
    Mistake(Mistake),
    /// The first message was over its limit.
    FirstMessageTooBig,
    /// The first message was binary.
    FirstMessageBinary,
    /// What is needed to decide cannot be reached: no credential is accepted.
    Unavailable,
    /// The credential is good, and the application behind the route does not take the connection.
    Application(Rejection),
}

/// Why an application does not take a connection, and how that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable: of the problem document and of the `error` frame.
    pub code: &'static str,
    /// For people to read; the reason of the close frame: at most [`crate::close_code::MAX_REASON_BYTES`].
    pub reason: &'static str,
    /// What the connection is closed with, where it is open already.
    pub cause: CloseCause,
    /// When another attempt makes sense, where that is known.
    pub retry_after: Option<Duration>,
}

impl Rejection {
    /// The user may not use the application: 403, and 4003 where the connection is open.
    pub const FORBIDDEN: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "forbidden",
        reason: "Forbidden",
        cause: CloseCause::Forbidden,
        retry_after: None,
    };
    /// What the application needs for the connection cannot be reached: 502, and 1014 where the connection is open.
    pub const BAD_GATEWAY: Self = Self {
        status: StatusCode::BAD_GATEWAY,
        code: "bad_gateway",
        reason: "Bad gateway",
        cause: CloseCause::UpstreamLost,
        retry_after: None,
    };
}

impl Refusal {
    /// A refusal, with what the operator should read about it. `detail` must not hold anything a client sent.
    pub fn new(kind: RefusalKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), holder: None }
    }

    /// The same, with whose credential it was: for the audit, never for the client.
    #[must_use]
    pub fn held_by(mut self, facts: &CredentialFacts, revoked: Option<RevocationCause>) -> Self {
        self.holder = Some(Holder { user: facts.user.clone(), session: facts.session.clone(), revoked });
        self
    }

    /// Whose credential it was, if that is known. Never what a client merely claims.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// What kind of refusal.
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// For the operator's log.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            RefusalKind::MissingCredential
            | RefusalKind::MissingTicket
            | RefusalKind::Unauthorized
            | RefusalKind::InvalidSession
            | RefusalKind::InvalidTicket
            | RefusalKind::SpentTicket
            | RefusalKind::UserNotFound
            | RefusalKind::Expired
            | RefusalKind::CarrierDisabled(_)
            | RefusalKind::NotAuthFirst => StatusCode::UNAUTHORIZED,
            RefusalKind::MultipleCredentials | RefusalKind::MalformedCredential | RefusalKind::Mistake(_) => {
                StatusCode::BAD_REQUEST
            }
            RefusalKind::TicketNotForHere | RefusalKind::OriginForbidden | RefusalKind::Forbidden => {
                StatusCode::FORBIDDEN
            }
            RefusalKind::Throttled { .. } | RefusalKind::TooManyConnections { .. } => StatusCode::TOO_MANY_REQUESTS,
            RefusalKind::AuthenticationTimeout => StatusCode::REQUEST_TIMEOUT,
            RefusalKind::FirstMessageTooBig => StatusCode::PAYLOAD_TOO_LARGE,
            RefusalKind::FirstMessageBinary => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            RefusalKind::Application(rejection) => rejection.status,
        }
    }

    /// The stable code of the problem document and of the `error` frame.
    pub fn code(&self) -> &'static str {
        match self.kind {
            RefusalKind::MissingCredential => "missing_credential",
            RefusalKind::MissingTicket => "missing_ticket",
            RefusalKind::Unauthorized => "invalid_token",
            RefusalKind::InvalidSession => "invalid_session",
            RefusalKind::InvalidTicket | RefusalKind::SpentTicket => "invalid_ticket",
            RefusalKind::TicketNotForHere => "ticket_not_for_here",
            RefusalKind::UserNotFound => "user_not_found",
            RefusalKind::Expired => "session_expired",
            RefusalKind::MultipleCredentials => "multiple_credentials",
            RefusalKind::MalformedCredential => "malformed_credential",
            RefusalKind::CarrierDisabled(_) => "carrier_disabled",
            RefusalKind::OriginForbidden => "origin_not_allowed",
            RefusalKind::Forbidden => "forbidden",
            RefusalKind::Throttled { .. } => "throttled",
            RefusalKind::TooManyConnections { .. } => "too_many_connections",
            RefusalKind::AuthenticationTimeout => "authentication_timeout",
            RefusalKind::NotAuthFirst => "not_authenticated",
            RefusalKind::Mistake(mistake) => mistake.code(),
            RefusalKind::FirstMessageTooBig => "message_too_big",
            RefusalKind::FirstMessageBinary => "unsupported_data",
            RefusalKind::Unavailable => "unavailable",
            RefusalKind::Application(rejection) => rejection.code,
        }
    }

    /// The stable reason: title of the problem, `error` of the frame, reason of the close.
    pub fn reason(&self) -> &'static str {
        match self.kind {
            RefusalKind::MissingTicket => "Missing ticket",
            RefusalKind::InvalidTicket | RefusalKind::SpentTicket => "Invalid ticket",
            RefusalKind::InvalidSession => "Invalid session",
            RefusalKind::UserNotFound => "User not found",
            RefusalKind::MultipleCredentials => "More than one credential",
            RefusalKind::MalformedCredential => "Malformed credential",
            RefusalKind::OriginForbidden => "Origin not allowed",
            RefusalKind::Throttled { .. } => "Too many failed attempts",
            RefusalKind::TooManyConnections { .. } => "Too many connections",
            RefusalKind::Unavailable => "Service unavailable",
            RefusalKind::Mistake(mistake) => mistake.reason(),
            RefusalKind::Application(rejection) => rejection.reason,
            _ => self.cause().reason(),
        }
    }

    /// Help for whoever builds the client: what to do, where the cause is the request's form and not the credential's worth.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        match self.kind {
            RefusalKind::CarrierDisabled(carrier) => Some(Cow::Owned(format!(
                "this route does not take a credential as `{carrier}`: add \"{carrier}\" to its `carriers` setting, or present the credential another way"
            ))),
            RefusalKind::MultipleCredentials => Some(Cow::Owned(format!(
                "{}; exactly one of these counts: token, ticket, Authorization, X-Api-Key, bearer subprotocol, or else the cookie",
                self.detail
            ))),
            RefusalKind::MalformedCredential => Some(self.detail.clone()),
            RefusalKind::OriginForbidden => Some(Cow::Borrowed(
                "a session cookie counts only from a page whose Origin the route's `origins` setting lists",
            )),
            RefusalKind::NotAuthFirst => {
                Some(Cow::Borrowed("the first message must be {\"type\":\"auth\",\"token\":\"…\"}"))
            }
            _ => None,
        }
    }

    /// The cause the connection is closed with.
    pub fn cause(&self) -> CloseCause {
        match self.kind {
            RefusalKind::MissingCredential
            | RefusalKind::MissingTicket
            | RefusalKind::Unauthorized
            | RefusalKind::InvalidSession
            | RefusalKind::InvalidTicket
            | RefusalKind::SpentTicket
            | RefusalKind::UserNotFound
            | RefusalKind::MultipleCredentials
            | RefusalKind::MalformedCredential
            | RefusalKind::CarrierDisabled(_)
            | RefusalKind::NotAuthFirst => CloseCause::Unauthorized,
            RefusalKind::TicketNotForHere | RefusalKind::OriginForbidden | RefusalKind::Forbidden => {
                CloseCause::Forbidden
            }
            RefusalKind::Expired => CloseCause::Expired,
            RefusalKind::Throttled { .. } | RefusalKind::TooManyConnections { .. } => CloseCause::TooMany,
            RefusalKind::AuthenticationTimeout => CloseCause::AuthenticationTimeout,
            RefusalKind::Mistake(mistake) => mistake.cause(),
            RefusalKind::FirstMessageTooBig => CloseCause::MessageTooBig,
            RefusalKind::FirstMessageBinary => CloseCause::UnsupportedData,
            RefusalKind::Unavailable => CloseCause::Internal,
            RefusalKind::Application(rejection) => rejection.cause,
        }
    }

    /// When another attempt makes sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            RefusalKind::Throttled { retry_after } | RefusalKind::TooManyConnections { retry_after } => {
                Some(retry_after)
            }
            RefusalKind::Application(rejection) => rejection.retry_after,
            _ => None,
        }
    }

    /// The `WWW-Authenticate` challenge of a 401 or 403 (RFC 6750 §3): no error code if no credential was sent (req C5).
    pub fn challenge(&self) -> Option<&'static str> {
        match self.kind {
            RefusalKind::MissingCredential | RefusalKind::MissingTicket => Some("Bearer realm=\"usher\""),
            _ if self.status() == StatusCode::UNAUTHORIZED => Some("Bearer realm=\"usher\", error=\"invalid_token\""),
            RefusalKind::Forbidden => Some("Bearer realm=\"usher\", error=\"insufficient_scope\""),
            _ => None,
        }
    }

    /// Whether this is a failed guess at a credential, to be counted against its source (req K2): not a ticket lost to a race, not
    /// an expiry, not our own failing.
    pub fn counts_as_guess(&self) -> bool {
        matches!(
            self.kind,
            RefusalKind::Unauthorized
                | RefusalKind::InvalidSession
                | RefusalKind::InvalidTicket
                | RefusalKind::UserNotFound
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail)
    }
}

impl std::error::Error for Refusal {}
