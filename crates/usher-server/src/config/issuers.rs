//! `[[issuers]]`: whose tokens are taken beside our own, and with which keys.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_auth::ids::{IssuerName, Role};
use usher_auth::jwt::{
    Algorithm, InvalidAlgorithm, InvalidIssuerRules, InvalidVerifier, IssuerRules, KeySet, SubjectTemplate,
    TokenProfile, TokenVerifier, TrustedIssuer,
};
use usher_axum::KeySource;

use super::resolver::{Advice, Resolver};
use super::shape::nearest;
use super::tokens::TokenSettings;
use super::units::TimeSpan;

/// An issuer whose tokens are taken. Exactly one of oidc_url, jwks_url, jwks_file, public_key_file and hmac_secret_file says
/// where its keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// What we call it. Its users are `<name>:<sub>` unless `subject` says otherwise.
    #[schemars(example = &"google")]
    pub name: String,
    /// The `iss` of its tokens, to the letter.
    #[schemars(example = &"https://accounts.example.com")]
    pub issuer: String,
    /// What the `aud` of its tokens must contain.
    #[schemars(example = &"my-client-id")]
    pub audience: String,
    /// The algorithms its tokens may be signed with: either HS256, HS384, HS512, or any of the others (RS256 … PS512, ES256,
    /// ES384, EdDSA).
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<String>,
    /// The user that a `sub` is here. {name} is the issuer's name.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// The claim that holds the user's roles, by its name or a path with dots. Absent, tokens give no roles.
    #[serde(default)]
    #[schemars(example = &"roles")]
    pub roles_claim: Option<String>,
    /// Roles that all of the issuer's users have.
    #[serde(default)]
    pub default_roles: Vec<String>,
    /// The form of its tokens.
    #[serde(default)]
    pub profile: TokenProfile,
    /// Longest life of a token, from its `iat` to its `exp`; one that would live longer is refused.
    #[serde(default = "default_max_lifetime")]
    pub max_lifetime: TimeSpan,
    /// Take tokens that have no `iat`. Only if none of the issuer's tokens lives longer than max_lifetime: without `iat` that cannot be checked, and one
    /// that lives longer could come in again after its user's sessions were ended.
    #[serde(default)]
    pub tokens_without_iat: bool,
    /// OpenID Connect discovery: the URL to which /.well-known/openid-configuration is added.
    #[serde(default)]
    #[schemars(example = &"https://accounts.example.com")]
    pub oidc_url: Option<String>,
    /// With oidc_url: hosts, beside its own, on which the discovered keys may be, such as "keys.example.com".
    #[serde(default)]
    pub jwks_hosts: Vec<String>,
    /// The URL of a JWK set.
    #[serde(default)]
    #[schemars(example = &"https://accounts.example.com/jwks.json")]
    pub jwks_url: Option<String>,
    /// A file with a JWK set.
    #[serde(default)]
    #[schemars(example = &"issuer-jwks.json")]
    pub jwks_file: Option<PathBuf>,
    /// A file with one public key in PEM.
    #[serde(default)]
    #[schemars(example = &"issuer-public-key.pem")]
    pub public_key_file: Option<PathBuf>,
    /// A file with the secret for HS256, HS384 or HS512; at least 32, 48 or 64 random bytes. A line break at its end is not part
    /// of it.
    #[serde(default)]
    #[schemars(example = &"issuer-secret.txt")]
    pub hmac_secret_file: Option<PathBuf>,
}

/// An issuer, resolved.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// What it is called.
    pub name: IssuerName,
    /// What its tokens must be like.
    pub rules: IssuerRules,
    /// Its keys, where they are in a file.
    pub keys: Option<KeySet>,
    /// Where its keys come from: `Static` if they are in `keys`.
    pub source: KeySource,
}

fn default_algorithms() -> Vec<String> {
    vec![Algorithm::ES256.as_str().to_owned()]
}

fn default_subject() -> String {
    SubjectTemplate::default().to_string()
}

fn default_max_lifetime() -> TimeSpan {
    TimeSpan::seconds(24 * 3600)
}

/// Resolves all issuers.
pub(super) fn resolve(
    issuers: &[Issuer],
    tokens: Option<&TokenSettings>,
    resolver: &mut Resolver<'_>,
) -> Vec<IssuerSettings> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut strings: HashMap<&str, usize> = HashMap::new();
    let mut resolved = Vec::new();
    for (index, issuer) in issuers.iter().enumerate() {
        if let Some(first) = names.insert(&issuer.name, index) {
            let reason = format!(
                "{:?} is the name of issuers[{first}] already: one could speak for the other's users",
                issuer.name
            );
            resolver.problem(format!("issuers[{index}].name"), reason, "give each issuer a name of its own");
        }
        if let Some(first) = strings.insert(&issuer.issuer, index) {
            let reason = format!(
                "{:?} is the issuer of issuers[{first}] already: which of the two a token is from could not be told",
                issuer.issuer
            );
            resolver.problem(
                format!("issuers[{index}].issuer"),
                reason,
                "list each issuer once; one key set can hold all of its keys",
            );
        }
        if tokens.is_some_and(|tokens| tokens.issuer == issuer.issuer) {
            let reason = format!(
                "{:?} is our own issuer (tokens.issuer): a key from elsewhere could sign in our name",
                issuer.issuer
            );
            resolver.problem(format!("issuers[{index}].issuer"), reason, "our own tokens need no entry; remove it");
        }
        let issuer = issuer.resolve(index, tokens, resolver);
        if let (Some(issuer), Some(tokens)) = (&issuer, tokens) {
            check_together(index, &resolved, issuer, tokens, resolver);
        }
        resolved.extend(issuer);
    }
    resolved
}

/// Whether an issuer can stand beside ourselves and those before it: what has been looked at already is not said twice.
fn check_together(
    index: usize,
    before: &[IssuerSettings],
    issuer: &IssuerSettings,
    tokens: &TokenSettings,
    resolver: &mut Resolver<'_>,
) {
    let own = IssuerRules::own(tokens.issuer.clone(), tokens.audience.clone(), tokens.leeway);
    let others = before.iter().chain([issuer]).map(|issuer| issuer.rules.clone());
    let trusted =
        std::iter::once(own).chain(others).map(|rules| TrustedIssuer::new(rules, KeySet::default())).collect();
    let (key, reason) = match TokenVerifier::new(trusted, BTreeSet::new()) {
        Ok(_) | Err(InvalidVerifier::SameIssuer(_) | InvalidVerifier::SameName(_)) => return,
        Err(error) => {
            let subject = matches!(
                error,
                InvalidVerifier::SharedNamespace(..)
                    | InvalidVerifier::Rules { source: InvalidIssuerRules::Subject(_), .. }
            );
            let reason = match error {
                InvalidVerifier::Rules { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            (if subject { format!("issuers[{index}].subject") } else { format!("issuers[{index}]") }, reason)
        }
    };
    resolver.problem(key, reason, "the default, \"{name}:{sub}\", keeps each issuer's users apart");
}

impl Issuer {
    fn resolve(
        &self,
        index: usize,
        tokens: Option<&TokenSettings>,
        resolver: &mut Resolver<'_>,
    ) -> Option<IssuerSettings> {
        let key = |name: &str| format!("issuers[{index}].{name}");
        let name = resolver.checked(&key("name"), issuer_name(&self.name));
        for (name, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if text.trim().is_empty() {
                resolver.problem(key(name), "must not be empty: tokens for others would be taken", Advice::none());
            }
        }
        let algorithms = self.algorithms(index, resolver);
        let subject = resolver.checked(&key("subject"), self.subject.parse::<SubjectTemplate>());
        let roles = self.default_roles.iter().enumerate();
        let roles: Vec<Role> = roles
            .filter_map(|(item, role)| resolver.checked(&key(&format!("default_roles[{item}]")), Role::new(role)))
            .collect();
        let max_lifetime = resolver.span(&key("max_lifetime"), self.max_lifetime, None);
        if self.tokens_without_iat {
            let span = self.max_lifetime;
            let message = format!(
                "tokens without iat are taken: if one may live longer than {span}, it can come in again after its user's sessions were ended"
            );
            resolver.warn(key("tokens_without_iat"), message);
        }
        let keys = self.keys(index, algorithms.as_deref(), resolver);
        let (name, (keys, source)) = (name?, keys?);
        let rules = IssuerRules {
            name: Some(name.clone()),
            issuer: self.issuer.clone(),
            audiences: vec![self.audience.clone()],
            algorithms: algorithms?,
            subject: subject?,
            roles_claim: self.roles_claim.clone(),
            default_roles: roles,
            profile: self.profile,
            leeway: tokens?.leeway,
            max_lifetime,
            accepts_without_iat: self.tokens_without_iat,
        };
        Some(IssuerSettings { name, rules, keys, source })
    }

    /// The algorithms, if all of them are known and go together (req F2, F3).
    fn algorithms(&self, index: usize, resolver: &mut Resolver<'_>) -> Option<Vec<Algorithm>> {
        let key = format!("issuers[{index}].algorithms");
        let mut algorithms = Vec::new();
        for (item, text) in self.algorithms.iter().enumerate() {
            match text.parse::<Algorithm>() {
                Ok(algorithm) => algorithms.push(algorithm),
                Err(error) => {
                    let near = nearest(text, Algorithm::ALL.into_iter().map(Algorithm::as_str));
                    let unknown = error == InvalidAlgorithm::Unknown;
                    let advice = near.filter(|_| unknown).map(|near| format!("did you mean \"{near}\"?"));
                    resolver.problem(format!("{key}[{item}]"), error.to_string(), advice);
                }
            }
        }
        let symmetric = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
        if self.algorithms.is_empty() {
            resolver.problem(
                key,
                "is empty: no token could be verified",
                "list what the issuer signs with, such as \"ES256\"",
            );
        } else if symmetric != 0 && symmetric != algorithms.len() {
            resolver.problem(
                key,
                "mixes HS… with algorithms of public keys: a public key could be taken for a shared secret, and anybody has that",
                "list either HS… or the others; an issuer that uses both needs two names",
            );
        } else if algorithms.len() == self.algorithms.len() {
            return Some(algorithms);
        }
        None
    }
}

fn issuer_name(text: &str) -> Result<IssuerName, String> {
    match text {
        "anonymous" => Err("\"anonymous\" is for visitors without a credential".to_owned()),
        _ if text.contains(':') => Err("must not contain ':', which separates it from the subject".to_owned()),
        _ => IssuerName::new(text).map_err(|error| error.to_string()),
    }
}
