//! `[sockjs]`: the SockJS endpoint, what it asks of those who come, and whether OctoPrint's clients are among them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_auth::carriers::Carrier;
use usher_auth::protocol::SockJsDialect;
use usher_auth::route::{FirstMessageRules, RefuseMode, RouteRules};
use usher_axum::{SockJsSettings, SockJsTransports};

use super::close_codes::CloseCodeSetting;
use super::resolver::Resolver;
use super::routes::{FirstMessage, Reauth, Route, RouteContext, below, check_path};
use super::units::{ByteSize, TimeSpan};

/// Where it is unless told otherwise, and the only place where OctoPrint's clients look for it.
const PATH: &str = "/sockjs";
/// The wait for a first message where OctoPrint's clients may try three times.
const OCTOPRINT_TIMEOUT: TimeSpan = TimeSpan::seconds(30);
/// Longest silence: a poll is answered by the heartbeat at the latest, before the listener would end an exchange that takes 30 s.
const MAX_HEARTBEAT: TimeSpan = TimeSpan::seconds(25);
/// Longest life without a receiver: each such session holds its queues.
const MAX_DISCONNECT_DELAY: TimeSpan = TimeSpan::seconds(300);
/// Smallest response after which a client asks anew: below it there would be little but asking.
const MIN_RESPONSE: ByteSize = ByteSize(4 * 1024);
/// Largest: browsers keep all of a response until it ends.
const MAX_RESPONSE: ByteSize = ByteSize(16 * 1024 * 1024);

/// The SockJS endpoint: `/info`, and below `/{server}/{session}/` its transports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, and named")]
pub struct SockJs {
    /// Where it is. OctoPrint's clients look for it at /sockjs.
    pub path: String,
    /// The ways a credential may be presented here. "sockjs" is a message of the client, {"auth":"user:key"} or
    /// {"type":"auth","token":"…"}; "query" puts tokens into URLs, where logs and histories keep them.
    pub carriers: Vec<Carrier>,
    /// Whether those who present nothing are let in, as anonymous.
    pub anonymous: bool,
    /// Longest life of a connection, whatever the credential says. Absent, the credential alone decides.
    #[schemars(example = &"12h")]
    pub max_age: Option<TimeSpan>,
    /// When a client is told that its credential ends soon (`reauth_required`): that long before, and half of its life at most.
    pub reauth: Reauth,
    /// The pages whose visitors' cookies count, and whose scripts may read the answers, as their browsers send it in Origin.
    /// Absent, server.public_url's own; [] is none.
    #[schemars(extend("examples" = [["https://app.example.com"]]))]
    pub origins: Option<Vec<String>>,
    /// The wait for a message with a credential.
    pub first_message: SockJsFirstMessage,
    /// How a refusal is shown.
    pub refuse: RefuseMode,
    /// The codes it closes with: the name of a profile, or a table of a profile and single codes in its place, such as
    /// { profile = "usher", forbidden = 4403 }.
    pub close_codes: CloseCodeSetting,
    /// Whether a message without the array round it, the mistake that everybody makes once, is taken for what it means; the client
    /// is told how to write it. Otherwise it closes the connection with a reason that says so.
    pub lenient: bool,
    /// Clients of OctoPrint: they log in at /api/login, and hear on the socket what they would hear of OctoPrint.
    pub octoprint: OctoPrint,
    /// Whether the transport jsonp is on. Whoever can make a browser load a script can open and read a session with it, so it does not
    /// go with the cookie.
    pub jsonp: bool,
    /// Whether there is the page for clients on other origins that knew no CORS. Whoever embeds it speaks from our own origin, so it
    /// does not go with the cookie.
    pub iframe: bool,
    /// Whether the transport htmlfile is on, for browsers that knew nothing better.
    pub htmlfile: bool,
    /// How long a client hears nothing until it is sent a heartbeat; at most 25s.
    pub heartbeat: TimeSpan,
    /// How long a session lives without its client; at most 5m.
    pub disconnect_delay: TimeSpan,
    /// After so many bytes a streaming response ends, and the client asks for the next; 4KiB to 16MiB.
    pub response_limit: ByteSize,
}

/// The wait for a message with a credential, and how much of it may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SockJsFirstMessage {
    /// Until a credential is verified; nothing extends it. At most 60s. Absent, 5s, or with octoprint enabled 30s, in which its
    /// clients may try three times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
    /// Largest such message; 256B to 64KiB.
    pub max_bytes: ByteSize,
}

/// Clients of OctoPrint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OctoPrint {
    /// Whether its conventions hold here, and /api/login, /api/logout and /api/version are there.
    pub enabled: bool,
}

impl Default for SockJs {
    fn default() -> Self {
        Self {
            path: PATH.to_owned(),
            carriers: vec![Carrier::Cookie, Carrier::Ticket, Carrier::Header, Carrier::Sockjs],
            anonymous: false,
            max_age: None,
            reauth: Reauth::default(),
            origins: None,
            first_message: SockJsFirstMessage::default(),
            refuse: RefuseMode::default(),
            close_codes: CloseCodeSetting::default(),
            lenient: true,
            octoprint: OctoPrint::default(),
            jsonp: false,
            iframe: false,
            htmlfile: false,
            heartbeat: TimeSpan::seconds(25),
            disconnect_delay: TimeSpan::seconds(5),
            response_limit: ByteSize(128 * 1024),
        }
    }
}

impl Default for SockJsFirstMessage {
    fn default() -> Self {
        Self { timeout: None, max_bytes: ByteSize(FirstMessageRules::default().max_bytes) }
    }
}

impl SockJs {
    pub(super) fn resolve(
        &self,
        routes: &[Route],
        context: &RouteContext<'_>,
        resolver: &mut Resolver<'_>,
    ) -> SockJsSettings {
        self.check_path(routes, resolver);
        self.check_transports(resolver);
        let takes = [Carrier::Cookie, Carrier::Query, Carrier::Ticket, Carrier::Header, Carrier::Sockjs];
        for (index, carrier) in self.carriers.iter().enumerate().filter(|(_, carrier)| !takes.contains(carrier)) {
            let key = format!("sockjs.carriers[{index}]");
            let advice = match carrier {
                Carrier::FirstMessage => {
                    "write \"sockjs\": it also takes {\"type\":\"auth\",\"token\":\"…\"} as a message"
                }
                _ => "leave it out: a SockJS client offers no subprotocol",
            };
            resolver.problem(key, format!("\"{carrier}\" is for WebSocket routes"), advice);
        }
        if self.octoprint.enabled && !self.carriers.contains(&Carrier::Sockjs) {
            let message = "OctoPrint's clients present their key in a message, which \"sockjs\" would allow";
            resolver.warn("sockjs.carriers", message);
        }
        let span = |resolver: &mut Resolver<'_>, key: &str, span, most| resolver.span(key, span, Some(most));
        let heartbeat = span(resolver, "sockjs.heartbeat", self.heartbeat, MAX_HEARTBEAT);
        let disconnect_delay = span(resolver, "sockjs.disconnect_delay", self.disconnect_delay, MAX_DISCONNECT_DELAY);
        if !(MIN_RESPONSE..=MAX_RESPONSE).contains(&self.response_limit) {
            let advice = format!("write {MIN_RESPONSE} to {MAX_RESPONSE}");
            resolver.problem("sockjs.response_limit", format!("{} is out of range", self.response_limit), advice);
        }
        let rules = self.as_route().resolve("sockjs", context, resolver);
        let dialect = SockJsDialect { lenient: self.lenient, octoprint: self.octoprint.enabled };
        SockJsSettings {
            dialect,
            rules: RouteRules {
                // A SockJS client answers no ping; it is gone when it no longer asks.
                heartbeat: None,
                protocol: dialect.protocol(),
                ..rules
            },
            transports: SockJsTransports { jsonp: self.jsonp, iframe: self.iframe, htmlfile: self.htmlfile },
            heartbeat,
            disconnect_delay,
            response_bytes: self.response_limit.0,
        }
    }

    /// What it has in common with a route.
    fn as_route(&self) -> Route {
        let default = if self.octoprint.enabled { OCTOPRINT_TIMEOUT } else { FirstMessage::default().timeout };
        Route {
            path: self.path.clone(),
            carriers: self.carriers.clone(),
            anonymous: self.anonymous,
            max_age: self.max_age,
            reauth: self.reauth.clone(),
            origins: self.origins.clone(),
            first_message: FirstMessage {
                timeout: self.first_message.timeout.unwrap_or(default),
                max_bytes: self.first_message.max_bytes,
            },
            refuse: self.refuse,
            close_codes: self.close_codes.clone(),
        }
    }

    fn check_path(&self, routes: &[Route], resolver: &mut Resolver<'_>) {
        let refused = match self.path.as_str() {
            "/" => Err((
                "everything is below /, also what is not ours".to_owned(),
                "give it a path of its own, such as /sockjs",
            )),
            path => check_path(path, Some(PATH)),
        };
        if let Err((reason, advice)) = refused {
            resolver.problem("sockjs.path", reason, advice);
        }
        for (index, route) in routes.iter().enumerate().filter(|(_, route)| below(&route.path, &self.path)) {
            resolver.problem(
                format!("routes[{index}].path"),
                format!("{:?} is at or below sockjs.path ({:?})", route.path, self.path),
                "give one of them another path",
            );
        }
        if self.octoprint.enabled && self.path != PATH {
            resolver.warn("sockjs.path", format!("OctoPrint's clients look for {PATH} and not for {}", self.path));
        }
    }

    /// Transports by which another site's page could use what its visitor's browser sends along by itself.
    fn check_transports(&self, resolver: &mut Resolver<'_>) {
        if !self.carriers.contains(&Carrier::Cookie) {
            return;
        }
        let advice =
            "take \"cookie\" out of sockjs.carriers, or leave this off: browsers of this decade have better transports";
        if self.jsonp {
            resolver.problem(
                "sockjs.jsonp",
                "with the cookie, any page that loads a script from here could open and read its visitors' connections: no \
                 Origin stands between",
                advice,
            );
        }
        if self.iframe {
            resolver.problem(
                "sockjs.iframe",
                "with the cookie, any page that embeds this one would speak from our own Origin, and sockjs.origins would decide \
                 nothing",
                advice,
            );
        }
    }
}
