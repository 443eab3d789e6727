//! The connections that are open, found by whatever ends or changes them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use usher_auth::connection::SessionRenewal;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{Revocation, RevocationCause};
use usher_auth::route::RouteRules;
use usher_auth::user::User;
use usher_auth::{Now, UnixTime};

use crate::budget::ConnectionLimits;
use crate::mailbox::ConnectionHandle;
use crate::orders::{Amendments, Change, RouteTable};
use crate::registry::{EndingRegistration, Registration, Registry, WaitingRegistration};
use crate::revocation_list::RevocationList;
use crate::sync::RwLock;

/// The connections that are open. A cheap handle.
///
/// No revocation falls between: whoever revokes writes the [`RevocationList`] and then looks for connections here; a connection registers here
/// and then asks the list again. Whichever order the two run in, one of them sees the other (req H5).
#[derive(Clone, Debug)]
pub struct LiveConnections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    revocations: RevocationList,
    registry: Arc<Registry>,
    /// Told when a connection has taken in a change, or ends.
    taken_in: Notify,
    /// The rules that were put in the place of those of the start.
    newest: RwLock<NewestRules>,
}

/// The rules of the last reload, and how many there were.
#[derive(Debug, Default)]
struct NewestRules {
    generation: u64,
    routes: Option<Arc<RouteTable>>,
}

/// A change that connections were told of. It is in force on all of them once [`PendingChange::taken_in`] has returned.
#[derive(Debug)]
pub struct PendingChange {
    shared: Arc<Shared>,
    connections: Vec<(Arc<ConnectionHandle>, Change)>,
}

/// How long a change waits for the connections it is about. Their tasks wait for nothing, so that one which takes longer is not running.
const CHANGE_PATIENCE: Duration = Duration::from_secs(5);

impl PendingChange {
    /// Both, as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.connections.extend(other.connections);
        self
    }

    /// Waits until every connection goes on with the change, or has ended: from then on nothing is delivered or taken under what was before.
    pub async fn taken_in(mut self) {
        let waiting = async {
            loop {
                let told = self.shared.taken_in.notified();
                let mut told = std::pin::pin!(told);
                // Before the look: what comes after it wakes.
                told.as_mut().enable();
                self.connections.retain(|(handle, change)| !handle.has_taken_in(*change));
                if self.connections.is_empty() {
                    return;
                }
                told.await;
            }
        };
        if tokio::time::timeout(CHANGE_PATIENCE, waiting).await.is_err() {
            tracing::error!(
                connections = self.connections.len(),
                "some connections have not taken in a change of rights"
            );
        }
    }
}

impl LiveConnections {
    /// None yet; those to come ask this list.
    pub fn new(revocations: RevocationList) -> Self {
        let (registry, taken_in, newest) = (Arc::default(), Notify::new(), RwLock::new(NewestRules::default()));
        Self { shared: Arc::new(Shared { revocations, registry, taken_in, newest }) }
    }

    /// End the connections of a user who is blocked. Returns how many those are. On return nothing more is sent to them or taken from them,
    /// and nothing will be.
    pub(crate) fn end_user(&self, user: &UserId, cause: RevocationCause, now: Now) -> usize {
        self.shared.registry.of_user(user).iter().map(|handle| usize::from(handle.revoke(cause, now))).sum()
    }

    /// End the connections that `revocation`, which is on the list, is about. Returns how many those are. On return nothing more is sent to
    /// them or taken from them, and nothing will be.
    ///
    /// With a `margin` they are asked for another credential first, and end when none has come by then.
    pub(crate) fn end(&self, revocation: &Revocation, margin: Option<Duration>, now: Now) -> usize {
        if !revocation.cause.ends_sessions() {
            // A change of roles reaches live connections as what it is: [`Self::user_changed`].
            return 0;
        }
        let mut ended = 0;
        for handle in self.shared.registry.find(&revocation.target) {
            let Some(cause) = handle.facts().and_then(|facts| self.shared.revocations.check(&facts)) else { continue };
            match margin {
                None => ended += usize::from(handle.revoke(cause, now)),
                Some(margin) => {
                    let own = (margin, cause);
                    let shorter = |earlier: (Duration, RevocationCause)| if earlier.0 < margin { earlier } else { own };
                    handle.amend(|amendments| amendments.margin = Some(amendments.margin.map_or(own, shorter)));
                    ended += 1;
                }
            }
        }
        ended
    }

    /// End every connection for whose credential there is a cause.
    pub(crate) fn end_each(&self, cause: impl Fn(&CredentialFacts) -> Option<RevocationCause>, now: Now) {
        for handle in self.live() {
            if let Some(cause) = handle.facts().and_then(|facts| cause(&facts)) {
                handle.revoke(cause, now);
            }
        }
    }

    /// The credentials of all open connections.
    pub(crate) fn credentials(&self) -> Vec<Arc<CredentialFacts>> {
        self.live().iter().filter_map(|handle| handle.facts()).collect()
    }

    /// A user was changed in the store, and read again at `read_at`: their connections go on with the rights they have now.
    pub(crate) fn user_changed(&self, user: &Arc<User>, read_at: UnixTime) -> PendingChange {
        self.amend(self.shared.registry.of_user(&user.id), |amendments| {
            if amendments.user.as_ref().is_none_or(|(_, earlier)| *earlier <= read_at) {
                amendments.user = Some((user.clone(), read_at));
            }
        })
    }

    fn amend(&self, handles: Vec<Arc<ConnectionHandle>>, amend: impl Fn(&mut Amendments)) -> PendingChange {
        let amended = handles.into_iter().map(|handle| {
            let change = handle.amend(&amend);
            (handle, change)
        });
        PendingChange { shared: self.shared.clone(), connections: amended.collect() }
    }

    /// A connection has taken in what changed, or ends.
    pub(crate) fn tell_taken_in(&self) {
        self.shared.taken_in.notify_waiters();
    }

    /// A session was proved anew: its connections go on for longer.
    pub(crate) fn session_renewed(&self, renewal: &Arc<SessionRenewal>) {
        for handle in self.shared.registry.of_session(renewal.session()) {
            handle.amend(|amendments| amendments.session_renewed = Some(renewal.clone()));
        }
    }

    /// A session was used and ends at `expires_at` now: what it let in goes on with it.
    pub(crate) fn session_used(&self, session: &SessionId, expires_at: UnixTime) {
        for handle in self.shared.registry.of_session(session) {
            handle.amend(|amendments| amendments.session_used = Some((session.clone(), expires_at)));
        }
    }

    /// The routes have other rules: each connection looks whether it would still be let in.
    pub fn routes_changed(&self, routes: &Arc<RouteTable>) -> PendingChange {
        {
            let mut newest = self.shared.newest.write();
            newest.generation += 1;
            newest.routes = Some(routes.clone());
        }
        self.amend(self.shared.registry.all(), |amendments| amendments.routes = Some(routes.clone()))
    }

    /// Whether a connection that is open belongs to this session.
    pub fn has_session(&self, session: &SessionId) -> bool {
        !self.shared.registry.of_session(session).is_empty()
    }

    /// How many connections are open.
    pub fn count(&self) -> usize {
        self.shared.registry.len()
    }

    /// Bytes that wait to be written to all connections, closed ones included; those of SockJS sessions are theirs to tell. Looks at each:
    /// for a metric, not for the path of a message.
    pub fn queued_bytes(&self) -> usize {
        let registry = &self.shared.registry;
        registry.all().iter().chain(&registry.ending()).map(|handle| handle.queued_bytes()).sum()
    }

    /// How many connections were closed and have not written all that they had to say.
    pub fn unwritten(&self) -> usize {
        self.shared.registry.ending().iter().filter(|handle| handle.queued_bytes() > 0).count()
    }

    /// How many sockets wait for a first message.
    pub fn waiting(&self) -> usize {
        self.shared.registry.waiting()
    }

    /// Every connection, also those that wait.
    pub fn live(&self) -> Vec<Arc<ConnectionHandle>> {
        self.shared.registry.all()
    }

    /// Which rules are in force now: for [`Self::catch_up`].
    pub(crate) fn rules_generation(&self) -> u64 {
        self.shared.newest.read().generation
    }

    /// A connection was registered that began under the rules of that generation: tells it of rules that changed meanwhile, which takes as long as
    /// its credential is verified and its application asked. Whoever changes the rules writes them down and then looks for connections; a
    /// connection registers and then looks at the rules, so that none is missed.
    pub(crate) fn catch_up(&self, handle: &ConnectionHandle, rules: &Arc<RouteRules>, generation: u64) {
        let newest = self.shared.newest.read();
        let Some(routes) = &newest.routes else { return };
        let others = routes.get(&rules.path).is_some_and(|newer| !Arc::ptr_eq(newer, rules));
        if others || newest.generation != generation {
            handle.amend(|amendments| amendments.routes = Some(routes.clone()));
        }
    }

    pub(crate) fn register_ending(&self, handle: &Arc<ConnectionHandle>) -> EndingRegistration {
        self.shared.registry.register_ending(handle)
    }

    pub(crate) fn register_waiting(&self, handle: &Arc<ConnectionHandle>) -> WaitingRegistration {
        self.shared.registry.register_waiting(handle)
    }

    /// Put a connection where revocations find its new credential, then look whether one already meant it. False if another user or
    /// session than before has as many connections as they may.
    pub(crate) fn replace(
        &self,
        registration: &mut Registration,
        handle: &ConnectionHandle,
        facts: &Arc<CredentialFacts>,
        limits: ConnectionLimits,
        now: Now,
    ) -> bool {
        let replaced = registration.replace(facts.clone(), limits);
        if replaced && let Some(cause) = self.shared.revocations.check(facts) {
            handle.revoke(cause, now);
        }
        replaced
    }

    /// Put a connection where revocations find it, then look whether one already meant it. `None` if its user or session has as
    /// many connections as they may.
    pub(crate) fn register(
        &self,
        handle: &Arc<ConnectionHandle>,
        facts: &Arc<CredentialFacts>,
        limits: ConnectionLimits,
        now: Now,
    ) -> Option<Registration> {
        let registration = self.shared.registry.register(handle, facts.clone(), limits)?;
        if let Some(cause) = self.shared.revocations.check(facts) {
            handle.revoke(cause, now);
        }
        Some(registration)
    }
}
