//! One behavioural table over all carriers: whatever carried the credential, the same holds (req C6).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use usher_auth::carriers::Carrier;
use usher_auth::protocol::SockJsDialect;
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_testkit::binary_application::WHO;
use usher_testkit::{LoggedIn, SockJsClient, TestServer, Upgrade};

/// Adds a credential to a query and an upgrade.
type Add<'a> = Box<dyn Fn(String, Upgrade) -> (String, Upgrade) + 'a>;

/// Who comes, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Valid,
    Expired,
    WrongSignature,
    WrongAudience,
    Revoked,
    DisabledUser,
    UnknownUser,
}

impl Case {
    const ALL: [Self; 7] = [
        Self::Valid,
        Self::Expired,
        Self::WrongSignature,
        Self::WrongAudience,
        Self::Revoked,
        Self::DisabledUser,
        Self::UnknownUser,
    ];

    /// Close code and reason; `None` is let in.
    fn expected(self, carrier: Carrier) -> Option<(u16, &'static str)> {
        let by_look_up = |reason| match carrier {
            Carrier::Cookie => "Invalid session",
            Carrier::Ticket => "Invalid ticket",
            _ => reason,
        };
        match self {
            Self::Valid => None,
            // A ticket that is too old is just a bad ticket; there is nothing to renew.
            Self::Expired if carrier == Carrier::Ticket => Some((4001, "Invalid ticket")),
            Self::Expired => Some((4002, "Session expired")),
            Self::WrongSignature | Self::WrongAudience => Some((4001, by_look_up("Unauthorized"))),
            // A revoked session is gone from the store; a token or ticket of it is found in the index.
            Self::Revoked if carrier == Carrier::Cookie => Some((4001, "Invalid session")),
            Self::Revoked => Some((4001, "Unauthorized")),
            Self::DisabledUser if carrier == Carrier::Cookie => Some((4001, "Invalid session")),
            Self::DisabledUser => Some((4001, "Unauthorized")),
            Self::UnknownUser if carrier == Carrier::Cookie => Some((4001, "Invalid session")),
            Self::UnknownUser => Some((4001, "User not found")),
        }
    }
}

#[tokio::test]
async fn every_carrier_refuses_alike() {
    for carrier in Carrier::ALL {
        for case in Case::ALL {
            let server = TestServer::start().await;
            let alice = server.user("user-alice", "Alice").await;
            let credential = credential(&server, &alice, carrier, case).await;
            let outcome = present(&server, carrier, &credential).await;
            assert_eq!(
                outcome,
                case.expected(carrier).map(|(code, reason)| (code, reason.to_owned())),
                "{carrier}, {case:?}"
            );
        }
    }
}

/// The same before an application with a protocol of its own, over a connection that says nothing: the close frame is all that the client gets.
#[tokio::test]
async fn every_carrier_refuses_alike_whatever_the_application() {
    // There is no SockJS endpoint in front of the binary application.
    for carrier in Carrier::ALL.into_iter().filter(|carrier| *carrier != Carrier::Sockjs) {
        for case in Case::ALL {
            let server = TestServer::start().await;
            let alice = server.user("user-alice", "Alice").await;
            let credential = credential(&server, &alice, carrier, case).await;
            let outcome = present_to_binary(&server, carrier, &credential).await;
            let expected = case.expected(carrier).map(|(code, reason)| (code, reason.to_owned()));
            assert_eq!(outcome, expected, "{carrier}, {case:?}");
        }
    }
}

/// The same for OctoPrint's clients, which may try three times and then read one code for every refusal but that of the credential's form.
#[tokio::test]
async fn every_case_over_octoprints_conventions() {
    for case in Case::ALL {
        let endpoint = usher_testkit::sockjs(SockJsDialect { lenient: true, octoprint: true });
        let server = TestServer::builder().settings(|settings| settings.sockjs = Some(endpoint)).start().await;
        let alice = server.user("user-alice", "Alice").await;
        let credential = credential(&server, &alice, Carrier::Sockjs, case).await;
        let mut client = SockJsClient::open(&server, Upgrade::at("")).await.expect("a session");
        assert!(client.next().await.expect("a greeting").get("connected").is_some());
        for _ in 0..3 {
            client.send(&serde_json::json!({"auth": format!("user-alice:{credential}")})).await;
        }
        let answer = client.next().await.expect("an answer");
        if case == Case::Valid {
            assert_eq!(answer["authenticated"]["user"]["id"], "user-alice");
            continue;
        }
        let code = match case {
            Case::Expired => "session_expired",
            Case::UnknownUser => "user_not_found",
            _ => "invalid_token",
        };
        assert_eq!(answer["error"]["code"], code, "{case:?}");
        assert_eq!(client.next().await.expect("what follows")["reauthRequired"]["reason"], "stale");
        let (messages, closed) = client.closed().await;
        assert_eq!((closed.code, closed.reason.as_str()), (4001, "Unauthorized"), "{case:?}");
        assert_eq!(messages.last().expect("a bye")["bye"]["code"], 4001, "{case:?}");
    }
}

/// API keys have no audience and no signature; the rest of the table holds for them on every carrier that takes them.
#[tokio::test]
async fn api_keys_are_refused_alike() {
    for carrier in [Carrier::Query, Carrier::FirstMessage, Carrier::Header, Carrier::Subprotocol, Carrier::Sockjs] {
        for case in
            [Case::Valid, Case::Expired, Case::WrongSignature, Case::Revoked, Case::DisabledUser, Case::UnknownUser]
        {
            let server = TestServer::start().await;
            server.user("user-alice", "Alice").await;
            let expires_at = server.clock.unix().plus(Duration::from_mins(1));
            let (id, key) = server.db_api_key("user-alice", Some(expires_at)).await;
            let key = match case {
                Case::WrongSignature => format!("usk_{}", "A".repeat(43)),
                _ => key,
            };
            match case {
                Case::Expired => server.clock.advance(Duration::from_mins(2)),
                Case::Revoked => {
                    server.db_revoke(RevocationTarget::ApiKey(id), RevocationCause::KeyRevoked).await;
                }
                Case::DisabledUser => server.db_disable("user-alice").await,
                Case::UnknownUser => server.db_delete("user-alice").await,
                Case::Valid | Case::WrongSignature | Case::WrongAudience => {}
            }
            let expected = match case {
                Case::Valid => None,
                Case::Expired => Some((4002, "Session expired")),
                _ => Some((4001, "Unauthorized")),
            };
            let outcome = present(&server, carrier, &key).await;
            assert_eq!(outcome, expected.map(|(code, reason)| (code, reason.to_owned())), "{carrier}, {case:?}");
        }
    }
}

async fn credential(server: &TestServer, alice: &LoggedIn, carrier: Carrier, case: Case) -> String {
    let made = match (carrier, case) {
        (Carrier::Cookie, Case::WrongSignature | Case::WrongAudience) => format!("uss_{}", "A".repeat(43)),
        (Carrier::Cookie, _) => alice.cookie.clone(),
        (Carrier::Ticket, Case::WrongSignature | Case::WrongAudience) => format!("utk_{}", "A".repeat(43)),
        (Carrier::Ticket, _) => server.ticket(&alice.token).await,
        (_, Case::WrongSignature) => server.mint.forge(&server.mint.claims("user-alice")),
        (_, Case::WrongAudience) => server.mint.sign(&server.mint.claims("user-alice").with("aud", "somebody-else")),
        _ => alice.token.clone(),
    };
    match case {
        Case::Expired => server.clock.advance(Duration::from_hours(25)),
        Case::Revoked => {
            let session = session_of(server, alice).await;
            let target = RevocationTarget::Session(session.parse().expect("an id"));
            server.db_revoke(target, RevocationCause::Administrator).await;
        }
        Case::DisabledUser => server.db_disable("user-alice").await,
        Case::UnknownUser => server.db_delete("user-alice").await,
        Case::Valid | Case::WrongSignature | Case::WrongAudience => {}
    }
    made
}

async fn session_of(server: &TestServer, who: &LoggedIn) -> String {
    let session = server.get("/auth/session").bearer_auth(&who.token).send().await.expect("an answer");
    session.json::<Value>().await.expect("JSON")["session"].as_str().expect("a session").to_owned()
}

/// The same over SockJS, as its first message.
async fn present_over_sockjs(server: &TestServer, credential: &str) -> Option<(u16, String)> {
    let mut client = SockJsClient::open(server, Upgrade::at("")).await.expect("a session");
    // An API key in OctoPrint's form, a token in ours.
    if credential.starts_with("usk_") {
        client.authenticate("user-alice", credential).await;
    } else {
        client.send(&serde_json::json!({"type": "auth", "token": credential})).await;
    }
    match client.next().await.expect("a message") {
        message if message["type"] == "authenticated" => {
            assert_eq!((&message["carrier"], &message["user"]["id"]), (&"sockjs".into(), &"user-alice".into()));
            None
        }
        message => {
            assert_eq!(message["type"], "error");
            let (messages, closed) = client.closed().await;
            assert_eq!(messages.last().expect("a bye")["code"], closed.code);
            Some((closed.code, closed.reason))
        }
    }
}

/// The upgrade that presents a credential to a route of `prefix`, and the route that refuses by closing.
fn upgrade(prefix: &str, carrier: Carrier, credential: &str) -> Upgrade {
    let close = format!("{prefix}/close");
    match carrier {
        // A stale cookie means waiting where a first message may come: ask the route that takes nothing else.
        Carrier::Cookie => Upgrade::at(format!("{prefix}/cookie")).cookie(credential),
        Carrier::Query => Upgrade::at(format!("{close}?token={credential}")),
        Carrier::Ticket => Upgrade::at(format!("{close}?ticket={credential}")),
        Carrier::FirstMessage | Carrier::Sockjs => Upgrade::at(close),
        Carrier::Header if credential.starts_with("usk_") => Upgrade::at(close).header("x-api-key", credential),
        Carrier::Header => Upgrade::at(close).bearer(credential),
        Carrier::Subprotocol => {
            let encoded = URL_SAFE_NO_PAD.encode(credential);
            let offered = format!("base64url.bearer.authorization.k8s.io.{encoded}, usher.v1");
            Upgrade::at(close).header("sec-websocket-protocol", &offered)
        }
    }
}

/// Presents a credential to the binary application and says how it was refused, if it was.
async fn present_to_binary(server: &TestServer, carrier: Carrier, credential: &str) -> Option<(u16, String)> {
    let mut client = server.enter_binary(upgrade("/binary", carrier, credential)).await;
    if carrier == Carrier::FirstMessage {
        client.authenticate(credential).await;
    }
    let subprotocol = (carrier == Carrier::Subprotocol).then_some("usher.v1");
    assert_eq!(client.subprotocol.as_deref(), subprotocol, "the bearer is never echoed (req C3)");
    client.send_binary(vec![WHO]).await;
    match client.next_binary().await {
        Ok(answer) => {
            assert_eq!(answer, [&[WHO], &b"user-alice"[..]].concat());
            None
        }
        Err(closed) => Some((closed.code, closed.reason)),
    }
}

/// Presents a credential and says how it was refused, if it was.
async fn present(server: &TestServer, carrier: Carrier, credential: &str) -> Option<(u16, String)> {
    if carrier == Carrier::Sockjs {
        return present_over_sockjs(server, credential).await;
    }
    let upgrade = upgrade("", carrier, credential);
    let mut client = server.connect(upgrade).await.unwrap_or_else(|refused| panic!("{carrier}: {refused:?}"));
    if carrier == Carrier::FirstMessage {
        client.authenticate(credential).await;
    }
    if carrier == Carrier::Subprotocol {
        assert_eq!(client.subprotocol.as_deref(), Some("usher.v1"), "the bearer is never echoed (req C3)");
    }
    match client.next().await.expect("a frame") {
        frame if frame["type"] == "authenticated" => {
            assert_eq!(frame["carrier"], carrier.as_str());
            assert_eq!(frame["user"]["id"], "user-alice");
            None
        }
        frame => {
            assert_eq!(frame["type"], "error");
            let (frames, closed) = client.closed().await;
            assert_eq!(frames.last().expect("a bye")["code"], closed.code);
            Some((closed.code, closed.reason))
        }
    }
}

#[tokio::test]
async fn two_credentials_are_refused() {
    // req C1
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let token = alice.token.as_str();
    let encoded = URL_SAFE_NO_PAD.encode(token);
    let bearer_protocol = format!("base64url.bearer.authorization.k8s.io.{encoded}, usher.v1");
    let key = format!("usk_{}", "A".repeat(43));
    let explicit: [(&str, Add<'_>); 5] = [
        ("authorization", Box::new(|query, upgrade| (query, upgrade.bearer(token)))),
        ("x-api-key", Box::new(|query, upgrade| (query, upgrade.header("x-api-key", &key)))),
        ("subprotocol", Box::new(|query, upgrade| (query, upgrade.header("sec-websocket-protocol", &bearer_protocol)))),
        ("ticket", Box::new(|query, upgrade| (format!("{query}&ticket=x"), upgrade))),
        ("query", Box::new(|query, upgrade| (format!("{query}&token={token}"), upgrade))),
    ];
    for (one, first) in &explicit {
        for (other, second) in &explicit {
            // The query is known only once both have spoken, so it is put in front afterwards.
            let (query, headers) = first(String::new(), Upgrade::at(""));
            let (query, headers) = second(query, headers);
            let answer = server.connect(headers.on(format!("/ws?{query}"))).await;
            let refused = answer.err().unwrap_or_else(|| panic!("{one} and {other} got in"));
            assert_eq!(
                (refused.status, refused.problem["code"].as_str()),
                (400, Some("multiple_credentials")),
                "{one} and {other}"
            );
        }
        // With the cookie beside it, the explicit one counts.
        let (query, headers) = first(String::new(), Upgrade::at("").cookie("uss_x"));
        let answer = server.connect(headers.on(format!("/http?{query}"))).await;
        let refused_for_itself = answer.err().map(|refused| refused.problem["code"].clone());
        assert_ne!(refused_for_itself, Some("multiple_credentials".into()), "{one}");
    }
}

#[tokio::test]
async fn a_carrier_that_is_off_is_refused_by_its_name() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let encoded = URL_SAFE_NO_PAD.encode(&alice.token);
    let ticket = server.ticket(&alice.token).await;
    let attempts = [
        ("query", Upgrade::at(format!("/only/cookie?token={}", alice.token))),
        ("ticket", Upgrade::at(format!("/only/cookie?ticket={ticket}"))),
        ("header", Upgrade::at("/only/cookie").bearer(&alice.token)),
        (
            "subprotocol",
            Upgrade::at("/only/cookie").header(
                "sec-websocket-protocol",
                &format!("usher.v1, base64url.bearer.authorization.k8s.io.{encoded}"),
            ),
        ),
    ];
    for (carrier, attempt) in attempts {
        let refused = server.connect(attempt).await.err().expect("refused");
        assert_eq!((refused.status, refused.problem["code"].as_str()), (401, Some("carrier_disabled")), "{carrier}");
        let detail = refused.problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(&format!("\"{carrier}\"")) && detail.contains("`carriers`"), "{detail}");
    }
    // The ticket was not presented to a door that takes tickets: it is not spent.
    server.enter(Upgrade::at(format!("/ws?ticket={ticket}"))).await;
    // In a first message on a route that waits for nothing: there is no waiting at all.
    assert_eq!(server.connect(Upgrade::at("/only/header")).await.err().expect("refused").status, 401);
}

#[tokio::test]
async fn anonymous_visitors_come_in_where_the_route_says_so() {
    // S2 on a plain route
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut visitor = server.connect(Upgrade::at("/anonymous")).await.expect("let in");
    let authenticated = visitor.expect("authenticated").await;
    assert_eq!(authenticated["carrier"], Value::Null);
    assert!(authenticated["user"]["id"].as_str().expect("an id").starts_with("anonymous:"));
    visitor.join("open-1").await;
    visitor.send(&serde_json::json!({"type": "join", "room": "board-1"})).await;
    assert_eq!(visitor.expect("error").await["code"], "forbidden");
    // A visitor may become somebody.
    visitor.authenticate(&alice.token).await;
    let frames = visitor.ping().await;
    let authenticated = frames.iter().find(|frame| frame["type"] == "authenticated").expect("an answer");
    assert_eq!(authenticated["user"]["id"], "user-alice");
    visitor.join("board-1").await;
    // But not nobody by a bad credential.
    let mut bad = server.connect(Upgrade::at("/anonymous?token=x")).await.err().expect("refused");
    assert_eq!(bad.problem["code"].take(), "carrier_disabled");
}
