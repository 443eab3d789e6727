//! The key that hashes the addresses that accounts were used from: kept beside the data, readable by its owner alone.
//!
//! Without it the hashes in the store name no address: a lost key costs no more than those addresses, so a new one is made.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usher_auth::Randomness;
use zeroize::Zeroizing;

/// Most bytes of the file that are read; a key has fewer.
const MAX_BYTES: u64 = 128;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum AddressKeyError {
    /// The file cannot be read or written.
    #[error("the address key {} cannot be used: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("the address key {} may be read by others (mode {mode:04o}): run `chmod 600` on it, or remove it to have a new one made", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds no key.
    #[error("the address key {} is damaged: restore it, or remove it to have a new one made", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
    },
}

/// The key in the file at `path`; if there is none, a new one is made and written there with mode 0600.
pub fn load_or_create(path: &Path, randomness: &dyn Randomness) -> Result<Zeroizing<[u8; 32]>, AddressKeyError> {
    if let Some(key) = load(path)? {
        return Ok(key);
    }
    let key = Zeroizing::new(randomness.bytes::<32>());
    let text = Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(*key)));
    let failed = |source| AddressKeyError::Io { path: path.to_owned(), source };
    usher_audit::secret_file::create(path, &text).map_err(failed)?;
    Ok(key)
}

/// The key in the file at `path`; `None` if there is no file.
pub fn load(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, AddressKeyError> {
    let failed = |source| AddressKeyError::Io { path: path.to_owned(), source };
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(AddressKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end()).map(Zeroizing::new);
    let key = bytes.ok().and_then(|bytes| bytes.as_slice().try_into().ok().map(Zeroizing::new));
    key.map(Some).ok_or_else(|| AddressKeyError::Invalid { path: path.to_owned() })
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
        let path = folder.path().join("address-key");
        let made = load_or_create(&path, &SystemRandomness).expect("a key");
        assert_eq!(fs::metadata(&path).expect("the file").mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path, &SystemRandomness).expect("the same key"), made);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = load_or_create(&path, &SystemRandomness).expect_err("exposed");
        assert!(matches!(error, AddressKeyError::Exposed { mode: 0o640, .. }));
        fs::remove_file(&path).expect("removed");
        usher_audit::secret_file::create(&path, "short").expect("written");
        let error = load_or_create(&path, &SystemRandomness).expect_err("damaged");
        assert!(matches!(error, AddressKeyError::Invalid { .. }));
    }
}
