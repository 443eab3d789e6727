//! From a presented credential to a permit: the look-ups that `usher_auth::verify` decides on.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use usher_auth::api_key::ApiKey;
use usher_auth::carriers::{Carrier, Credential};
use usher_auth::connection::Verification;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::jwt::{TokenError, TokenVerifier};
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::secret::{HashedToken, PlainToken, SecretText};
use usher_auth::session::{Session, SessionLimits};
use usher_auth::user::User;
use usher_auth::verify::{self, Circumstances, TokenBearer};
use usher_auth::{Clock, Now, Permit, UnixTime};
use usher_store::{RedeemedTicket, Store, StoreError, TicketStore};

use crate::issuer_keys::IssuerKeys;
use crate::token_cache::TokenCache;
use crate::{Presenter, Revocations, Throttle};

/// Most sessions and most API keys held in memory. One that is not is looked up in the store.
const CACHE_CAPACITY: u64 = 100_000;
/// How old a cached look-up may be. Revocations are checked on every use; this bounds how long a changed name or role takes.
const CACHE_AGE: Duration = Duration::from_secs(30);
/// How often a session's use is written down.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// How often a user is read whose roles change at each reading, until one is taken as it is: it is refused then.
const MOST_READS: u32 = 3;

/// What a verifier is made of.
pub struct VerifierParts {
    /// Users, sessions, API keys.
    pub store: Arc<dyn Store>,
    /// Tickets.
    pub tickets: Arc<dyn TicketStore>,
    /// Tokens: ours and the configured issuers'.
    pub tokens: Arc<TokenVerifier>,
    /// Where the issuers' keys come from.
    pub issuer_keys: IssuerKeys,
    /// What is revoked.
    pub revocations: Revocations,
    /// Failures counted.
    pub throttle: Arc<Throttle>,
    /// How long sessions last.
    pub session_limits: SessionLimits,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The one verifier behind all carriers.
pub struct CredentialVerifier {
    parts: VerifierParts,
    sessions: Cache<HashedToken, Arc<Known<Session>>>,
    api_keys: Cache<HashedToken, Arc<Known<ApiKey>>>,
    tokens: TokenCache,
}

/// What was looked up about a credential.
#[derive(Clone)]
struct Known<T> {
    credential: T,
    user: Option<User>,
    /// Before the user was read: roles that changed later are not in it.
    read_at: UnixTime,
}

impl CredentialVerifier {
    /// With empty caches.
    pub fn new(parts: VerifierParts) -> Self {
        Self { parts, sessions: cache(), api_keys: cache(), tokens: TokenCache::new() }
    }

    /// What it is made of.
    pub fn parts(&self) -> &VerifierParts {
        &self.parts
    }

    /// Verify a credential, whatever carried it.
    ///
    /// A good credential is never throttled: it has at least 128 bits nobody can guess, so letting it in tells a guesser nothing,
    /// and refusing it would let a neighbour behind the same address keep its owner out. Failures over the limit are answered
    /// as throttled. Passwords are another matter: those are throttled before they are looked at.
    pub async fn verify(&self, verification: Verification, presenter: &Presenter) -> Result<Permit, Refusal> {
        let source = presenter.address.source();
        let account = verification.credential.claimed_user().cloned();
        let verdict = self.decide(verification, presenter).await;
        match &verdict {
            Err(refusal) if refusal.counts_as_guess() => {
                let now = self.parts.clock.now();
                self.parts.throttle.record_failure(account.as_ref().map(UserId::as_str), source, now)?;
            }
            _ => {}
        }
        verdict
    }

    async fn decide(&self, verification: Verification, presenter: &Presenter) -> Result<Permit, Refusal> {
        let carrier = verification.carrier;
        match verification.credential {
            Credential::Session(secret) => self.session(carrier, &secret).await,
            Credential::Token(token) => self.token(carrier, &token).await,
            Credential::TokenOf { user, token } => self.token_of(carrier, &user, &token).await,
            Credential::SessionKey { user, key } => self.session_key(carrier, &user, &key).await,
            Credential::ApiKey { user, key } => self.api_key(carrier, user.as_ref(), &key).await,
            Credential::Ticket(ticket) => self.ticket(carrier, &ticket, presenter).await,
            Credential::Unrecognised => {
                let kind = match carrier {
                    Carrier::Cookie => RefusalKind::InvalidSession,
                    Carrier::Ticket => RefusalKind::InvalidTicket,
                    _ => RefusalKind::Unauthorized,
                };
                Err(Refusal::new(kind, "the credential has none of the forms we know"))
            }
        }
    }

    async fn session(&self, carrier: Carrier, secret: &PlainToken) -> Result<Permit, Refusal> {
        let hash = secret.hashed();
        let found =
            match self.sessions.get(&hash).filter(|found| self.is_current(&found.credential.user, found.read_at)) {
                Some(found) => found,
                None => {
                    let session =
                        self.parts.store.session_by_secret(&hash).await.map_err(|error| unavailable(&error))?;
                    let Some(session) = session else {
                        return Err(Refusal::new(RefusalKind::InvalidSession, "no session has this cookie"));
                    };
                    let (user, read_at) = self.user(&session.user).await?;
                    let found = Arc::new(Known { credential: session, user, read_at });
                    self.sessions.insert(hash, found.clone());
                    found
                }
            };
        let (permit, used) = self.admit_session(carrier, &found).await?;
        if let Some(session) = used {
            self.sessions.insert(hash, Arc::new(Known { credential: session, ..(*found).clone() }));
        }
        Ok(permit)
    }

    /// A session key stands for the session's cookie: once the session is found, all is as with that.
    async fn session_key(&self, carrier: Carrier, claimed: &UserId, key: &SecretText) -> Result<Permit, Refusal> {
        let verified = self.parts.tokens.verify_session_key(key.reveal(), self.parts.clock.now().unix);
        let verified = verified.map_err(refused_token)?;
        let session = self.parts.store.session(verified.session()).await.map_err(|error| unavailable(&error))?;
        let credential = verify::session_of_key(&verified, claimed, session)?;
        let (user, read_at) = self.user(&credential.user).await?;
        let found = Known { credential, user, read_at };
        let (permit, used) = self.admit_session(carrier, &found).await?;
        if let Some(session) = used {
            // What is remembered for the cookie has an earlier end.
            self.forget_session(&session.secret);
        }
        Ok(permit)
    }

    /// Let in the holder of a session; with the session as it is after this use, if that had to be written down.
    async fn admit_session(
        &self,
        carrier: Carrier,
        found: &Known<Session>,
    ) -> Result<(Permit, Option<Session>), Refusal> {
        let now = self.parts.clock.now();
        let limits = self.parts.session_limits;
        let admit = |session: &Session| {
            self.admit(carrier, now, |at| verify::session(session, found.user.as_ref(), found.read_at, limits, at))
        };
        let session = &found.credential;
        let permit = admit(session)?;
        if now.unix.since(session.last_seen_at) < TOUCH_EVERY {
            return Ok((permit, None));
        }
        // This use moves the session's end, so the permit is for the session as it is after it.
        if !self.parts.store.touch_session(&session.id, now.unix).await.map_err(|error| unavailable(&error))? {
            let kind = if carrier == Carrier::Cookie { RefusalKind::InvalidSession } else { RefusalKind::Unauthorized };
            return Err(Refusal::new(kind, "the session ended meanwhile"));
        }
        let session = Session { last_seen_at: now.unix, ..session.clone() };
        self.parts.revocations.session_used(&session.id, session.expires_at(limits));
        Ok((admit(&session)?, Some(session)))
    }

    /// A session was used by a message on one of its sockets. Returns when it ends now; `None` if it has ended, or cannot be asked.
    pub async fn session_used(&self, id: &SessionId) -> Option<UnixTime> {
        let used = async {
            let now = self.parts.clock.now().unix;
            if !self.parts.store.touch_session(id, now).await? {
                return Ok(None);
            }
            self.parts.store.session(id).await
        };
        match used.await {
            Ok(session) => session.map(|session| {
                self.forget_session(&session.secret);
                session.expires_at(self.parts.session_limits)
            }),
            Err(error) => {
                // The session's end stands as it was; the next message tries again.
                tracing::warn!(%error, source = %error.source, "the use of a session could not be written down");
                None
            }
        }
    }

    /// A local user as they are now, and a moment before they were read.
    ///
    /// A change of roles is durable before the index knows of it. So what is read after a look at the index has every change that was seen
    /// there, whatever the clock says; and if another came meanwhile, the user is read again.
    async fn user(&self, id: &UserId) -> Result<(Option<User>, UnixTime), Refusal> {
        let mut left = MOST_READS;
        loop {
            let changed_at = self.parts.revocations.with_index(|index| index.roles_changed_at(id));
            let now = self.parts.clock.now().unix;
            let read_at = changed_at.map_or(now, |changed_at| now.max(changed_at));
            let user = self.parts.store.user(id).await.map_err(|error| unavailable(&error))?;
            left -= 1;
            if left == 0 || self.is_current(id, read_at) {
                return Ok((user, read_at));
            }
        }
    }

    /// Whether what was read about a user then says what roles they have now.
    fn is_current(&self, user: &UserId, read_at: UnixTime) -> bool {
        !self.parts.revocations.with_index(|index| index.roles_changed_after(user, read_at))
    }

    async fn token(&self, carrier: Carrier, token: &SecretText) -> Result<Permit, Refusal> {
        let bearer = self.token_bearer(token).await?;
        self.admit(carrier, self.parts.clock.now(), |at| verify::token(bearer, at))
    }

    async fn token_of(&self, carrier: Carrier, claimed: &UserId, token: &SecretText) -> Result<Permit, Refusal> {
        let bearer = self.token_bearer(token).await?;
        self.admit(carrier, self.parts.clock.now(), |at| verify::token_of(bearer, claimed, at))
    }

    /// Who bears the token, once its signature holds; keys that are missing are fetched once. One that was verified before is not
    /// verified again while its issuer's keys are the same and it has not expired.
    async fn token_bearer(&self, token: &SecretText) -> Result<TokenBearer, Refusal> {
        let mut now = self.parts.clock.now();
        // Before the keys are used: with those that come later it must be verified again.
        let generation = self.parts.tokens.key_generation();
        let place = self.tokens.place_of(token);
        if let Some(bearer) = place.as_ref().and_then(|place| self.tokens.get(place, generation, now.unix)) {
            return Ok(bearer);
        }
        let first = self.parts.tokens.verify(token.reveal(), now.unix);
        let verdict = match first {
            Err(TokenError::UnknownKey { issuer: Some(issuer) })
                if self.parts.issuer_keys.refresh(&issuer, now).await =>
            {
                now = self.parts.clock.now();
                self.parts.tokens.verify(token.reveal(), now.unix)
            }
            other => other,
        };
        let bearer = TokenBearer::from(verdict.map_err(refused_token)?);
        if let Some(place) = place {
            self.tokens.insert(place, bearer.clone(), generation, now.unix);
        }
        Ok(bearer)
    }

    async fn api_key(&self, carrier: Carrier, claimed: Option<&UserId>, key: &PlainToken) -> Result<Permit, Refusal> {
        let hash = key.hashed();
        let found =
            match self.api_keys.get(&hash).filter(|found| self.is_current(&found.credential.user, found.read_at)) {
                Some(found) => found,
                None => {
                    let key = self.parts.store.api_key_by_secret(&hash).await.map_err(|error| unavailable(&error))?;
                    let Some(key) = key else {
                        return Err(Refusal::new(RefusalKind::Unauthorized, "no API key is this one"));
                    };
                    let (user, read_at) = self.user(&key.user).await?;
                    let found = Arc::new(Known { credential: key, user, read_at });
                    self.api_keys.insert(hash, found.clone());
                    found
                }
            };
        let Known { credential: key, user, read_at } = &*found;
        self.admit(carrier, self.parts.clock.now(), |at| verify::api_key(key, claimed, user.as_ref(), *read_at, at))
    }

    async fn ticket(&self, carrier: Carrier, ticket: &PlainToken, presenter: &Presenter) -> Result<Permit, Refusal> {
        let now = self.parts.clock.now();
        let redeemed =
            self.parts.tickets.redeem(&ticket.hashed(), now.unix).await.map_err(|error| unavailable(&error))?;
        match redeemed {
            RedeemedTicket::Good(ticket) => {
                self.admit(carrier, now, |at| verify::ticket(*ticket, presenter.origin.as_deref(), &presenter.path, at))
            }
            RedeemedTicket::Gone => Err(Refusal::new(RefusalKind::SpentTicket, "the ticket is spent or too old")),
            RedeemedTicket::Unknown => Err(Refusal::new(RefusalKind::InvalidTicket, "no ticket is this one")),
        }
    }

    fn admit(
        &self,
        carrier: Carrier,
        now: Now,
        decide: impl FnOnce(Circumstances<'_>) -> Result<Permit, Refusal>,
    ) -> Result<Permit, Refusal> {
        self.parts.revocations.with_index(|revoked| decide(Circumstances { carrier, now, revoked }))
    }

    /// Forget what was looked up about the session of that cookie: it was used elsewhere.
    pub fn forget_session(&self, secret: &HashedToken) {
        self.sessions.invalidate(secret);
    }

    /// Forget cached look-ups about a user: they were changed.
    pub fn forget_user(&self, user: &UserId) {
        let of = user.clone();
        let sessions = self.sessions.invalidate_entries_if(move |_, found| found.credential.user == of);
        let of = user.clone();
        let api_keys = self.api_keys.invalidate_entries_if(move |_, found| found.credential.user == of);
        if sessions.is_err() || api_keys.is_err() {
            // Forgetting too much costs a look-up; forgetting too little keeps a right alive.
            self.sessions.invalidate_all();
            self.api_keys.invalidate_all();
        }
    }
}

fn cache<T: Clone + Send + Sync + 'static>() -> Cache<HashedToken, T> {
    let builder = Cache::builder().max_capacity(CACHE_CAPACITY).time_to_live(CACHE_AGE);
    builder.support_invalidation_closures().build()
}

/// To the client a token that has expired is told from those that were never good, and from nothing else (req F17).
fn refused_token(error: TokenError) -> Refusal {
    let kind = if error.is_expired() { RefusalKind::Expired } else { RefusalKind::Unauthorized };
    Refusal::new(kind, error.to_string())
}

/// The store cannot be asked: nobody is let in (req D9, O6).
fn unavailable(error: &StoreError) -> Refusal {
    tracing::error!(%error, source = %error.source, "a credential could not be checked");
    Refusal::new(RefusalKind::Unavailable, "the store cannot be asked")
}
