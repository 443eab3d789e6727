//! An issuer with its rules and the keys that are known of it at the moment.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::algorithm::Algorithm;
use super::issuer::IssuerRules;
use super::key_set::KeySet;
use crate::ids::IssuerName;

/// An issuer whose tokens are taken. Its rules are fixed; its keys are replaced while connections are verified.
pub struct TrustedIssuer {
    rules: IssuerRules,
    /// Read by every verification, written by whoever fetches or rotates keys; held for as long as it takes to copy a pointer.
    keys: RwLock<Arc<KeySet>>,
    generation: AtomicU64,
}

impl TrustedIssuer {
    /// With the keys that are known at the start; an empty set if they are still to be fetched, until when no token of it is taken.
    /// The rules are checked by [`super::TokenVerifier::new`].
    pub fn new(rules: IssuerRules, keys: KeySet) -> Self {
        Self { rules, keys: RwLock::new(Arc::new(keys)), generation: AtomicU64::new(0) }
    }

    /// The operator's name for it; `None` is ourselves.
    pub fn name(&self) -> Option<&IssuerName> {
        self.rules.name.as_ref()
    }

    /// Its rules.
    pub fn rules(&self) -> &IssuerRules {
        &self.rules
    }

    /// The algorithms its tokens may have, and its keys are used with.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.rules.algorithms
    }

    /// The keys known at the moment.
    pub fn keys(&self) -> Arc<KeySet> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on verify with `keys` and with none before them (req G2, G3).
    pub fn replace_keys(&self, keys: KeySet) {
        self.set_keys(Arc::new(keys));
    }

    /// From now on take no token of it, until there are keys again: those known can no longer be trusted (req G4, G5).
    pub fn drop_keys(&self) {
        self.set_keys(Arc::default());
    }

    fn set_keys(&self, keys: Arc<KeySet>) {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *current = keys;
        // Under the lock, so that nobody sees the new number with the old keys.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// How often the keys were replaced.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

impl fmt::Debug for TrustedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedIssuer")
            .field("rules", &self.rules)
            .field("keys", &self.keys())
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
