//! The door: everything that routes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use usher_auth::connection::Verification;
use usher_auth::ids::UserId;
use usher_auth::throttle::MessageRate;
use usher_auth::{Clock, Permit, Randomness, Refusal};

use crate::budget::{Budget, ConnectionLimits, SourceBudget, WaitingLimits};
use crate::flusher::Flusher;
use crate::observer::{Event, Scene};
use crate::{CredentialVerifier, LiveConnections, Observer, Presenter, TrustedProxies};

/// Most SockJS sessions of users that have ended and are remembered, so that their clients hear why. Those beyond are forgotten at once.
const MOST_ENDED: usize = 10_000;

/// What a door is made of.
#[derive(Clone)]
pub struct DoorParts {
    /// The one verifier.
    pub verifier: Arc<CredentialVerifier>,
    /// The connections that are open.
    pub connections: LiveConnections,
    /// Whose word about a client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// How many sockets may wait for a first message.
    pub waiting: WaitingLimits,
    /// How many sockets may be open that were let in as anonymous, or are being told that they were refused.
    pub anonymous: WaitingLimits,
    /// How many open connections a user and a session may have.
    pub connection_limits: ConnectionLimits,
    /// How fast a client may send.
    pub messages: MessageRate,
    /// Most bytes that may be queued for one client.
    pub outbound_limit: usize,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub randomness: Arc<dyn Randomness>,
}

/// Shared by all routes of a server. A cheap handle.
#[derive(Clone)]
pub struct Door {
    shared: Arc<Shared>,
}

struct Shared {
    parts: DoorParts,
    waiting: SourceBudget,
    anonymous: SourceBudget,
    ended: Budget<UserId>,
    /// Writes what is delivered to connections that came this way.
    flusher: Arc<Flusher>,
    /// Nobody is let in any more.
    draining: Arc<AtomicBool>,
}

impl Door {
    /// A door nobody has come to yet.
    pub fn new(parts: DoorParts) -> Self {
        let waiting = SourceBudget::new(parts.waiting.total, parts.waiting.per_ip);
        let anonymous = SourceBudget::new(parts.anonymous.total, parts.anonymous.per_ip);
        let ended = Budget::new(MOST_ENDED, parts.connection_limits.per_user);
        let (flusher, draining) = Default::default();
        Self { shared: Arc::new(Shared { parts, waiting, anonymous, ended, flusher, draining }) }
    }

    /// The same door with other parts: who is in stays in, and is counted as before.
    #[must_use]
    pub fn rebuilt(&self, parts: DoorParts) -> Self {
        let waiting = self.shared.waiting.with_limits(parts.waiting.total, parts.waiting.per_ip);
        let anonymous = self.shared.anonymous.with_limits(parts.anonymous.total, parts.anonymous.per_ip);
        let ended = self.shared.ended.with_limits(MOST_ENDED, parts.connection_limits.per_user);
        let (flusher, draining) = (self.shared.flusher.clone(), self.shared.draining.clone());
        Self { shared: Arc::new(Shared { parts, waiting, anonymous, ended, flusher, draining }) }
    }

    /// Let nobody in any more: upgrades are answered with 503.
    pub fn begin_drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// What it is made of.
    pub fn parts(&self) -> &DoorParts {
        &self.shared.parts
    }

    /// What writes frames that are delivered.
    pub(crate) fn flusher(&self) -> &Arc<Flusher> {
        &self.shared.flusher
    }

    /// Places for sockets that wait for a first message.
    pub(crate) fn waiting(&self) -> &SourceBudget {
        &self.shared.waiting
    }

    /// Places for users' SockJS sessions that have ended and are remembered: of one user as many as they may have connections.
    pub(crate) fn ended(&self) -> &Budget<UserId> {
        &self.shared.ended
    }

    /// Places for sockets of nobody in particular.
    pub(crate) fn anonymous(&self) -> &SourceBudget {
        &self.shared.anonymous
    }
}

impl DoorParts {
    /// Verifies, and tells the observer how it went and how long it took.
    pub(crate) async fn verify(
        &self,
        verification: Verification,
        presenter: &Presenter,
        scene: &Scene<'_>,
    ) -> Result<Permit, Refusal> {
        let (carrier, began) = (verification.carrier, self.clock.now());
        let verdict = self.verifier.verify(verification, presenter).await;
        let took = self.clock.now().monotonic.saturating_sub(began.monotonic);
        self.observer.observe(scene, &Event::Verified { carrier, took, good: verdict.is_ok() });
        verdict
    }
}
