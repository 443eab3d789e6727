//! `[sockjs]`: what it becomes, and what would be unsafe in it.

use std::time::Duration;

use insta::assert_snapshot;
use usher_auth::carriers::Carrier;
use usher_auth::origin::RequestOrigin;
use usher_auth::protocol::SockJsDialect;
use usher_axum::{SockJsSettings, SockJsTransports};

use super::*;

fn section(toml: &str) -> SockJsSettings {
    let (config, warnings) = load(&format!("[sockjs]\n{toml}")).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(warnings, [], "{toml}");
    config.sockjs.expect("the section is there")
}

fn warned(toml: &str) -> String {
    let (_, warnings) = load(toml).unwrap_or_else(|errors| panic!("{errors}"));
    warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

#[test]
fn absent_it_is_off_and_present_it_has_its_defaults() {
    assert!(load("").expect("the defaults").0.sockjs.is_none());
    let SockJsSettings { rules, dialect, transports, heartbeat, disconnect_delay, response_bytes } = section("");
    assert_eq!(rules.path, "/sockjs");
    let carriers: Vec<Carrier> = rules.carriers.iter().collect();
    assert_eq!(carriers, [Carrier::Cookie, Carrier::Ticket, Carrier::Header, Carrier::Sockjs]);
    assert_eq!(dialect, SockJsDialect { lenient: true, octoprint: false });
    assert_eq!(rules.protocol.name(), "usher.v1 over SockJS");
    assert_eq!(transports, SockJsTransports::default());
    assert_eq!((heartbeat, disconnect_delay), (Duration::from_secs(25), Duration::from_secs(5)));
    assert_eq!((response_bytes, rules.max_message_bytes), (128 * 1024, 64 * 1024));
    assert_eq!(rules.first_message.timeout, Duration::from_secs(5));
    assert_eq!(rules.heartbeat, None);
}

#[test]
fn octoprints_clients_get_time_for_three_attempts() {
    let enabled = "octoprint = { enabled = true }\n";
    let rules = section(enabled).rules;
    assert_eq!(rules.protocol.name(), "OctoPrint over SockJS");
    assert_eq!(rules.first_message.timeout, Duration::from_secs(30));
    let hurried = section(&format!("{enabled}first_message = {{ timeout = \"7s\" }}")).rules;
    assert_eq!(hurried.first_message.timeout, Duration::from_secs(7));
    let refused = refusal(&format!("[sockjs]\n{enabled}first_message = {{ timeout = \"61s\" }}"));
    assert!(refused.contains("sockjs.first_message.timeout: 61s is too long"), "{refused}");
}

#[test]
fn every_key_is_taken_also_from_the_environment() {
    let toml = "path = \"/chat/sockjs\"\ncarriers = [\"header\", \"sockjs\"]\nanonymous = true\nmax_age = \"12h\"\n\
                origins = [\"https://app.example.com\"]\nlenient = false\njsonp = true\niframe = true\nhtmlfile = true\n\
                heartbeat = \"10s\"\ndisconnect_delay = \"1s\"\nresponse_limit = \"4KiB\"\nrefuse = \"close\"\n\
                close_codes = \"iana\"\nreauth = { lead = \"0s\", jitter = \"0s\" }\n";
    let settings = section(toml);
    assert_eq!(settings.transports, SockJsTransports { jsonp: true, iframe: true, htmlfile: true });
    assert_eq!((settings.heartbeat, settings.response_bytes), (Duration::from_secs(10), 4096));
    assert!(settings.rules.anonymous && settings.rules.max_age == Some(Duration::from_hours(12)));
    // The pages of the endpoint may call the HTTP API, too: they log in there.
    let (config, _) = load(&format!("[sockjs]\n{toml}")).expect("as above");
    assert!(config.api_origins.allow(RequestOrigin::One("https://app.example.com")));
    let environment = [("USHER_SOCKJS__OCTOPRINT__ENABLED", "true"), ("USHER_SOCKJS__HEARTBEAT", "7s")];
    let (config, _) = read("", &environment).expect("the section alone").resolve().expect("safe");
    let settings = config.sockjs.expect("the environment makes it");
    assert!(settings.dialect.octoprint && settings.heartbeat == Duration::from_secs(7));
}

#[test]
fn transports_that_would_give_the_cookie_to_any_page() {
    // req O5, B1
    assert_snapshot!(refusal("[sockjs]\njsonp = true\niframe = true"), @r#"
    usher.toml:2: sockjs.jsonp: with the cookie, any page that loads a script from here could open and read its visitors' connections: no Origin stands between
        take "cookie" out of sockjs.carriers, or leave this off: browsers of this decade have better transports
    usher.toml:3: sockjs.iframe: with the cookie, any page that embeds this one would speak from our own Origin, and sockjs.origins would decide nothing
        take "cookie" out of sockjs.carriers, or leave this off: browsers of this decade have better transports
    "#);
    let section = section("carriers = [\"header\", \"sockjs\"]\njsonp = true\niframe = true");
    assert!(section.transports.jsonp && section.transports.iframe, "without the cookie they give nothing away");
    // A page that is not ours does not get at what htmlfile says: its answers need an allowed page.
    load("[sockjs]\nhtmlfile = true").expect("htmlfile and the cookie");
}

#[test]
fn same_site_none_needs_origins_here_too() {
    // req O5, J3
    let https = "[server]\npublic_url = \"https://chat.example.com\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let none = "[sessions]\ncookie = { same_site = \"none\" }\n";
    let routes = "[[routes]]\npath = \"/ws\"\norigins = [\"https://app.example.com\"]\n";
    let message = refusal(&format!("{https}{none}{routes}[sockjs]"));
    assert!(message.contains("sockjs.origins: must be given"), "{message}");
    load(&format!("{https}{none}{routes}[sockjs]\norigins = []")).expect("listed");
    let message = refusal("[sockjs]\norigins = [\"*\"]");
    assert!(message.contains("usher.toml:2: sockjs.origins[0]: a wildcard"), "{message}");
}

#[test]
fn carriers_that_have_no_place() {
    assert_snapshot!(refusal("[sockjs]\ncarriers = [\"cookie\", \"first_message\", \"subprotocol\"]"), @r#"
    usher.toml:2: sockjs.carriers[1]: "first_message" is for WebSocket routes
        write "sockjs": it also takes {"type":"auth","token":"…"} as a message
    usher.toml:2: sockjs.carriers[2]: "subprotocol" is for WebSocket routes
        leave it out: a SockJS client offers no subprotocol
    "#);
    assert_snapshot!(refusal("[[routes]]\npath = \"/ws\"\ncarriers = [\"header\", \"sockjs\"]"), @r#"
    usher.toml:3: routes[0].carriers[1]: "sockjs" is for the section [sockjs]
        write "first_message" for a credential in a WebSocket message
    "#);
    assert!(refusal("[sockjs]\ncarriers = []").contains("nobody could come in"));
    assert_snapshot!(warned("[sockjs]\ncarriers = [\"cookie\", \"query\"]\noctoprint = { enabled = true }"), @r#"
    usher.toml:2: sockjs.carriers: OctoPrint's clients present their key in a message, which "sockjs" would allow
    usher.toml:2: sockjs.carriers: /sockjs takes tokens in URLs; browsers, proxies and their logs may keep them
    "#);
}

#[test]
fn paths_that_are_taken() {
    // req M6
    assert_snapshot!(refusal("[[routes]]\npath = \"/live\"\n[[routes]]\npath = \"/live/ws\"\n[sockjs]\npath = \"/live\""), @r#"
    usher.toml:2: routes[0].path: "/live" is at or below sockjs.path ("/live")
        give one of them another path
    usher.toml:4: routes[1].path: "/live/ws" is at or below sockjs.path ("/live")
        give one of them another path
    "#);
    for (path, why) in [
        ("/", "everything is below"),
        ("/auth/sockjs", "belongs to the HTTP API"),
        ("/api", "belongs to the HTTP API"),
        ("/sockjs/", "plain path"),
        ("sockjs", "plain path"),
        ("/{path}", "plain path"),
        ("/sockjs//x", "plain path"),
        ("", "plain path"),
    ] {
        assert!(refusal(&format!("[sockjs]\npath = \"{path}\"")).contains(why), "{path}");
    }
    for good in ["/sockjs", "/sockjs/v1", "/live"] {
        load(&format!("[sockjs]\npath = \"{good}\"")).unwrap_or_else(|errors| panic!("{good}: {errors}"));
    }
    // What is above it, and what only begins alike, is another place.
    load("[[routes]]\npath = \"/live\"\n[[routes]]\npath = \"/live/sock\"\n[sockjs]\npath = \"/live/sockjs\"")
        .expect("apart");
    assert_snapshot!(warned("[sockjs]\npath = \"/live\"\noctoprint = { enabled = true }"), @"usher.toml:2: sockjs.path: OctoPrint's clients look for /sockjs and not for /live");
}

#[test]
fn times_and_sizes_that_cannot_be() {
    for (toml, why) in [
        ("heartbeat = \"0s\"", "0 would end everything"),
        ("heartbeat = \"1h\"", "at most 25s"),
        ("disconnect_delay = \"0s\"", "0 would end everything"),
        ("disconnect_delay = \"10m\"", "at most 5m"),
        ("response_limit = \"1KiB\"", "write 4KiB to 16MiB"),
        ("response_limit = \"17MiB\"", "write 4KiB to 16MiB"),
        ("first_message = { max_bytes = \"1B\" }", "write 256B to 64KiB"),
        ("heartbeat = 25", "has no unit"),
        ("octoprint = true", "expected"),
        ("octoprint = { enable = true }", "did you mean \"enabled\"?"),
        ("jsnop = true", "did you mean \"jsonp\"?"),
    ] {
        let message = refusal(&format!("[sockjs]\n{toml}"));
        assert!(message.contains(why), "{toml}: {message}");
    }
}
