//! Configuration: one section a file, read from TOML and the environment, checked as a whole, and turned into what the
//! components take.
//!
//! What is written is refused rather than guessed at: an unknown key, a number without its unit, a combination that would be
//! unsafe. Every problem says where it is written, why it is one and what to do.

mod admin;
mod audit;
mod close_codes;
mod issuer_keys;
mod issuers;
mod limits;
mod log;
mod rooms;
mod routes;
mod server;
mod sessions;
mod sockjs;
mod store;
mod tls;
mod tokens;

mod demo;
mod problem;
mod resolve;
mod resolver;
mod template;
mod units;

mod document;
mod environment;
mod shape;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use admin::{Admin, AdminSettings};
pub use audit::Audit;
pub use close_codes::CloseCodeSetting;
pub use demo::demo;
pub use issuers::{Issuer, IssuerSettings};
pub use limits::{Connections, Failures, LimitSettings, Limits, Logins, PerUser, Waiting};
pub use log::Log;
pub use problem::{ConfigErrors, Location, Problem, Warning};
pub use resolve::ResolvedConfig;
pub use rooms::Room;
pub use routes::{FirstMessage, Reauth, Route};
pub use server::{ClientAddressHeader, Server, ServerSettings};
pub use sessions::{SameSite, SessionCookie, SessionSettings, Sessions};
pub use sockjs::{OctoPrint, SockJs, SockJsFirstMessage};
pub use store::{Store, StoreSettings};
pub use template::default_toml;
pub use tls::{Tls, TlsError, TlsFiles};
pub use tokens::{TokenSettings, Tokens};
pub use units::{ByteSize, InvalidUnit, Rate, TimeSpan};

use document::Node;
use shape::Shape;

/// A configuration as written, with the defaults put in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Usher's configuration", description = "Written as TOML.")]
pub struct Config {
    /// Where clients come in, and by which URL.
    pub server: Server,
    /// A listener for operators, apart from the one that clients use. Absent, there is none.
    pub admin: Option<Admin>,
    /// Where users, sessions, API keys and revocations are remembered.
    pub store: Store,
    /// The tokens and tickets that we give out.
    pub tokens: Tokens,
    /// Log-ins, and the cookie that browsers keep of them.
    pub sessions: Sessions,
    /// Issuers whose tokens are taken beside our own.
    pub issuers: Vec<Issuer>,
    /// The WebSocket routes. Absent, there is one: /ws with the default of every key.
    pub routes: Vec<Route>,
    /// The SockJS endpoint. Absent, there is none.
    pub sockjs: Option<SockJs>,
    /// The rules over rooms. The first whose pattern matches decides; a room that none matches is nobody's.
    pub rooms: Vec<Room>,
    /// How much of everything there may be.
    pub limits: Limits,
    /// Where it is recorded who was let in, who was not, and what was ended.
    pub audit: Audit,
    /// What is logged on standard error, and how.
    pub log: Log,
    #[serde(skip)]
    written: Written,
}

/// Where a configuration is written.
#[derive(Clone, Debug, Default)]
struct Written {
    /// The file's folder, from which relative paths start.
    folder: PathBuf,
    /// Where each key is.
    locations: BTreeMap<String, Location>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: Server::default(),
            admin: None,
            store: Store::default(),
            tokens: Tokens::default(),
            sessions: Sessions::default(),
            issuers: Vec::new(),
            routes: vec![Route::at("/ws")],
            sockjs: None,
            rooms: Vec::new(),
            limits: Limits::default(),
            audit: Audit::default(),
            log: Log::default(),
            written: Written::default(),
        }
    }
}

impl Config {
    /// Reads the file (or, without one, the defaults), puts the environment's settings over it, and checks the whole.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors> {
        Self::read(path, environment)?.resolve()
    }

    /// Reads the file and the environment. Keys, types and units are checked; what they mean together is not.
    pub fn read(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let (document, problems) = match path.map(Node::read) {
            None => (Node::empty(), Vec::new()),
            Some(Ok(document)) => (document, Vec::new()),
            Some(Err(problems)) => (Node::empty(), problems),
        };
        // After a syntax error nothing is known of the rest of the file.
        ConfigErrors::check(problems)?;
        let folder = path.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        Self::from_document(document, environment, folder)
    }

    /// The configuration's JSON Schema.
    pub fn schema() -> serde_json::Value {
        shape::schema()
    }

    fn from_document(
        mut document: Node,
        environment: impl IntoIterator<Item = (String, String)>,
        folder: PathBuf,
    ) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let schema = shape::schema();
        let shape = Shape::of(&schema);
        environment::overlay(&mut document, shape, environment, &mut problems);
        let locations = document.locations();
        shape.prune(&mut document, &mut problems);
        let config = deserialize(document, &locations, &mut problems);
        problems.sort_by_key(|problem| problem.location.line());
        ConfigErrors::check(problems)?;
        let mut config = config.expect("what serde refuses is a problem");
        config.written = Written { folder, locations };
        Ok(config)
    }

    /// Every key with its value; a list is one value.
    fn values(&self) -> BTreeMap<String, serde_json::Value> {
        fn flatten(key: &str, value: serde_json::Value, into: &mut BTreeMap<String, serde_json::Value>) {
            match value {
                serde_json::Value::Object(entries) => {
                    for (name, value) in entries {
                        let key = if key.is_empty() { name } else { format!("{key}.{name}") };
                        flatten(&key, value, into);
                    }
                }
                serde_json::Value::Null => {}
                value => drop(into.insert(key.to_owned(), value)),
            }
        }
        let mut values = BTreeMap::new();
        flatten("", serde_json::to_value(self).unwrap_or_default(), &mut values);
        values
    }

    /// Where `key` is written, for what is found outside of the configuration.
    pub(crate) fn place_of(&self, key: &str) -> Location {
        self.location(key)
    }

    /// Where `key`, or the nearest table that it would be in, is written.
    fn location(&self, key: &str) -> Location {
        locate(&self.written.locations, key)
    }
}

/// Reads what is left of the document; values that are refused are taken out of it until the rest can be read, so that all of
/// them are found.
fn deserialize(
    mut document: Node,
    locations: &BTreeMap<String, Location>,
    problems: &mut Vec<Problem>,
) -> Option<Config> {
    /// More values than this are not wrong by accident.
    const MOST: usize = 50;
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize::<_, Config>(document.to_json()) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let key = error.path().to_string();
        let reason = error.into_inner().to_string();
        let known = problems.iter().any(|problem| problem.key == key || problem.key.starts_with(&format!("{key}.")));
        // What is missing has been found by its schema already, or follows from what was taken out.
        let follows = reason.starts_with("missing field") && !problems.is_empty();
        if !known && !follows {
            problems.push(Problem { location: locate(locations, &key), key: key.clone(), reason, advice: None });
        }
        document.remove(&key);
    }
    None
}

fn locate(locations: &BTreeMap<String, Location>, key: &str) -> Location {
    let mut key = key;
    loop {
        if let Some(location) = locations.get(key) {
            return location.clone();
        }
        match key.rfind(['.', '[']) {
            Some(end) => key = &key[..end],
            None => return locations.get("").cloned().unwrap_or_default(),
        }
    }
}
