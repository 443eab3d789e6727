//! Settings for a test's server: as lenient as production's are by default, with a route for each scenario.

use std::sync::Arc;
use std::time::Duration;

use cookie::SameSite;
use usher_auth::carriers::{Carrier, CarrierSet};
use usher_auth::close_code::{CloseCodes, CloseProfile};
use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::origin::{AllowedOrigins, Origin};
use usher_auth::protocol::{SockJsDialect, UsherV1};
use usher_auth::room::{OnForbidden, Presence, Right, RoomPattern, RoomPolicy, RoomRule};
use usher_auth::route::{FirstMessageRules, ReauthRules, RefuseMode, RouteRules};
use usher_auth::session::SessionLimits;
use usher_auth::throttle::MessageRate;
use usher_axum::{
    ConnectionLimits, FailureLimits, LoginLimits, SockJsSettings, SockJsTransports, TrustedProxies, WaitingLimits,
};
use usher_rooms::RoomLimits;
use usher_server::cookies::CookieSettings;
use usher_server::server::ServerSettings;

use crate::mint::profile;

/// The page that may use its visitors' cookies.
pub(crate) const ORIGIN: &str = "http://app.test";

/// A route at `path` that takes `carriers`.
pub fn route(path: &str, carriers: &[Carrier]) -> RouteRules {
    RouteRules {
        path: path.to_owned(),
        carriers: carriers.iter().copied().collect::<CarrierSet>(),
        anonymous: false,
        origins: AllowedOrigins::new(vec![Origin::parse(ORIGIN).expect("an origin")]),
        cookie_name: "usher".to_owned(),
        max_age: None,
        reauth: ReauthRules { lead: Duration::ZERO, jitter: Duration::ZERO },
        heartbeat: None,
        first_message: FirstMessageRules::default(),
        refuse: RefuseMode::Auto,
        close_codes: CloseCodes::default(),
        max_message_bytes: 64 * 1024,
        protocol: Arc::new(UsherV1),
    }
}

/// A SockJS endpoint at `/sockjs` that takes every carrier it can.
pub fn sockjs(dialect: SockJsDialect) -> SockJsSettings {
    let carriers = [Carrier::Cookie, Carrier::Query, Carrier::Ticket, Carrier::Header, Carrier::Sockjs];
    SockJsSettings {
        rules: RouteRules { protocol: dialect.protocol(), ..route("/sockjs", &carriers) },
        dialect,
        transports: SockJsTransports::default(),
        heartbeat: Duration::from_secs(25),
        disconnect_delay: Duration::from_secs(5),
        response_bytes: 128 * 1024,
    }
}

/// The routes every test finds: `/ws` takes everything, and one for each carrier, profile and mode that a scenario asks for.
fn routes() -> Vec<RouteRules> {
    let mut routes = vec![route("/ws", &Carrier::ALL)];
    for carrier in Carrier::ALL {
        routes.push(route(&format!("/only/{carrier}"), &[carrier]));
    }
    routes.push(RouteRules { refuse: RefuseMode::Close, ..route("/cookie", &[Carrier::Cookie]) });
    routes.push(RouteRules { refuse: RefuseMode::Close, ..route("/close", &Carrier::ALL) });
    routes.push(RouteRules { refuse: RefuseMode::Http, ..route("/http", &Carrier::ALL) });
    routes.push(route("/url", &[Carrier::Query, Carrier::Cookie]));
    routes.push(route(
        "/default",
        &[Carrier::Cookie, Carrier::Ticket, Carrier::FirstMessage, Carrier::Header, Carrier::Subprotocol],
    ));
    let with_profile = |path, profile| RouteRules {
        refuse: RefuseMode::Close,
        close_codes: CloseCodes::from(profile),
        ..route(path, &Carrier::ALL)
    };
    routes.push(with_profile("/policy", CloseProfile::Policy));
    routes.push(with_profile("/iana", CloseProfile::Iana));
    routes.push(RouteRules { anonymous: true, ..route("/anonymous", &[Carrier::FirstMessage, Carrier::Cookie]) });
    let asking = ReauthRules { lead: Duration::from_mins(1), jitter: Duration::ZERO };
    routes.push(RouteRules { reauth: asking, ..route("/asking", &Carrier::ALL) });
    let beat = Some(Duration::from_millis(200));
    routes.push(RouteRules { heartbeat: beat, ..route("/beating", &[Carrier::Header]) });
    let hurried = FirstMessageRules { timeout: Duration::from_millis(200), ..FirstMessageRules::default() };
    routes.push(RouteRules { first_message: hurried, ..route("/hurried", &[Carrier::FirstMessage]) });
    routes
}

/// The rooms every test finds.
fn rooms() -> RoomPolicy {
    let rule = |pattern: &str, right: &str, on_forbidden| {
        let rights: Vec<Right> = vec![right.parse().expect("a right")];
        RoomRule {
            pattern: RoomPattern::parse(pattern).expect("a pattern"),
            join: rights.clone(),
            publish: rights.clone(),
            typing: rights,
            presence: Presence::Full,
            on_forbidden,
        }
    };
    let mut listen_only = rule("news-*", "role:user", OnForbidden::Error);
    listen_only.publish = vec!["role:editor".parse().expect("a right")];
    listen_only.typing = Vec::new();
    let mut open = rule("open-*", "any", OnForbidden::Error);
    open.join.push(Right::Anonymous);
    RoomPolicy::new(vec![
        rule("board-*", "role:user", OnForbidden::Error),
        rule("private-*", "user:user-alice", OnForbidden::Error),
        rule("strict-*", "role:nobody", OnForbidden::Close),
        listen_only,
        open,
    ])
}

/// The settings a test starts from.
pub fn settings() -> ServerSettings {
    ServerSettings {
        routes: routes(),
        rooms: rooms(),
        room_limits: RoomLimits::default(),
        cookies: CookieSettings { name: "usher".to_owned(), secure: false, same_site: SameSite::Lax },
        origins: AllowedOrigins::new(vec![Origin::parse(ORIGIN).expect("an origin")]),
        https: false,
        session_limits: SessionLimits { idle: Duration::from_hours(24), absolute: Duration::from_hours(30 * 24) },
        token_profile: profile(),
        access_ttl: Duration::from_mins(10),
        refresh_ttl: Duration::from_hours(30 * 24),
        ticket_ttl: Duration::from_secs(30),
        failures: FailureLimits::default(),
        logins: LoginLimits::default(),
        waiting: WaitingLimits::default(),
        anonymous: WaitingLimits::default(),
        connections: ConnectionLimits::default(),
        sessions_per_user: 100,
        lifetimes: CredentialLifetimes {
            access_token: Duration::from_mins(10),
            ticket: Duration::from_secs(30),
            issuer_token: Duration::from_hours(24),
            leeway: Duration::from_secs(30),
        },
        messages: MessageRate::default(),
        outbound_limit: 1024 * 1024,
        trusted_proxies: TrustedProxies::default(),
        boards_page: true,
        sockjs: Some(sockjs(SockJsDialect { lenient: true, octoprint: false })),
    }
}
