//! `[[routes]]`: the WebSocket routes, and what each asks of those who come.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use usher_auth::carriers::Carrier;
use usher_auth::origin::{AllowedOrigins, InvalidOrigin, Origin};
use usher_auth::protocol::UsherV1;
use usher_auth::route::{FirstMessageRules, ReauthRules, RefuseMode, RouteRules};

use super::close_codes::CloseCodeSetting;
use super::resolver::Resolver;
use super::server::ServerSettings;
use super::sessions::{SameSite, Sessions, cookie_name};
use super::units::{ByteSize, TimeSpan};

/// Longest wait for a first message. Each waiting socket is somebody unknown.
const MAX_FIRST_MESSAGE_TIMEOUT: TimeSpan = TimeSpan::seconds(60);
/// Largest first message: the largest credential and what is written round it, several times over.
const MAX_FIRST_MESSAGE_BYTES: ByteSize = ByteSize(64 * 1024);
/// Smallest: no token fits into less.
const MIN_FIRST_MESSAGE_BYTES: ByteSize = ByteSize(256);
/// Longest path of a route.
const MAX_PATH_BYTES: usize = 256;
/// Paths of the HTTP API, with everything below them.
const API_PATHS: [&str; 12] = [
    "/.well-known",
    "/admin",
    "/api",
    "/auth",
    "/console",
    "/gateway",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/readyz",
    "/sockjs",
    "/ws_ticket",
];

/// A WebSocket route, and what it asks of those who come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where it is.
    #[schemars(example = &"/ws")]
    pub path: String,
    /// The ways a credential may be presented here. One that is not listed is refused, with this setting's name. "query" puts
    /// tokens into URLs, where logs and histories keep them: listing it is to acknowledge that.
    #[serde(default = "default_carriers")]
    pub carriers: Vec<Carrier>,
    /// Whether those who present nothing are let in, as anonymous.
    #[serde(default)]
    pub anonymous: bool,
    /// Longest life of a connection, whatever the credential says. Absent, the credential alone decides.
    #[serde(default)]
    #[schemars(example = &"12h")]
    pub max_age: Option<TimeSpan>,
    /// When a client is told that its credential ends soon (`reauth_required`): that long before, and half of its life at most.
    #[serde(default)]
    pub reauth: Reauth,
    /// The pages whose visitors' cookies count, as their browsers send it in Origin. Absent, server.public_url's own; [] is none.
    #[serde(default)]
    #[schemars(extend("examples" = [["https://app.example.com"]]))]
    pub origins: Option<Vec<String>>,
    /// The wait for a first message.
    #[serde(default)]
    pub first_message: FirstMessage,
    /// How a refusal is shown.
    #[serde(default)]
    pub refuse: RefuseMode,
    /// The codes it closes with: the name of a profile, or a table of a profile and single codes in its place, such as
    /// { profile = "usher", forbidden = 4403 }.
    #[serde(default)]
    pub close_codes: CloseCodeSetting,
}

/// When a client is told that its credential ends soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reauth {
    /// How long before; 0s is never.
    pub lead: TimeSpan,
    /// Up to so much earlier, by connection, so that those who logged in together do not all come back at once.
    pub jitter: TimeSpan,
}

/// The wait for a first message, and how much of it may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FirstMessage {
    /// From the handshake to a verified credential; nothing extends it. At most 60s.
    pub timeout: TimeSpan,
    /// Largest first message; 256B to 64KiB.
    pub max_bytes: ByteSize,
}

impl Route {
    /// A route at `path` with every default.
    pub fn at(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            carriers: default_carriers(),
            anonymous: false,
            max_age: None,
            reauth: Reauth::default(),
            origins: None,
            first_message: FirstMessage::default(),
            refuse: RefuseMode::default(),
            close_codes: CloseCodeSetting::default(),
        }
    }
}

impl Default for Reauth {
    fn default() -> Self {
        let ReauthRules { lead, jitter } = ReauthRules::default();
        Self { lead: TimeSpan(lead), jitter: TimeSpan(jitter) }
    }
}

impl Default for FirstMessage {
    fn default() -> Self {
        let rules = FirstMessageRules::default();
        Self { timeout: TimeSpan(rules.timeout), max_bytes: ByteSize(rules.max_bytes) }
    }
}

/// Every carrier but the one that puts tokens into URLs.
fn default_carriers() -> Vec<Carrier> {
    vec![Carrier::Cookie, Carrier::Ticket, Carrier::FirstMessage, Carrier::Header, Carrier::Subprotocol]
}

/// What routes need to know of the other sections.
pub(super) struct RouteContext<'a> {
    pub(super) server: &'a ServerSettings,
    pub(super) sessions: &'a Sessions,
    pub(super) message: ByteSize,
    pub(super) heartbeat: TimeSpan,
}

/// Resolves all routes.
pub(super) fn resolve(routes: &[Route], context: &RouteContext<'_>, resolver: &mut Resolver<'_>) -> Vec<RouteRules> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut resolved = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        if let Some(first) = seen.insert(&route.path, index) {
            resolver.problem(
                format!("routes[{index}].path"),
                format!("{:?} is the path of routes[{first}] already", route.path),
                "give each route a path of its own",
            );
        }
        if let Err((reason, advice)) = check_path(&route.path, None) {
            resolver.problem(format!("routes[{index}].path"), reason, advice);
        }
        if let Some(item) = route.carriers.iter().position(|carrier| *carrier == Carrier::Sockjs) {
            resolver.problem(
                format!("routes[{index}].carriers[{item}]"),
                "\"sockjs\" is for the section [sockjs]",
                "write \"first_message\" for a credential in a WebSocket message",
            );
        }
        resolved.push(route.resolve(&format!("routes[{index}]"), context, resolver));
    }
    resolved
}

/// The pages that may call the HTTP API: our own, and those of every route and of the SockJS endpoint.
pub(super) fn api_origins<'a>(public_url: &Url, routes: impl Iterator<Item = &'a RouteRules>) -> AllowedOrigins {
    let mut origins = vec![Origin::of(public_url)];
    for origin in routes.flat_map(|route| route.origins.iter()) {
        if !origins.contains(origin) {
            origins.push(origin.clone());
        }
    }
    AllowedOrigins::new(origins)
}

impl Route {
    /// Resolves all but the path, which is the caller's to check; `table` is where it is written.
    pub(super) fn resolve(&self, table: &str, context: &RouteContext<'_>, resolver: &mut Resolver<'_>) -> RouteRules {
        let key = |name: &str| format!("{table}.{name}");
        if self.carriers.is_empty() && !self.anonymous {
            resolver.problem(
                key("carriers"),
                "is empty: nobody could come in",
                "list carriers, or set anonymous = true",
            );
        }
        if self.carriers.contains(&Carrier::Query) {
            resolver.warn(
                key("carriers"),
                format!("{} takes tokens in URLs; browsers, proxies and their logs may keep them", self.path),
            );
        }
        let origins = self.origins(&key("origins"), context, resolver);
        let timeout =
            resolver.span(&key("first_message.timeout"), self.first_message.timeout, Some(MAX_FIRST_MESSAGE_TIMEOUT));
        let max_bytes = self.first_message.max_bytes;
        if !(MIN_FIRST_MESSAGE_BYTES..=MAX_FIRST_MESSAGE_BYTES).contains(&max_bytes) {
            resolver.problem(
                key("first_message.max_bytes"),
                format!("{max_bytes} is out of range"),
                format!("write {MIN_FIRST_MESSAGE_BYTES} to {MAX_FIRST_MESSAGE_BYTES}"),
            );
        }
        RouteRules {
            path: self.path.clone(),
            carriers: self.carriers.iter().copied().collect(),
            anonymous: self.anonymous,
            origins,
            cookie_name: cookie_name(context.server.is_https()).to_owned(),
            max_age: self.max_age.map(|age| resolver.span(&key("max_age"), age, None)),
            reauth: ReauthRules { lead: self.reauth.lead.0, jitter: self.reauth.jitter.0 },
            heartbeat: Some(context.heartbeat.0),
            first_message: FirstMessageRules { timeout, max_bytes: max_bytes.0 },
            refuse: self.refuse,
            close_codes: self.close_codes.resolve(&key("close_codes"), resolver),
            max_message_bytes: context.message.0,
            protocol: Arc::new(UsherV1),
        }
    }

    fn origins(&self, key: &str, context: &RouteContext<'_>, resolver: &mut Resolver<'_>) -> AllowedOrigins {
        let takes_cookies = self.carriers.contains(&Carrier::Cookie);
        let Some(listed) = &self.origins else {
            if takes_cookies && context.sessions.cookie.same_site == SameSite::None {
                resolver.problem(
                    key,
                    "must be given: with sessions.cookie.same_site = \"none\" every site's pages bring the cookie, and this list \
                     alone says which of them count",
                    "list the origins of the pages that embed yours, or write same_site = \"lax\"",
                );
            }
            return AllowedOrigins::new(vec![Origin::of(&context.server.public_url)]);
        };
        if takes_cookies && listed.is_empty() {
            resolver.warn(key, "is empty: no page may use the cookie, so that carrier lets nobody in");
        }
        let mut origins = Vec::new();
        for (item, text) in listed.iter().enumerate() {
            match Origin::parse(text) {
                Ok(origin) => origins.push(origin),
                Err(error) => {
                    let advice =
                        matches!(error, InvalidOrigin::Malformed(_)).then_some("for example https://app.example.com");
                    resolver.problem(format!("{key}[{item}]"), error.to_string(), advice);
                }
            }
        }
        AllowedOrigins::new(origins)
    }
}

/// Whether a path is written in the one way in which requests will ask for it (req M6), and is nobody else's: of the HTTP API it may
/// be `own`.
pub(super) fn check_path(path: &str, own: Option<&str>) -> Result<(), (String, &'static str)> {
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~".contains(&b));
    let odd = path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..");
    if !path.starts_with('/') || !plain || odd || path.len() > MAX_PATH_BYTES || (path.len() > 1 && path.ends_with('/'))
    {
        let advice = "begin with /, end without one, and use letters, digits and -._~ only, such as /ws or /chat/live";
        return Err((format!("{path:?} is not a plain path"), advice));
    }
    match API_PATHS.into_iter().find(|parent| below(path, parent) && own != Some(parent)) {
        Some(parent) => {
            Err((format!("{path:?} belongs to the HTTP API, which has {parent}"), "choose another path, such as /ws"))
        }
        None => Ok(()),
    }
}

/// Whether `path` is `parent` or below it.
pub(super) fn below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
