//! S10: expiry and renewal. A client is warned in time, renews in band or over HTTP and loses nothing; who does not is closed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use usher_auth::ids::UserId;
use usher_auth::revocation::RevocationTarget;
use usher_auth::session::SessionLimits;
use usher_store::SessionStore as _;
use usher_store::memory::MemoryStore;
use usher_testkit::{Closed, LoggedIn, TestClient, TestServer, Upgrade};

fn expired() -> Closed {
    Closed { code: 4002, reason: "Session expired".to_owned() }
}

async fn refresh(server: &TestServer, token: &str) -> Value {
    let answer = server.post("/auth/refresh").json(&json!({"refresh_token": token})).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

/// One that lasts two seconds.
fn short_token(server: &TestServer) -> String {
    let exp = server.clock.unix().as_seconds() + 2;
    server.mint.sign(&server.mint.claims("user-alice").with("exp", exp))
}

/// One socket by each way that leads to a session.
async fn sockets(server: &TestServer, who: &LoggedIn) -> Vec<(&'static str, TestClient)> {
    let ticket = server.ticket(&who.token).await;
    vec![
        ("header", server.enter(Upgrade::at("/ws").bearer(&who.token)).await),
        ("ticket", server.enter(Upgrade::at(format!("/ws?ticket={ticket}"))).await),
        ("cookie", server.enter(Upgrade::at("/ws").cookie(&who.cookie)).await),
    ]
}

#[tokio::test]
async fn s10_a_new_token_on_the_same_socket_extends_it_and_nothing_is_lost() {
    // req H1, H7, H9
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let mut bob = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
    bob.join("board-1").await;
    let short = short_token(&server);
    let mut socket = server.connect(Upgrade::at("/asking").bearer(&short)).await.expect("let in");
    let until = socket.expect("authenticated").await["expires_at"].clone();
    socket.join("board-1").await;
    bob.expect("user_joined").await;
    assert_eq!(
        socket.expect("reauth_required").await,
        json!({"type": "reauth_required", "expires_at": until, "deadline": until})
    );
    bob.send(&json!({"type": "publish", "room": "board-1", "data": 1, "id": "p"})).await;
    socket.send(&json!({"type": "auth", "token": alice.token, "id": "r"})).await;
    bob.expect("published").await;
    let (mut renewed, mut heard) = (Value::Null, Value::Null);
    for _ in 0..2 {
        let frame = socket.next().await.expect("a frame");
        match frame["type"].as_str() {
            Some("authenticated") => renewed = frame,
            _ => heard = frame,
        }
    }
    assert_eq!((&heard["type"], &heard["data"]), (&json!("message"), &json!(1)));
    assert_eq!((&renewed["id"], renewed.get("rooms_lost")), (&json!("r"), None));
    assert!(renewed["expires_at"].as_i64() > until.as_i64());
    // Past the end of the first token.
    server.clock.advance(Duration::from_secs(3));
    assert!(socket.ping().await.is_empty());
    assert!(bob.ping().await.is_empty(), "nobody saw anybody leave");
}

#[tokio::test]
async fn s10_who_does_not_renew_is_closed_with_the_expired_code() {
    // req H1
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let short = short_token(&server);
    let mut socket = server.enter(Upgrade::at("/asking").bearer(&short)).await;
    let (frames, closed) = socket.closed().await;
    assert_eq!(closed, expired());
    let kinds: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["reauth_required", "bye"]);
    assert_eq!(frames[1]["reconnect"], "renew");
}

#[tokio::test]
async fn s10_a_refresh_over_http_extends_every_socket_of_the_session_and_no_other() {
    // req H7, H8
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let mut mine = sockets(&server, &alice).await;
    let mut others = sockets(&server, &other).await;
    server.clock.advance(Duration::from_mins(5));
    let now = server.clock.unix().as_seconds();
    refresh(&server, &alice.refresh_token).await;
    for (way, socket) in &mut mine {
        let frame = socket.expect("authenticated").await;
        let left = frame["expires_at"].as_i64().expect("an end") - now;
        let expected = if *way == "cookie" { 86_400 } else { 600 };
        assert!((expected - 2..=expected + 2).contains(&left), "{way}: {frame}");
        assert_eq!((frame["carrier"].as_str(), frame.get("id")), (Some(*way), None));
    }
    for (way, socket) in &mut others {
        assert!(socket.ping().await.is_empty(), "{way}");
    }
    // By the cookie, too.
    let slid = server.post_with_cookie("/auth/refresh", &other.cookie).send().await.expect("an answer");
    assert_eq!(slid.status(), 200);
    for (_, socket) in &mut others {
        socket.expect("authenticated").await;
    }
    // Past the first tokens' end, all are still there.
    server.clock.advance(Duration::from_secs(400));
    for (way, socket) in mine.iter_mut().chain(&mut others) {
        assert!(socket.ping().await.is_empty(), "{way}");
    }
}

#[tokio::test]
async fn s10_a_hundred_rotations_drop_nothing() {
    // req H8
    let server = TestServer::builder().store(Arc::new(MemoryStore::default())).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut all = sockets(&server, &alice).await;
    let mut token = alice.refresh_token;
    for _ in 0..100 {
        token = refresh(&server, &token).await["refresh_token"].as_str().expect("a token").to_owned();
    }
    for (way, socket) in &mut all {
        let frames = socket.ping().await;
        assert!(!frames.is_empty() && frames.iter().all(|frame| frame["type"] == "authenticated"), "{way}: {frames:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_own_life_and_with_the_sessions() {
    // req L3
    let limits = SessionLimits { idle: Duration::from_hours(1), absolute: Duration::from_hours(48) };
    let server = TestServer::builder().settings(|settings| {
        settings.session_limits = limits;
        settings.refresh_ttl = Duration::from_hours(24);
    });
    let server = server.start().await;
    let status = async |token: &str| {
        let request = server.post("/auth/refresh").json(&json!({"refresh_token": token}));
        request.send().await.expect("an answer").status().as_u16()
    };
    let unused = server.user("user-alice", "Alice").await;
    let mut used = server.log_in("user-alice").await.refresh_token;
    // Beyond the cookie's idle limit, within the token's own: each rotation begins a new one.
    for _ in 0..2 {
        server.clock.advance(Duration::from_hours(23));
        used = refresh(&server, &used).await["refresh_token"].as_str().expect("a token").to_owned();
    }
    assert_eq!(status(&unused.refresh_token).await, 400, "its own 24 hours are over");
    // The session began 46 hours ago: no rotation carries it past 48.
    server.clock.advance(Duration::from_hours(3));
    assert_eq!(status(&used).await, 400);
}

#[tokio::test]
async fn a_session_that_was_renewed_is_still_revoked() {
    // req H3, H7: the new facts are what a revocation finds.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut all = sockets(&server, &alice).await;
    refresh(&server, &alice.refresh_token).await;
    for (_, socket) in &mut all {
        socket.expect("authenticated").await;
    }
    let logout = server.post_with_cookie("/auth/logout", &alice.cookie).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    for (way, mut socket) in all {
        assert_eq!(socket.closed().await.1.code, 4004, "{way}");
    }
}

/// When Alice's only session was used last, as the server knows it.
async fn last_seen(server: &TestServer) -> usher_auth::UnixTime {
    let alice = UserId::new("user-alice").expect("an id");
    server.server().store().sessions_of(&alice, None, 9).await.expect("a store")[0].last_seen_at
}

#[tokio::test]
async fn a_session_in_use_does_not_idle_out_under_its_sockets() {
    // req J4: frames count as use, at most once a minute.
    let limits = SessionLimits { idle: Duration::from_secs(90), absolute: Duration::from_hours(1) };
    let server = TestServer::builder().settings(|settings| settings.session_limits = limits).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut socket = server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await;
    let mut quiet = server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await;
    for _ in 0..5 {
        server.clock.advance(Duration::from_secs(61));
        let advanced = server.clock.unix();
        assert!(socket.ping().await.is_empty());
        // It is noted away from the socket's path, and its sockets are told in the same step.
        while last_seen(&server).await < advanced {
            tokio::task::yield_now().await;
        }
        assert!(socket.ping().await.is_empty());
    }
    assert!(quiet.ping().await.is_empty(), "the session is one for all its sockets");
    server.clock.advance(Duration::from_secs(91));
    socket.send(&json!({"type": "ping"})).await;
    assert_eq!(socket.closed().await.1, expired());
}

#[tokio::test]
async fn a_socket_lasts_as_long_as_the_use_that_opened_it_lets_the_session_last() {
    // req J4
    let limits = SessionLimits { idle: Duration::from_secs(90), absolute: Duration::from_hours(1) };
    let server = TestServer::builder().settings(|settings| settings.session_limits = limits).start().await;
    let alice = server.user("user-alice", "Alice").await;
    server.clock.advance(Duration::from_secs(70));
    let mut socket = server.connect(Upgrade::at("/ws").cookie(&alice.cookie)).await.expect("let in");
    let until = socket.expect("authenticated").await["expires_at"].as_i64().expect("an end");
    assert!((89..=91).contains(&(until - server.clock.unix().as_seconds())));
}

#[tokio::test]
async fn a_soft_revocation_asks_for_another_credential_first() {
    // req H3
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let mut renewing = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let mut ending = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let session = server.store.sessions_of(&UserId::new("user-alice").expect("an id"), None, 9).await.expect("a store");
    let sid = {
        let answer = server.get("/auth/sessions").bearer_auth(&alice.token).send().await.expect("an answer");
        let mine: Vec<Value> = answer.json().await.expect("a list");
        mine.iter().find(|one| one["current"] == true).expect("one")["id"].as_str().expect("an id").to_owned()
    };
    let session = session.into_iter().find(|one| one.id.as_str() == sid).expect("it is there");
    let margin = Duration::from_millis(700);
    assert_eq!(server.db_revoke_softly(RevocationTarget::Session(session.id), margin).await, 2);
    // At the door at once.
    let refused = server.connect(Upgrade::at("/http").bearer(&alice.token)).await.err().expect("refused");
    assert_eq!(refused.status, 401);
    renewing.expect("reauth_required").await;
    renewing.authenticate(&other.token).await;
    renewing.expect("authenticated").await;
    let (frames, closed) = ending.closed().await;
    assert_eq!(frames[0]["type"], "reauth_required");
    assert_eq!(closed.code, 4004);
    assert!(renewing.ping().await.is_empty(), "another session's token took its place");
}

#[tokio::test]
async fn all_sessions_of_a_user_end_with_a_margin() {
    // req H3: by the user, whose sessions end by their ids.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut sockets = [
        server.enter(Upgrade::at("/ws").bearer(&alice.token)).await,
        server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await,
    ];
    let user = UserId::new("user-alice").expect("an id");
    let target = RevocationTarget::User { user, issued_before: server.clock.unix(), except: None };
    assert_eq!(server.db_revoke_softly(target, Duration::from_millis(700)).await, 2);
    for socket in &mut sockets {
        let (frames, closed) = socket.closed().await;
        assert_eq!((frames[0]["type"].as_str(), closed.code), (Some("reauth_required"), 4004));
    }
}

#[tokio::test]
async fn a_refresh_token_that_was_spent_long_ago_ends_its_session() {
    // req L1: a thief cannot make the server forget that it was spent.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let refresh = async |token: &str| {
        let answer = server.post("/auth/refresh").json(&json!({"refresh_token": token})).send().await;
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let mut newest = alice.refresh_token.clone();
    for _ in 0..usher_store::backend::SPENT_TOKENS_KEPT + 10 {
        server.clock.advance(Duration::from_secs(1));
        let (status, body) = refresh(&newest).await;
        assert_eq!(status, 200);
        body["refresh_token"].as_str().expect("a token").clone_into(&mut newest);
    }
    assert_eq!(refresh(&alice.refresh_token).await.1["code"], "invalid_grant");
    assert_eq!(socket.closed().await.1.code, 4004);
    assert_eq!(refresh(&newest).await.0, 400, "the session has ended");
}

#[tokio::test]
async fn one_account_is_refreshed_no_more_often_than_a_bound() {
    // req K2: each refresh is a write, for which others wait. A stricter setting for log-ins does not hold for refreshes.
    const BOUND: usize = 300;
    let rate = usher_auth::throttle::AttemptRate { attempts: 5, per: Duration::from_mins(1) };
    let server = TestServer::builder().settings(|settings| settings.logins.per_account = rate).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let mut refreshed = 0;
    loop {
        let answer = server.post_with_cookie("/auth/refresh", &alice.cookie).send().await.expect("an answer");
        if answer.status() == 429 {
            assert!(answer.headers().contains_key("retry-after"));
            break;
        }
        assert_eq!(answer.status(), 200, "{refreshed}");
        refreshed += 1;
        assert!(refreshed < 10 * BOUND);
    }
    // Those that the time itself allows come on top.
    assert!(refreshed >= BOUND, "{refreshed}");
    let bobs = server.post_with_cookie("/auth/refresh", &bob.cookie).send().await.expect("an answer");
    assert_eq!(bobs.status(), 200);
    server.clock.advance(Duration::from_mins(1));
    let later = server.post_with_cookie("/auth/refresh", &alice.cookie).send().await.expect("an answer");
    assert_eq!(later.status(), 200);
}

#[tokio::test]
async fn only_refreshes_that_would_be_a_write_count_towards_the_bound() {
    // req K2, L1: a token that is worth nothing uses up nobody's refreshes, and a stolen one that comes back ends its session even if the
    // bound is reached.
    let server = TestServer::builder()
        .settings(|settings| {
            settings.failures.per_source.attempts = 1_000_000;
            settings.refresh_ttl = Duration::from_hours(20);
        })
        .start()
        .await;
    let expired = server.user("user-alice", "Alice").await;
    server.clock.advance(Duration::from_hours(20));
    let stolen = server.log_in("user-alice").await;
    let alice = server.log_in("user-alice").await;
    let refresh = async |token: &str| {
        let answer = server.post("/auth/refresh").json(&json!({"refresh_token": token})).send().await;
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!(refresh(&stolen.refresh_token).await, 200);
    server.clock.advance(Duration::from_mins(5));
    for _ in 0..400 {
        assert_eq!(refresh(&expired.refresh_token).await, 400);
    }
    let with_cookie = async || {
        server.post_with_cookie("/auth/refresh", &alice.cookie).send().await.expect("an answer").status().as_u16()
    };
    let mut refreshed = 0;
    while with_cookie().await == 200 {
        refreshed += 1;
        assert!(refreshed < 3000);
    }
    assert!(refreshed >= 300, "{refreshed}");
    assert_eq!(refresh(&alice.refresh_token).await, 429);
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&stolen.token)).await;
    assert_eq!(refresh(&stolen.refresh_token).await, 400, "it was spent long ago");
    assert_eq!(socket.closed().await.1.code, 4004);
}
