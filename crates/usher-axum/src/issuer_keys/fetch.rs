//! One fetch of one issuer's keys: an HTTP client that trusts nothing it is told, and the two documents it reads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use headers::{Age, CacheControl, HeaderMapExt as _};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use reqwest::{Client, redirect, retry};
use serde::Deserialize;
use url::Url;
use usher_auth::jwt::{Algorithm, InvalidJwk, KeySet, KeySetError};

use super::addresses::PublicAddresses;
use super::source::{DEFAULT_FRESH_FOR, KeyFetchLimits, MAX_FRESH_FOR, MIN_FRESH_FOR};
use super::url_rules::{DiscoveryRules, ForbiddenUrl};

/// Longest part of another party's text that we repeat, in characters.
const MAX_QUOTED: usize = 200;

/// The two HTTP clients that all issuers share.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    /// For the hosts that the operator configured: they resolve to whatever the operator meant.
    configured: Client,
    /// For hosts that discovery chose among the allowed ones: public addresses alone.
    public_only: Client,
}

impl Clients {
    pub(super) fn new(limits: &KeyFetchLimits) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .tls_backend_rustls()
                .http1_only()
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .no_proxy()
                .referer(false)
                // Should another crate of the same program turn these on, our limit would count unpacked bytes too late.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                // Fetches are minutes apart: a connection kept for the next one would be dead by then.
                .pool_max_idle_per_host(0)
                .connect_timeout(limits.connect_timeout)
                .timeout(limits.timeout)
                .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
        };
        let public_only = builder().dns_resolver(Arc::new(PublicAddresses)).build()?;
        Ok(Self { configured: builder().build()?, public_only })
    }
}

/// Where a fetch begins.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// At the JWK set.
    Keys(Url),
    /// At the metadata of an issuer.
    Metadata {
        /// Where it is.
        url: Url,
        /// What `issuer` in it must be.
        issuer: String,
        /// Where it may lead.
        rules: DiscoveryRules,
    },
}

/// Keys as they came, and how long they are fresh.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    pub(super) fresh_for: Duration,
}

/// Fetches the keys of one issuer.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) origin: Origin,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) clients: Clients,
    pub(super) max_bytes: usize,
}

/// Which document a fetch failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Metadata,
    Keys,
}

/// Why a fetch brought no keys. Nothing in it is longer than a line, whatever the other side sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{document} cannot be fetched")]
    Request {
        document: Document,
        #[source]
        source: reqwest::Error,
    },
    #[error("{document} is answered with a redirect ({status}), which is not followed")]
    Redirect { document: Document, status: StatusCode },
    #[error("{document} is answered with status {status}")]
    Status { document: Document, status: StatusCode },
    #[error("{document} has more than {limit} bytes")]
    TooLong { document: Document, limit: usize },
    /// serde's own words would quote the document.
    #[error("the metadata is not a JSON object with `issuer` and `jwks_uri` (line {line}, column {column})")]
    Metadata { line: usize, column: usize },
    #[error("the metadata is that of issuer {found:?}, and not of the configured {configured:?}")]
    WrongIssuer { found: String, configured: String },
    #[error("the metadata's `jwks_uri` is refused")]
    JwksUri(#[source] ForbiddenUrl),
    #[error("the key set cannot be used")]
    Keys(#[source] KeySetError),
}

/// The members of OIDC Discovery §3 that matter here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    /// Fetch once: one request, or two with discovery.
    pub(super) async fn fetch(&self) -> Result<Fetched, FetchError> {
        let (client, url) = match &self.origin {
            Origin::Keys(url) => (&self.clients.configured, url.clone()),
            Origin::Metadata { url, issuer, rules } => self.discover(url, issuer, rules).await?,
        };
        let (headers, body) = self.get(client, url, Document::Keys).await?;
        let keys = KeySet::from_jwks(&body, &self.algorithms).map_err(FetchError::Keys)?;
        Ok(Fetched { keys, fresh_for: fresh_for(&headers) })
    }

    /// From the metadata to the address of the JWK set, and the client that may go there (req G1, G4).
    async fn discover(&self, url: &Url, issuer: &str, rules: &DiscoveryRules) -> Result<(&Client, Url), FetchError> {
        let (_, body) = self.get(&self.clients.configured, url.clone(), Document::Metadata).await?;
        let metadata: Metadata = serde_json::from_slice(&body)
            .map_err(|error| FetchError::Metadata { line: error.line(), column: error.column() })?;
        if metadata.issuer != issuer {
            return Err(FetchError::WrongIssuer {
                found: metadata.issuer.chars().take(MAX_QUOTED).collect(),
                configured: issuer.to_owned(),
            });
        }
        let discovered = rules.check(&metadata.jwks_uri).map_err(FetchError::JwksUri)?;
        let client = if discovered.public_only { &self.clients.public_only } else { &self.clients.configured };
        Ok((client, discovered.url))
    }

    async fn get(&self, client: &Client, url: Url, document: Document) -> Result<(HeaderMap, BytesMut), FetchError> {
        // The address may have a query, and that may be somebody's secret.
        let failed = |error: reqwest::Error| FetchError::Request { document, source: error.without_url() };
        let request = client.get(url).header(ACCEPT, "application/json, application/jwk-set+json");
        let mut response = request.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(FetchError::Redirect { document, status }),
            status => return Err(FetchError::Status { document, status }),
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.max_bytes {
                return Err(FetchError::TooLong { document, limit: self.max_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((std::mem::take(response.headers_mut()), body))
    }
}

impl FetchError {
    /// What the operator can do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Request { source, .. } if source.is_timeout() => {
                "see whether the issuer answers from this machine, and how fast"
            }
            Self::Request { .. } => {
                "see whether the issuer can be reached from this machine and its certificate is trusted here"
            }
            Self::Redirect { .. } => "configure the address that it redirects to, if that is the issuer's",
            Self::Status { .. } => {
                "see whether the configured address is right: the document should be there for anybody"
            }
            Self::TooLong { .. } => "see whether the configured address leads to the document and not to a page",
            Self::Metadata { .. } => {
                "see whether `oidc_url` is the issuer's: /.well-known/openid-configuration is added to it"
            }
            Self::WrongIssuer { .. } => {
                "configure the issuer exactly as its metadata has it, to the last slash, or another `oidc_url`"
            }
            Self::JwksUri(_) => {
                "configure `jwks_url` instead of `oidc_url`, or list the host in `jwks_hosts`, if the issuer's keys are there"
            }
            Self::Keys(_) => {
                "see whether the address leads to the issuer's JWK set and its keys fit the configured algorithms"
            }
        }
    }

    /// Whether this is the issuer's own word that the keys in use are not to be trusted, and not an outage: it is not the issuer
    /// that we mean (req G1), it has no key for us any more, or it shows a private key to everybody (req G3).
    ///
    /// Wrong here costs logins until the next fetch; wrong the other way lets in whoever holds a withdrawn key.
    pub(super) fn withdraws_keys(&self) -> bool {
        match self {
            Self::WrongIssuer { .. } => true,
            Self::Keys(error) => {
                matches!(error, KeySetError::NoUsableKey | KeySetError::Jwk { source: InvalidJwk::Private(_), .. })
            }
            _ => false,
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "the issuer's metadata",
            Self::Keys => "the issuer's key set",
        })
    }
}

/// How long an answer is fresh (RFC 9111 §4.2): its `max-age` less the time it already lay in a cache, within our bounds.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let Some(control) = headers.typed_get::<CacheControl>() else { return DEFAULT_FRESH_FOR };
    if control.no_store() || control.no_cache() {
        return MIN_FRESH_FOR;
    }
    let Some(max_age) = control.max_age() else { return DEFAULT_FRESH_FOR };
    let age = headers.typed_get::<Age>().map_or(Duration::ZERO, Duration::from);
    max_age.saturating_sub(age).clamp(MIN_FRESH_FOR, MAX_FRESH_FOR)
}

#[cfg(test)]
mod tests {
    use http::header::{AGE, CACHE_CONTROL};

    use super::*;

    #[test]
    fn freshness_follows_the_answer_within_bounds() {
        // req G2
        let fresh = |control: &str, age: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, control.parse().unwrap());
            if let Some(age) = age {
                headers.insert(AGE, age.parse().unwrap());
            }
            fresh_for(&headers)
        };
        assert_eq!(fresh_for(&HeaderMap::new()), DEFAULT_FRESH_FOR);
        assert_eq!(fresh("public, max-age=3600, must-revalidate", None), Duration::from_hours(1));
        assert_eq!(fresh("max-age=3600", Some("600")), Duration::from_mins(50));
        assert_eq!(fresh("max-age=3600", Some("7200")), MIN_FRESH_FOR);
        assert_eq!(fresh("max-age=0", None), MIN_FRESH_FOR);
        assert_eq!(fresh("no-store", None), MIN_FRESH_FOR);
        assert_eq!(fresh("no-cache, max-age=3600", None), MIN_FRESH_FOR);
        assert_eq!(fresh("max-age=31536000", None), MAX_FRESH_FOR);
        assert_eq!(fresh("max-age=-1", None), DEFAULT_FRESH_FOR);
        assert_eq!(fresh("max-age=99999999999999999999", None), DEFAULT_FRESH_FOR);
    }
}
