//! Log-ins: a session starts, is refreshed, slides, and ends.

mod ending;
mod slow_writes;
mod steady_clock;

use std::sync::Arc;
use std::time::Duration;

use usher_auth::connection::RenewedToken;
use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::ids::{SessionId, TokenId, UserId};
use usher_auth::jwt::{AccessTokenClaims, SessionKeyClaims};
use usher_auth::secret::{PlainToken, SecretText, TokenKind};
use usher_auth::session::{RefreshState, RefreshToken, Session, SessionLimits};
use usher_auth::user::{PasswordHash, User};
use usher_auth::{Clock, Now, Randomness, UnixTime};
use usher_axum::{SessionState, Throttle};
use usher_store::backend::{RotationDecision, decide_rotation};
use usher_store::{
    EndedFamily, NewSession, RefreshOutcome, RefreshRotation, RevocationTimes, StartedSession, Store, StoreError,
};

pub use self::ending::EndError;
use self::slow_writes::SlowWrites;
use self::steady_clock::SteadyClock;

use crate::access_tokens::AccessTokens;
use crate::live_revoker::LiveRevoker;
use crate::revoker::Revoker as _;
use crate::sealed;
use crate::turns::{NoTurn, Turn, Turns};

/// How long after its first use a spent refresh token may be retried, if its successor is still unused: a client whose answer
/// was lost asks again at once.
const RETRY_WINDOW: Duration = Duration::from_secs(10);

/// How often a user is read again whose roles change meanwhile.
const MOST_READS: usize = 3;
/// After how long a request may be tried again that was refused because too many of the same user wait.
const RETRY_WHEN_CROWDED: Duration = Duration::from_secs(1);

/// What sessions need.
pub struct SessionsParts {
    /// Where they are remembered.
    pub store: Arc<dyn Store>,
    /// What makes access tokens.
    pub access_tokens: Arc<AccessTokens>,
    /// What ends them.
    pub revoker: LiveRevoker,
    /// What this process knows of sessions.
    pub state: SessionState,
    /// Refreshes counted.
    pub throttle: Arc<Throttle>,
    /// How long they last.
    pub limits: SessionLimits,
    /// How long a refresh token lasts.
    pub refresh_ttl: Duration,
    /// Most sessions of one user.
    pub most_per_user: usize,
    /// How long credentials live, and so how long the end of a session is remembered.
    pub lifetimes: CredentialLifetimes,
    /// The newest moment that the store told of at the start.
    pub newest: Option<UnixTime>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub randomness: Arc<dyn Randomness>,
}

/// All sessions. A cheap handle.
#[derive(Clone)]
pub struct Sessions {
    parts: Arc<SessionsParts>,
    turns: Turns,
    /// When refresh tokens were used.
    used: Arc<SteadyClock>,
    slow_writes: SlowWrites,
}

/// Where a log-in comes from, for the owner's list.
#[derive(Clone, Debug, Default)]
pub struct LoginOrigin {
    /// Client address.
    pub client_ip: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
}

/// A log-in whose password was right.
#[derive(Debug)]
pub struct NewLogIn {
    /// The user, as they were when the password was checked.
    pub user: User,
    /// The hash that the password fits.
    pub hash: PasswordHash,
    /// Where the log-in comes from.
    pub origin: LoginOrigin,
    /// The session that the client had before, which ends.
    pub replaces: Option<SessionId>,
}

/// A session that may be renewed, and its user as read at that moment.
struct Living {
    session: Session,
    user: User,
    read_at: UnixTime,
}

/// What is asked of the store for a refresh token.
struct BegunRotation {
    living: Living,
    successor: PlainToken,
    rotation: RefreshRotation,
}

/// What a log-in or refresh hands out, once.
#[derive(Debug)]
pub struct Granted {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// A new access token.
    pub access_token: SecretText,
    /// Its `jti`.
    pub token_id: TokenId,
    /// How long it lasts.
    pub expires_in: Duration,
    /// The cookie's secret; only at log-in.
    pub cookie: Option<PlainToken>,
    /// A new refresh token, unless the session was slid by its cookie.
    pub refresh_token: Option<PlainToken>,
}

/// Why a refresh token was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Unknown, expired, spent, or of a session that has ended. To the client all of these look alike.
    #[error("the refresh token does not hold: {why}")]
    Invalid {
        /// For the log and the audit.
        why: &'static str,
        /// The user of the token, if the token is known.
        user: Option<UserId>,
    },
    /// Spent long ago: two parties hold it, and the session has been ended. To the client this looks like the others.
    #[error("the refresh token does not hold: spent")]
    Reused {
        /// Whose.
        user: UserId,
        /// The session that ended.
        session: SessionId,
    },
    /// The account has been refreshed too often.
    #[error("too many refreshes of this account")]
    TooMany {
        /// The user.
        user: UserId,
        /// Not before that.
        retry_after: Duration,
    },
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RefreshError {
    fn invalid(why: &'static str, user: impl Into<Option<UserId>>) -> Self {
        Self::Invalid { why, user: user.into() }
    }
}

impl Sessions {
    /// With these parts.
    pub fn new(parts: SessionsParts) -> Self {
        let used = Arc::new(SteadyClock::new(parts.clock.now(), parts.newest, RETRY_WINDOW));
        Self { parts: Arc::new(parts), turns: Turns::default(), used, slow_writes: SlowWrites::new(RETRY_WINDOW) }
    }

    /// How long sessions last.
    pub fn limits(&self) -> SessionLimits {
        self.parts.limits
    }

    /// Start a session for a user whose password was right; `None` if the user changed since. Its id is new: one that the client brought
    /// is never adopted (req J1). The session that the client had before ends with it, and the user's oldest if there are too many.
    pub async fn start(&self, new: NewLogIn) -> Result<Option<Granted>, StoreError> {
        let NewLogIn { user, hash, origin, replaces } = new;
        let begun_at = self.parts.clock.now();
        let begun = self.parts.state.begin_log_in(&user, begun_at);
        let now = begun_at.unix;
        let cookie = self.secret(TokenKind::Session);
        let session = Session {
            id: SessionId::from_random(self.parts.randomness.bytes()),
            user: user.id.clone(),
            secret: cookie.hashed(),
            created_at: now,
            last_seen_at: now,
            client_ip: origin.client_ip,
            user_agent: origin.user_agent.map(|agent| shortened(agent, 256)),
        };
        let refresh_token = self.secret(TokenKind::Refresh);
        let new = NewSession {
            session: &session,
            refresh_token: &self.refresh_record(&refresh_token, &session, now),
            refresh_family: refresh_token.family(),
            proven: (&user, &hash),
            replaces: replaces.as_ref(),
            most: self.parts.most_per_user,
            revocation: RevocationTimes { at: now, forget_at: self.parts.lifetimes.forget_session_at(now) },
        };
        match self.parts.store.start_session(&new).await? {
            StartedSession::UserChanged => return Ok(None),
            StartedSession::Started(ended) => {
                self.parts.state.logged_in(begun, &session, &user, begun_at);
                self.parts.revoker.carry_out(&ended, Some(&user.id)).await;
            }
        }
        let mut granted = self.grant(session, user, now);
        granted.cookie = Some(cookie);
        granted.refresh_token = Some(refresh_token);
        Ok(Some(granted))
    }

    /// Exchange a refresh token for its successor and a new access token.
    ///
    /// A spent token may be retried for 10 s while its successor is unused, and then yields the same successor. Any other use of
    /// a spent token means that two parties hold it: the whole session ends (RFC 9700 §4.14.2, req L1, L2).
    pub async fn refresh(&self, presented: &str) -> Result<Granted, RefreshError> {
        let Some(presented) = PlainToken::parse(TokenKind::Refresh, presented) else {
            return Err(RefreshError::invalid("it has not the form of one", None));
        };
        let arrived = self.parts.clock.now();
        let now = arrived.unix;
        let Some(known) = self.parts.store.refresh_token(&presented.hashed()).await? else {
            return Err(self.unknown(&presented, now).await);
        };
        let mut begun = self.begin_rotation(&presented, &known, arrived).await?;
        let known_successor = match &known.state {
            RefreshState::Fresh => None,
            RefreshState::Spent { successor, .. } => self.parts.store.refresh_token(successor).await?,
        };
        // What becomes of it as far as can be told without the store's writer. Whatever can be repeated is counted; a token that is worth nothing
        // must not use up its user's refreshes, and one that comes back ends its session whatever was counted.
        let mut turn = None;
        let expected = decide_rotation(&begun.rotation, known.clone(), known_successor);
        let outcome = match expected {
            RotationDecision::Answer(RefreshOutcome::Expired(_)) => {
                return Err(RefreshError::invalid("expired", known.user));
            }
            RotationDecision::EndSession(_) => self.parts.store.rotate_refresh_token(&begun.rotation).await?,
            RotationDecision::Rotate { .. } => {
                self.pace(&known.user)?;
                turn = Some(self.turn(&known.user).await?);
                // What was read before the wait may be long ago: the session's end, the user's roles, the time itself.
                begun = self.begin_rotation(&presented, &known, arrived).await?;
                let writing = self.slow_writes.begin(&begun.rotation.presented, self.parts.clock.now());
                let outcome = self.parts.store.rotate_refresh_token(&begun.rotation).await;
                // Also one that failed: it may have been carried out.
                writing.end(self.parts.clock.now());
                outcome?
            }
            // A retry is no write. Its access token is issued within the retry window after the use that the store knows of.
            RotationDecision::Answer(retried) => {
                self.pace(&known.user)?;
                retried
            }
        };
        let BegunRotation { living, successor, rotation } = begun;
        let refresh_token = match outcome {
            RefreshOutcome::Rotated(_) => successor,
            RefreshOutcome::Retried { sealed_successor, .. } => sealed::open(&presented, &sealed_successor)
                .and_then(|text| PlainToken::parse(TokenKind::Refresh, &text))
                .ok_or_else(|| RefreshError::invalid("its successor could not be unsealed", known.user.clone()))?,
            RefreshOutcome::Reused(ended) => return Err(self.reused(ended).await),
            RefreshOutcome::Expired(_) => return Err(RefreshError::invalid("expired", known.user)),
            RefreshOutcome::Unknown => return Err(self.unknown(&presented, now).await),
        };
        let renewed = self.renew(living, rotation.now).await?;
        let mut granted = renewed.ok_or_else(|| RefreshError::invalid("its session has ended", known.user))?;
        drop(turn);
        granted.refresh_token = Some(refresh_token);
        Ok(granted)
    }

    /// What the store is asked to do for a presented token that `arrived` then, as things are now.
    async fn begin_rotation(
        &self,
        presented: &PlainToken,
        known: &RefreshToken,
        arrived: Now,
    ) -> Result<BegunRotation, RefreshError> {
        let clocks = self.parts.clock.now();
        let now = clocks.unix;
        // A refresh token has its own end; the idle limit is the cookie's.
        let Some(living) = self.living(&known.session, now).await? else {
            return Err(RefreshError::invalid("its session has ended", known.user.clone()));
        };
        let successor = presented.successor(TokenKind::Refresh, self.parts.randomness.bytes());
        let rotation = RefreshRotation {
            presented: presented.hashed(),
            family: presented.family(),
            successor: self.refresh_record(&successor, &living.session, now),
            sealed_successor: sealed::seal(presented, successor.reveal(), &self.parts.randomness.bytes()),
            now,
            used_at: self.used.read(clocks),
            // A client cannot have had the successor before it was written, and has not asked again while this request waited.
            retry_window: RETRY_WINDOW
                + self.slow_writes.of(&presented.hashed(), clocks)
                + clocks.monotonic.saturating_sub(arrived.monotonic),
            forget_reuse_at: self.parts.lifetimes.forget_session_at(now),
        };
        Ok(BegunRotation { living, successor, rotation })
    }

    /// Slide a session that its cookie has just proved, and hand out a new access token; `None` if it ended meanwhile.
    pub async fn slide(&self, id: &SessionId) -> Result<Option<Granted>, RefreshError> {
        let Some(Living { session, .. }) = self.living(id, self.parts.clock.now().unix).await? else {
            return Ok(None);
        };
        self.pace(&session.user)?;
        let _turn = self.turn(&session.user).await?;
        // After the wait.
        let now = self.parts.clock.now().unix;
        let Some(living) = self.living(id, now).await? else { return Ok(None) };
        if living.session.expires_at(self.parts.limits) <= now || !self.parts.store.touch_session(id, now).await? {
            return Ok(None);
        }
        Ok(self.renew(living, now).await?)
    }

    /// The session of that id, whatever of it can still be used.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        self.parts.store.session(id).await
    }

    /// A session key for that session, which ends when the session would if it were not used again. A session that goes on for longer
    /// gives a new one.
    pub fn key(&self, session: &Session) -> SecretText {
        self.parts.access_tokens.session_key(&SessionKeyClaims {
            subject: session.user.clone(),
            session: session.id.clone(),
            key_id: TokenId::from_random(self.parts.randomness.bytes()),
            issued_at: self.parts.clock.now().unix,
            expires_at: session.expires_at(self.parts.limits),
        })
    }

    /// Up to `limit` of a user's sessions of which anything can still be used, those whose id comes after `after`, and whether there may be
    /// more: a session whose cookie has idled out may come back by its refresh token, and its owner must see it (req J6).
    pub async fn of(
        &self,
        user: &UserId,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<(Vec<Session>, Option<SessionId>), StoreError> {
        let now = self.parts.clock.now().unix;
        let mut sessions = self.parts.store.sessions_of(user, after, limit).await?;
        let full = sessions.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = sessions.last().filter(|_| full).map(|session| session.id.clone());
        // The store keeps a session for longer than it can be used, so that its last tokens can be revoked.
        let idle = self.parts.limits.idle.max(self.parts.refresh_ttl);
        sessions.retain(|session| {
            session.created_at.plus(self.parts.limits.absolute) > now && session.last_seen_at.plus(idle) > now
        });
        Ok((sessions, next))
    }

    /// The token is not in the store. If it is of a session's family it was spent long ago, and the session ends.
    async fn unknown(&self, presented: &PlainToken, now: UnixTime) -> RefreshError {
        let when = RevocationTimes { at: now, forget_at: self.parts.lifetimes.forget_session_at(now) };
        match self.parts.store.end_refresh_family(&presented.family(), when).await {
            Ok(Some(ended)) => self.reused(ended).await,
            Ok(None) => RefreshError::invalid("unknown", None),
            Err(error) => error.into(),
        }
    }

    async fn reused(&self, ended: EndedFamily) -> RefreshError {
        let EndedFamily { session, user, revoked } = ended;
        tracing::warn!(%user, "a spent refresh token came back: its session has ended");
        self.parts.revoker.carry_out(&revoked, Some(&user)).await;
        RefreshError::Reused { user, session }
    }

    /// Counts a refresh of `user`'s.
    fn pace(&self, user: &UserId) -> Result<(), RefreshError> {
        let refused = self.parts.throttle.record_refresh(user.as_str(), self.parts.clock.now());
        refused.map_or(Ok(()), |retry_after| Err(RefreshError::TooMany { user: user.clone(), retry_after }))
    }

    /// Waits until no other write of `user`'s waits for the store.
    async fn turn(&self, user: &UserId) -> Result<Turn, RefreshError> {
        self.turns.take(user).await.map_err(|refused| match refused {
            NoTurn::Crowded => RefreshError::TooMany { user: user.clone(), retry_after: RETRY_WHEN_CROWDED },
            NoTurn::TooLong => StoreError::new("waiting for earlier requests of the account", refused).into(),
        })
    }

    /// A session within its absolute limit, and its user if they may still come in.
    async fn living(&self, id: &SessionId, now: UnixTime) -> Result<Option<Living>, StoreError> {
        let Some(session) = self.parts.store.session(id).await? else { return Ok(None) };
        if session.created_at.plus(self.parts.limits.absolute) <= now {
            return Ok(None);
        }
        let read_at = self.parts.state.begin_reading(&session.user, now);
        let user = self.parts.store.user(&session.user).await?;
        Ok(user.filter(|user| !user.disabled).map(|user| Living { session, user, read_at }))
    }

    /// A new access token for a session that was just proved anew, and more time for what is open under it; `None` if its user may not come in
    /// any more.
    ///
    /// A change of roles ends the tokens that were issued before it, and the clock of those may have been ahead. So a token says what roles the
    /// user has after the store has taken the renewal, and not before.
    async fn renew(&self, living: Living, mut now: UnixTime) -> Result<Option<Granted>, StoreError> {
        let Living { session, mut user, mut read_at } = living;
        for _ in 0..MOST_READS {
            if self.parts.state.is_current(&user.id, read_at) {
                break;
            }
            // A token that was issued before the change would be refused.
            now = self.parts.clock.now().unix;
            read_at = self.parts.state.begin_reading(&user.id, now);
            match self.parts.store.user(&user.id).await? {
                Some(read) if !read.disabled => user = read,
                _ => return Ok(None),
            }
            // No token of a session is issued later than its last use.
            if !self.parts.store.touch_session(&session.id, now).await? {
                return Ok(None);
            }
        }
        let granted = self.grant(Session { last_seen_at: now, ..session }, user, now);
        let token = RenewedToken {
            token_id: granted.token_id.clone(),
            issued_at: now,
            expires_at: now.plus(granted.expires_in),
            roles_read_at: read_at,
        };
        self.parts.revoker.session_renewed(&granted.session, &granted.user, token).await;
        Ok(Some(granted))
    }

    fn grant(&self, session: Session, user: User, now: UnixTime) -> Granted {
        let access_tokens = &self.parts.access_tokens;
        // An access token does not outlive the session's absolute limit.
        let left = session.created_at.plus(self.parts.limits.absolute).since(now);
        let expires_in = access_tokens.lifetime().min(left);
        let token_id = TokenId::from_random(self.parts.randomness.bytes());
        let access_token = access_tokens.sign(&AccessTokenClaims {
            subject: user.id.clone(),
            name: user.name.clone(),
            roles: user.roles.clone(),
            session: Some(session.id.clone()),
            token_id: token_id.clone(),
            issued_at: now,
            expires_at: now.plus(expires_in),
        });
        Granted { session, user, access_token, token_id, expires_in, cookie: None, refresh_token: None }
    }

    fn refresh_record(&self, token: &PlainToken, session: &Session, now: UnixTime) -> RefreshToken {
        RefreshToken {
            secret: token.hashed(),
            session: session.id.clone(),
            user: session.user.clone(),
            issued_at: now,
            expires_at: now.plus(self.parts.refresh_ttl).min(session.created_at.plus(self.parts.limits.absolute)),
            state: RefreshState::Fresh,
        }
    }

    fn secret(&self, kind: TokenKind) -> PlainToken {
        PlainToken::from_random(kind, self.parts.randomness.bytes())
    }
}

/// At most `limit` bytes, cut between characters.
fn shortened(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}
