//! What an RSA public key must be before anything is verified with it (RFC 7518 §3.3, RFC 8725 §3.5; req F13).

use aws_lc_rs::signature::{self, RsaPublicKeyComponents};

/// Shortest modulus, in bits.
const MIN_MODULUS_BITS: usize = 2048;
/// Longest modulus, in bits: a longer one makes every verification slow.
const MAX_MODULUS_BITS: usize = 8192;
/// Longest public exponent, in bytes, for the same reason.
const MAX_EXPONENT_BYTES: usize = 4;

/// Generator of the primes that the flawed chips of CVE-2017-15361 drew.
const ROCA_GENERATOR: u32 = 65537;
/// The small odd primes by which their moduli give themselves away. For about half of them the generator reaches every residue,
/// which says nothing; for all together a sound modulus passes as flawed once in some 2^28.
const ROCA_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Why an RSA public key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakRsaKey {
    /// Shorter than 2048 or longer than 8192 bits.
    #[error("the RSA modulus must have {MIN_MODULUS_BITS} to {MAX_MODULUS_BITS} bits")]
    ModulusLength,
    /// 1, even, or absurdly long.
    #[error("the RSA exponent must be odd, at least 3 and at most {MAX_EXPONENT_BYTES} bytes long")]
    Exponent,
    /// Made by a chip whose keys can be factored (ROCA, CVE-2017-15361).
    #[error("the RSA key comes from a flawed generator and can be factored (CVE-2017-15361)")]
    Roca,
    /// Two is a factor.
    #[error("the RSA modulus is even")]
    EvenModulus,
    /// The cryptographic library does not take it.
    #[error("the RSA key is not valid")]
    Rejected,
}

/// Checks modulus and exponent, both big-endian without leading zeros.
pub(super) fn check(modulus: &[u8], exponent: &[u8]) -> Result<(), WeakRsaKey> {
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits) {
        return Err(WeakRsaKey::ModulusLength);
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !odd(modulus) {
        return Err(WeakRsaKey::EvenModulus);
    }
    if !odd(exponent) || exponent == [1] || exponent.len() > MAX_EXPONENT_BYTES {
        return Err(WeakRsaKey::Exponent);
    }
    if is_roca(modulus) {
        return Err(WeakRsaKey::Roca);
    }
    RsaPublicKeyComponents { n: modulus, e: exponent }
        .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)
        .map(|_| ())
        .map_err(|_| WeakRsaKey::Rejected)
}

/// The fingerprint of Nemec et al., "The Return of Coppersmith's Attack" (2017), §3: modulo every small prime the modulus is a power
/// of the generator.
fn is_roca(modulus: &[u8]) -> bool {
    ROCA_PRIMES.into_iter().all(|prime| {
        let residue = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * (ROCA_GENERATOR % prime) % prime;
            power == residue
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_the_generator_is_recognised() {
        // req F13
        // 65537^16 = (2^16 + 1)^16, by the binomial theorem: each coefficient is one digit to the base 2^16.
        let coefficients: [u16; 17] =
            [1, 16, 120, 560, 1820, 4368, 8008, 11440, 12870, 11440, 8008, 4368, 1820, 560, 120, 16, 1];
        let power: Vec<u8> = coefficients.into_iter().flat_map(u16::to_be_bytes).collect();
        assert!(is_roca(&power));
        let mut other = power;
        *other.last_mut().unwrap() += 2;
        assert!(!is_roca(&other));
    }

    #[test]
    fn lengths() {
        // req F13
        let e = [1, 0, 1];
        assert_eq!(check(&[], &e), Err(WeakRsaKey::ModulusLength));
        assert_eq!(check(&[0xff; 255], &e), Err(WeakRsaKey::ModulusLength));
        assert_eq!(check(&[[0x7f].as_slice(), &[0xff; 255]].concat(), &e), Err(WeakRsaKey::ModulusLength));
        assert_eq!(check(&[0xff; 1025], &e), Err(WeakRsaKey::ModulusLength));
        for bad in [[].as_slice(), &[1], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
            assert_eq!(check(&[0xff; 256], bad), Err(WeakRsaKey::Exponent));
        }
    }

    #[test]
    fn an_even_modulus_is_refused() {
        let mut even = [0xff; 256];
        even[255] = 0xfe;
        assert_eq!(check(&even, &[1, 0, 1]), Err(WeakRsaKey::EvenModulus));
    }
}
