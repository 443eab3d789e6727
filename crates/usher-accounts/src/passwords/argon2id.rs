//! Argon2id in memory that is used again: one that is taken from the allocator for each hash and given back stays with the process,
//! once for each hash that ran beside others.

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use usher_auth::user::PasswordHash;

/// Memory of one hash, in KiB; with the next two, the least that OWASP ASVS 5.0 appendix C takes for Argon2id (req K1).
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
const LANES: u32 = 1;
/// The same in Argon2's blocks of 1 KiB: what is kept. A stored hash that wants more gets it for itself alone.
const KEPT_BLOCKS: usize = MEMORY_KIB as usize;

/// What hashes are computed in, one after the other.
#[derive(Default)]
pub(super) struct HashMemory {
    /// Empty until the first hash, and of [`KEPT_BLOCKS`] from then on.
    blocks: Vec<Block>,
}

impl HashMemory {
    /// The hash of a password.
    ///
    /// # Panics
    /// Never: the parameters are constants that Argon2 takes.
    pub(super) fn hash(&mut self, password: &[u8], salt: &[u8; 16]) -> PasswordHash {
        let params = params();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let output = self.output(&argon2, password, salt, Params::DEFAULT_OUTPUT_LEN);
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).expect("three numbers can be written"),
            salt: Some(Salt::new(salt).expect("a salt of 16 bytes is long enough")),
            hash: Some(output.expect("the parameters are within Argon2's limits")),
        };
        PasswordHash::from_phc(hash.to_string())
    }

    /// Whether `password` is the one that was hashed, with the parameters of the hash, which may be older than ours.
    pub(super) fn verify(&mut self, password: &[u8], hash: &PasswordHash) -> bool {
        self.computes(password, hash).unwrap_or_else(|error| {
            tracing::error!(%error, "a stored password hash cannot be read");
            false
        })
    }

    fn computes(&mut self, password: &[u8], hash: &PasswordHash) -> Result<bool, argon2::password_hash::Error> {
        let unreadable = |_| argon2::password_hash::Error::EncodingInvalid;
        let parsed = phc::PasswordHash::new(hash.as_phc()).map_err(unreadable)?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str())?;
        let version = parsed.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&parsed)?);
        let (Some(salt), Some(expected)) = (&parsed.salt, &parsed.hash) else { return Ok(false) };
        // Compared in constant time: `Output` sees to that.
        Ok(self.output(&argon2, password, salt, expected.len())? == *expected)
    }

    fn output(
        &mut self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        length: usize,
    ) -> Result<Output, argon2::password_hash::Error> {
        let mut buffer = [0; Output::MAX_LENGTH];
        let out = buffer.get_mut(..length).ok_or(argon2::password_hash::Error::OutputSize)?;
        let count = argon2.params().block_count();
        if count <= KEPT_BLOCKS {
            self.blocks.resize(KEPT_BLOCKS, Block::new());
            argon2.hash_password_into_with_memory(password, salt, out, &mut self.blocks[..count])?;
        } else {
            argon2.hash_password_into(password, salt, out)?;
        }
        Output::new(out).map_err(|_| argon2::password_hash::Error::OutputSize)
    }
}

/// Whether a password that has just been verified should be hashed anew: its hash was made with other parameters than today's.
pub fn needs_rehash(hash: &PasswordHash) -> bool {
    let Ok(parsed) = phc::PasswordHash::new(hash.as_phc()) else { return true };
    let algorithm = parsed.algorithm.as_str() == Algorithm::Argon2id.as_str();
    let version = parsed.version == Some(Version::V0x13.into());
    let params = Params::try_from(&parsed);
    let current = params.is_ok_and(|p| (p.m_cost(), p.t_cost(), p.p_cost()) == (MEMORY_KIB, ITERATIONS, LANES));
    !(algorithm && version && current)
}

fn params() -> Params {
    Params::new(MEMORY_KIB, ITERATIONS, LANES, None).expect("the parameters are within Argon2's limits")
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher as _;
    use argon2::password_hash::PasswordVerifier as _;

    use super::*;

    #[test]
    fn hashes_are_those_of_the_crate_whatever_was_computed_before() {
        // req K1
        let mut memory = HashMemory::default();
        for (kib, passes, lanes) in [(19_456, 2, 1), (9_216, 4, 1), (64, 1, 2), (20_000, 1, 1), (19_456, 2, 1)] {
            let params = Params::new(kib, passes, lanes, None).expect("parameters");
            let crates = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash = crates.hash_password_with_salt(b"a password", &[9; 16]).expect("a hash");
            let hash = PasswordHash::from_phc(hash.to_string());
            assert!(memory.verify(b"a password", &hash), "{kib} KiB");
            assert!(!memory.verify(b"another", &hash), "{kib} KiB");
            let ours = memory.hash(b"a password", &[9; 16]);
            assert!(crates.verify_password(b"a password", ours.as_phc()).is_ok(), "after {kib} KiB");
            assert_eq!(needs_rehash(&hash), (kib, passes, lanes) != (19_456, 2, 1));
        }
        assert_eq!(memory.blocks.len(), KEPT_BLOCKS);
    }

    #[test]
    fn what_is_no_hash_is_nobodys() {
        let mut memory = HashMemory::default();
        for broken in
            ["", "no hash", "$argon2id$v=19$m=19456,t=2,p=1", "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2"]
        {
            assert!(!memory.verify(b"x", &PasswordHash::from_phc(broken.to_owned())), "{broken}");
        }
    }
}
