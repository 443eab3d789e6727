//! S1 and S2: SockJS, authenticated as OctoPrint's clients do it, with an answer to each mistake.

use serde_json::{Value, json};
use usher_auth::protocol::SockJsDialect;
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_testkit::{SockJsClient, TestServer, Upgrade, sockjs};

/// How an endpoint bears with mistakes.
const LENIENT: SockJsDialect = SockJsDialect { lenient: true, octoprint: false };
const STRICT: SockJsDialect = SockJsDialect { lenient: false, octoprint: false };
const OCTOPRINT: SockJsDialect = SockJsDialect { lenient: true, octoprint: true };

async fn start(rules: SockJsDialect) -> TestServer {
    let server = TestServer::builder().settings(|settings| settings.sockjs = Some(sockjs(rules)));
    server.start().await
}

async fn open(server: &TestServer) -> SockJsClient {
    SockJsClient::open(server, Upgrade::at("")).await.expect("a session")
}

/// A server where alice has an API key.
async fn with_key(rules: SockJsDialect) -> (TestServer, String) {
    let server = start(rules).await;
    server.user("alice", "Alice").await;
    let (_, key) = server.db_api_key("alice", None).await;
    (server, key)
}

#[tokio::test]
async fn s1_the_double_wrapped_auth_lets_in_and_pushes_come() {
    let (server, key) = with_key(LENIENT).await;
    let mut alice = open(&server).await;
    alice.send_text(&format!(r#"["{{\"auth\":\"alice:{key}\"}}"]"#)).await;
    let authenticated = alice.expect("authenticated").await;
    assert_eq!(
        (&authenticated["user"]["id"], &authenticated["carrier"], &authenticated["expires_at"]),
        (&json!("alice"), &json!("sockjs"), &Value::Null)
    );
    alice.send(&json!({"type": "join", "room": "board-1"})).await;
    alice.expect("joined").await;

    // One JSON string does as well, and what another sends comes as a string in an array.
    let mut other = open(&server).await;
    other.send_text(&json!(json!({ "auth": format!("alice:{key}") }).to_string()).to_string()).await;
    other.expect("authenticated").await;
    other.send(&json!({"type": "join", "room": "board-1"})).await;
    other.expect("joined").await;
    other.send(&json!({"type": "publish", "room": "board-1", "data": {"x": "\u{2028}\"%"}, "id": 1})).await;
    other.expect("published").await;
    let item = alice.next_item().await.expect("a push");
    let text = item.as_str().expect("a string, for SockJS's own clients");
    let message: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!((&message["type"], &message["data"]["x"]), (&json!("message"), &json!("\u{2028}\"%")));
}

#[tokio::test]
async fn s1_octoprints_clients_are_told_objects() {
    let (server, key) = with_key(OCTOPRINT).await;
    let mut alice = open(&server).await;
    let connected = alice.next_item().await.expect("first of all");
    assert!(connected["connected"]["version"].is_string(), "{connected}");
    // Kept for later, and not taken for a wrong key.
    alice.send(&json!({"throttle": 2})).await;
    alice.send(&json!({"subscribe": {"state": true, "events": ["Upload"]}})).await;
    alice.authenticate("alice", &key).await;
    let authenticated = alice.expect("authenticated").await;
    assert_eq!((&authenticated["user"]["id"], &authenticated["carrier"]), (&json!("alice"), &json!("sockjs")));
    assert!(alice.expect("history").await["state"]["flags"].is_object());
    // And rooms are there as everywhere.
    alice.send(&json!({"type": "join", "room": "board-1"})).await;
    assert_eq!(alice.next_item().await.expect("an object")["type"], "joined");
    alice.send(&json!({"throttle": 4})).await;
    assert_eq!(alice.ping().await, Vec::<Value>::new());
}

#[tokio::test]
async fn s1_the_raw_endpoint_takes_the_plain_object() {
    let (server, key) = with_key(OCTOPRINT).await;
    let mut alice = SockJsClient::open_raw(&server, Upgrade::at("")).await.expect("a session");
    alice.expect("connected").await;
    alice.authenticate("alice", &key).await;
    alice.expect("authenticated").await;
    alice.expect("history").await;
}

#[tokio::test]
async fn s2_where_anonymous_visitors_come_in_no_auth_message_is_needed() {
    for rules in [LENIENT, OCTOPRINT] {
        let server = TestServer::builder().settings(|settings| {
            let mut sockjs = sockjs(rules);
            sockjs.rules.anonymous = true;
            settings.sockjs = Some(sockjs);
        });
        let server = server.start().await;
        server.user("alice", "Alice").await;
        let (_, key) = server.db_api_key("alice", None).await;
        let mut visitor = open(&server).await;
        if rules.octoprint {
            visitor.expect("connected").await;
        }
        let authenticated = visitor.expect("authenticated").await;
        assert!(authenticated["user"]["id"].as_str().expect("an id").starts_with("anonymous:"));
        assert_eq!(authenticated["carrier"], Value::Null);
        if rules.octoprint {
            visitor.expect("history").await;
        }
        visitor.send(&json!({"type": "join", "room": "open-1"})).await;
        visitor.expect("joined").await;
        // Who has a key may still say who they are.
        visitor.authenticate("alice", &key).await;
        visitor.expect("user_left").await;
        visitor.expect("user_joined").await;
        assert_eq!(visitor.expect("authenticated").await["user"]["id"], "alice");
    }
}

/// What a client sends, and the stable code of the answer. `KEY` and `BOB` stand for alice's key and bob's.
const MISTAKES: [(&str, &str, &str); 13] = [
    ("broken JSON", r#"["{"#, "invalid_json"),
    ("broken JSON inside the string", r#"["{"]"#, "invalid_json"),
    ("an object in the array", r#"[{"auth":"alice:KEY"}]"#, "items_not_strings"),
    ("a bare number", "7", "not_wrapped"),
    ("a string that is no object", r#"["[]"]"#, "invalid_message"),
    ("no colon", r#"["{\"auth\":\"KEY\"}"]"#, "auth_without_colon"),
    ("a number for auth", r#"["{\"auth\":7}"]"#, "auth_not_text"),
    ("something beside auth", r#"["{\"auth\":\"alice:KEY\",\"admin\":true}"]"#, "more_than_auth"),
    ("auth twice", r#"["{\"auth\":\"alice:KEY\",\"auth\":\"alice:KEY\"}"]"#, "more_than_auth"),
    ("another message first", r#"["{\"type\":\"join\",\"room\":\"board-1\"}"]"#, "not_authenticated"),
    ("a wrong key", r#"["{\"auth\":\"alice:wrong\"}"]"#, "invalid_token"),
    ("somebody else's key", r#"["{\"auth\":\"alice:BOB\"}"]"#, "invalid_token"),
    ("an unknown user", r#"["{\"auth\":\"nobody:KEY\"}"]"#, "invalid_token"),
];

/// Of a refusal: `error`, whose text or hint shows the right form.
fn shows_the_form(error: &Value) -> bool {
    let text =
        format!("{} {}", error["error"].as_str().unwrap_or_default(), error["hint"].as_str().unwrap_or_default());
    text.contains("auth") && text.contains("user:key")
}

#[tokio::test]
async fn s1_each_mistake_is_answered_and_shows_the_right_form() {
    // Waiting, so that a mistake is the end.
    for rules in [LENIENT, STRICT] {
        let (server, key) = with_key(rules).await;
        server.user("bob", "Bob").await;
        let (_, bobs) = server.db_api_key("bob", None).await;
        for (what, text, code) in MISTAKES {
            let mut client = open(&server).await;
            client.send_text(&text.replace("KEY", &key).replace("BOB", &bobs)).await;
            let error = client.expect("error").await;
            assert_eq!(error["code"], code, "{what}: {error}");
            assert!(shows_the_form(&error), "{what}: {error}");
            let (messages, closed) = client.closed().await;
            assert_eq!(messages.last().expect("a bye")["code"], closed.code, "{what}");
            assert!(matches!(closed.code, 1007 | 4001), "{what}: {closed:?}");
        }
    }
}

#[tokio::test]
async fn s1_octoprints_clients_are_answered_and_may_try_again() {
    let (server, key) = with_key(OCTOPRINT).await;
    server.user("bob", "Bob").await;
    let (_, bobs) = server.db_api_key("bob", None).await;
    for (what, text, code) in MISTAKES {
        let mut client = open(&server).await;
        client.expect("connected").await;
        client.send_text(&text.replace("KEY", &key).replace("BOB", &bobs)).await;
        let error = client.expect("error").await;
        assert_eq!(error["code"], code, "{what}: {error}");
        assert!(shows_the_form(&error), "{what}: {error}");
        assert_eq!(client.expect("reauthRequired").await["reason"], "stale", "{what}");
        client.authenticate("alice", &key).await;
        client.expect("authenticated").await;
        client.expect("history").await;
    }
}

#[tokio::test]
async fn s1_the_bare_object_is_taken_for_what_it_means_and_noticed() {
    for rules in [LENIENT, OCTOPRINT] {
        let (server, key) = with_key(rules).await;
        let mut client = open(&server).await;
        if rules.octoprint {
            client.expect("connected").await;
        }
        client.send_text(&json!({ "auth": format!("alice:{key}") }).to_string()).await;
        let notice = client.expect("notice").await;
        assert_eq!(notice["code"], "not_wrapped");
        assert!(notice["notice"].as_str().expect("text").contains(r#"["{\"auth\":\"user:key\"}"]"#), "{notice}");
        client.expect("authenticated").await;
        if rules.octoprint {
            client.expect("history").await;
        }
        // Understood from then on, without another word.
        client.send_text(r#"{"type":"join","room":"board-1"}"#).await;
        client.expect("joined").await;
    }
}

#[tokio::test]
async fn s1_where_nothing_is_lenient_the_missing_array_is_named_in_the_close() {
    let (server, key) = with_key(STRICT).await;
    let mut waiting = open(&server).await;
    waiting.send_text(&json!({ "auth": format!("alice:{key}") }).to_string()).await;
    let (_, closed) = waiting.closed().await;
    assert_eq!(closed.code, 1007);
    assert!(closed.reason.contains("array") && closed.reason.contains(r#"["{\"auth\":\"user:key\"}"]"#), "{closed:?}");

    let mut alice = open(&server).await;
    alice.authenticate("alice", &key).await;
    alice.expect("authenticated").await;
    // What is broken in one message is answered, and the session goes on.
    alice.send_text("[{}]").await;
    assert_eq!(alice.expect("error").await["code"], "items_not_strings");
    alice.send(&json!({"auth": 7})).await;
    assert_eq!(alice.expect("error").await["code"], "auth_not_text");
    alice.send_text(r#"["{"]"#).await;
    assert_eq!(alice.expect("error").await["error"], "Invalid JSON");
    assert_eq!(alice.ping().await, Vec::<Value>::new());
    // What is missing from one message is missing from all.
    alice.send_text(r#"{"type":"ping"}"#).await;
    let (messages, closed) = alice.closed().await;
    assert_eq!((messages[0]["code"].as_str(), closed.code), (Some("not_wrapped"), 1007));
}

#[tokio::test]
async fn s1_no_auth_at_all_is_told_so() {
    for (rules, code) in [(LENIENT, 4008), (OCTOPRINT, 4001)] {
        let (server, _) = with_key(rules).await;
        let mut client = open(&server).await;
        if rules.octoprint {
            client.expect("connected").await;
        }
        // The timer of a session is the machine's; the test's clock moves it.
        server.clock.advance(std::time::Duration::from_mins(1));
        // Anything wakes the connection.
        client.send(&json!({"type": "ping"})).await;
        let (messages, closed) = client.closed().await;
        let told =
            |name: &str| messages.iter().any(|message| message["code"] == name || message["error"]["code"] == name);
        assert!(told("authentication_timeout"), "{messages:?}");
        assert_eq!(closed.code, code, "{messages:?}");
    }
}

#[tokio::test]
async fn three_wrong_keys_are_answered_and_then_it_is_over() {
    // req E5, docs/protocol/octoprint.md
    let (server, key) = with_key(OCTOPRINT).await;
    let mut client = open(&server).await;
    client.expect("connected").await;
    for _ in 0..3 {
        client.authenticate("alice", "wrong").await;
        client.expect("error").await;
        assert_eq!(client.expect("reauthRequired").await["reason"], "stale");
    }
    assert_eq!(client.expect("bye").await["code"], 4001);
    client.authenticate("alice", &key).await;
    assert_eq!(client.closed().await.1.code, 4001);
    let failures = server.audit_records().await;
    let failed = failures.iter().filter(|record| record["carrier"] == "sockjs" && record["outcome"] == "failure");
    assert!(failed.count() >= 1, "{failures:?}");
}

#[tokio::test]
async fn a_bad_auth_after_a_good_one_is_answered_and_changes_nothing() {
    for rules in [LENIENT, OCTOPRINT] {
        let (server, key) = with_key(rules).await;
        let mut alice = open(&server).await;
        if rules.octoprint {
            alice.expect("connected").await;
        }
        alice.authenticate("alice", &key).await;
        alice.expect("authenticated").await;
        if rules.octoprint {
            alice.expect("history").await;
        }
        alice.authenticate("alice", "wrong").await;
        assert_eq!(alice.expect("error").await["code"], "invalid_token");
        alice.send(&json!({"type": "join", "room": "board-1"})).await;
        alice.expect("joined").await;
    }
}

#[tokio::test]
async fn who_is_revoked_hears_why_and_may_come_back_on_the_same_session() {
    for (cause, reason) in [
        (RevocationCause::Logout, "logout"),
        (RevocationCause::PasswordChanged, "modified"),
        (RevocationCause::UserDeleted, "removed"),
    ] {
        let server = start(OCTOPRINT).await;
        let alice = server.user("alice", "Alice").await;
        server.user("bob", "Bob").await;
        let (_, bobs) = server.db_api_key("bob", None).await;
        let mut client = open(&server).await;
        client.expect("connected").await;
        client.send(&json!({"type": "auth", "token": alice.token})).await;
        client.expect("authenticated").await;
        client.expect("history").await;
        client.send(&json!({"type": "join", "room": "board-1"})).await;
        client.expect("joined").await;

        let target = RevocationTarget::User {
            user: "alice".parse().expect("an id"),
            issued_before: usher_auth::UnixTime::MAX,
            except: None,
        };
        assert_eq!(server.db_revoke(target, cause).await, 1, "{reason}");
        assert_eq!(client.expect("reauthRequired").await["reason"], reason);
        assert_eq!(server.server().connections().count(), 0);
        // Nothing of before is left: another user comes in on it, and is in no room.
        client.authenticate("bob", &bobs).await;
        assert_eq!(client.expect("authenticated").await["user"]["id"], "bob");
        client.expect("history").await;
        client.send(&json!({"type": "typing", "room": "board-1"})).await;
        assert_eq!(client.expect("error").await["code"], "not_joined");
    }
}

#[tokio::test]
async fn who_does_not_come_back_is_told_that_the_session_ended() {
    let server = start(OCTOPRINT).await;
    let alice = server.user("alice", "Alice").await;
    let mut client = open(&server).await;
    client.expect("connected").await;
    client.send(&json!({"type": "auth", "token": alice.token})).await;
    client.expect("authenticated").await;
    client.expect("history").await;
    let logout = server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    assert_eq!(client.expect("reauthRequired").await["reason"], "logout");
    server.clock.advance(std::time::Duration::from_mins(1));
    client.send(&json!({"throttle": 1})).await;
    assert_eq!(client.closed().await.1.code, 4004);
}

#[tokio::test]
async fn what_who_was_sent_away_still_says_costs_no_attempt() {
    let server = start(OCTOPRINT).await;
    let alice = server.user("alice", "Alice").await;
    let (_, key) = server.db_api_key("alice", None).await;
    let mut client = open(&server).await;
    client.expect("connected").await;
    client.send(&json!({"type": "auth", "token": alice.token})).await;
    client.expect("authenticated").await;
    client.expect("history").await;
    server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
    for _ in 0..10 {
        client.send(&json!({"type": "publish", "room": "board-1", "data": 1})).await;
    }
    client.authenticate("alice", &key).await;
    assert_eq!(client.expect("reauthRequired").await["reason"], "logout");
    client.expect("authenticated").await;
}

#[tokio::test]
async fn where_nothing_is_lenient_octoprints_clients_read_of_the_missing_array_too() {
    let (server, key) = with_key(SockJsDialect { lenient: false, octoprint: true }).await;
    let mut client = open(&server).await;
    client.expect("connected").await;
    client.send_text(&json!({ "auth": format!("alice:{key}") }).to_string()).await;
    assert_eq!(client.expect("error").await["code"], "not_wrapped");
    let (_, closed) = client.closed().await;
    assert!(closed.code == 1007 && closed.reason.contains("array"), "{closed:?}");
}

#[tokio::test]
async fn on_the_raw_endpoint_nobody_is_told_of_an_array() {
    for rules in [LENIENT, OCTOPRINT] {
        let (server, _) = with_key(rules).await;
        for text in ["{", "", "\"auth\"", "7"] {
            let mut client = SockJsClient::open_raw(&server, Upgrade::at("")).await.expect("a session");
            if rules.octoprint {
                client.expect("connected").await;
            }
            client.send_text(text).await;
            let error = client.expect("error").await;
            let said = error["error"].as_str().expect("text");
            assert!(said.contains(r#"{"auth":"user:key"}"#) && !said.contains("array"), "{text}: {said}");
        }
    }
}

#[tokio::test]
async fn octoprints_clients_are_told_of_every_mistake_in_one_member() {
    let (server, key) = with_key(OCTOPRINT).await;
    let mut client = open(&server).await;
    client.expect("connected").await;
    client.authenticate("alice", &key).await;
    client.expect("authenticated").await;
    client.expect("history").await;
    for wrong in [r#"["{"]"#, r#"["[]"]"#, r#"["{\"hello\":1}"]"#, r#"["{\"type\":\"fly\"}"]"#, "[7]"] {
        client.send_text(wrong).await;
        let error = client.next_item().await.expect("an answer");
        assert!(
            error.as_object().is_some_and(|members| members.len() == 1 && members.contains_key("error")),
            "{error}"
        );
    }
}
