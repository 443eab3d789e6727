//! `[store]`: where users, sessions, keys and revocations are remembered.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resolver::Resolver;

/// Where users, sessions, API keys and revocations are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// sqlite://PATH; a relative path starts from the folder of the configuration file.
    pub url: String,
}

/// `[store]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The SQLite database. It is made on first use. Read by `backends.rs` alone, which knows that it is a file.
    pub database: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite://usher.db".to_owned() }
    }
}

/// Where the data is, for people. It holds no password.
impl fmt::Display for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.database.display().fmt(f)
    }
}

impl StoreSettings {
    /// The database as a URL, for whoever opens it.
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.database.display().to_string().replace('%', "%25").replace('?', "%3F"))
    }

    /// The running server's control socket, beside the data.
    pub fn control_socket(&self) -> PathBuf {
        beside(&self.file(), ".sock")
    }

    /// Held by whoever uses the data, beside it.
    pub fn lock_file(&self) -> PathBuf {
        beside(&self.file(), ".lock")
    }

    /// The file that holds the data. Two configurations may name it differently, by symbolic links, and must find the same lock.
    pub(crate) fn file(&self) -> PathBuf {
        let mut file = self.database.clone();
        // As many as Linux follows.
        for _ in 0..40 {
            let Ok(target) = fs::read_link(&file) else { break };
            file = file.parent().unwrap_or(Path::new("")).join(target);
        }
        file
    }

    /// The key of the audit trail, beside the data.
    pub fn audit_key_file(&self) -> PathBuf {
        beside(&self.database, ".audit-key")
    }

    /// The key that hashes the addresses that accounts were used from, beside the data.
    pub fn address_key_file(&self) -> PathBuf {
        beside(&self.database, ".address-key")
    }

    /// Whether `path` is the name of a file of the store, or of the server beside it: of one that may be there now and then, too.
    pub fn has_file(&self, path: &Path) -> bool {
        // SQLite's own, beside the file itself: <https://sqlite.org/tempfiles.html>.
        let journals = ["-journal", "-wal", "-shm"].map(|suffix| beside(&self.file(), suffix));
        let own = [
            self.database.clone(),
            self.file(),
            self.lock_file(),
            self.control_socket(),
            self.audit_key_file(),
            self.address_key_file(),
        ];
        let path = without_links(path);
        own.iter().chain(&journals).any(|own| without_links(own) == path)
    }

    /// The folder of the data.
    pub fn folder(&self) -> &Path {
        self.database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

impl Store {
    pub(super) fn resolve(&self, resolver: &mut Resolver<'_>) -> Option<StoreSettings> {
        const KEY: &str = "store.url";
        // The URL itself is not repeated: one of another backend may hold a password.
        let Some(path) = self.url.strip_prefix("sqlite://") else {
            let scheme = self.url.split_once("://").map(|(scheme, _)| scheme);
            if matches!(scheme, Some("postgres" | "postgresql")) {
                resolver.problem(KEY, "PostgreSQL is not built yet in this version", "use sqlite://usher.db");
            } else {
                resolver.problem(KEY, "is not the URL of a store", "write it as sqlite://usher.db");
            }
            return None;
        };
        if path.is_empty() || path.ends_with('/') || path.contains(['?', '#', '%']) || path.starts_with(':') {
            resolver.problem(
                KEY,
                "does not name a file",
                "write it as sqlite://usher.db or sqlite:///var/lib/usher/usher.db",
            );
            return None;
        }
        let settings = StoreSettings { database: resolver.path(Path::new(path)) };
        if !settings.folder().is_dir() {
            let reason = format!("the folder {} does not exist", settings.folder().display());
            resolver.problem(KEY, reason, "make it, and let the server's user write to it");
        }
        Some(settings)
    }
}

/// The same file by the real name of its folder. The file need not be there.
fn without_links(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), file.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
