//! Tokens of issuers that every server trusts: their keys are made anew for each run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::clock::{now, own_cpu, unix_now};

/// What every token is for.
pub const AUDIENCE: &str = "usher-bench";

/// An algorithm that tokens are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// A shared secret.
    Hs256,
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Signed {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Hs256, Self::Es256, Self::EdDsa];

    /// As a token's header says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The `iss` of its tokens.
    pub fn issuer(self) -> String {
        format!("https://{}.bench.test", self.name().to_lowercase())
    }

    /// The file, in a server's folder, with what its tokens are verified with.
    pub(crate) fn key_file(self) -> &'static str {
        match self {
            Self::Hs256 => "hs256.txt",
            Self::Es256 => "es256.pem",
            Self::EdDsa => "eddsa.pem",
        }
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

struct Key {
    signing: EncodingKey,
    verifying: DecodingKey,
    /// As a server reads it.
    file: String,
}

/// Signs tokens.
pub struct Mint {
    keys: [Key; 3],
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    name: String,
    jti: String,
    iat: u64,
    exp: u64,
}

impl Mint {
    /// With new keys.
    pub fn new() -> Result<Self, BenchError> {
        Ok(Self { keys: [hs256()?, es256()?, eddsa()?] })
    }

    /// A token of the user of that number, which lasts for an hour. No two are the same.
    pub fn token(&self, signed: Signed, user: usize) -> Result<String, BenchError> {
        self.token_until(signed, user, unix_now() + Duration::from_hours(1))
    }

    /// One that ends then, at a whole second.
    pub(crate) fn token_until(&self, signed: Signed, user: usize, end: Duration) -> Result<String, BenchError> {
        let claims = Claims {
            iss: signed.issuer(),
            aud: AUDIENCE.to_owned(),
            sub: format!("user-{user}"),
            name: format!("User {user}"),
            jti: format!("{user}-{}", now().as_nanos()),
            iat: unix_now().as_secs(),
            exp: end.as_secs(),
        };
        Ok(encode(&Header::new(signed.algorithm()), &claims, &self.key(signed).signing)?)
    }

    /// What its tokens are verified with: a secret, or a public key in PEM.
    pub fn verifying(&self, signed: Signed) -> &str {
        &self.key(signed).file
    }

    /// Writes what tokens are verified with.
    pub(crate) fn write_key_files(&self, folder: &Path) -> Result<(), BenchError> {
        for signed in Signed::ALL {
            let path = folder.join(signed.key_file());
            fs::write(path, &self.key(signed).file).map_err(BenchError::io("cannot write a key"))?;
        }
        Ok(())
    }

    /// How long one verification takes by itself, in CPU time, by jsonwebtoken: signature and claims.
    pub(crate) fn bare_verification(&self, signed: Signed, times: u32) -> Result<Duration, BenchError> {
        let token = self.token(signed, 1)?;
        let mut rules = Validation::new(signed.algorithm());
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[signed.issuer()]);
        let verify = || decode::<Claims>(&token, &self.key(signed).verifying, &rules);
        for _ in 0..times / 10 {
            verify()?;
        }
        let start = own_cpu();
        for _ in 0..times {
            std::hint::black_box(verify()?);
        }
        Ok(own_cpu().saturating_sub(start) / times)
    }

    fn key(&self, signed: Signed) -> &Key {
        match signed {
            Signed::Hs256 => &self.keys[0],
            Signed::Es256 => &self.keys[1],
            Signed::EdDsa => &self.keys[2],
        }
    }
}

fn hs256() -> Result<Key, BenchError> {
    let mut random = [0; 48];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| NO_KEY)?;
    let file = URL_SAFE_NO_PAD.encode(random);
    let (signing, verifying) = (EncodingKey::from_secret(file.as_bytes()), DecodingKey::from_secret(file.as_bytes()));
    Ok(Key { signing, verifying, file })
}

fn es256() -> Result<Key, BenchError> {
    let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let private = EcdsaKeyPair::generate_pkcs8(scheme, &SystemRandom::new()).map_err(|_| NO_KEY)?;
    let pair = EcdsaKeyPair::from_pkcs8(scheme, private.as_ref()).map_err(|_| NO_KEY)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| NO_KEY)?;
    let file = pem_of("PUBLIC KEY", public.as_ref());
    let signing = EncodingKey::from_ec_pem(pem_of("PRIVATE KEY", private.as_ref()).as_bytes())?;
    Ok(Key { signing, verifying: DecodingKey::from_ec_pem(file.as_bytes())?, file })
}

fn eddsa() -> Result<Key, BenchError> {
    let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| NO_KEY)?;
    let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).map_err(|_| NO_KEY)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| NO_KEY)?;
    let file = pem_of("PUBLIC KEY", public.as_ref());
    let signing = EncodingKey::from_ed_pem(pem_of("PRIVATE KEY", private.as_ref()).as_bytes())?;
    Ok(Key { signing, verifying: DecodingKey::from_ed_pem(file.as_bytes())?, file })
}

const NO_KEY: BenchError = BenchError::Peer("a key could not be made");

fn pem_of(tag: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(tag, der))
}
