//! Keys, types, units and sources.

use std::time::Duration;

use insta::assert_snapshot;
use usher_auth::carriers::Carrier;
use usher_auth::close_code::CloseCause;
use usher_auth::room::Presence;

use super::super::shape::Shape;
use super::*;

#[test]
fn every_mistake_is_found_at_once_with_its_line_and_what_was_meant() {
    let toml = r#"
[server]
listn = "127.0.0.1:8080"
trusted_proxies = "10.0.0.1"

[tokens]
access_ttl = 600
idle = "24h"
ticket_ttl = "half a minute"

[[routes]]
path = "/ws"
carrier = ["cookie"]
carriers = ["cookie", "headr"]
first_message = { timeout = "5s", max_byte = "8KiB" }
close_codes = { profile = "usher", forbiden = 4403, revoked = 99 }

[[routes]]
refuse = "never"
anonymous = "yes"

[room]
pattern = "board-*"

[limits]
waiting = { total = -1 }
message = "64KB"
"#;
    let errors = read(toml, &[]).expect_err("many mistakes").to_string();
    assert_snapshot!(errors, @r#"
    usher.toml:3: server.listn: unknown key; did you mean "listen"?
    usher.toml:4: server.trusted_proxies: expected a list, found a text
    usher.toml:7: tokens.access_ttl: 600 has no unit: write "600s" for seconds, or ms, m, h, d
    usher.toml:8: tokens.idle: unknown key here; did you mean sessions.idle?
    usher.toml:9: tokens.ticket_ttl: "half a minute" is not a duration: write a number and ms, s, m, h or d, such as "10m"
    usher.toml:13: routes[0].carrier: unknown key; did you mean "carriers"?
    usher.toml:14: routes[0].carriers[1]: "headr" is none of cookie, query, ticket, first_message, header, subprotocol, sockjs; did you mean "header"?
    usher.toml:15: routes[0].first_message.max_byte: unknown key; did you mean "max_bytes"?
    usher.toml:16: routes[0].close_codes.forbiden: unknown key; did you mean "forbidden"?
    usher.toml:16: routes[0].close_codes.revoked: 99 is out of range: write 1000 to 4999
    usher.toml:18: routes[1].path: is missing
    usher.toml:19: routes[1].refuse: "never" is none of auto, http, close
    usher.toml:20: routes[1].anonymous: expected true or false, found a text
    usher.toml:22: room: unknown key; did you mean "rooms"?
    usher.toml:26: limits.waiting.total: -1 is out of range: write at least 1
    usher.toml:27: limits.message: "64KB" is not a size: write a number and B, KiB, MiB or GiB, such as "64KiB"
    "#);
}

#[test]
fn a_table_where_a_list_of_tables_belongs() {
    assert_snapshot!(read("[routes]\npath = \"/ws\"", &[]).expect_err("a table").to_string(), @r#"
    usher.toml:1: routes: expected a list of tables, found a table
        write [[routes]] with two brackets, once for each
    "#);
}

#[test]
fn syntax_errors_have_their_line() {
    assert_snapshot!(read("[server]\nlisten = 127.0.0.1:8080\n", &[]).expect_err("not TOML").to_string(), @r#"
    usher.toml:2: not TOML: invalid float, expected nothing
        texts, addresses, durations and sizes are written in quotes
    "#);
    assert_snapshot!(read("[server]\nlisten = \"a\"\nlisten = \"b\"\n", &[]).expect_err("twice").to_string(), @"usher.toml:3: not TOML: duplicate key");
}

#[test]
fn sections_that_are_not_built_are_refused() {
    for section in ["[cluster]\nurl = \"redis://127.0.0.1\"", "[[gateway]]\npath = \"/chat\""] {
        let message = read(section, &[]).expect_err("not built").to_string();
        assert!(message.contains("not built yet in this version"), "{message}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let errors = Config::load(Some(Path::new("no-such-folder/usher.toml")), []).expect_err("no file").to_string();
    assert!(errors.starts_with("no-such-folder/usher.toml: cannot be read: "), "{errors}");
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let (config, warnings) = load("").expect("the defaults");
    assert_eq!(warnings, []);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.public_url.as_str(), "http://127.0.0.1:8080/");
    assert!(config.admin.is_none() && config.server.tls.is_none());
    assert_eq!(config.store.database, Path::new("usher.db"));
    assert_eq!(config.tokens.issuer, "http://127.0.0.1:8080");
    assert_eq!(config.tokens.audience, "usher");
    assert_eq!(config.tokens.access_ttl, Duration::from_mins(10));
    assert_eq!(config.tokens.refresh_ttl, Duration::from_hours(30 * 24));
    assert_eq!(config.tokens.ticket_ttl, Duration::from_secs(30));
    assert_eq!(config.tokens.key_file, Path::new("./usher-signing-key.pem"));
    assert_eq!(config.sessions.limits.idle, Duration::from_hours(24));
    assert_eq!(config.sessions.limits.absolute, Duration::from_hours(30 * 24));
    let [route] = &config.routes[..] else { panic!("one route") };
    assert_eq!(route.path, "/ws");
    let carriers: Vec<Carrier> = route.carriers.iter().collect();
    assert_eq!(carriers.len(), 5);
    assert!(!route.carriers.contains(Carrier::Query) && !route.anonymous);
    assert_eq!(
        route.origins.iter().map(usher_auth::origin::Origin::as_str).collect::<Vec<_>>(),
        ["http://127.0.0.1:8080"]
    );
    assert_eq!(route.first_message.timeout, Duration::from_secs(5));
    assert_eq!(route.first_message.max_bytes, 8192);
    assert_eq!(route.close_codes.code(CloseCause::Unauthorized), 4001);
    assert_eq!(route.cookie_name, "usher");
    assert!(!config.sessions.cookie.secure);
    assert_eq!(config.limits.waiting.total, 10_000);
    assert_eq!(config.limits.waiting.per_ip, 1_000);
    assert_eq!((config.limits.connections_per_user, config.limits.connections_per_session), (200, 100));
    assert_eq!(config.limits.message_bytes, 64 * 1024);
    assert_eq!(config.limits.messages.to_string(), "100/s burst 200");
    assert_eq!(config.limits.rooms_per_connection, 128);
    assert_eq!(config.limits.outbound_bytes, 1024 * 1024);
    assert_eq!(config.limits.failures.per_account.attempts, 10);
    assert_eq!(config.limits.failures.per_source.attempts, 60);
}

#[test]
fn what_is_written_is_what_comes_out() {
    let toml = r#"
[server]
public_url = "https://chat.example.com"
trusted_proxies = ["127.0.0.1"]

[sessions]
cookie = { same_site = "strict" }

[[routes]]
path = "/live"
carriers = ["cookie", "header"]
origins = ["https://app.example.com"]
max_age = "12h"
close_codes = { profile = "policy", forbidden = 4403 }

[[routes]]
path = "/iana"
close_codes = "iana"

[[rooms]]
pattern = "board-*"
join = ["any", "claim:team=blue"]
publish = ["role:user"]
presence = "count"

[[rooms]]
pattern = "talk"
publish = ["role:user"]
typing = []
"#;
    let (config, warnings) = load(toml).expect("a good configuration");
    assert_eq!(warnings, []);
    let live = &config.routes[0];
    assert_eq!(live.cookie_name, "__Host-usher");
    assert!(config.sessions.cookie.secure);
    assert_eq!(live.max_age, Some(Duration::from_hours(12)));
    assert_eq!(live.close_codes.code(CloseCause::Forbidden), 4403);
    assert_eq!(live.close_codes.code(CloseCause::Unauthorized), 1008);
    assert_eq!(config.routes[1].close_codes.code(CloseCause::Unauthorized), 3000);
    let origins: Vec<_> = config.api_origins.iter().map(usher_auth::origin::Origin::as_str).collect();
    assert_eq!(origins, ["https://chat.example.com", "https://app.example.com"]);
    assert_eq!(config.room_claims.iter().collect::<Vec<_>>(), ["team"]);
    assert_eq!(config.tokens.issuer, "https://chat.example.com");
    assert_eq!(read(toml, &[]).expect("good").rooms[0].presence, Presence::Count);
}

#[test]
fn the_environment_is_over_the_file() {
    let toml = "[server]\nlisten = \"127.0.0.1:1\"\n[limits]\nmessage = \"1KiB\"\n";
    let environment = [
        ("USHER_SERVER__LISTEN", "127.0.0.1:2"),
        ("USHER_SERVER__TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2"),
        ("USHER_SERVER__PLAINTEXT_BEHIND_PROXY", "true"),
        ("USHER_SESSIONS__COOKIE__SAME_SITE", "strict"),
        ("USHER_LIMITS__WAITING__TOTAL", "7"),
        ("USHER_ADMIN__LISTEN", "127.0.0.1:3"),
        ("USHER_LOG", "debug"),
        ("USHER_CONFIG", "usher.toml"),
        ("USHER_E2E_PORT", "1"),
        ("HOME", "/nowhere"),
        // What Kubernetes adds beside a service that is called usher.
        ("USHER_SERVICE_HOST", "10.96.0.1"),
        ("USHER_SERVICE_PORT_HTTP", "8080"),
        ("USHER_PORT", "tcp://10.96.0.1:8080"),
        ("USHER_PORT_8080_TCP_ADDR", "10.96.0.1"),
    ];
    let config = read(toml, &environment).expect("good");
    assert_eq!(config.server.listen, "127.0.0.1:2");
    assert_eq!(config.server.trusted_proxies, ["10.0.0.1", "10.0.0.2"]);
    assert!(config.server.plaintext_behind_proxy);
    assert_eq!(config.limits.waiting.total, 7);
    assert_eq!(config.limits.waiting.per_ip, 1_000);
    assert_eq!(config.limits.message.0, 1024);
    assert_eq!(config.admin.expect("set").listen, "127.0.0.1:3");
}

#[test]
fn mistakes_in_the_environment_are_found_too() {
    let environment = [
        ("USHER_SERVR__LISTEN", "127.0.0.1:2"),
        ("USHER_SERVER_LISTEN", "127.0.0.1:2"),
        ("USHER_ROUTES__0__PATH", "/ws"),
        ("USHER_SERVER__TLS", "cert.pem"),
        ("USHER_LIMITS__WAITING__TOTAL", "many"),
        ("USHER_TOKENS__ACCESS_TTL", "600"),
        ("USHER_SERVER__PLAINTEXT_BEHIND_PROXY", "yes"),
        ("USHER_XYZZY", "1"),
    ];
    assert_snapshot!(read("", &environment).expect_err("mistakes").to_string(), @r#"
    USHER_ROUTES__0__PATH: environment variables do not reach the tables of [[routes]]: write them in the file
    USHER_SERVER_LISTEN: sets nothing; did you mean USHER_SERVER__LISTEN?
    USHER_SERVER__TLS: is a table: set its keys one by one, as in USHER_SERVER__TLS__CERT
    USHER_SERVR__LISTEN: sets nothing; did you mean USHER_SERVER__LISTEN?
    USHER_XYZZY: sets nothing: a key of a section is set by USHER_SECTION__KEY, as in USHER_SERVER__LISTEN
    USHER_LIMITS__WAITING__TOTAL: limits.waiting.total: expected a whole number, found a text
    USHER_SERVER__PLAINTEXT_BEHIND_PROXY: server.plaintext_behind_proxy: expected true or false, found a text
    USHER_TOKENS__ACCESS_TTL: tokens.access_ttl: 600 has no unit: write "600s" for seconds, or ms, m, h, d
    "#);
}

#[test]
fn relative_paths_start_from_the_files_folder() {
    let folder = Folder::new();
    let path = folder.write("usher.toml", "[store]\nurl = \"sqlite://data.db\"\n");
    let (config, _) = Config::load(Some(&path), []).expect("good");
    assert_eq!(config.store.database, folder.path().join("data.db"));
    assert_eq!(config.store.control_socket(), folder.path().join("data.db.sock"));
    assert_eq!(config.tokens.key_file, folder.path().join("usher-signing-key.pem"));
    folder.write("usher.toml", "[store]\nurl = \"sqlite:///var/data.db\"\n");
    let (config, _) = Config::load(Some(&path), []).expect("good");
    assert_eq!(config.store.database, Path::new("/var/data.db"));
}

#[test]
fn anything_anywhere_is_answered() {
    // req O6: whatever stands in a place, the answer is a configuration or a list of problems with that key in it.
    let values = [
        "5",
        "-1",
        "1.5",
        "true",
        "\"\"",
        "\"x\"",
        "\"\u{202e}\"",
        "[]",
        "[5]",
        "[[\"x\"]]",
        "{}",
        "{ x = 1 }",
        "1979-05-27",
    ];
    let schema = Config::schema();
    let root = Shape::of(&schema);
    let mut places = Vec::new();
    for (section, shape) in root.entries() {
        let (header, shape) = match shape.items() {
            Some(item) => (format!("[[{section}]]"), item),
            None => (format!("[{section}]"), shape),
        };
        places.extend(shape.entries().into_iter().map(|(key, _)| (header.clone(), key)));
    }
    assert!(places.len() > 40, "{places:?}");
    for (header, key) in places {
        for value in values {
            if let Err(errors) = load(&format!("{header}\n{key} = {value}\n")) {
                assert!(errors.iter().count() > 0 && !errors.to_string().is_empty(), "{header} {key} = {value}");
            }
        }
    }
    for value in values {
        assert!(read(&format!("server = {value}\n"), &[]).is_err() || value == "{}", "{value}");
    }
}

#[test]
fn the_demo_is_a_good_configuration() {
    let folder = Folder::new();
    let listen = "127.0.0.1:8080".parse().expect("an address");
    let (config, warnings) = super::super::demo(folder.path(), listen).resolve().expect("good");
    let paths: Vec<_> = config.routes.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(paths, ["/ws", "/ws/ticket", "/ws/cookie", "/ws/url", "/ws/policy", "/ws/anonymous"]);
    // Only that one of its routes takes tokens in URLs.
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn the_header_that_names_the_client() {
    // req M5
    let server = "[server]\npublic_url = \"https://chat.example.com\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let peer = "127.0.0.1:1".parse().expect("an address");
    let mut headers = http::HeaderMap::new();
    for (name, address) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.2"),
        ("x-real-ip", "192.0.2.3"),
        ("cf-connecting-ip", "192.0.2.4"),
    ] {
        headers.insert(name, address.parse().expect("a value"));
    }
    for (setting, address) in [
        ("", "192.0.2.1"),
        ("client_address = \"x-forwarded-for\"", "192.0.2.1"),
        ("client_address = \"forwarded\"", "192.0.2.2"),
        ("client_address = \"x-real-ip\"", "192.0.2.3"),
        ("client_address = \"cf-connecting-ip\"", "192.0.2.4"),
    ] {
        let (config, warnings) = load(&format!("{server}{setting}")).expect("a good configuration");
        assert_eq!(config.server.trusted_proxies.client(peer, &headers).0.to_string(), address, "{setting}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    let (_, warnings) = load("[server]\nclient_address = \"x-real-ip\"").expect("a good configuration");
    assert!(warnings.iter().any(|warning| warning.to_string().contains("server.client_address: has no effect")));
    let refused = refusal(&format!("{server}client_address = \"x-real-up\""));
    assert!(refused.contains("did you mean \"x-real-ip\"?"), "{refused}");
}
