//! Whoever carries out operations for a command: the running server, or this process on the store.

use std::num::NonZero;
use std::sync::Arc;

use usher_accounts::StoreRevoker;
use usher_axum::ambient::{SystemClock, SystemRandomness};

use super::args::ConfigFile;
use super::runtime::block_on;
use super::{CommandError, config, logging, output};
use crate::admin::{Administration, Answer, ControlClient, IssuerUsers, Operation, RulesInForce, StoreLock};
use crate::backends::{self, Backends, IfMissing, Reached};
use crate::config::{ResolvedConfig, StoreSettings};
use usher_accounts::PasswordHasher;
use usher_audit::{AuditKeys, AuditTrail, SinkSetting};

/// Whoever carries out operations now.
pub(super) enum Hand {
    Server(ControlClient),
    Store(Box<OpenStore>),
}

/// The store, opened by this command, and who carries out operations on it.
pub(super) struct OpenStore {
    pub(super) administration: Administration,
    backends: Backends<StoreLock>,
}

impl OpenStore {
    /// Takes what was opened, with an audit trail that writes to it.
    pub(super) async fn on(backends: Backends<StoreLock>, config: &ResolvedConfig) -> Result<Self, CommandError> {
        let randomness = Arc::new(SystemRandomness);
        let clock = Arc::new(SystemClock::new());
        let begun = config.audit.have_begun(&*backends.audit).await?;
        let keys = AuditKeys::load_or_create(&config.store.audit_key_file(), begun, &*randomness)?;
        // A command's standard output is for its result.
        let mut settings = config.audit.clone();
        settings.sinks.retain(|sink| *sink != SinkSetting::Stdout);
        let (audit, writer) = AuditTrail::new(settings, backends.audit.clone(), keys, clock.clone());
        tokio::spawn(writer.run());
        let administration = Administration {
            store: backends.store.clone(),
            revoker: Arc::new(StoreRevoker { store: backends.store.clone(), audit: audit.clone() }),
            passwords: PasswordHasher::new(
                std::thread::available_parallelism().map_or(1, NonZero::get),
                randomness.clone(),
            ),
            rooms: RulesInForce::Configured(config.rooms.clone()),
            issuers: IssuerUsers::of(&config.issuers),
            session_limits: config.sessions.limits,
            lifetimes: config.lifetimes(),
            most_api_keys: config.limits.per_user.api_keys,
            backup: backends.backup.clone(),
            audit,
            clock,
            randomness,
            turn: tokio::sync::Mutex::default(),
            requests: crate::open_requests::OpenRequests::default(),
        };
        Ok(Self { administration, backends })
    }

    /// Finishes what is under way, and only then gives the lock back.
    pub(super) async fn close(self) {
        self.administration.audit.finish().await;
        let records = self.administration.audit.status().unwritten();
        if records > 0 {
            tracing::error!(records, "audit records of this command were lost: a sink did not take them");
        }
        self.backends.close().await;
    }
}

impl Hand {
    /// The running server, or the store opened here.
    pub(super) async fn reach(
        file: &ConfigFile,
        config: &ResolvedConfig,
        if_missing: IfMissing,
    ) -> Result<Self, CommandError> {
        let store = &config.store;
        match backends::reach(config, if_missing).await? {
            Reached::Server(client) => Ok(Self::Server(client)),
            Reached::Missing => Err(nothing_there(file, store)),
            Reached::Opened { backends, new } => {
                let opened = OpenStore::on(backends, config).await?;
                if new {
                    output::note(&format!("made a new store at {store}"))?;
                } else if file.config.is_none() {
                    output::note(&format!("using the store at {store}; no --config was given"))?;
                }
                Ok(Self::Store(Box::new(opened)))
            }
        }
    }

    /// Carries out one operation.
    pub(super) async fn execute(&mut self, operation: Operation) -> Result<Answer, CommandError> {
        match self {
            Self::Server(client) => Ok(client.execute(&operation).await?),
            Self::Store(store) => Ok(store.administration.execute(operation).await?),
        }
    }

    /// Finishes what is under way, and only then gives the lock back.
    pub(super) async fn finish(self) {
        if let Self::Store(store) = self {
            store.close().await;
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
    CommandError::Failed(format!("there is no store at {store}: {advice}"))
}

/// Carries out the one operation of a command.
pub(super) fn perform(file: &ConfigFile, operation: Operation) -> Result<Answer, CommandError> {
    logging::quiet();
    let (config, _) = config::load(file)?;
    block_on(async {
        // The first user has to go somewhere. Any other operation would report success over a store that no server uses, if it ran in the
        // wrong folder or without its configuration file.
        let is_add = matches!(operation, Operation::AddUser { .. });
        let if_missing = if is_add { IfMissing::Create } else { IfMissing::Report };
        let mut hand = Hand::reach(file, &config, if_missing).await?;
        let answer = hand.execute(operation).await;
        hand.finish().await;
        answer
    })
}
