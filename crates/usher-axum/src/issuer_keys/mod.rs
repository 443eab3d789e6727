//! Where the keys of the configured issuers come from: fetched ahead, fetched again when a token names an unknown key, and
//! dropped when they can no longer be confirmed.
//!
//! Nothing that a token says becomes part of a request (req F4): it can only cause the request that the operator configured, and
//! that at most once in a window however many tokens there are (req G2).

mod addresses;
mod fetch;
mod issuer;
mod schedule;
mod source;
mod url_rules;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;
use url::Url;
use usher_auth::ids::IssuerName;
use usher_auth::jwt::TokenVerifier;
use usher_auth::{Clock, Now};

pub use source::{DEFAULT_FRESH_FOR, InvalidKeySource, KeyFetchLimits, KeySource, MAX_FRESH_FOR, MIN_FRESH_FOR};
pub use url_rules::ForbiddenUrl;

use fetch::{Clients, Fetcher, Origin};
use issuer::Issuer;
use schedule::Schedule;
use url_rules::{DiscoveryRules, check_configured, metadata_url};

/// The issuers whose keys are fetched. A cheap handle.
///
/// It puts keys into the [`TokenVerifier`] it was made with, so that verifying a token needs neither a lock of ours nor an await.
/// Whoever makes one also runs [`IssuerKeys::keep_fresh`]: without it, keys are fetched only when a token asks for them, and
/// stale ones stay in use as long as none does.
#[derive(Clone, Default)]
pub struct IssuerKeys {
    issuers: Arc<HashMap<IssuerName, Arc<Issuer>>>,
}

impl IssuerKeys {
    /// For issuers that `tokens` knows. Nothing is fetched yet.
    ///
    /// # Errors
    /// A source that cannot be used, before anybody relies on it.
    pub fn new(
        sources: Vec<(IssuerName, KeySource)>,
        tokens: &Arc<TokenVerifier>,
        clock: &Arc<dyn Clock>,
        limits: KeyFetchLimits,
    ) -> Result<Self, InvalidKeySource> {
        let mut issuers = HashMap::new();
        let mut clients = None;
        for (name, source) in sources {
            let trusted = tokens.issuer(Some(&name)).ok_or_else(|| InvalidKeySource::UnknownIssuer(name.clone()))?;
            let origin = origin(source).map_err(|source| InvalidKeySource::Url { issuer: name.clone(), source })?;
            let Some(origin) = origin else { continue };
            let algorithms = trusted.algorithms().to_vec();
            if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
                return Err(InvalidKeySource::SharedSecret(name));
            }
            // Made for the first that needs them: without any, the system needs no root certificates.
            let clients = match &clients {
                Some(clients) => clients,
                None => clients.insert(Clients::new(&limits).map_err(InvalidKeySource::Client)?),
            };
            let fetcher = Fetcher { origin, algorithms, clients: clients.clone(), max_bytes: limits.max_bytes };
            let issuer = Issuer::new(name.clone(), fetcher, Schedule::new(&limits), tokens.clone(), clock.clone());
            match issuers.entry(name) {
                Entry::Vacant(place) => place.insert(Arc::new(issuer)),
                Entry::Occupied(place) => return Err(InvalidKeySource::Twice(place.key().clone())),
            };
        }
        Ok(Self { issuers: Arc::new(issuers) })
    }

    /// No issuer: nothing is ever fetched.
    pub fn none() -> Self {
        Self::default()
    }

    /// A token that was looked at at `now` names a key of `issuer` that is not known: fetch the issuer's keys, unless that was
    /// tried within the window. All who ask at once wait for one fetch.
    ///
    /// True if the keys were replaced at `now` or later: look at the token once more. False if they were not, or come from no
    /// address.
    pub async fn refresh(&self, issuer: &IssuerName, now: Now) -> bool {
        match self.issuers.get(issuer) {
            Some(issuer) => issuer.refresh(now).await,
            None => false,
        }
    }

    /// Fetch the keys that are not fresh any more or were never fetched, all issuers' at once, and drop those that are too old to
    /// be believed. Returns when that is done.
    pub async fn refresh_due(&self) {
        let mut passes = JoinSet::new();
        for issuer in self.issuers.values() {
            let issuer = issuer.clone();
            passes.spawn(async move { issuer.refresh_due().await });
        }
        while passes.join_next().await.is_some() {}
    }

    /// Fetch all keys now and again whenever they are due. Runs until it is dropped: spawn it, and serve meanwhile; tokens that
    /// come before the first fetch has ended wait for it.
    pub async fn keep_fresh(&self) {
        let mut loops = JoinSet::new();
        for issuer in self.issuers.values().cloned() {
            loops.spawn(issuer.keep_fresh());
        }
        while loops.join_next().await.is_some() {}
        std::future::pending::<()>().await;
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.issuers.keys()).finish()
    }
}

/// Where fetches for a source begin; `None` if there are none.
fn origin(source: KeySource) -> Result<Option<Origin>, ForbiddenUrl> {
    Ok(match source {
        KeySource::Static => None,
        KeySource::JwksUrl(url) => {
            check_configured(&url)?;
            Some(Origin::Keys(url))
        }
        KeySource::OidcUrl { issuer, url, allowed_hosts } => {
            let metadata: Url = metadata_url(&url)?;
            let rules = DiscoveryRules::new(url, &issuer, allowed_hosts);
            Some(Origin::Metadata { url: metadata, issuer, rules })
        }
    })
}
