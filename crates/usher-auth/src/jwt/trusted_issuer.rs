//! An issuer with its rules and the keys that are known of it at the moment.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::issuer::{InvalidIssuerRules, IssuerRules};
use super::key_set::KeySet;
use super::subject::SubjectMapping;
use crate::ids::IssuerName;

/// An issuer whose tokens are taken. Its rules are fixed; its keys are replaced while connections are verified.
pub struct TrustedIssuer {
    rules: IssuerRules,
    mapping: Option<SubjectMapping>,
    /// Read by every verification, written by whoever fetches or rotates keys; held for as long as it takes to copy a pointer.
    keys: RwLock<Option<Arc<KeySet>>>,
    generation: AtomicU64,
}

impl TrustedIssuer {
    /// With the keys that are known at the start; `None` if they are still to be fetched, until when no token of it is taken.
    pub fn new(rules: IssuerRules, keys: Option<KeySet>) -> Result<Self, InvalidIssuerRules> {
        let mapping = rules.validate()?;
        Ok(Self { rules, mapping, keys: RwLock::new(keys.map(Arc::new)), generation: AtomicU64::new(0) })
    }

    /// The operator's name for it; `None` is ourselves.
    pub fn name(&self) -> Option<&IssuerName> {
        self.rules.name.as_ref()
    }

    /// Its rules.
    pub fn rules(&self) -> &IssuerRules {
        &self.rules
    }

    /// The keys known at the moment.
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on verify with `keys` and with none before them (req G2, G3).
    pub fn replace_keys(&self, keys: KeySet) {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(keys));
        // Under the lock, so that nobody sees the new number with the old keys.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// How often the keys were replaced.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn mapping(&self) -> Option<&SubjectMapping> {
        self.mapping.as_ref()
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
