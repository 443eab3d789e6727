//! What an [`Usher`](super::Usher) is made of.

use std::sync::Arc;

use usher_auth::Clock;
use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_store::WriteBehindStore;

use crate::{Door, IssuerKeys, SessionState};

/// Shared by the handle and the background work.
#[derive(Clone)]
pub(super) struct UsherParts {
    pub(super) door: Door,
    pub(super) store: WriteBehindStore,
    pub(super) state: SessionState,
    pub(super) issuer_keys: IssuerKeys,
    pub(super) lifetimes: CredentialLifetimes,
}

impl UsherParts {
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.door.parts().clock
    }
}
