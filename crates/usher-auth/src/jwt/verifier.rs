//! From a token as its bearer wrote it to what it proves, or the reason why it proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::claims::{self, ClaimError, Claims};
use super::compact::{Compact, FormError};
use super::issuer::{InvalidIssuerRules, IssuerRules, TokenProfile};
use super::key_set::SignatureError;
use super::subject::{SubjectError, SubjectMapping};
use super::token_type::{self, TypeError};
use super::trusted_issuer::TrustedIssuer;
use crate::ids::{IssuerName, IssuerSubject, Role, SessionId, TokenId, UserId};
use crate::permit::IssuedBy;
use crate::time::UnixTime;

/// Verifies tokens of the issuers it was made with.
#[derive(Debug)]
pub struct TokenVerifier {
    issuers: Vec<Known>,
    kept_claims: BTreeSet<String>,
}

/// An issuer whose rules have been checked, with what user its subjects are; `None` is local ones, for ourselves.
#[derive(Debug)]
pub(super) struct Known {
    issuer: TrustedIssuer,
    mapping: Option<SubjectMapping>,
}

/// What a token proved. It says nothing of revocation, which is looked up by what is in it.
///
/// Only [`TokenVerifier::verify`] makes one: whoever has a value of this type has had a signature and claims verified. It cannot be
/// written down:
///
/// ```compile_fail
/// use usher_auth::UnixTime;
/// use usher_auth::jwt::VerifiedToken;
///
/// let forged = VerifiedToken {
///     user: "alice".parse().unwrap(),
///     issuer: None,
///     name: "Alice".to_owned(),
///     roles: vec!["admin".parse().unwrap()],
///     claims: Default::default(),
///     token_id: None,
///     session: None,
///     issued_by: None,
///     issued_at: UnixTime::EPOCH,
///     skew: std::time::Duration::ZERO,
///     expires_at: UnixTime::MAX,
///     key_id: None,
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    pub(crate) user: UserId,
    pub(crate) issuer: Option<IssuerName>,
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) claims: BTreeMap<String, Vec<String>>,
    pub(crate) token_id: Option<TokenId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) issued_by: Option<Box<IssuedBy>>,
    pub(crate) issued_at: UnixTime,
    /// How far its issuer's clock may be ahead of ours; zero for our own.
    pub(crate) skew: Duration,
    pub(crate) expires_at: UnixTime,
    pub(crate) key_id: Option<String>,
}

impl VerifiedToken {
    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The issuer; `None` is ourselves.
    pub fn issuer(&self) -> Option<&IssuerName> {
        self.issuer.as_ref()
    }

    /// For people to read: the claim `name`, else the `sub`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sorted, without repetition.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Those of its claims that the verifier was told to keep, by the name it was told, with their values as text.
    pub fn claims(&self) -> &BTreeMap<String, Vec<String>> {
        &self.claims
    }

    /// `jti`.
    pub fn token_id(&self) -> Option<&TokenId> {
        self.token_id.as_ref()
    }

    /// `sid`, of our own tokens only.
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// The `sub` and `sid` of another issuer's token, as that issuer wrote them.
    pub fn issued_by(&self) -> Option<&IssuedBy> {
        self.issued_by.as_deref()
    }

    /// `iat`, or the epoch where it is missing, so that every revocation of its user meets it.
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// `exp`, without the leeway.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// The id of the key that verified it, if that has one.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// Why a token was not taken, for the operator's log: the client is not told which of these it was (req F17). It holds nothing of
/// the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not the form of a token we verify.
    #[error(transparent)]
    Form(#[from] FormError),
    /// `iss` is no configured issuer, to the letter (req F9).
    #[error("the token's issuer is not configured")]
    UnknownIssuer,
    /// The issuer's settings do not list the token's algorithm (req F2).
    #[error("the token's algorithm is not one of its issuer's")]
    AlgorithmNotAllowed,
    /// The issuer has no key that the token can mean, or its keys were not fetched yet: fetching them and trying again may help.
    #[error("no key of the token's issuer is known that could have signed it")]
    UnknownKey {
        /// Whose keys; `None` is ourselves.
        issuer: Option<IssuerName>,
    },
    /// The token names no key, and several would do.
    #[error("the token has no `kid`, and more than one of its issuer's keys fits it")]
    AmbiguousKey,
    /// The key is for other algorithms (req F3).
    #[error("the token's key is not for its algorithm")]
    KeyNotForAlgorithm,
    /// The signature is not the key's (req F1).
    #[error("the token's signature is wrong")]
    WrongSignature,
    /// Not an access token (req F11).
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A claim is missing or malformed (req F8, F12).
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Meant for others (req F10).
    #[error("the token is not for any of its issuer's configured audiences")]
    WrongAudience,
    /// Before `nbf`.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` has not come yet.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// From `iat` to `exp` is longer than the issuer's tokens may live.
    #[error("the token lives longer than its issuer's tokens may")]
    LifetimeTooLong,
    /// It has no `iat`, and its issuer's rules do not do without.
    #[error(
        "the token has no `iat`, and its issuer's `tokens_without_iat` is not set: how long it lives cannot be told"
    )]
    NoIssuedAt,
    /// The subject makes no user id.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// After `exp`, and right in everything else.
    #[error("the token has expired")]
    Expired,
}

/// Issuers that cannot stand side by side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVerifier {
    /// One of them cannot stand at all.
    #[error("the issuer {issuer}: {source}")]
    Rules {
        /// Its `iss`.
        issuer: String,
        /// What is wrong with its rules.
        source: InvalidIssuerRules,
    },
    /// Which keys verify a token would depend on their order.
    #[error("two issuers have the same `iss`: {0}")]
    SameIssuer(String),
    /// Nobody could tell them apart.
    #[error("two issuers have the same name: {}", .0.as_ref().map_or("ours", IssuerName::as_str))]
    SameName(Option<IssuerName>),
    /// One could name the other's users (req F15).
    #[error("the issuers {0} and {1} would share user ids: their `subject` must differ before the first colon")]
    SharedNamespace(IssuerName, IssuerName),
}

impl TokenError {
    /// Whether the token was good once: everything about it is right, the signature first, but for its end. Only then may a client
    /// be told so.
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired)
    }
}

impl TokenVerifier {
    /// For tokens of `issuers`, of whose claims `kept_claims` (by name or dotted path) are kept for room rules.
    pub fn new(issuers: Vec<TrustedIssuer>, kept_claims: BTreeSet<String>) -> Result<Self, InvalidVerifier> {
        let mut known: Vec<Known> = Vec::with_capacity(issuers.len());
        for issuer in issuers {
            let mapping = issuer
                .rules()
                .mapping()
                .map_err(|source| InvalidVerifier::Rules { issuer: issuer.rules().issuer.clone(), source })?;
            let one = Known { issuer, mapping };
            for other in &known {
                one.beside(other)?;
            }
            known.push(one);
        }
        Ok(Self { issuers: known, kept_claims })
    }

    /// The issuer of that name; `None` is ourselves.
    pub fn issuer(&self, name: Option<&IssuerName>) -> Option<&TrustedIssuer> {
        self.find(|issuer| issuer.name() == name).map(|known| &known.issuer)
    }

    /// Changes whenever an issuer's keys do: what was verified before that must be verified again.
    pub fn key_generation(&self) -> u64 {
        // Each only grows, so no two changes can make up for each other.
        self.issuers.iter().map(|known| known.issuer.generation()).sum()
    }

    fn find(&self, is: impl Fn(&TrustedIssuer) -> bool) -> Option<&Known> {
        self.issuers.iter().find(|known| is(&known.issuer))
    }

    /// Verifies `token` at the moment `now`.
    ///
    /// In this order: length, form, header, the issuer by `iss`, its algorithms, the key, the signature, and only then the claims,
    /// expiry last. Before the signature is verified the payload decides nothing but whose keys to try.
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<VerifiedToken, TokenError> {
        let compact = Compact::parse(token)?;
        let (known, claims, key_id) = self.signed(&compact, |_| true)?;
        let rules = known.rules();
        token_type::check(compact.header(), &claims, rules.profile)?;
        check_claims(&claims, rules, now)?;
        let verified = self.proven(&claims, known, key_id)?;
        if now >= claims.expires_at.plus(rules.leeway) {
            return Err(TokenError::Expired);
        }
        Ok(verified)
    }

    /// The claims of a token by an issuer that `may_have` made it, once its signature holds; with the issuer and the key's id.
    pub(super) fn signed<'a>(
        &'a self,
        compact: &Compact<'_>,
        may_have: impl Fn(&Known) -> bool,
    ) -> Result<(&'a Known, Claims, Option<String>), TokenError> {
        let payload = compact.payload()?;
        let claimed_issuer = claims::issuer(&payload)?;
        let known = self.find(|issuer| issuer.rules().issuer == claimed_issuer).filter(|known| may_have(known));
        let known = known.ok_or(TokenError::UnknownIssuer)?;
        let rules = known.rules();
        if !rules.algorithms.contains(&compact.header().algorithm) {
            return Err(TokenError::AlgorithmNotAllowed);
        }
        let keys = known.issuer.keys();
        let key_id = keys.verify_signature(compact).map_err(|error| match error {
            SignatureError::UnknownKey => TokenError::UnknownKey { issuer: rules.name.clone() },
            SignatureError::AmbiguousKey => TokenError::AmbiguousKey,
            SignatureError::KeyNotForAlgorithm => TokenError::KeyNotForAlgorithm,
            SignatureError::WrongSignature => TokenError::WrongSignature,
        })?;
        Ok((known, Claims::read(payload)?, key_id.map(str::to_owned)))
    }

    fn proven(&self, claims: &Claims, known: &Known, key_id: Option<String>) -> Result<VerifiedToken, TokenError> {
        let rules = known.issuer.rules();
        let (user, session) = match &known.mapping {
            Some(mapping) => (mapping.user(&claims.subject)?, None),
            None => {
                let session = claims.session()?.map(SessionId::new).transpose();
                let user = UserId::local(&claims.subject).map_err(SubjectError::from)?;
                (user, session.map_err(|_| ClaimError::Malformed("sid"))?)
            }
        };
        let issued_by = rules.name.as_ref().map(|issuer| issued_by(claims, issuer).map(Box::new)).transpose()?;
        let mut roles = rules.roles_claim.as_deref().map_or_else(Vec::new, |name| claims.roles(name));
        roles.extend_from_slice(&rules.default_roles);
        roles.sort_unstable();
        roles.dedup();
        let kept = self.kept_claims.iter().map(|name| (name.clone(), claims.values(name)));
        Ok(VerifiedToken {
            user,
            issuer: rules.name.clone(),
            name: claims.name().unwrap_or(&claims.subject).to_owned(),
            roles,
            claims: kept.filter(|(_, values)| !values.is_empty()).collect(),
            token_id: claims.token_id.clone(),
            session,
            issued_by,
            issued_at: claims.issued_at.unwrap_or(UnixTime::EPOCH),
            skew: if rules.name.is_some() { rules.leeway } else { Duration::ZERO },
            expires_at: claims.expires_at,
            key_id,
        })
    }
}

impl Known {
    /// Its settings.
    pub(super) fn rules(&self) -> &IssuerRules {
        self.issuer.rules()
    }

    /// Whether it is ourselves.
    pub(super) fn is_ours(&self) -> bool {
        self.issuer.name().is_none()
    }

    /// Whether this issuer can stand beside `other`.
    fn beside(&self, other: &Self) -> Result<(), InvalidVerifier> {
        let (one, two) = (&self.issuer, &other.issuer);
        if one.rules().issuer == two.rules().issuer {
            return Err(InvalidVerifier::SameIssuer(one.rules().issuer.clone()));
        }
        match (one.name(), two.name()) {
            (one, two) if one == two => Err(InvalidVerifier::SameName(one.cloned())),
            (Some(one), Some(two)) if self.reaches_into(other) || other.reaches_into(self) => {
                Err(InvalidVerifier::SharedNamespace(one.clone(), two.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Whether this issuer's users could bear ids that belong to `other`: those of its namespace, or of that of its name, which
    /// stays its own even where its subjects are mapped elsewhere.
    fn reaches_into(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (&self.mapping, &other.mapping) else { return false };
        let two_name = other.issuer.name().map(IssuerName::as_str);
        one.namespace() == two.namespace() || (one.namespace().is_some() && one.namespace() == two_name)
    }
}

/// What the token says of its issuer's own user and session. A `sid` that is no text names no session that a log-out could name.
fn issued_by(claims: &Claims, issuer: &IssuerName) -> Result<IssuedBy, TokenError> {
    let subject = IssuerSubject::new(&claims.subject).map_err(SubjectError::from)?;
    Ok(IssuedBy { issuer: issuer.clone(), subject, session: claims.issuer_session() })
}

/// All that the rules say of the claims, but for expiry, which is told apart.
fn check_claims(claims: &Claims, rules: &IssuerRules, now: UnixTime) -> Result<(), TokenError> {
    if rules.profile == TokenProfile::AccessToken {
        // RFC 9068 §2.2; `iss`, `exp`, `aud` and `sub` are required of every token.
        let required = [
            ("client_id", claims.has_client_id),
            ("iat", claims.issued_at.is_some()),
            ("jti", claims.token_id.is_some()),
        ];
        if let Some((missing, _)) = required.into_iter().find(|(_, there)| !there) {
            return Err(ClaimError::Missing(missing).into());
        }
    }
    check_audience_and_times(claims, rules, now)?;
    if claims.issued_at.is_none() && !rules.accepts_without_iat {
        return Err(TokenError::NoIssuedAt);
    }
    let latest_start = now.plus(rules.leeway);
    if claims.expires_at > claims.issued_at.unwrap_or(latest_start).plus(rules.max_lifetime) {
        return Err(TokenError::LifetimeTooLong);
    }
    Ok(())
}

/// For whom it is and since when.
pub(super) fn check_audience_and_times(claims: &Claims, rules: &IssuerRules, now: UnixTime) -> Result<(), TokenError> {
    if !claims.audiences.iter().any(|audience| rules.audiences.contains(audience)) {
        return Err(TokenError::WrongAudience);
    }
    let latest_start = now.plus(rules.leeway);
    if claims.not_before.is_some_and(|start| start > latest_start) {
        return Err(TokenError::NotYetValid);
    }
    if claims.issued_at.is_some_and(|issued| issued > latest_start) {
        return Err(TokenError::IssuedInFuture);
    }
    Ok(())
}
