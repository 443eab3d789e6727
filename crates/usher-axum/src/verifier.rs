//! From a presented credential to a permit: the look-ups that `usher_auth::verify` decides on.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::carriers::{Carrier, Credential};
use usher_auth::connection::Verification;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::jwt::{TokenError, TokenVerifier};
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::secret::{PlainToken, SecretText};
use usher_auth::session::Session;
use usher_auth::user::User;
use usher_auth::verify::{self, Circumstances, TokenBearer};
use usher_auth::{Clock, Now, Permit, UnixTime};
use usher_store::{
    ApiKeyStore as _, RedeemedTicket, SessionEvent, SessionStore as _, SessionUse, StoreError, TicketStore,
    UserStore as _, WriteBehindStore,
};

use crate::issuer_keys::IssuerKeys;
use crate::session_memory::{Known, LookUp};
use crate::token_cache::TokenCache;
use crate::{Presenter, SessionState, Throttle};

/// How often the use of a session is noted: its end moves in steps of this.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// How often a user is read whose roles change at each reading, until one is taken as it is: it is refused then.
const MOST_READS: u32 = 3;

/// What a verifier is made of.
pub struct VerifierParts {
    /// Users, sessions, API keys.
    pub store: WriteBehindStore,
    /// Tickets.
    pub tickets: Arc<dyn TicketStore>,
    /// Tokens: ours and the configured issuers'.
    pub tokens: Arc<TokenVerifier>,
    /// Where the issuers' keys come from.
    pub issuer_keys: IssuerKeys,
    /// What is revoked, and what was looked up.
    pub sessions: SessionState,
    /// Failures counted.
    pub throttle: Arc<Throttle>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The one verifier behind all carriers.
pub struct CredentialVerifier {
    parts: VerifierParts,
    tokens: TokenCache,
}

impl CredentialVerifier {
    /// With these parts, and no token seen before.
    pub fn new(parts: VerifierParts) -> Self {
        Self { parts, tokens: TokenCache::new() }
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
        let (hash, memory) = (secret.hashed(), self.parts.sessions.sessions());
        let remembered = memory.by_secret(&hash, self.parts.clock.now().monotonic);
        let known =
            match remembered.filter(|known| self.parts.sessions.is_current(&known.credential.user, known.read_at)) {
                Some(known) => known,
                None => {
                    let look_up = memory.begin();
                    let found = self.parts.store.session_by_secret(&hash).await.map_err(|error| unavailable(&error))?;
                    let Some(session) = found else {
                        return Err(Refusal::new(RefusalKind::InvalidSession, "no session has this cookie"));
                    };
                    self.remember_session(look_up, session).await?
                }
            };
        self.admit_session(carrier, &known).await
    }

    /// A session key stands for the session's cookie: once the session is found, all is as with that.
    async fn session_key(&self, carrier: Carrier, claimed: &UserId, key: &SecretText) -> Result<Permit, Refusal> {
        let now = self.parts.clock.now();
        let verified = self.parts.tokens.verify_session_key(key.reveal(), now.unix).map_err(refused_token)?;
        let memory = self.parts.sessions.sessions();
        let remembered = memory.by_id(verified.session(), now.monotonic);
        if let Some(known) =
            remembered.filter(|known| self.parts.sessions.is_current(&known.credential.user, known.read_at))
        {
            verify::session_of_key(&verified, claimed, Some(known.credential.clone()))?;
            return self.admit_session(carrier, &known).await;
        }
        let look_up = memory.begin();
        let found = self.parts.store.session(verified.session()).await.map_err(|error| unavailable(&error))?;
        let session = verify::session_of_key(&verified, claimed, found)?;
        let known = self.remember_session(look_up, session).await?;
        self.admit_session(carrier, &known).await
    }

    /// A session that was found in the store, with its user. The look-up began before that.
    async fn remember_session(&self, look_up: LookUp, session: Session) -> Result<Arc<Known<Session>>, Refusal> {
        let (user, read_at) = self.user(&session.user).await?;
        let known = Known { credential: session, user: user.map(Arc::new), read_at };
        Ok(self.parts.sessions.sessions().insert(look_up, known, self.parts.clock.now().monotonic))
    }

    /// Let in the holder of a session. This is a use of it.
    async fn admit_session(&self, carrier: Carrier, known: &Known<Session>) -> Result<Permit, Refusal> {
        let now = self.parts.clock.now();
        let limits = self.parts.sessions.limits();
        let admit = |session: &Session| {
            self.admit(carrier, now, |at| verify::session(session, known.user.as_deref(), known.read_at, limits, at))
        };
        let session = &known.credential;
        let permit = admit(session)?;
        if now.unix.since(session.last_seen_at) < TOUCH_EVERY {
            return Ok(permit);
        }
        // This use moves the session's end, so the permit is for the session as it is after it.
        let session = Session { last_seen_at: now.unix, ..session.clone() };
        self.note_use(&session, now).await.map_err(|error| unavailable(&error))?;
        admit(&session)
    }

    /// Note that a session, which is as after this use, was used. It is written later, and counts at once.
    async fn note_use(&self, session: &Session, now: Now) -> Result<SessionUse, StoreError> {
        let used = SessionUse {
            session: session.id.clone(),
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at(self.parts.sessions.limits()),
        };
        self.parts.store.note_use(&used).await?;
        // No connection waits for this to be taken in: it takes nothing away.
        let _ = self.parts.sessions.apply(&SessionEvent::Used(vec![used.clone()]), now);
        Ok(used)
    }

    /// A session was used by a message on one of its sockets: its connections go on for longer. Returns when it ends now; `None` if it has
    /// ended, or cannot be asked.
    pub async fn session_used(&self, id: &SessionId) -> Option<UnixTime> {
        let now = self.parts.clock.now();
        let used = async {
            let session = match self.parts.sessions.sessions().by_id(id, now.monotonic) {
                Some(known) => Some(known.credential.clone()),
                None => self.parts.store.session(id).await?,
            };
            let Some(session) = session else { return Ok(None) };
            let last_seen_at = session.last_seen_at.max(now.unix);
            self.note_use(&Session { last_seen_at, ..session }, now).await.map(Some)
        };
        match used.await {
            Ok(used) => used.map(|used| used.expires_at),
            Err(error) => {
                // The session's end stands as it was; the next message tries again.
                tracing::warn!(%error, source = %error.source, "the use of a session could not be noted");
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
            let read_at = self.parts.sessions.begin_reading(id, self.parts.clock.now().unix);
            let user = self.parts.store.user(id).await.map_err(|error| unavailable(&error))?;
            left -= 1;
            if left == 0 || self.parts.sessions.is_current(id, read_at) {
                return Ok((user, read_at));
            }
        }
    }

    async fn token(&self, carrier: Carrier, token: &SecretText) -> Result<Permit, Refusal> {
        let bearer = self.token_bearer(token).await?;
        self.note_reading(&bearer);
        self.admit(carrier, self.parts.clock.now(), |at| verify::token(bearer, at))
    }

    async fn token_of(&self, carrier: Carrier, claimed: &UserId, token: &SecretText) -> Result<Permit, Refusal> {
        let bearer = self.token_bearer(token).await?;
        self.note_reading(&bearer);
        self.admit(carrier, self.parts.clock.now(), |at| verify::token_of(bearer, claimed, at))
    }

    /// The token's roles are from when it was signed, maybe by a clock that was ahead. To be called before it is admitted: a change of roles from then
    /// on is the later one.
    fn note_reading(&self, bearer: &TokenBearer) {
        if let Some(read_at) = bearer.roles_read_at() {
            self.parts.sessions.note_reading(read_at);
        }
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
        let (hash, memory) = (key.hashed(), self.parts.sessions.api_keys());
        let remembered = memory.by_secret(&hash, self.parts.clock.now().monotonic);
        let known =
            match remembered.filter(|known| self.parts.sessions.is_current(&known.credential.user, known.read_at)) {
                Some(known) => known,
                None => {
                    let look_up = memory.begin();
                    let found = self.parts.store.api_key_by_secret(&hash).await.map_err(|error| unavailable(&error))?;
                    let Some(key) = found else {
                        return Err(Refusal::new(RefusalKind::Unauthorized, "no API key is this one"));
                    };
                    let (user, read_at) = self.user(&key.user).await?;
                    let known = Known { credential: key, user: user.map(Arc::new), read_at };
                    memory.insert(look_up, known, self.parts.clock.now().monotonic)
                }
            };
        let Known { credential: key, user, read_at } = &*known;
        self.admit(carrier, self.parts.clock.now(), |at| verify::api_key(key, claimed, user.as_deref(), *read_at, at))
    }

    async fn ticket(&self, carrier: Carrier, ticket: &PlainToken, presenter: &Presenter) -> Result<Permit, Refusal> {
        let now = self.parts.clock.now();
        let redeemed = self.parts.tickets.redeem(&ticket.hashed(), now).await.map_err(|error| unavailable(&error))?;
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
        self.parts.sessions.revocations().with_index(|revoked| decide(Circumstances { carrier, now, revoked }))
    }
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
