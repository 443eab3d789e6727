//! What an issuer's tokens must be like to be taken: the operator's settings, checked.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::subject::{InvalidSubjectTemplate, SubjectMapping, SubjectTemplate};
use crate::ids::{IssuerName, Role};

/// Most that two clocks are let differ (RFC 7519 §4.1.4 wants "no more than a few minutes", req F8 one).
pub const MAX_LEEWAY: Duration = Duration::from_mins(1);
/// The name that would collide with the ids of visitors without a credential.
const RESERVED_NAME: &str = "anonymous";

/// The form an issuer gives its access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenProfile {
    /// RFC 9068: `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`, `client_id`, `iat` and `jti` are all there.
    AccessToken,
    /// `typ` is absent, `JWT` or `at+jwt`; `exp`, `iss`, `aud` and `sub` are there; nothing says that it is another kind of token.
    #[default]
    Plain,
}

/// Whose tokens are taken, and what is made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRules {
    /// The operator's name for the issuer; `None` is ourselves.
    pub name: Option<IssuerName>,
    /// `iss`, to the letter.
    pub issuer: String,
    /// `aud` must hold one of these.
    pub audiences: Vec<String>,
    /// The only algorithms its tokens may have: all symmetric or all asymmetric.
    pub algorithms: Vec<Algorithm>,
    /// What user a `sub` is. For ourselves it must be [`SubjectTemplate::local`].
    pub subject: SubjectTemplate,
    /// The claim that holds the roles, by name or dotted path. For ourselves it is `roles`.
    pub roles_claim: Option<String>,
    /// Roles that everybody from this issuer has.
    pub default_roles: Vec<Role>,
    /// The form of its tokens.
    pub profile: TokenProfile,
    /// How far its clock may differ from ours; at most [`MAX_LEEWAY`].
    pub leeway: Duration,
    /// Longest life of a token: from `iat`, or where that is missing from now, to `exp`.
    pub max_lifetime: Duration,
    /// Whether a token may lack `iat`. Only for an issuer none of whose tokens lives longer than `max_lifetime`, which cannot be checked: one that
    /// did would be refused at first, as living too long, and good later, when the end of its user is forgotten.
    pub accepts_without_iat: bool,
}

/// Settings of an issuer that contradict themselves or would be unsafe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuerRules {
    /// A colon separates the issuer's name from the subject.
    #[error("an issuer's name must not contain ':'")]
    ColonInName,
    /// `anonymous`.
    #[error("no issuer can be named `anonymous`: these are the visitors without a credential")]
    ReservedName,
    /// No `iss`.
    #[error("an issuer needs the value of its tokens' `iss`")]
    NoIssuer,
    /// No `aud`, or an empty one: tokens for others would be taken.
    #[error("an issuer needs at least one audience, and none may be empty")]
    NoAudience,
    /// No algorithm.
    #[error("an issuer needs at least one algorithm")]
    NoAlgorithm,
    /// Shared secrets and public keys side by side invite algorithm confusion.
    #[error("an issuer's algorithms must be all symmetric (HS…) or all asymmetric")]
    MixedAlgorithms,
    /// More than [`MAX_LEEWAY`].
    #[error("an issuer's leeway may be at most {} seconds", MAX_LEEWAY.as_secs())]
    Leeway,
    /// Zero.
    #[error("an issuer's longest token lifetime must be more than zero")]
    NoLifetime,
    /// The subject template does not do.
    #[error(transparent)]
    Subject(#[from] InvalidSubjectTemplate),
    /// Our own subjects are our own users.
    #[error("our own tokens' subjects are local users and cannot be mapped")]
    OwnSubjectMapped,
}

impl IssuerRules {
    /// The rules for our own tokens: RFC 9068, signed with ES256 or EdDSA, from `issuer` for `audience`; `leeway` is how far the
    /// clocks of our nodes may be apart. Their lifetime is what we gave them.
    pub fn own(issuer: String, audience: String, leeway: Duration) -> Self {
        Self {
            name: None,
            issuer,
            audiences: vec![audience],
            algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
            subject: SubjectTemplate::local(),
            roles_claim: Some("roles".to_owned()),
            default_roles: Vec::new(),
            profile: TokenProfile::AccessToken,
            leeway,
            max_lifetime: Duration::MAX,
            accepts_without_iat: false,
        }
    }

    /// Checks the settings.
    pub fn validate(&self) -> Result<(), InvalidIssuerRules> {
        self.mapping().map(|_| ())
    }

    /// What stands before the colon of its users' ids; `None` if they are local users, or the settings are wrong.
    pub fn namespace(&self) -> Option<String> {
        self.mapping().ok().flatten().and_then(|mapping| mapping.namespace().map(str::to_owned))
    }

    /// Checks the settings; returns how subjects are mapped, which for ourselves is not at all.
    pub(super) fn mapping(&self) -> Result<Option<SubjectMapping>, InvalidIssuerRules> {
        let name = self.name.as_ref().map(IssuerName::as_str);
        if name.is_some_and(|name| name.contains(':')) {
            return Err(InvalidIssuerRules::ColonInName);
        }
        if name == Some(RESERVED_NAME) {
            return Err(InvalidIssuerRules::ReservedName);
        }
        if self.issuer.is_empty() {
            return Err(InvalidIssuerRules::NoIssuer);
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(InvalidIssuerRules::NoAudience);
        }
        let kinds: BTreeSet<bool> = self.algorithms.iter().map(|algorithm| algorithm.is_symmetric()).collect();
        match kinds.len() {
            0 => return Err(InvalidIssuerRules::NoAlgorithm),
            1 => {}
            _ => return Err(InvalidIssuerRules::MixedAlgorithms),
        }
        if self.leeway > MAX_LEEWAY {
            return Err(InvalidIssuerRules::Leeway);
        }
        if self.max_lifetime.is_zero() {
            return Err(InvalidIssuerRules::NoLifetime);
        }
        match &self.name {
            Some(name) => Ok(Some(self.subject.of(name)?)),
            None if self.subject == SubjectTemplate::local() => Ok(None),
            None => Err(InvalidIssuerRules::OwnSubjectMapped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> IssuerRules {
        IssuerRules {
            name: Some(IssuerName::new("idp").unwrap()),
            issuer: "https://idp.example".to_owned(),
            audiences: vec!["usher".to_owned()],
            algorithms: vec![Algorithm::ES256, Algorithm::RS256],
            subject: SubjectTemplate::default(),
            roles_claim: None,
            default_roles: Vec::new(),
            profile: TokenProfile::Plain,
            leeway: MAX_LEEWAY,
            max_lifetime: Duration::from_hours(1),
            accepts_without_iat: false,
        }
    }

    fn refused(change: impl FnOnce(&mut IssuerRules)) -> InvalidIssuerRules {
        let mut rules = rules();
        change(&mut rules);
        rules.validate().unwrap_err()
    }

    #[test]
    fn unsafe_settings_are_refused() {
        // req F2, F8, F10, F15
        assert!(rules().validate().is_ok());
        assert_eq!(refused(|r| r.name = Some(IssuerName::new("a:b").unwrap())), InvalidIssuerRules::ColonInName);
        assert_eq!(refused(|r| r.name = Some(IssuerName::new("anonymous").unwrap())), InvalidIssuerRules::ReservedName);
        assert_eq!(refused(|r| r.issuer.clear()), InvalidIssuerRules::NoIssuer);
        assert_eq!(refused(|r| r.audiences.clear()), InvalidIssuerRules::NoAudience);
        assert_eq!(refused(|r| r.audiences.push(String::new())), InvalidIssuerRules::NoAudience);
        assert_eq!(refused(|r| r.algorithms.clear()), InvalidIssuerRules::NoAlgorithm);
        assert_eq!(refused(|r| r.algorithms.push(Algorithm::HS256)), InvalidIssuerRules::MixedAlgorithms);
        assert_eq!(refused(|r| r.leeway += Duration::from_millis(1)), InvalidIssuerRules::Leeway);
        assert_eq!(refused(|r| r.max_lifetime = Duration::ZERO), InvalidIssuerRules::NoLifetime);
        assert_eq!(refused(|r| r.name = None), InvalidIssuerRules::OwnSubjectMapped);
        assert_eq!(
            refused(|r| r.subject = "anonymous:{sub}".parse().unwrap()),
            InvalidIssuerRules::Subject(InvalidSubjectTemplate::Reserved)
        );
    }

    #[test]
    fn our_own_rules_are_valid() {
        let rules = IssuerRules::own("https://usher.example".to_owned(), "usher".to_owned(), Duration::from_secs(5));
        assert_eq!(rules.mapping(), Ok(None));
    }
}
