//! Requests of one account that are writes and can be repeated: how often, and what they leave for others (req K2).

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::secret::{PlainToken, TokenKind};
use usher_auth::session::Session;
use usher_server::listener::{Entrance, HttpLimits};
use usher_store::memory::MemoryStore;
use usher_testkit::{Barrier, BarrierStore, TestServer};

/// So many are let pass at once.
const BOUND: usize = 300;

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.expect("an answer").status().as_u16()
}

async fn in_memory() -> (TestServer, Arc<BarrierStore>) {
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    (TestServer::builder().store(store.clone()).start().await, store)
}

/// Repeats a request until it is refused; how often it was not.
async fn until_refused(request: impl Fn() -> RequestBuilder, good: u16) -> usize {
    let mut passed = 0;
    loop {
        let answer = request().send().await.expect("an answer");
        if answer.status() == 429 {
            assert!(answer.headers().contains_key("retry-after"));
            return passed;
        }
        assert_eq!(answer.status().as_u16(), good, "{passed}");
        passed += 1;
        assert!(passed < 10 * BOUND);
    }
}

/// A session of the user, without a log-in.
async fn add_session(server: &TestServer, id: &str) {
    let mut bytes = [0; 32];
    bytes[..id.len()].copy_from_slice(id.as_bytes());
    let now = server.clock.unix();
    let session = Session {
        id: SessionId::new(id).expect("an id"),
        user: UserId::new("user-alice").expect("an id"),
        secret: PlainToken::from_random(TokenKind::Session, bytes).hashed(),
        created_at: now,
        last_seen_at: now,
        client_ip: None,
        user_agent: None,
    };
    server.store.create_session(&session).await.expect("a store");
}

#[tokio::test]
async fn sessions_are_ended_no_more_often_than_a_bound_by_a_credential_that_goes_on() {
    let (server, _) = in_memory().await;
    let alice = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let end_others = || server.http.delete(server.at("/auth/sessions")).bearer_auth(&alice.token);
    assert!(until_refused(end_others, 204).await >= BOUND);
    let records = server.audit_records().await;
    let refused = records.iter().find(|record| record["reason"] == "too_many_log_outs").expect("it is recorded");
    assert_eq!((&refused["event"], &refused["subject"]), (&json!("excess_rate_limit_exceeded"), &json!("user-alice")));
    // Refreshes are counted apart, a log-out is not counted, and others have a bound of their own.
    assert_eq!(status(server.post_with_cookie("/auth/refresh", &alice.cookie)).await, 200);
    assert_eq!(status(server.post("/auth/logout").bearer_auth(&other.token)).await, 401, "it ended by the first");
    assert_eq!(status(server.http.delete(server.at("/auth/sessions")).bearer_auth(&bob.token)).await, 204);
    assert_eq!(status(server.post("/auth/logout?everywhere=true").bearer_auth(&alice.token)).await, 204);
}

#[tokio::test]
async fn log_outs_everywhere_with_an_api_key_and_ends_of_single_sessions_are_counted() {
    let (server, _) = in_memory().await;
    let alice = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let everywhere = || server.post("/auth/logout?everywhere=true").header("x-api-key", &key);
    assert!(until_refused(everywhere, 204).await >= BOUND);
    assert_eq!(status(server.get("/auth/session").bearer_auth(&alice.token)).await, 401);
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(status(everywhere()).await, 204, "a minute later");
    // Sessions of the user by their ids; real time passes meanwhile, in which a few more are let pass.
    let mut ended = 0;
    loop {
        let id = format!("ses_{ended}");
        add_session(&server, &id).await;
        let end = server.http.delete(server.at(&format!("/auth/sessions/{id}"))).header("x-api-key", &key);
        match status(end).await {
            204 => ended += 1,
            other => break assert_eq!(other, 429, "{ended}"),
        }
        assert!(ended < 10 * BOUND);
    }
    assert!(ended >= BOUND - 1, "{ended}");
    // With its own credential a session is always ended.
    let one = server.log_in("user-alice").await;
    let sessions = server.get("/auth/sessions").bearer_auth(&one.token).send().await.expect("an answer");
    let sessions: Vec<Value> = sessions.json().await.expect("a list");
    let current = sessions.iter().find(|session| session["current"] == true).expect("it is there");
    let own = server.at(&format!("/auth/sessions/{}", current["id"].as_str().expect("an id")));
    assert_eq!(status(server.http.delete(own).bearer_auth(&one.token)).await, 204);
}

#[tokio::test]
async fn retries_of_a_spent_refresh_token_are_counted_and_write_nothing() {
    let (server, store) = in_memory().await;
    let alice = server.user("user-alice", "Alice").await;
    let refresh = || server.post("/auth/refresh").json(&json!({"refresh_token": alice.refresh_token}));
    let with_cookie = || server.post_with_cookie("/auth/refresh", &alice.cookie);
    assert!(until_refused(with_cookie, 200).await >= BOUND);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(status(refresh()).await, 200);
    store.met();
    assert!(until_refused(refresh, 200).await < BOUND / 2);
    assert!(!store.met().contains(&Barrier::Before("rotate_refresh_token")), "no writer was kept waiting");
    let records = server.audit_records().await;
    let refused = records.iter().find(|record| record["reason"] == "too_many_refreshes").expect("it is recorded");
    assert_eq!(refused["subject"], "user-alice");
    // Later than the window it is reuse, and ends the session whatever was counted.
    server.clock.advance(Duration::from_secs(11));
    assert_eq!(status(refresh()).await, 400);
    assert_eq!(status(server.get("/auth/session").bearer_auth(&alice.token)).await, 401);
}

#[tokio::test]
async fn refresh_tokens_that_are_no_good_write_nothing_and_are_recorded_with_their_user() {
    // req N5
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let builder = TestServer::builder().settings(|settings| settings.refresh_ttl = Duration::from_hours(1));
    let server = builder.store(store.clone()).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let refresh = |token: &str| server.post("/auth/refresh").json(&json!({"refresh_token": token}));
    server.clock.advance(Duration::from_hours(1));
    store.met();
    assert_eq!(status(refresh(&alice.refresh_token)).await, 400);
    let met = store.met();
    assert!(!met.contains(&Barrier::Before("rotate_refresh_token")), "{met:?}");
    // The absolute limit of the session: it is over, and still in the store.
    server.clock.advance(Duration::from_hours(24 * 30));
    assert_eq!(status(refresh(&bob.refresh_token)).await, 400);
    let records = server.audit_records().await;
    let failed: Vec<_> = records.iter().filter(|record| record["event"] == "authn_login_fail").collect();
    let told: Vec<_> = failed.iter().map(|record| (record["detail"].as_str(), record["subject"].as_str())).collect();
    let detail = |why: &str| format!("the refresh token does not hold: {why}");
    assert_eq!(
        told,
        [
            (Some(detail("expired").as_str()), Some("user-alice")),
            (Some(detail("its session has ended").as_str()), Some("user-bob")),
        ]
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_keeps_its_place_until_its_request_is_carried_out() {
    // req E3: else a source could have any number of writes waiting.
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let limits = HttpLimits { connections_per_source: 1, ..HttpLimits::default() };
    let builder = TestServer::builder().entrance(Entrance { limits, ..Entrance::default() });
    let server = builder.store(store.clone()).start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let token = server.mint.sign(&server.mint.claims("user-alice"));
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    store.detour(Barrier::Before("revoke"), async move { gone.notified().await });
    let address = server.url.socket_addrs(|| None).expect("an address")[0];
    let connect = async || TcpStream::connect(address).await.expect("connected");
    let served = async || {
        let mut stream = connect().await;
        let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let mut answer = Vec::new();
        asked.is_ok() && stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
    };
    let mut stream = connect().await;
    let request = format!(
        "POST /auth/logout?everywhere=true HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    while !store.met().contains(&Barrier::Before("revoke")) {
        tokio::task::yield_now().await;
    }
    drop(stream);
    for attempt in 0..50 {
        assert!(!served().await, "{attempt}");
    }
    go.notify_one();
    while !served().await {}
}

#[tokio::test]
async fn a_renewal_that_waited_for_its_turn_says_what_roles_its_user_has_then() {
    // req G5: two renewals of one account; the second one waits while the first is written, and while the user's roles change.
    for by_cookie in [false, true] {
        let (server, store) = in_memory().await;
        let first = server.user("user-alice", "Alice").await;
        let second = server.log_in("user-alice").await;
        let go = Arc::new(Notify::new());
        let gone = go.clone();
        store.met();
        store.detour(Barrier::Before("rotate_refresh_token"), async move { gone.notified().await });
        let refresh = |token: &str| server.post("/auth/refresh").json(&json!({"refresh_token": token})).send();
        let writing = tokio::spawn(refresh(&first.refresh_token));
        let until = async |barrier| {
            while !store.met().contains(&barrier) {
                tokio::task::yield_now().await;
            }
        };
        until(Barrier::Before("rotate_refresh_token")).await;
        let waiting = if by_cookie {
            tokio::spawn(server.post_with_cookie("/auth/refresh", &second.cookie).send())
        } else {
            tokio::spawn(refresh(&second.refresh_token))
        };
        until(Barrier::After("user")).await;
        server.db_set_roles("user-alice", &["guest"]).await;
        // A token tells its moment in whole seconds.
        server.clock.advance(Duration::from_secs(2));
        go.notify_one();
        assert_eq!(writing.await.expect("no panic").expect("an answer").status(), 200);
        let renewed = waiting.await.expect("no panic").expect("an answer");
        assert_eq!(renewed.status(), 200, "{by_cookie}");
        let renewed: Value = renewed.json().await.expect("JSON");
        let token = renewed["token"].as_str().expect("a token");
        let session = server.get("/auth/session").bearer_auth(token).send().await.expect("an answer");
        assert_eq!(session.status(), 200, "{by_cookie}: it was issued after the change");
        let session: Value = session.json().await.expect("JSON");
        assert_eq!(session["user"]["roles"], json!(["guest"]), "{by_cookie}: {session}");
    }
}

/// The tokens of an answer.
async fn tokens(answer: reqwest::Response) -> (String, String) {
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    let text = |name: &str| answer[name].as_str().expect("text").to_owned();
    (text("token"), text("refresh_token"))
}

#[tokio::test]
async fn a_retry_is_measured_from_when_the_first_use_was_written_and_by_when_it_came() {
    // req L1, L2: a store that takes longer than the retry window to write. Its client cannot have the successor before.
    let (server, store) = in_memory().await;
    let alice = server.user("user-alice", "Alice").await;
    let refresh = |token: &str| server.post("/auth/refresh").json(&json!({"refresh_token": token})).send();
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    store.met();
    store.detour(Barrier::Before("rotate_refresh_token"), async move { gone.notified().await });
    let first = tokio::spawn(refresh(&alice.refresh_token));
    let until = async |barrier| {
        while !store.met().contains(&barrier) {
            tokio::task::yield_now().await;
        }
    };
    until(Barrier::Before("rotate_refresh_token")).await;
    // The client has given up, and asks again.
    let second = tokio::spawn(refresh(&alice.refresh_token));
    until(Barrier::After("user")).await;
    server.clock.advance(Duration::from_secs(12));
    go.notify_one();
    let (_, successor) = tokens(first.await.expect("no panic").expect("an answer")).await;
    let (_, again) = tokens(second.await.expect("no panic").expect("an answer")).await;
    assert_eq!(again, successor);
    server.clock.advance(Duration::from_secs(9));
    let (token, again) = tokens(refresh(&alice.refresh_token).await.expect("an answer")).await;
    assert_eq!(again, successor);
    // And later it is reuse, as ever.
    server.clock.advance(Duration::from_secs(2));
    assert_eq!(refresh(&alice.refresh_token).await.expect("an answer").status(), 400);
    assert_eq!(status(server.get("/auth/session").bearer_auth(&token)).await, 401);
}

#[tokio::test]
async fn a_renewal_behind_a_change_of_roles_gives_a_token_that_is_good() {
    // req G5: the roles change while the renewal waits for the store's writer.
    for by_cookie in [false, true] {
        let (server, store) = in_memory().await;
        let alice = server.user("user-alice", "Alice").await;
        let (waits, goes) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, go) = (waits.clone(), goes.clone());
        let call = if by_cookie { "touch_session" } else { "rotate_refresh_token" };
        store.detour(Barrier::Before(call), async move {
            told.notify_one();
            go.notified().await;
        });
        let renewal = if by_cookie {
            server.post_with_cookie("/auth/refresh", &alice.cookie).send()
        } else {
            server.post("/auth/refresh").json(&json!({"refresh_token": alice.refresh_token})).send()
        };
        let renewal = tokio::spawn(renewal);
        waits.notified().await;
        server.clock.advance(Duration::from_secs(3));
        server.db_set_roles("user-alice", &["guest"]).await;
        server.clock.advance(Duration::from_secs(2));
        goes.notify_one();
        let answer = renewal.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.expect("JSON");
        let token = answer["token"].as_str().expect("a token");
        let session = server.get("/auth/session").bearer_auth(token).send().await.expect("an answer");
        assert_eq!(session.status(), 200, "{by_cookie}");
        let session: Value = session.json().await.expect("JSON");
        assert_eq!(session["user"]["roles"], json!(["guest"]), "{by_cookie}");
    }
}
