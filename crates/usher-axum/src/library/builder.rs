//! Puts an [`Usher`] together, with a default for everything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::jwt::{InvalidVerifier, TokenVerifier, TrustedIssuer};
use usher_auth::session::SessionLimits;
use usher_auth::throttle::MessageRate;
use usher_auth::{Clock, Randomness};
use usher_store::memory::{MemoryStore, MemoryTickets};
use usher_store::{Store, StoreError, TicketBounds, TicketStore, WriteBehindStore};

use super::issuer::{Issuer, IssuerError, Keys};
use super::parts::UsherParts;
use super::usher::Usher;
use crate::ambient::{SystemClock, SystemRandomness};
use crate::issuer_keys::InvalidKeySource;
use crate::{
    ConnectionLimits, CredentialVerifier, Door, DoorParts, FailureLimits, IssuerKeys, KeyFetchLimits, LoginLimits,
    MemoryLimits, Observer, SessionState, Throttle, TrustedProxies, VerifierParts, WaitingLimits,
};

/// Most bytes that wait for one client, where nothing else is set: one that reads more slowly is closed, or slows its sender down.
pub const OUTBOUND_LIMIT: usize = 1 << 20;

/// Puts an [`Usher`] together. Each setting has a default; only an issuer, or a store with credentials, makes anything be let in.
pub struct UsherBuilder {
    issuers: Vec<Issuer>,
    kept_claims: BTreeSet<String>,
    store: Option<Arc<dyn Store>>,
    tickets: Option<Arc<dyn TicketStore>>,
    memory: MemoryLimits,
    session_limits: SessionLimits,
    key_fetching: KeyFetchLimits,
    failures: FailureLimits,
    trusted_proxies: TrustedProxies,
    waiting: WaitingLimits,
    anonymous: WaitingLimits,
    connections: ConnectionLimits,
    messages: MessageRate,
    outbound_limit: usize,
    observer: Arc<dyn Observer>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

/// Why there is no [`Usher`].
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An issuer's keys cannot be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The issuers' rules are wrong, or do not fit together.
    #[error(transparent)]
    Issuers(#[from] InvalidVerifier),
    /// An issuer's keys cannot be fetched.
    #[error(transparent)]
    KeySource(#[from] InvalidKeySource),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Default for UsherBuilder {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            kept_claims: BTreeSet::new(),
            store: None,
            tickets: None,
            memory: MemoryLimits::default(),
            session_limits: SessionLimits::default(),
            key_fetching: KeyFetchLimits::default(),
            failures: FailureLimits::default(),
            trusted_proxies: TrustedProxies::default(),
            waiting: WaitingLimits::default(),
            anonymous: WaitingLimits::default(),
            connections: ConnectionLimits::default(),
            messages: MessageRate::default(),
            outbound_limit: OUTBOUND_LIMIT,
            observer: Arc::new(()),
            clock: Arc::new(SystemClock::new()),
            randomness: Arc::new(SystemRandomness),
        }
    }
}

impl Usher {
    /// A builder with a default for everything.
    pub fn builder() -> UsherBuilder {
        UsherBuilder::default()
    }
}

impl UsherBuilder {
    /// Takes the tokens of an issuer.
    #[must_use]
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Keeps a claim of tokens, by its name or a path with dots: then it is among [`Principal::claims`](usher_auth::permit::Principal).
    #[must_use]
    pub fn keep_claim(mut self, claim: impl Into<String>) -> Self {
        self.kept_claims.insert(claim.into());
        self
    }

    /// Where users, sessions, API keys and revocations are; in memory if nothing else is set. A store that other processes write to, too, is looked up anew
    /// after 30 s; see [`Self::memory`].
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Where single-use tickets are; in memory if nothing else is set.
    #[must_use]
    pub fn tickets(mut self, tickets: Arc<dyn TicketStore>) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// How much of the store is remembered here, and for how long.
    #[must_use]
    pub fn memory(mut self, memory: MemoryLimits) -> Self {
        self.memory = memory;
        self
    }

    /// How long sessions last.
    #[must_use]
    pub fn sessions(mut self, limits: SessionLimits) -> Self {
        self.session_limits = limits;
        self
    }

    /// How patiently issuers' keys are fetched, and for how long they are believed.
    #[must_use]
    pub fn key_fetching(mut self, limits: KeyFetchLimits) -> Self {
        self.key_fetching = limits;
        self
    }

    /// How many failed credentials of one account or source are answered before they are throttled.
    #[must_use]
    pub fn failures(mut self, limits: FailureLimits) -> Self {
        self.failures = limits;
        self
    }

    /// The proxies whose word about a client's address is believed; none if nothing else is set.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.trusted_proxies = proxies;
        self
    }

    /// How many sockets may wait for a first message.
    #[must_use]
    pub fn waiting(mut self, limits: WaitingLimits) -> Self {
        self.waiting = limits;
        self
    }

    /// How many sockets of anonymous users may be open.
    #[must_use]
    pub fn anonymous(mut self, limits: WaitingLimits) -> Self {
        self.anonymous = limits;
        self
    }

    /// How many connections a user and a session may have.
    #[must_use]
    pub fn connections(mut self, limits: ConnectionLimits) -> Self {
        self.connections = limits;
        self
    }

    /// How fast a client may send.
    #[must_use]
    pub fn messages(mut self, rate: MessageRate) -> Self {
        self.messages = rate;
        self
    }

    /// Most bytes that may wait for one client: 1 MiB if nothing else is set.
    #[must_use]
    pub fn outbound_limit(mut self, bytes: usize) -> Self {
        self.outbound_limit = bytes;
        self
    }

    /// Is told what happens: for an audit trail, or metrics.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The time; the system's if nothing else is set.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Randomness; the system's if nothing else is set.
    #[must_use]
    pub fn randomness(mut self, randomness: Arc<dyn Randomness>) -> Self {
        self.randomness = randomness;
        self
    }

    /// Puts it together: loads the revocations of the store, and starts the background work in the tokio runtime that this is called in. The work ends
    /// with the last clone of the [`Usher`]: it fetches issuers' keys, writes the uses of sessions to the store, and forgets revocations once no
    /// token lives that they could end.
    ///
    /// # Errors
    /// If an issuer's settings cannot be used, or the store cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn build(self) -> Result<Usher, BuildError> {
        let lifetimes = self.lifetimes();
        let Self { issuers, kept_claims, clock, randomness, .. } = self;
        let (mut trusted, mut sources) = (Vec::new(), Vec::new());
        for issuer in issuers {
            trusted.push(TrustedIssuer::new(issuer.rules.clone(), issuer.key_set()?));
            if let (Keys::Fetched(source), Some(name)) = (issuer.keys, issuer.rules.name) {
                sources.push((name, source));
            }
        }
        let tokens = Arc::new(TokenVerifier::new(trusted, kept_claims)?);
        let issuer_keys = IssuerKeys::new(sources, &tokens, &clock, self.key_fetching)?;
        let store = WriteBehindStore::new(self.store.unwrap_or_else(|| Arc::new(MemoryStore::new())));
        let tickets = self.tickets.unwrap_or_else(|| Arc::new(MemoryTickets::new(TicketBounds::default())));
        let state = SessionState::load(&store, self.session_limits, self.memory).await?;
        let mut address_key = [0; 32];
        randomness.fill(&mut address_key);
        let throttle = Arc::new(Throttle::new(self.failures, LoginLimits::default(), &address_key));
        let verifier = CredentialVerifier::new(VerifierParts {
            store: store.clone(),
            tickets,
            tokens,
            issuer_keys: issuer_keys.clone(),
            sessions: state.clone(),
            throttle,
            clock: clock.clone(),
        });
        let door = Door::new(DoorParts {
            verifier: Arc::new(verifier),
            connections: state.connections().clone(),
            trusted_proxies: self.trusted_proxies,
            waiting: self.waiting,
            anonymous: self.anonymous,
            connection_limits: self.connections,
            messages: self.messages,
            outbound_limit: self.outbound_limit,
            observer: self.observer,
            clock,
            randomness,
        });
        Ok(Usher::new(UsherParts { door, store, state, issuer_keys, lifetimes }))
    }

    /// How long credentials live that are accepted without a look-up: another issuer's tokens, as long as its rules let them.
    fn lifetimes(&self) -> CredentialLifetimes {
        let rules = || self.issuers.iter().map(|issuer| &issuer.rules);
        let longest = |of: fn(&usher_auth::jwt::IssuerRules) -> Duration| rules().map(of).max().unwrap_or_default();
        CredentialLifetimes {
            access_token: Duration::ZERO,
            ticket: Duration::from_mins(1),
            issuer_token: longest(|rules| rules.max_lifetime),
            leeway: longest(|rules| rules.leeway),
        }
    }
}
