//! Combinations that would be unsafe: each is refused, with its reason and what to do (req O5).

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::*;

const IDP: &str = "name = \"idp\"\nissuer = \"https://idp.example\"\naudience = \"chat\"\n";

#[test]
fn plain_http_on_an_address_that_others_can_reach() {
    // req O5, A1
    assert_snapshot!(refusal("[server]\nlisten = \"0.0.0.0:8080\"\npublic_url = \"https://chat.example.com\""), @r#"
    usher.toml:2: server.listen: 0.0.0.0:8080 can be reached from other machines, and without TLS every credential would cross the network in clear
        set server.tls, or listen on 127.0.0.1; if a proxy on another machine does the TLS, list it in server.trusted_proxies and set server.plaintext_behind_proxy = true
    "#);
}

#[test]
fn a_proxy_that_does_the_tls_and_is_not_named() {
    // req O5, A1
    let toml =
        "[server]\nlisten = \"0.0.0.0:8080\"\npublic_url = \"https://chat.example.com\"\nplaintext_behind_proxy = true";
    assert_snapshot!(refusal(toml), @r#"
    usher.toml:4: server.plaintext_behind_proxy: says that a proxy does the TLS, but server.trusted_proxies lists none
        list the proxy's address in server.trusted_proxies
    "#);
    let named = format!("{toml}\ntrusted_proxies = [\"10.0.0.2\"]");
    load(&named).expect("a named proxy does the TLS");
}

#[test]
fn a_public_url_in_clear() {
    // req O5, A1
    assert_snapshot!(refusal("[server]\npublic_url = \"http://chat.example.com\""), @r#"
    usher.toml:2: server.public_url: by http://chat.example.com every credential would cross the network in clear
        write https://; the TLS may be our own (server.tls) or a proxy's
    "#);
}

#[test]
fn no_public_url_on_an_address_that_others_can_reach() {
    // req O5, B3
    let toml = "[server]\nlisten = \"[::]:8080\"\nplaintext_behind_proxy = true\ntrusted_proxies = [\"10.0.0.2\"]";
    assert_snapshot!(refusal(toml), @r#"
    usher.toml:1: server.public_url: must be given, because server.listen can be reached from other machines
        write the URL that clients use, such as https://chat.example.com: origins, cookies and tokens are tied to it
    "#);
}

#[test]
fn proxies_that_are_everybody() {
    // req O5, M5, CVE-2026-76835
    assert_snapshot!(refusal("[server]\ntrusted_proxies = [\"0.0.0.0/0\"]"), @r#"
    usher.toml:2: server.trusted_proxies: trusts everybody (0.0.0.0/0): any client could claim any address and slip past every limit
        list the addresses of your proxies and nothing else
    "#);
    for everybody in ["\"::/0\"", "\"10.0.0.1\", \"::/0\"", "\"0.0.0.0/1\", \"128.0.0.0/1\"", "\"10.1.2.3/0\""] {
        let message = refusal(&format!("[server]\ntrusted_proxies = [{everybody}]"));
        assert!(message.contains("trusts everybody"), "{everybody}: {message}");
    }
}

#[test]
fn wildcard_origins() {
    // req O5, B1
    assert_snapshot!(refusal("[[routes]]\npath = \"/ws\"\norigins = [\"*\"]"), @"usher.toml:3: routes[0].origins[0]: a wildcard origin would let every page use its visitors' cookies: list the origins one by one");
    for wildcard in ["https://*.example.com", "https://*", "*.example.com"] {
        let message = refusal(&format!("[[routes]]\npath = \"/ws\"\norigins = [\"{wildcard}\"]"));
        assert!(message.contains("wildcard"), "{wildcard}: {message}");
    }
    for wrong in ["null", "https://app.example.com/", "https://App.example.com", "app.example.com"] {
        assert!(
            refusal(&format!("[[routes]]\npath = \"/ws\"\norigins = [\"{wrong}\"]")).contains("routes[0].origins[0]"),
            "{wrong}"
        );
    }
}

#[test]
fn same_site_none_without_listed_origins_or_https() {
    // req O5, J3
    let none = "[sessions]\ncookie = { same_site = \"none\" }\n";
    let https = "[server]\npublic_url = \"https://chat.example.com\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    assert_snapshot!(refusal(&format!("{https}{none}[[routes]]\npath = \"/ws\"")), @r#"
    usher.toml:6: routes[0].origins: must be given: with sessions.cookie.same_site = "none" every site's pages bring the cookie, and this list alone says which of them count
        list the origins of the pages that embed yours, or write same_site = "lax"
    "#);
    let listed = "[[routes]]\npath = \"/ws\"\norigins = [\"https://app.example.com\"]";
    assert_snapshot!(refusal(&format!("{none}{listed}").replace("https://app", "http://app")), @r#"
    usher.toml:2: sessions.cookie.same_site: browsers drop a cookie with SameSite=None that is not Secure, and over plain HTTP it cannot be
        serve HTTPS (server.public_url = "https://…"), or write "lax"
    "#);
    load(&format!("{https}{none}{listed}")).expect("listed origins over https");
    let no_cookie = "[[routes]]\npath = \"/ws\"\ncarriers = [\"header\"]";
    load(&format!("{https}{none}{no_cookie}")).expect("a route without cookies");
}

#[test]
fn tokens_without_iat() {
    // req F8, G8: refused by default; an operator who takes them is told what that means.
    let toml = format!("[[issuers]]\n{IDP}jwks_url = \"https://idp.example/jwks\"\n");
    let (config, warnings) = load(&toml).expect("a good configuration");
    assert!(!config.issuers[0].rules.accepts_without_iat);
    assert!(warnings.iter().all(|warning| !warning.to_string().contains("iat")), "{warnings:?}");
    let (config, warnings) = load(&format!("{toml}tokens_without_iat = true")).expect("a good configuration");
    assert!(config.issuers[0].rules.accepts_without_iat);
    let warned = warnings
        .iter()
        .any(|warning| warning.to_string().contains("issuers[0].tokens_without_iat: tokens without iat are taken"));
    assert!(warned, "{warnings:?}");
}

#[test]
fn the_algorithm_none() {
    // req O5, F2
    let toml = format!("[[issuers]]\n{IDP}jwks_url = \"https://idp.example/jwks\"\nalgorithms = [\"none\"]");
    assert_snapshot!(refusal(&toml), @"usher.toml:6: issuers[0].algorithms[0]: the algorithm `none` means no signature: it can neither be configured nor accepted");
    for spelling in ["None", "NONE", "nOnE"] {
        assert!(refusal(&toml.replace("none", spelling)).contains("no signature"), "{spelling}");
    }
    assert!(refusal(&toml.replace("none", "ES265")).contains("did you mean \"ES256\"?"));
}

#[test]
fn shared_secrets_and_public_keys_in_one_issuer() {
    // req O5, F3
    let toml =
        format!("[[issuers]]\n{IDP}jwks_url = \"https://idp.example/jwks\"\nalgorithms = [\"HS256\", \"RS256\"]");
    assert_snapshot!(refusal(&toml), @r#"
    usher.toml:6: issuers[0].algorithms: mixes HS… with algorithms of public keys: a public key could be taken for a shared secret, and anybody has that
        list either HS… or the others; an issuer that uses both needs two names
    "#);
    let toml = format!("[[issuers]]\n{IDP}jwks_url = \"https://idp.example/jwks\"\nalgorithms = [\"HS256\"]");
    assert_snapshot!(refusal(&toml), @r#"
    usher.toml:5: issuers[0].jwks_url: does not go with algorithms = [HS256]
        HS… need hmac_secret_file or jwks_file
    "#);
    let toml = format!("[[issuers]]\n{IDP}hmac_secret_file = \"secret\"");
    assert_snapshot!(refusal(&toml), @r#"
    usher.toml:5: issuers[0].hmac_secret_file: does not go with algorithms = [ES256]
        a shared secret needs algorithms = ["HS256"]
    "#);
}

#[test]
fn weak_shared_secrets() {
    // req O5, F13
    let folder = Folder::new();
    let refused = |secret: &str| {
        folder.write("secret", secret);
        let toml = format!("[[issuers]]\n{IDP}algorithms = [\"HS256\"]\nhmac_secret_file = \"secret\"");
        let config = read_in(folder.path(), &toml, &[]).expect("well-formed");
        config.resolve().err().map(|errors| errors.to_string())
    };
    assert_snapshot!(refused("secret").expect("too short"), @"usher.toml:6: issuers[0].hmac_secret_file: a secret for HS256 must have at least 32 bytes");
    assert_snapshot!(refused("a-string-secret-at-least-256-bits-long\n").expect("published"), @"usher.toml:6: issuers[0].hmac_secret_file: the secret is well known or made of well-known words: make one with `openssl rand -base64 48`");
    assert_snapshot!(refused(&"ab".repeat(20)).expect("a pattern"), @"usher.toml:6: issuers[0].hmac_secret_file: the secret is a pattern, not random: make one with `openssl rand -base64 48`");
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
    assert!(refused(pem).expect("a public key").contains("public key"));
    // The line break that an editor adds does not make a secret long enough.
    assert!(refused("Zk3vQ9xLr7TnW2pYc8HbM5sJd4GfK1a\n").is_some_and(|message| message.contains("32 bytes")));
    assert_eq!(refused("Zk3vQ9xLr7TnW2pYc8HbM5sJd4GfK1aE\n"), None);
}

#[test]
fn keys_fetched_in_clear() {
    // req O5, G1
    let toml = |key: &str, url: &str| format!("[[issuers]]\n{IDP}{key} = \"{url}\"");
    assert_snapshot!(refusal(&toml("jwks_url", "http://idp.example/jwks")), @r#"
    usher.toml:5: issuers[0].jwks_url: is not https: whoever stands between could give us keys of their own, and be anybody
        write https://; plain http is for this machine alone
    "#);
    assert!(refusal(&toml("oidc_url", "http://idp.example")).contains("is not https"));
    assert!(refusal(&toml("jwks_url", "https://me:hunter2@idp.example/jwks")).contains("would end up in logs"));
    assert!(!refusal(&toml("jwks_url", "https://me:hunter2@idp.example/jwks")).contains("hunter2"));
    load(&toml("jwks_url", "http://127.0.0.1:9/jwks")).expect("a sidecar");
    load(&toml("oidc_url", "https://idp.example")).expect("https");
}

#[test]
fn issuers_that_could_speak_for_each_other() {
    // req O5, F9, F15
    let key = "jwks_url = \"https://idp.example/jwks\"\n";
    let two = |second: &str| format!("[[issuers]]\n{IDP}{key}[[issuers]]\n{second}audience = \"chat\"\n{key}");
    assert_snapshot!(refusal(&two("name = \"idp\"\nissuer = \"https://other.example\"\n")), @r#"
    usher.toml:7: issuers[1].name: "idp" is the name of issuers[0] already: one could speak for the other's users
        give each issuer a name of its own
    "#);
    assert_snapshot!(refusal(&two("name = \"other\"\nissuer = \"https://idp.example\"\n")), @r#"
    usher.toml:8: issuers[1].issuer: "https://idp.example" is the issuer of issuers[0] already: which of the two a token is from could not be told
        list each issuer once; one key set can hold all of its keys
    "#);
    assert_snapshot!(refusal(&two("name = \"us\"\nissuer = \"http://127.0.0.1:8080\"\n")), @r#"
    usher.toml:8: issuers[1].issuer: "http://127.0.0.1:8080" is our own issuer (tokens.issuer): a key from elsewhere could sign in our name
        our own tokens need no entry; remove it
    "#);
    for (name, reason) in [("a:b", "':'"), ("anonymous", "visitors without a credential"), ("a b", "spaces")] {
        let message = refusal(&two(&format!("name = \"{name}\"\nissuer = \"https://other.example\"\n")));
        assert!(message.contains(reason), "{name}: {message}");
    }
    let shared = two("name = \"other\"\nissuer = \"https://other.example\"\nsubject = \"idp:{sub}\"\n");
    assert_snapshot!(refusal(&shared), @r#"
    usher.toml:9: issuers[1].subject: the issuers other and idp would share user ids: their `subject` must differ before the first colon
        the default, "{name}:{sub}", keeps each issuer's users apart
    "#);
    for subject in ["{email}", "x", "anonymous:{sub}"] {
        let toml = format!("[[issuers]]\n{IDP}{key}subject = \"{subject}\"");
        assert!(refusal(&toml).contains("issuers[0].subject"), "{subject}");
    }
}

#[test]
fn an_issuer_without_its_keys_or_with_too_many() {
    // req O5, F9
    assert_snapshot!(refusal(&format!("[[issuers]]\n{IDP}")), @r#"
    usher.toml:1: issuers[0]: does not say where the issuer's keys are
        give exactly one of oidc_url, jwks_url, jwks_file, public_key_file, hmac_secret_file
    "#);
    let both = format!("[[issuers]]\n{IDP}jwks_url = \"https://idp.example/jwks\"\njwks_file = \"jwks.json\"");
    assert!(refusal(&both).contains("in 2 places"));
    let empty = "[[issuers]]\nname = \"idp\"\nissuer = \"https://idp.example\"\naudience = \"\"\njwks_url = \"https://idp.example/jwks\"";
    assert!(refusal(empty).contains("tokens for others would be taken"), "req F10");
}

#[test]
fn lives_that_are_too_long() {
    // req O5, D4, F8
    assert_snapshot!(refusal("[tokens]\nticket_ttl = \"5m\"\nleeway = \"10m\"\naccess_ttl = \"30d\""), @r#"
    usher.toml:2: tokens.ticket_ttl: 5m is too long: a ticket travels in a URL, and must be worthless before a log is read
        write at most 60s; a client buys a ticket right before it connects
    usher.toml:3: tokens.leeway: 10m is too long: every token would live on for that time after its end
        write at most 60s, and set the machines' clocks by NTP
    usher.toml:4: tokens.access_ttl: 30d is too long
        write at most 24h
    "#);
    assert!(
        refusal("[[routes]]\npath = \"/ws\"\nfirst_message = { timeout = \"1h\" }").contains("at most 1m"),
        "req E1"
    );
    assert!(refusal("[sessions]\nidle = \"60d\"").contains("sessions.idle"));
    for zero in [
        "[tokens]\naccess_ttl = \"0s\"",
        "[sessions]\nidle = \"0s\"",
        "[tokens]\nticket_ttl = \"0s\"",
        "[limits]\nwaiting = { total = 0 }",
    ] {
        assert!(load(zero).is_err(), "{zero}");
    }
}

#[test]
fn paths_that_are_taken_or_could_be_written_in_two_ways() {
    // req O5, M6
    assert_snapshot!(refusal("[[routes]]\npath = \"/ws\"\n[[routes]]\npath = \"/auth/live\"\n[[routes]]\npath = \"/ws\""), @r#"
    usher.toml:4: routes[1].path: "/auth/live" belongs to the HTTP API, which has /auth
        choose another path, such as /ws
    usher.toml:6: routes[2].path: "/ws" is the path of routes[0] already
        give each route a path of its own
    "#);
    for taken in [
        "/auth",
        "/ws_ticket",
        "/healthz",
        "/readyz",
        "/metrics",
        "/.well-known/x",
        "/openapi.json",
        "/api",
        "/admin/v1",
    ] {
        assert!(refusal(&format!("[[routes]]\npath = \"{taken}\"")).contains("belongs to the HTTP API"), "{taken}");
    }
    for odd in ["ws", "", "/ws/", "//ws", "/a/../ws", "/w%73", "/ws?x", "/{id}", "/ws*", "/w s", "/wö"] {
        assert!(refusal(&format!("[[routes]]\npath = \"{odd}\"")).contains("plain path"), "{odd}");
    }
    for good in ["/", "/ws", "/authors", "/ws/ticket", "/a-b.c_d~e"] {
        load(&format!("[[routes]]\npath = \"{good}\"")).unwrap_or_else(|errors| panic!("{good}: {errors}"));
    }
}

#[test]
fn operators_among_clients() {
    // req O5, O4
    assert_snapshot!(refusal("[admin]\nlisten = \"127.0.0.1:8080\""), @r#"
    usher.toml:2: admin.listen: 127.0.0.1:8080 is where clients come in (server.listen = 127.0.0.1:8080): operators need a door of their own
        choose another port
    "#);
    assert_snapshot!(refusal("[admin]\nlisten = \"0.0.0.0:9090\""), @r#"
    usher.toml:2: admin.listen: 0.0.0.0:9090 can be reached from other machines, and without TLS an operator's credentials would cross the network in clear
        listen on 127.0.0.1, or set server.tls
    "#);
    let (config, warnings) = load("[admin]").expect("the default is loopback");
    assert_eq!(warnings, []);
    assert_eq!(config.admin.expect("it is there").listen.to_string(), "127.0.0.1:9090");
}

#[test]
fn tls_files_that_cannot_be_used() {
    // req A1
    let folder = Folder::new();
    folder.write("cert.pem", "nothing");
    folder.write("key.pem", "nothing");
    let toml = "[server]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }";
    let message = read_in(folder.path(), toml, &[]).expect("well-formed").resolve().expect_err("no PEM").to_string();
    assert!(message.contains("there is no certificate in"), "{message}");
}

#[test]
fn what_is_allowed_and_should_be_known() {
    // req C2, O5: listing the carrier is the acknowledgement, and start-up says what it means.
    let (_, warnings) = load("[[routes]]\npath = \"/ws\"\ncarriers = [\"query\"]").expect("acknowledged");
    let mut text = String::new();
    for warning in &warnings {
        let _ = writeln!(text, "{warning}");
    }
    assert_snapshot!(text, @"usher.toml:3: routes[0].carriers: /ws takes tokens in URLs; browsers, proxies and their logs may keep them");
    let (_, warnings) = load("[[routes]]\npath = \"/ws\"\norigins = []").expect("none is a list");
    assert_eq!(warnings.len(), 1);
    let (_, warnings) = load("[server]\npublic_url = \"https://chat.example.com\"").expect("a proxy on this machine");
    assert_eq!(warnings.len(), 1);
}

#[test]
fn limits_that_contradict_each_other() {
    let message = refusal("[limits]\nmessage = \"2MiB\"\nfailures = { per_account = \"10/min burst 20\" }");
    assert_snapshot!(message, @r#"
    usher.toml:1: limits.outbound: 1MiB is less than limits.message (2MiB): such a message could reach nobody
        make it several times as large
    usher.toml:3: limits.failures.per_account: takes no burst: as many attempts as the rate says may come at once
        leave it out
    "#);
}

#[test]
fn backends_that_are_not_built() {
    let message = refusal("[store]\nurl = \"postgres://usher:hunter2@db/usher\"");
    assert_snapshot!(message, @r#"
    usher.toml:2: store.url: PostgreSQL is not built yet in this version
        use sqlite://usher.db
    "#);
    assert!(refusal("[store]\nurl = \"usher.db\"").contains("sqlite://"));
    assert!(refusal("[store]\nurl = \"sqlite://no-such-folder/usher.db\"").contains("does not exist"));
}

#[test]
fn audit_sinks_that_cannot_be_kept() {
    // req O5, N5
    let folder = Folder::new();
    let refused = |sinks: &str| {
        let config = read_in(folder.path(), &format!("[audit]\nsinks = [{sinks}]"), &[]).expect("well-formed");
        let message = config.resolve().err().map(|errors| errors.to_string()).unwrap_or_default();
        message.replace(&folder.path().display().to_string(), "FOLDER")
    };
    assert_snapshot!(refused("\"syslog\""), @r#"
    usher.toml:2: audit.sinks[0]: "syslog" is no sink
        write "store", "stdout" or a file such as "file:audit.jsonl"
    "#);
    assert_snapshot!(refused("\"file:\""), @r#"
    usher.toml:2: audit.sinks[0]: "file:" is no sink
        write "store", "stdout" or a file such as "file:audit.jsonl"
    "#);
    assert_snapshot!(refused("\"file:logs/audit.jsonl\""), @r#"
    usher.toml:2: audit.sinks[0]: the folder FOLDER/logs does not exist
        make it, and let the server's user write to it
    "#);
    assert_snapshot!(refused("\"store\", \"file:a\", \"file:./a\", \"store\""), @r#"
    usher.toml:2: audit.sinks[2]: "file:./a" is there already: each record would be written there twice
        remove one of the two
    usher.toml:2: audit.sinks[3]: "store" is there already: each record would be written there twice
        remove one of the two
    "#);
    assert_snapshot!(refused("\"file:usher.db\""), @r#"
    usher.toml:2: audit.sinks[0]: FOLDER/usher.db is a file of the store
        choose another name
    "#);
    assert_snapshot!(refused("\"file:.\""), @r#"
    usher.toml:2: audit.sinks[0]: FOLDER/. is no regular file
        name a file, or one that is not there yet
    "#);
    let exposed = folder.write("exposed", "");
    std::fs::set_permissions(&exposed, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("chmod");
    assert_snapshot!(refused("\"file:exposed\""), @r#"
    usher.toml:2: audit.sinks[0]: others may write to FOLDER/exposed: they could remove what they did
        run `chmod 600` on it, or 640 for those who collect it
    "#);
    assert_eq!(refused("\"store\", \"file:audit.jsonl\", \"stdout\""), "");
    let (_, warnings) = load("[audit]\nsinks = []").expect("an empty list is a choice");
    assert!(warnings[0].message.contains("nothing is recorded"), "{warnings:?}");
}
