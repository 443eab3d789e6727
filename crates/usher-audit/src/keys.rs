//! The key of the trail: kept beside the data, readable by its owner alone.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usher_auth::Randomness;
use zeroize::Zeroizing;

use crate::secret_file;

/// Bytes of a reference: 128 bits, so that no two sessions share one.
const REFERENCE_BYTES: usize = 16;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeyError {
    /// The file cannot be read or written.
    #[error("the audit key {} cannot be used: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("the audit key {} may be read by others (mode {mode:04o}): run `chmod 600` on it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is not there, and records were chained with what was in it.
    #[error(
        "the audit key {} is missing, and the audit trail beside it was written with it: restore the file from the backup of the data; \
         if it is lost for good, `usher audit new-chain FILE` puts the old records, which nobody can verify any more, into FILE and \
         begins a new chain",
        path.display()
    )]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// The file holds no key.
    #[error("the audit key {} is damaged: restore it from the backup of the data; if it is lost for good, move it away and run `usher audit new-chain FILE`", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
    },
}

/// What chains records together, and what hashes the ids in them.
#[derive(Clone, Debug)]
pub struct AuditKeys {
    pub(super) chain: hmac::Key,
    references: hmac::Key,
}

impl AuditKeys {
    /// Both from one secret, so that there is one file to keep.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived =
            |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, purpose.as_bytes()).as_ref());
        Self { chain: derived("usher audit chain"), references: derived("usher audit references") }
    }

    /// The key in the file at `path`; `None` if there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, AuditKeyError> {
        let failed = |source| AuditKeyError::Io { path: path.to_owned(), source };
        let file = match OpenOptions::new().read(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(AuditKeyError::Exposed { path: path.to_owned(), mode });
        }
        let invalid = || AuditKeyError::Invalid { path: path.to_owned() };
        let mut text = Zeroizing::new(String::new());
        file.take(128).read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => invalid(),
            _ => failed(error),
        })?;
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end()).map(Zeroizing::new);
        let secret = bytes.ok().and_then(|bytes| bytes.as_slice().try_into().ok().map(Zeroizing::new));
        let secret: Zeroizing<[u8; 32]> = secret.ok_or_else(invalid)?;
        Ok(Some(Self::from_secret(&secret)))
    }

    /// The key in the file at `path`. If there is no such file, a new key is made and written there with mode 0600, unless a chain has
    /// `begun`: the records in it could not be verified any more, without a sign of it.
    pub fn load_or_create(path: &Path, begun: bool, randomness: &dyn Randomness) -> Result<Self, AuditKeyError> {
        match Self::load(path)? {
            Some(keys) => Ok(keys),
            None if begun => Err(AuditKeyError::Missing { path: path.to_owned() }),
            None => Self::create(path, randomness),
        }
    }

    /// A new key, written to the file at `path`.
    pub fn create(path: &Path, randomness: &dyn Randomness) -> Result<Self, AuditKeyError> {
        let secret = Zeroizing::new(randomness.bytes::<32>());
        let text = Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(*secret)));
        secret_file::create(path, &text).map_err(|source| AuditKeyError::Io { path: path.to_owned(), source })?;
        Ok(Self::from_secret(&secret))
    }

    /// The same for the same id and another for every other: whoever has the trail alone learns no id from it (req N3).
    pub(super) fn reference(&self, kind: &str, id: &str) -> String {
        let mac = hmac::sign(&self.references, format!("{kind}\0{id}").as_bytes());
        URL_SAFE_NO_PAD.encode(&mac.as_ref()[..REFERENCE_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use usher_axum::ambient::SystemRandomness;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_kept_to_its_owner() {
        // req N3
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit-key");
        let made = AuditKeys::load_or_create(&path, false, &SystemRandomness).expect("a key");
        assert_eq!(fs::metadata(&path).expect("the file").mode() & 0o777, 0o600);
        let read = AuditKeys::load_or_create(&path, false, &SystemRandomness).expect("the same key");
        assert_eq!(made.reference("session", "ses_1"), read.reference("session", "ses_1"));
        assert_ne!(made.reference("session", "ses_1"), made.reference("name", "ses_1"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = AuditKeys::load_or_create(&path, false, &SystemRandomness).expect_err("exposed");
        assert!(matches!(error, AuditKeyError::Exposed { mode: 0o644, .. }));
        fs::remove_file(&path).expect("removed");
        secret_file::create(&path, "short").expect("written");
        let error = AuditKeys::load_or_create(&path, false, &SystemRandomness).expect_err("damaged");
        assert!(matches!(error, AuditKeyError::Invalid { .. }));
        fs::write(&path, [0xff; 43]).expect("written");
        let error = AuditKeys::load(&path).expect_err("damaged");
        assert!(matches!(error, AuditKeyError::Invalid { .. }));
        fs::remove_file(&path).expect("removed");
        let error = AuditKeys::load_or_create(&path, true, &SystemRandomness).expect_err("missing");
        assert!(matches!(error, AuditKeyError::Missing { .. }));
        assert!(!path.exists(), "no other key takes its place");
    }
}
