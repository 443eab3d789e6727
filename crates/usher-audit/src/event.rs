//! The vocabulary: that of the OWASP Logging Vocabulary Cheat Sheet, and words of our own for connections, rooms and the trail itself.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditEvent {
    /// Somebody was let in: by a password, or to a WebSocket.
    LoginSuccess,
    /// A credential was missing or did not hold.
    LoginFail,
    /// An attempt was not even looked at: too many before it failed.
    LoginFailMax,
    /// A ticket or an API key was handed out.
    TokenCreated,
    /// Tokens or a key were revoked.
    TokenRevoked,
    /// A token that was spent or revoked came back.
    TokenReuse,
    /// A password was set.
    PasswordChange,
    /// Verified, but not allowed.
    AuthzFail,
    /// A user's roles were changed.
    AuthzChange,
    /// A log-in made a session.
    SessionCreated,
    /// A session was refreshed, or a connection's credential renewed.
    SessionRenewed,
    /// A session was ended other than by its user, or a connection's credential ended; the reason says why.
    SessionExpired,
    /// A user ended a session.
    SessionLogout,
    /// A credential came back after its end.
    SessionUseAfterExpire,
    /// A connection ended for a reason that leaves its session alone; the reason says why.
    ConnectionClosed,
    /// A room was joined. Recorded only if asked for.
    RoomJoined,
    /// Over a rate or a number.
    RateLimitExceeded,
    /// An administrator added a user.
    UserCreated,
    /// An administrator disabled or enabled a user.
    UserUpdated,
    /// An administrator removed a user.
    UserDeleted,
    /// The server began.
    Startup,
    /// The server ended in good order.
    Shutdown,
    /// Records were lost: so many.
    AuditFailed,
    /// Records were removed because of their age: so many.
    AuditReaped,
    /// A new chain was begun on purpose, because the key of the old one is lost: so many records were set aside.
    AuditBegun,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it should.
    Success,
    /// Not: the attempt failed, or something broke.
    Failure,
    /// Not, because a rule says so.
    Denied,
}

impl AuditEvent {
    /// Every event.
    pub const ALL: [Self; 25] = [
        Self::LoginSuccess,
        Self::LoginFail,
        Self::LoginFailMax,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::TokenReuse,
        Self::PasswordChange,
        Self::AuthzFail,
        Self::AuthzChange,
        Self::SessionCreated,
        Self::SessionRenewed,
        Self::SessionExpired,
        Self::SessionLogout,
        Self::SessionUseAfterExpire,
        Self::ConnectionClosed,
        Self::RoomJoined,
        Self::RateLimitExceeded,
        Self::UserCreated,
        Self::UserUpdated,
        Self::UserDeleted,
        Self::Startup,
        Self::Shutdown,
        Self::AuditFailed,
        Self::AuditReaped,
        Self::AuditBegun,
    ];

    /// Whether the server records it by itself, a bounded number of times.
    pub(super) const fn is_about_the_trail(self) -> bool {
        matches!(self, Self::Startup | Self::Shutdown | Self::AuditReaped | Self::AuditBegun)
    }

    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginSuccess => "authn_login_success",
            Self::LoginFail => "authn_login_fail",
            Self::LoginFailMax => "authn_login_fail_max",
            Self::TokenCreated => "authn_token_created",
            Self::TokenRevoked => "authn_token_revoked",
            Self::TokenReuse => "authn_token_reuse",
            Self::PasswordChange => "authn_password_change",
            Self::AuthzFail => "authz_fail",
            Self::AuthzChange => "authz_change",
            Self::SessionCreated => "session_created",
            Self::SessionRenewed => "session_renewed",
            Self::SessionExpired => "session_expired",
            Self::SessionLogout => "session_logout",
            Self::SessionUseAfterExpire => "session_use_after_expire",
            Self::ConnectionClosed => "connection_closed",
            Self::RoomJoined => "room_joined",
            Self::RateLimitExceeded => "excess_rate_limit_exceeded",
            Self::UserCreated => "user_created",
            Self::UserUpdated => "user_updated",
            Self::UserDeleted => "user_deleted",
            Self::Startup => "sys_startup",
            Self::Shutdown => "sys_shutdown",
            Self::AuditFailed => "sys_audit_failed",
            Self::AuditReaped => "sys_audit_reaped",
            Self::AuditBegun => "sys_audit_begun",
        }
    }
}

impl Outcome {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}
