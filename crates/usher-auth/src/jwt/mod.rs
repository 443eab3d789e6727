//! JSON Web Tokens: strict parsing, the keys of trusted issuers, the checks of RFC 7519, 8725 and 9068, and our own signatures.
//!
//! The library verifies and makes signatures and no more: what it would read leniently (duplicate members, `crit`, wrong-typed
//! dates) or from the wall clock is parsed and checked here, against the time passed in.

mod verifier;

mod issuer;
mod subject;
mod trusted_issuer;

mod compact;
mod strict_json;

mod algorithm;
mod hmac_secret;
mod jwk;
mod key_set;
mod public_key_pem;
mod rsa_public_key;
mod verification_key;

mod claims;
mod token_type;

mod key_ring;
mod public_key;
mod session_key;
mod signer;

pub use algorithm::{Algorithm, AlgorithmFamily, InvalidAlgorithm};
pub use claims::ClaimError;
pub use compact::{Compact, FormError, Header, MAX_KEY_ID_BYTES, MAX_TOKEN_BYTES};
pub use hmac_secret::WeakSecret;
pub use issuer::{InvalidIssuerRules, IssuerRules, MAX_LEEWAY, TokenProfile};
pub use jwk::InvalidJwk;
pub use key_ring::KeyRing;
pub use key_set::{KeySet, KeySetError, MAX_JWKS_BYTES, MAX_JWKS_KEYS, SignatureError};
pub use public_key_pem::InvalidPem;
pub use rsa_public_key::WeakRsaKey;
pub use session_key::{SessionKeyClaims, VerifiedSessionKey};
pub use signer::{
    AccessTokenClaims, AccessTokenProfile, SigningKey, SigningKeyError, generate_es256_pem, generate_es256_pkcs8,
};
pub use strict_json::{MAX_JSON_DEPTH, StrictJsonError};
pub use subject::{InvalidSubjectTemplate, SubjectError, SubjectTemplate};
pub use token_type::TypeError;
pub use trusted_issuer::TrustedIssuer;
pub use verifier::{InvalidVerifier, TokenError, TokenVerifier, VerifiedToken};
