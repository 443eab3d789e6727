//! Which backend runs, opened in one place: the store, the tickets, the lock of the data and the control socket beside it.
//!
//! Only this module names a backend's crate. `[store]` in `config/store.rs` says where the data, its lock and its control socket are;
//! everything else takes what [`Backends`] holds as traits. A second backend is a second arm of the private function
//! `open_behind_lock`, and of [`look`].

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use usher_sql::{OpenError, SqlOptions, SqlStore, partial_of};
use usher_store::memory::{MemorySessionEvents, MemoryTickets};
use usher_store::{AuditStore, SessionEvents, Store, StoreError, TicketBounds, TicketStore};

use crate::admin::{BackUp, ControlClient, ControlError, ControlSocket, StoreLock, Way, find_way};
use crate::config::{ResolvedConfig, StoreSettings};
use crate::error_text::with_sources;
use crate::usable_file::usable;

/// Open backends. `L` keeps other processes off the data: a server's control socket, or a command's lock.
pub struct Backends<L> {
    /// Users, sessions, refresh tokens, API keys, revocations.
    pub store: Arc<dyn Store>,
    /// Tickets.
    pub tickets: Arc<dyn TicketStore>,
    /// What nodes tell each other about sessions.
    pub events: Arc<dyn SessionEvents>,
    /// The audit trail.
    pub audit: Arc<dyn AuditStore>,
    /// Copies the store.
    pub backup: Arc<dyn BackUp>,
    sql: SqlStore,
    /// Given back when the backends are dropped, after [`Backends::close`].
    pub lock: L,
}

/// Why no backend was opened.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Another process uses the data, or the running server cannot be reached.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database file has several names.
    #[error("{}", several_names(.0))]
    SeveralNames(PathBuf),
}

/// SQLite finds its journal by the name of the database, and other processes find our lock by it.
fn several_names(database: &Path) -> String {
    let database = database.display();
    format!(
        "the file {database} has several names (hard links): what is written by another name of it would be lost; remove the others, or copy the file"
    )
}

/// Whether the file of a database has several names.
fn has_several_names(database: &Path) -> bool {
    fs::metadata(database).is_ok_and(|metadata| metadata.nlink() > 1)
}

/// What [`reach`] does where there is no data yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Make it.
    Create,
    /// Change nothing, and answer [`Reached::Missing`].
    Report,
}

/// How a command gets at the data.
pub enum Reached {
    /// A server runs, and carries operations out.
    Server(ControlClient),
    /// No server runs: this process opened the data.
    Opened {
        /// What it opened.
        backends: Backends<StoreLock>,
        /// Whether the data was made just now.
        new: bool,
    },
    /// There is no data.
    Missing,
}

/// What a look at a backend found, without opening it.
pub struct Looked {
    /// What keeps a server from starting.
    pub problems: Vec<String>,
    /// Whether an audit chain has begun in the store; `None` if that cannot be told.
    pub audit_begun: Option<bool>,
}

/// Opens everything for a server. The lock comes first: from there on no other process changes the data, and commands wait at the
/// control socket.
pub async fn open(config: &ResolvedConfig) -> Result<Backends<ControlSocket>, BackendError> {
    let socket = ControlSocket::bind(&config.store).await?;
    open_behind_lock(config, socket).await
}

/// Finds the running server, or opens everything for a command.
pub async fn reach(config: &ResolvedConfig, if_missing: IfMissing) -> Result<Reached, BackendError> {
    let store = &config.store;
    // Before a server is looked for: looking leaves a lock file behind.
    let exists = store.database.exists();
    if !exists && if_missing == IfMissing::Report && !store.control_socket().exists() {
        return Ok(Reached::Missing);
    }
    match find_way(store).await? {
        Way::Server(client) => Ok(Reached::Server(client)),
        Way::Store(_) if if_missing == IfMissing::Report && !store.database.exists() => Ok(Reached::Missing),
        Way::Store(lock) => Ok(Reached::Opened { backends: open_behind_lock(config, lock).await?, new: !exists }),
    }
}

/// The one place where backends are opened.
async fn open_behind_lock<L>(config: &ResolvedConfig, lock: L) -> Result<Backends<L>, BackendError> {
    if has_several_names(&config.store.database) {
        return Err(BackendError::SeveralNames(config.store.database.clone()));
    }
    let sql = SqlStore::open(&config.store.url(), SqlOptions::default()).await?;
    let shared = Arc::new(sql.clone());
    let tickets = TicketBounds { per_user: config.limits.per_user.tickets, ..TicketBounds::default() };
    Ok(Backends {
        store: shared.clone(),
        tickets: Arc::new(MemoryTickets::new(tickets)),
        events: Arc::new(MemorySessionEvents::default()),
        audit: shared,
        backup: Arc::new(StoreBackUp { sql: sql.clone(), store: config.store.clone() }),
        sql,
        lock,
    })
}

/// Looks whether a server could open its backends. Changes nothing.
pub async fn look(config: &ResolvedConfig) -> Looked {
    let store = &config.store;
    let mut problems = Vec::new();
    if let Err(error) = usable(&store.file()) {
        problems.push(format!(
            "the store {store} cannot be used: {error}; this user must be able to write to it and to its folder"
        ));
    }
    if has_several_names(&store.database) {
        problems.push(several_names(&store.database));
    }
    for path in [store.lock_file(), store.control_socket()] {
        if path.is_dir() {
            problems.push(format!("{} must not be a folder: the server makes it beside the store", path.display()));
        }
    }
    let audit_begun = match SqlStore::has_audit_chain(&store.url()).await {
        Ok(begun) => Some(begun),
        Err(error) => {
            problems.push(with_sources(&error));
            None
        }
    };
    Looked { problems, audit_begun }
}

impl<L> Backends<L> {
    /// Whether any session is remembered.
    pub async fn has_sessions(&self) -> Result<bool, StoreError> {
        self.sql.has_sessions().await
    }

    /// Whether an audit chain has begun in the store.
    pub async fn audit_begun(&self, config: &ResolvedConfig) -> Result<bool, BackendError> {
        Ok(SqlStore::has_audit_chain(&config.store.url()).await?)
    }

    /// The version of the schema, which opening brought up to date.
    pub async fn schema_version(&self) -> Result<i64, BackendError> {
        Ok(self.sql.migrate().await?)
    }

    /// Finishes what is under way and closes the data. Later calls fail. The lock is held until the backends are dropped.
    pub async fn close(&self) {
        self.sql.close().await;
    }
}

/// Copies the store, to no file that is the store's own or the server's.
struct StoreBackUp {
    sql: SqlStore,
    store: StoreSettings,
}

#[async_trait]
impl BackUp for StoreBackUp {
    async fn back_up(&self, to: &Path) -> Result<(), String> {
        // What is written before it is complete, too: the file of the store itself may be called so.
        if self.store.has_file(to) || self.store.has_file(&partial_of(to)) {
            return Err(format!("{} is the name of a file that belongs to the store: name another file", to.display()));
        }
        self.sql.back_up(to).await.map_err(|error| with_sources(&error))
    }
}

#[cfg(test)]
mod tests;
