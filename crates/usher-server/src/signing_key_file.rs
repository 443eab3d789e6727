//! The keys our tokens are signed with: the first made on first start, readable by their owner alone (req G9).
//!
//! The file holds one or more private keys in PEM. The first signs; the others only verify what they signed before. To rotate,
//! put a new key in front, and take the old one out once the last token it signed has ended.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use usher_auth::jwt::{KeyRing, SigningKey, generate_es256_pem};
use zeroize::Zeroizing;

/// Largest key file that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file cannot be read or written.
    #[error("the signing key {} cannot be used", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("the signing key {} may be read by others (mode {mode:04o}): run `chmod 600` on it, or remove it to have a new one made", path.display(), mode = mode)]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds no key.
    #[error("the signing key {} is not a PKCS#8 private key for ES256 or EdDSA in PEM: restore it, or remove it to have a new one made", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
    },
}

/// Where a key begins in the file.
const BEGIN: &str = "-----BEGIN ";

/// The keys in the file at `path`; if there is no file, a new ES256 key is made and written there with mode 0600.
///
/// Unlike a missing audit key, one that is missing although there are `sessions` is not an error: nothing that is kept was signed with it.
/// Sessions, refresh tokens, API keys and tickets are found by their hashes. What is refused are access tokens of minutes and session
/// keys: their clients refresh or log in again. The operator is warned, because another service may have kept the old public key.
pub fn load_or_create(path: &Path, sessions: bool) -> Result<KeyRing, SigningKeyError> {
    if let Some(keys) = load(path)? {
        return Ok(keys);
    }
    let pem =
        generate_es256_pem(&SystemRandom::new()).map_err(|_| SigningKeyError::Invalid { path: path.to_owned() })?;
    usher_audit::secret_file::create(path, &pem)
        .map_err(|source| SigningKeyError::Io { path: path.to_owned(), source })?;
    let path_shown = path.display();
    if sessions {
        tracing::warn!(
            path = %path_shown,
            "the signing key was missing although there are sessions: made a new one. Access tokens and session keys from before are refused; \
             sessions and refresh tokens go on"
        );
    } else {
        tracing::info!(path = %path_shown, "made a new signing key");
    }
    parse(&pem, path)
}

/// The keys in the file at `path`; `None` if there is no such file.
pub fn load(path: &Path) -> Result<Option<KeyRing>, SigningKeyError> {
    match OpenOptions::new().read(true).open(path) {
        Ok(file) => read(file, path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SigningKeyError::Io { path: path.to_owned(), source }),
    }
}

fn read(file: fs::File, path: &Path) -> Result<KeyRing, SigningKeyError> {
    let io_error = |source| SigningKeyError::Io { path: path.to_owned(), source };
    let mode = file.metadata().map_err(io_error)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SigningKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut pem = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut pem).map_err(io_error)?;
    parse(&pem, path)
}

fn parse(pem: &str, path: &Path) -> Result<KeyRing, SigningKeyError> {
    let invalid = || SigningKeyError::Invalid { path: path.to_owned() };
    let starts: Vec<usize> = pem.match_indices(BEGIN).map(|(start, _)| start).collect();
    let ends = starts.iter().skip(1).copied().chain([pem.len()]);
    let blocks = starts.iter().copied().zip(ends).map(|(start, end)| &pem[start..end]);
    let mut keys = Vec::new();
    for block in blocks {
        keys.push(SigningKey::from_pem(block).map_err(|_| invalid())?);
    }
    if keys.is_empty() {
        return Err(invalid());
    }
    let current = keys.remove(0);
    Ok(KeyRing::new(current, keys))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept() {
        // req G9
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        let made = load_or_create(&path, false).expect("a key");
        assert_eq!(fs::metadata(&path).expect("the file").mode() & 0o777, 0o600);
        let read = load_or_create(&path, false).expect("the same key");
        assert_eq!(made.current().key_id(), read.current().key_id());
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        // req G3
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        let old = load_or_create(&path, false).expect("a key").current().key_id().to_owned();
        let new = generate_es256_pem(&SystemRandom::new()).expect("a key");
        let rotated = format!("{}\n{}", *new, fs::read_to_string(&path).expect("the old key"));
        usher_audit::secret_file::create(&path, &rotated).expect("written");
        let ring = load_or_create(&path, false).expect("both keys");
        assert_eq!(ring.current().key_id(), SigningKey::from_pem(&new).expect("a key").key_id());
        let published = ring.jwks()["keys"].as_array().expect("keys").len();
        assert_eq!(published, 2);
        assert!(ring.jwks().to_string().contains(&old));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        // req G9
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        load_or_create(&path, false).expect("a key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(load_or_create(&path, false), Err(SigningKeyError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_broken_key_is_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        usher_audit::secret_file::create(&path, "not a key").expect("written");
        assert!(matches!(load_or_create(&path, false), Err(SigningKeyError::Invalid { .. })));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "not a key");
    }
}
