//! Where the keys of an issuer are: loaded from a file, or fetched later.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use url::{Host, Url};
use usher_auth::jwt::{Algorithm, KeySet};
use usher_axum::KeySource;
use zeroize::Zeroizing;

use super::issuers::Issuer;
use super::resolver::{Advice, Resolver};
use super::server::is_loopback;

/// Largest key file that is read, in bytes.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

impl Issuer {
    /// The keys that are in a file, and where the others come from.
    pub(super) fn keys(
        &self,
        index: usize,
        algorithms: Option<&[Algorithm]>,
        resolver: &mut Resolver<'_>,
    ) -> Option<(Option<KeySet>, KeySource)> {
        let given = [
            ("oidc_url", self.oidc_url.is_some()),
            ("jwks_url", self.jwks_url.is_some()),
            ("jwks_file", self.jwks_file.is_some()),
            ("public_key_file", self.public_key_file.is_some()),
            ("hmac_secret_file", self.hmac_secret_file.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        let [source] = given[..] else {
            let reason = match given[..] {
                [] => "does not say where the issuer's keys are".to_owned(),
                _ => format!("says in {} places where the issuer's keys are: {}", given.len(), given.join(", ")),
            };
            let advice = "give exactly one of oidc_url, jwks_url, jwks_file, public_key_file, hmac_secret_file";
            resolver.problem(format!("issuers[{index}]"), reason, advice);
            return None;
        };
        let key = format!("issuers[{index}].{source}");
        if !self.jwks_hosts.is_empty() && source != "oidc_url" {
            resolver.problem(format!("issuers[{index}].jwks_hosts"), "is for oidc_url alone", "remove it");
        }
        let symmetric = algorithms?.iter().all(|algorithm| algorithm.is_symmetric());
        if symmetric != (source == "hmac_secret_file") && source != "jwks_file" {
            let advice = if symmetric {
                "HS… need hmac_secret_file or jwks_file"
            } else {
                "a shared secret needs algorithms = [\"HS256\"]"
            };
            resolver.problem(key, format!("does not go with algorithms = [{}]", self.algorithms.join(", ")), advice);
            return None;
        }
        let algorithms = algorithms?;
        let file =
            |path: &Option<PathBuf>, resolver: &mut Resolver<'_>| read_key_file(path.as_deref()?, &key, resolver);
        if let Some(path) = self.hmac_secret_file.as_ref().or(self.jwks_file.as_ref()).filter(|_| symmetric) {
            // Whoever knows the secret makes tokens for everybody of this issuer.
            resolver.warn_if_exposed(&key, &resolver.path(path));
        }
        let keys = match source {
            "jwks_file" => KeySet::from_jwks(&file(&self.jwks_file, resolver)?, algorithms),
            "public_key_file" => KeySet::from_public_key_pem(&file(&self.public_key_file, resolver)?, algorithms),
            "hmac_secret_file" => {
                KeySet::from_hmac_secret(without_line_break(&file(&self.hmac_secret_file, resolver)?), algorithms)
            }
            _ => return Some((None, self.remote(source, index, resolver)?)),
        };
        // The message names what is wrong with the key and repeats nothing of it.
        Some((Some(resolver.checked(&key, keys)?), KeySource::Static))
    }

    fn remote(&self, source: &str, index: usize, resolver: &mut Resolver<'_>) -> Option<KeySource> {
        let key = format!("issuers[{index}].{source}");
        if source == "jwks_url" {
            return Some(KeySource::JwksUrl(key_url(self.jwks_url.as_deref()?, &key, resolver)?));
        }
        let url = key_url(self.oidc_url.as_deref()?, &key, resolver)?;
        if url.query().is_some() || url.fragment().is_some() {
            resolver.problem(key, "must have neither query nor fragment", Advice::none());
            return None;
        }
        let hosts = self.jwks_hosts.iter().enumerate();
        let allowed_hosts = hosts
            .filter_map(|(item, host)| {
                resolver.checked(&format!("issuers[{index}].jwks_hosts[{item}]"), Host::parse(host))
            })
            .collect();
        Some(KeySource::OidcUrl { issuer: self.issuer.clone(), url, allowed_hosts })
    }
}

/// A URL that keys may be fetched from: https, or plain http on this machine (req G1). It is not repeated in messages, since it
/// may hold a credential.
fn key_url(text: &str, key: &str, resolver: &mut Resolver<'_>) -> Option<Url> {
    let Ok(url) = Url::parse(text) else {
        resolver.problem(key, "is not a URL", "write it in full, beginning with https://");
        return None;
    };
    let this_machine = is_loopback(&url) && url.domain().is_none_or(|name| name == "localhost");
    if url.scheme() != "https" && !(url.scheme() == "http" && this_machine) {
        let reason = "is not https: whoever stands between could give us keys of their own, and be anybody";
        resolver.problem(key, reason, "write https://; plain http is for this machine alone");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        resolver.problem(
            key,
            "holds a user name or password, which would end up in logs",
            "remove it: keys are public",
        );
        return None;
    }
    Some(url)
}

fn read_key_file(path: &Path, key: &str, resolver: &mut Resolver<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let path = resolver.path(path);
    let read = File::open(&path).and_then(|file| {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = file.take(MAX_KEY_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if read as u64 > MAX_KEY_FILE_BYTES {
            return Err(io::Error::other(format!("it has more than {MAX_KEY_FILE_BYTES} bytes")));
        }
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let reason = format!("{} cannot be read: {error}", path.display());
            resolver.problem(key, reason, "give the path of a file that the server's user can read");
            None
        }
    }
}

/// Editors and `echo` end a text with a line break, which nobody means to be part of a secret. In a secret of raw bytes it may be
/// one of them.
fn without_line_break(secret: &[u8]) -> &[u8] {
    let text = std::str::from_utf8(secret).is_ok_and(|text| text.trim_end().chars().all(|c| !c.is_control()));
    let stripped = secret.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    stripped.filter(|_| text).unwrap_or(secret)
}
