//! Tokens nobody should have made, at the front door (req F1–F17): all are refused alike, and nothing else happens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use usher_testkit::{TestServer, Upgrade};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn hostile_tokens_are_refused_alike() {
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let good = server.mint.sign(&server.mint.claims("user-alice"));
    let [header, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
    let claims = || server.mint.claims("user-alice");
    let header_json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64")).expect("JSON");
    let kid = header_json["kid"].clone();
    let canary = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let trap = format!("http://{}/keys", canary.local_addr().expect("an address"));
    let jwks: Value = server.get("/.well-known/jwks.json").send().await.expect("an answer").json().await.expect("JSON");

    let with_header = |change: Value| {
        let mut header = header_json.clone();
        header.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        format!("{}.{payload}.{signature}", part(&header))
    };
    let mut hostile = vec![
        ("empty signature".to_owned(), format!("{header}.{payload}.")),
        ("no signature".to_owned(), format!("{header}.{payload}")),
        ("four parts".to_owned(), format!("{good}.x")),
        ("five parts".to_owned(), format!("{good}.x.y")),
        ("another key".to_owned(), server.mint.forge(&claims())),
        ("padding".to_owned(), format!("{good}=")),
        ("a space".to_owned(), format!("{header}.{payload}.%20{signature}")),
        (
            "a changed signature".to_owned(),
            format!("{header}.{payload}.{}", signature.chars().rev().collect::<String>()),
        ),
        ("1 MiB".to_owned(), format!("{header}.{payload}.{}", "A".repeat(20_000))),
    ];
    for none in ["none", "None", "NONE", "nOnE"] {
        // req F2
        for rest in ["", signature] {
            hostile.push((
                format!("alg {none}"),
                format!("{}.{payload}.{rest}", part(&json!({"alg": none, "typ": "at+jwt", "kid": kid}))),
            ));
        }
    }
    for (name, value) in [
        ("jku", json!(trap)),
        ("x5u", json!(trap)),
        ("jwk", jwks["keys"][0].clone()),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("kid", json!("../../dev/null")),
        ("kid", json!("' UNION SELECT 'x")),
        ("kid", json!("|sleep 10")),
        ("kid", json!("")),
        ("kid", json!(7)),
        ("kid", json!("k".repeat(6_000))),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("alg", json!(7)),
        ("typ", json!("logout+jwt")),
    ] {
        // req F4, F5, F6
        hostile.push((format!("{name} in the header"), with_header(json!({name: value}))));
    }
    for (name, value) in [
        ("exp", json!("2999999999")),
        ("exp", json!(true)),
        ("exp", json!([1])),
        ("exp", json!(-1)),
        ("exp", json!(1e308)),
        ("exp", Value::Null),
        ("nbf", json!("2999999999")),
        ("nbf", json!(2_999_999_999_i64)),
        ("iat", Value::Null),
        ("iat", json!("now")),
        ("iss", json!("https://usher.test/")),
        ("iss", json!("https://USHER.test")),
        ("iss", Value::Null),
        ("aud", json!("usher2")),
        ("aud", json!(["ushe", "usherr"])),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!(7)),
        ("sub", json!("a b")),
        ("jti", Value::Null),
        ("client_id", Value::Null),
    ] {
        // req F8–F10, F12, CVE-2026-25537
        hostile.push((format!("{name} is {value}"), server.mint.sign(&claims().with(name, value))));
    }
    for typ in [None, Some("JWT"), Some("id+jwt"), Some("logout+jwt"), Some("dpop+jwt"), Some("usher-session-key+jwt")]
    {
        // req F11
        let mut claims = claims();
        claims.typ = typ.map(str::to_owned);
        hostile.push((format!("typ {typ:?}"), server.mint.sign(&claims)));
    }

    let mut bodies = std::collections::BTreeSet::new();
    for (what, token) in &hostile {
        let refused = server.connect(Upgrade::at(format!("/only/query?token={token}"))).await.err();
        let refused = refused.unwrap_or_else(|| panic!("{what} got in"));
        // Throttling would tell them apart by their number, not by their fault: time forgives.
        server.clock.advance(std::time::Duration::from_secs(2));
        assert_eq!(refused.status, 401, "{what}");
        bodies.insert(refused.problem.to_string());
    }
    // req F17
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // req F4: nobody was asked for a key.
    let asked = tokio::time::timeout(std::time::Duration::from_millis(50), canary.accept()).await;
    assert!(asked.is_err(), "a token caused a request");
    server.enter(Upgrade::at("/ws").bearer(&server.mint.sign(&claims()))).await;
}

#[tokio::test]
async fn our_kinds_of_secrets_do_not_open_each_others_doors() {
    // req F11
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let ticket = server.ticket(&alice.token).await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    for wrong in [&alice.refresh_token, &alice.cookie, &ticket] {
        assert_eq!(server.connect(Upgrade::at("/ws").bearer(wrong)).await.err().expect("refused").status, 401);
    }
    for wrong in [&alice.token, &alice.refresh_token, &key, &ticket] {
        let mut client = server.connect(Upgrade::at("/cookie").cookie(wrong)).await.expect("accepted");
        assert_eq!(client.closed().await.1.reason, "Invalid session");
    }
    for wrong in [&alice.token, &alice.refresh_token, &alice.cookie, &key] {
        assert_eq!(
            server.connect(Upgrade::at(format!("/ws?ticket={wrong}"))).await.err().expect("refused").status,
            401
        );
    }
    for wrong in [&alice.token, &alice.cookie, &ticket, &key] {
        let answer =
            server.post("/auth/refresh").json(&json!({"refresh_token": wrong})).send().await.expect("an answer");
        assert_eq!(answer.status(), 400);
    }
}
