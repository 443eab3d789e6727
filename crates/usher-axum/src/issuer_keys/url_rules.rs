//! Which addresses keys may be fetched from: those the operator wrote down, and those that discovery may add to them.

use std::net::IpAddr;

use url::{Host, Url};

use super::addresses::is_public;

/// Why an address must not be fetched from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenUrl {
    /// Keys fetched in clear could be anybody's.
    #[error("it must use https; plain http is for loopback hosts alone")]
    NotHttps,
    /// It would end up in logs.
    #[error("it must not carry a user name or a password")]
    Credentials,
    /// A query or fragment on the base of a well-known address (RFC 8414 §2).
    #[error("it must not have a query or a fragment")]
    QueryOrFragment,
    /// `jwks_uri` is not an address at all.
    #[error("it is not an absolute URL")]
    NotAbsolute,
    /// `jwks_uri` leads to a host that nobody configured.
    #[error("its host {0} is neither the issuer's nor among the allowed hosts")]
    OtherHost(String),
    /// `jwks_uri` leads from the issuer's host into a private network.
    #[error("its address {0} is not a public one")]
    PrivateAddress(IpAddr),
}

/// An address that the operator configured: https, or plain http to this machine (a sidecar).
pub(super) fn check_configured(url: &Url) -> Result<(), ForbiddenUrl> {
    let plain_to_loopback = url.scheme() == "http" && url.host().is_some_and(is_loopback);
    if url.scheme() != "https" && !plain_to_loopback {
        return Err(ForbiddenUrl::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ForbiddenUrl::Credentials);
    }
    Ok(())
}

/// Where the metadata of the issuer at `base` is (OIDC Discovery §4).
pub(super) fn metadata_url(base: &Url) -> Result<Url, ForbiddenUrl> {
    check_configured(base)?;
    if base.query().is_some() || base.fragment().is_some() {
        return Err(ForbiddenUrl::QueryOrFragment);
    }
    let mut url = base.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", base.path().trim_end_matches('/')));
    Ok(url)
}

/// What the metadata of one issuer may say about where its keys are (req G4).
///
/// Whoever controls the metadata controls the keys anyway; the rule keeps them from making us knock on doors that only we can
/// reach.
#[derive(Clone, Debug)]
pub(super) struct DiscoveryRules {
    /// The configured address that the metadata is fetched from.
    base: Url,
    /// The host in the issuer's identifier, if that is a URL.
    identifier_host: Option<Host>,
    allowed_hosts: Vec<Host>,
}

/// A permitted `jwks_uri`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Discovered {
    pub(super) url: Url,
    /// It is on another host than the operator configured for this issuer: its name must resolve to public addresses alone.
    pub(super) public_only: bool,
}

impl DiscoveryRules {
    pub(super) fn new(base: Url, issuer: &str, allowed_hosts: Vec<Host>) -> Self {
        let identifier_host = Url::parse(issuer).ok().and_then(|url| url.host().map(|host| host.to_owned()));
        Self { base, identifier_host, allowed_hosts }
    }

    pub(super) fn check(&self, jwks_uri: &str) -> Result<Discovered, ForbiddenUrl> {
        let url = Url::parse(jwks_uri).map_err(|_| ForbiddenUrl::NotAbsolute)?;
        check_configured(&url)?;
        let host = url.host().ok_or(ForbiddenUrl::NotAbsolute)?.to_owned();
        let same_as_base = self.base.host().is_some_and(|base| base.to_owned() == host);
        // Plain http to loopback was the operator's choice for this very host, and is nobody else's.
        if url.scheme() != "https" && !(same_as_base && self.base.scheme() == "http") {
            return Err(ForbiddenUrl::NotHttps);
        }
        if same_as_base || self.identifier_host.as_ref() == Some(&host) {
            return Ok(Discovered { url, public_only: false });
        }
        if !self.allowed_hosts.contains(&host) {
            return Err(ForbiddenUrl::OtherHost(host.to_string().chars().take(255).collect()));
        }
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        // The resolver is not asked about these, so that they are looked at here.
        match literal.filter(|address| !is_public(*address)) {
            Some(address) => Err(ForbiddenUrl::PrivateAddress(address)),
            None => Ok(Discovered { url, public_only: true }),
        }
    }
}

fn is_loopback(host: Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn configured_addresses_are_https_or_loopback() {
        // req G1, M7
        for good in ["https://idp.example/keys", "http://127.0.0.1:1/k", "http://[::1]:1/k", "http://localhost:1/k"] {
            assert_eq!(check_configured(&url(good)), Ok(()), "{good}");
        }
        for plain in [
            "http://idp.example/keys",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "ftp://idp.example/",
            "file:///etc/passwd",
        ] {
            assert_eq!(check_configured(&url(plain)), Err(ForbiddenUrl::NotHttps), "{plain}");
        }
        assert_eq!(check_configured(&url("https://me:pass@idp.example/")), Err(ForbiddenUrl::Credentials));
        assert_eq!(check_configured(&url("https://me@idp.example/")), Err(ForbiddenUrl::Credentials));
    }

    #[test]
    fn metadata_is_below_the_issuer() {
        let at = |base: &str| metadata_url(&url(base)).map(|url| url.to_string());
        assert_eq!(at("https://idp.example"), Ok("https://idp.example/.well-known/openid-configuration".to_owned()));
        assert_eq!(
            at("https://idp.example/a/"),
            Ok("https://idp.example/a/.well-known/openid-configuration".to_owned())
        );
        assert_eq!(at("https://idp.example/a?b"), Err(ForbiddenUrl::QueryOrFragment));
        assert_eq!(at("https://idp.example/a#b"), Err(ForbiddenUrl::QueryOrFragment));
    }

    #[test]
    fn metadata_may_not_lead_anywhere_else() {
        // req G4, F4
        let listed = ["keys.example", "10.0.0.1", "93.184.216.34"].map(|host| Host::parse(host).unwrap());
        let rules = DiscoveryRules::new(url("https://idp.example:8443/a"), "https://login.example/a", listed.to_vec());
        let public_only = |uri: &str| rules.check(uri).map(|discovered| discovered.public_only);
        assert_eq!(public_only("https://idp.example/keys"), Ok(false));
        assert_eq!(public_only("https://login.example/keys"), Ok(false));
        assert_eq!(public_only("https://keys.example/keys"), Ok(true));
        assert_eq!(public_only("https://93.184.216.34/keys"), Ok(true));
        assert_eq!(public_only("https://evil.example/keys"), Err(ForbiddenUrl::OtherHost("evil.example".to_owned())));
        assert_eq!(
            public_only("https://idp.example.evil.example/"),
            Err(ForbiddenUrl::OtherHost("idp.example.evil.example".to_owned()))
        );
        assert_eq!(public_only("https://10.0.0.1/keys"), Err(ForbiddenUrl::PrivateAddress([10, 0, 0, 1].into())));
        assert_eq!(public_only("https://169.254.169.254/"), Err(ForbiddenUrl::OtherHost("169.254.169.254".to_owned())));
        assert_eq!(public_only("https://idp.example@evil.example/"), Err(ForbiddenUrl::Credentials));
        for plain in ["http://idp.example/keys", "http://keys.example/", "http://127.0.0.1/", "file:///etc/passwd"] {
            assert_eq!(public_only(plain), Err(ForbiddenUrl::NotHttps), "{plain}");
        }
        assert_eq!(public_only("/keys"), Err(ForbiddenUrl::NotAbsolute));
    }

    #[test]
    fn a_sidecar_may_name_itself_in_plain_http() {
        let sidecar = DiscoveryRules::new(url("http://127.0.0.1:8080/"), "https://login.example", vec![]);
        assert!(sidecar.check("http://127.0.0.1:8080/keys").is_ok());
        assert_eq!(sidecar.check("http://localhost:8080/keys"), Err(ForbiddenUrl::NotHttps));
        let https = DiscoveryRules::new(url("https://localhost/"), "https://localhost", vec![]);
        assert_eq!(https.check("http://localhost/keys"), Err(ForbiddenUrl::NotHttps));
    }
}
