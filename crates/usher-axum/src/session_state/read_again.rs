//! After events were missed: everything is asked of the store again.

use std::collections::BTreeSet;

use usher_auth::ids::{ApiKeyId, SessionId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::RevocationCause;
use usher_auth::{Clock, Now};
use usher_store::{SessionEvent, Store, StoreError};

use super::SessionState;

impl SessionState {
    /// Takes in whatever changed while events were missed: forgets what was looked up, reads the revocations again, ends the connections whose
    /// credential is gone, and gives the others the roles that their users have now. One reading for each session and user that is connected.
    pub async fn read_again(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        self.shared.sessions.forget_all();
        self.shared.api_keys.forget_all();
        self.revocations().read_again(store).await?;
        // Roles that changed end no connection: the users are read again below.
        let revoked = |facts: &CredentialFacts| self.revocations().check(facts).filter(|cause| cause.ends_sessions());
        self.connections().end_each(revoked, clock.now());

        let open = self.connections().credentials();
        let gone = Gone {
            sessions: gone_sessions(store, open.iter().filter_map(|facts| facts.session.clone()).collect()).await?,
            api_keys: gone_keys(store, open.iter().filter_map(|facts| facts.api_key.clone()).collect()).await?,
        };
        // Their revocations are forgotten already: no token lives that they could end.
        self.connections().end_each(|facts| gone.cause(facts), clock.now());

        let ours = open.iter().filter(|facts| facts.roles_read_at.is_some());
        for user in ours.map(|facts| facts.user.clone()).collect::<BTreeSet<UserId>>() {
            let now = clock.now();
            self.user_read_again(store, &user, now).await?;
        }
        Ok(())
    }

    async fn user_read_again(&self, store: &dyn Store, user: &UserId, now: Now) -> Result<(), StoreError> {
        let read_at = self.begin_reading(user, now.unix);
        match store.user(user).await? {
            Some(user) => self.apply(&SessionEvent::UserChanged { user, read_at }, now).taken_in().await,
            None => {
                self.connections().end_user(user, RevocationCause::UserDeleted, now);
            }
        }
        Ok(())
    }
}

/// What connections belong to and the store has no more.
struct Gone {
    sessions: BTreeSet<SessionId>,
    api_keys: BTreeSet<ApiKeyId>,
}

impl Gone {
    fn cause(&self, facts: &CredentialFacts) -> Option<RevocationCause> {
        let session = facts.session.as_ref().filter(|id| self.sessions.contains(*id));
        let key = facts.api_key.as_ref().filter(|id| self.api_keys.contains(*id));
        session.map(|_| RevocationCause::Administrator).or(key.map(|_| RevocationCause::KeyRevoked))
    }
}

async fn gone_sessions(store: &dyn Store, open: BTreeSet<SessionId>) -> Result<BTreeSet<SessionId>, StoreError> {
    let mut gone = BTreeSet::new();
    for id in open {
        if store.session(&id).await?.is_none() {
            gone.insert(id);
        }
    }
    Ok(gone)
}

async fn gone_keys(store: &dyn Store, mut open: BTreeSet<ApiKeyId>) -> Result<BTreeSet<ApiKeyId>, StoreError> {
    if !open.is_empty() {
        for key in store.api_keys(None).await? {
            open.remove(&key.id);
        }
    }
    Ok(open)
}
