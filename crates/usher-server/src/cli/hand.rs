//! Whoever carries out operations for a command: the running server, or this process on the store.

use std::num::NonZero;
use std::sync::Arc;

use usher_axum::ambient::{SystemClock, SystemRandomness};
use usher_sql::{SqlOptions, SqlStore};

use super::args::ConfigFile;
use super::{CommandError, config, logging, output, runtime};
use crate::admin::{
    Administration, Answer, ControlClient, IssuerUsers, Operation, RulesInForce, StoreLock, StoreRevoker, Way, find_way,
};
use crate::audit::{AuditKeys, AuditTrail, SinkSetting};
use crate::config::{ResolvedConfig, StoreSettings};
use crate::passwords::PasswordHasher;

/// Whoever carries out operations now.
pub(super) enum Hand {
    Server(ControlClient),
    Store(Box<OpenStore>, StoreLock),
}

/// The store, opened by this command, and who carries out operations on it.
pub(super) struct OpenStore {
    pub(super) administration: Administration,
    store: SqlStore,
}

impl OpenStore {
    /// Finishes what is under way.
    pub(super) async fn close(self) {
        self.administration.audit.finish().await;
        let records = self.administration.audit.status().unwritten();
        if records > 0 {
            tracing::error!(records, "audit records of this command were lost: a sink did not take them");
        }
        self.store.close().await;
    }
}

/// Opens the store. Whoever does holds its lock.
pub(super) async fn open_store(config: &ResolvedConfig) -> Result<OpenStore, CommandError> {
    let store = SqlStore::open(&config.store.url(), SqlOptions::default()).await?;
    let shared: Arc<SqlStore> = Arc::new(store.clone());
    let randomness = Arc::new(SystemRandomness);
    let clock = Arc::new(SystemClock::new());
    let begun = config.audit.have_begun(&*shared).await?;
    let keys = AuditKeys::load_or_create(&config.store.audit_key_file(), begun, &*randomness)?;
    // A command's standard output is for its result.
    let mut settings = config.audit.clone();
    settings.sinks.retain(|sink| *sink != SinkSetting::Stdout);
    let (audit, writer) = AuditTrail::new(settings, shared.clone(), keys, clock.clone());
    tokio::spawn(writer.run());
    let administration = Administration {
        store: shared.clone(),
        revoker: Arc::new(StoreRevoker { store: shared.clone(), audit: audit.clone() }),
        passwords: PasswordHasher::new(
            std::thread::available_parallelism().map_or(1, NonZero::get),
            randomness.clone(),
        ),
        rooms: RulesInForce::Configured(config.rooms.clone()),
        issuers: IssuerUsers::of(&config.issuers),
        session_limits: config.sessions.limits,
        lifetimes: config.lifetimes(),
        most_api_keys: config.limits.per_user.api_keys,
        backup: shared.clone(),
        audit,
        clock,
        randomness,
        turn: tokio::sync::Mutex::default(),
    };
    Ok(OpenStore { administration, store })
}

/// What a command does where there is no store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoStore {
    /// It makes one: the first user has to go somewhere.
    Make,
    /// It fails. In the wrong folder, or without its configuration file, it would report success over a store that nobody uses.
    Fail,
}

impl Hand {
    /// The running server, or the store opened here.
    pub(super) async fn reach(
        file: &ConfigFile,
        config: &ResolvedConfig,
        no_store: NoStore,
    ) -> Result<Self, CommandError> {
        let store = &config.store;
        // Before anything is looked for: looking leaves a lock file behind.
        let exists = store.database.exists();
        if !exists && no_store == NoStore::Fail && !store.control_socket().exists() {
            return Err(nothing_there(file, store));
        }
        match find_way(store).await? {
            Way::Server(client) => Ok(Self::Server(client)),
            Way::Store(_) if !store.database.exists() && no_store == NoStore::Fail => Err(nothing_there(file, store)),
            Way::Store(lock) => {
                let opened = open_store(config).await?;
                if !exists {
                    output::note(&format!("made a new store at {}", store.database.display()))?;
                } else if file.config.is_none() {
                    output::note(&format!("using the store at {}; no --config was given", store.database.display()))?;
                }
                Ok(Self::Store(Box::new(opened), lock))
            }
        }
    }

    /// Carries out one operation.
    pub(super) async fn execute(&mut self, operation: Operation) -> Result<Answer, CommandError> {
        match self {
            Self::Server(client) => Ok(client.execute(&operation).await?),
            Self::Store(store, _) => Ok(store.administration.execute(operation).await?),
        }
    }

    /// Finishes what is under way, and only then gives the lock back.
    pub(super) async fn finish(self) {
        if let Self::Store(store, lock) = self {
            store.close().await;
            drop(lock);
        }
    }
}

pub(super) fn nothing_there(file: &ConfigFile, store: &StoreSettings) -> CommandError {
    let advice = match &file.config {
        Some(file) => {
            format!("is store.url in {} right? A first `usher user add` or `usher serve` makes it", file.display())
        }
        None => "give --config, or go to the folder of the data; a first `usher user add` or `usher serve` makes one"
            .to_owned(),
    };
    CommandError::Failed(format!("there is no store at {}: {advice}", store.database.display()))
}

/// Carries out the one operation of a command.
pub(super) fn perform(file: &ConfigFile, operation: Operation) -> Result<Answer, CommandError> {
    logging::quiet();
    let (config, _) = config::load(file)?;
    block_on(async {
        let no_store = if matches!(operation, Operation::AddUser { .. }) { NoStore::Make } else { NoStore::Fail };
        let mut hand = Hand::reach(file, &config, no_store).await?;
        let answer = hand.execute(operation).await;
        hand.finish().await;
        answer
    })
}

/// Runs a command that finishes by itself.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    runtime::of_a_command()?.block_on(work)
}
