//! What one user may hold, and users who are refused whatever they hold.

use std::time::Duration;

use serde_json::Value;
use usher_store::{TicketBounds, UserChange};
use usher_testkit::{TestServer, Upgrade};

#[tokio::test]
async fn the_oldest_session_ends_for_one_too_many() {
    // req H15
    let server = TestServer::builder().settings(|settings| settings.sessions_per_user = 3).start().await;
    let oldest = server.user("user-alice", "Alice").await;
    let mut sockets = vec![server.enter(Upgrade::at("/ws").cookie(&oldest.cookie)).await];
    for _ in 0..2 {
        server.clock.advance(Duration::from_secs(1));
        let alice = server.log_in("user-alice").await;
        sockets.push(server.enter(Upgrade::at("/ws").bearer(&alice.token)).await);
    }
    let bob = server.user("user-bob", "Bob").await;
    let mut bobs = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
    server.clock.advance(Duration::from_secs(1));
    server.log_in("user-alice").await;

    let (frames, closed) = sockets.remove(0).closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (4004, "Session ended"));
    assert_eq!(frames.last().expect("a last frame")["reconnect"], "no");
    for socket in sockets.iter_mut().chain([&mut bobs]) {
        socket.ping().await;
    }
    let answer = server.get("/auth/session").bearer_auth(&oldest.token).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    let records = server.audit_records().await;
    assert_eq!(records.iter().filter(|record| record["reason"] == "session_limit").count(), 1, "{records:#?}");
}

#[tokio::test]
async fn an_account_meets_its_own_bound_of_tickets_whatever_sessions_it_has() {
    // req D8
    let bounds = TicketBounds { per_user: 3, ..TicketBounds::default() };
    let server = TestServer::builder().tickets(bounds).start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let bob = server.user("user-bob", "Bob").await;
    let mut refused = 0;
    for _ in 0..5 {
        let alice = server.log_in("user-alice").await;
        let answer = server.get("/ws_ticket").bearer_auth(&alice.token).send().await.expect("an answer");
        refused += usize::from(answer.status() == 429);
    }
    assert_eq!(refused, 2);
    server.ticket(&bob.token).await;
}

#[tokio::test]
async fn sessions_are_listed_in_pages() {
    // req J6
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    for _ in 0..4 {
        server.log_in("user-alice").await;
    }
    let mut next = Some("/auth/sessions?limit=2".to_owned());
    let mut seen: Vec<String> = Vec::new();
    let mut pages = 0;
    while let Some(path) = next {
        let answer = server.get(&path).bearer_auth(&alice.token).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let link = answer.headers().get("link").map(|link| link.to_str().expect("text").to_owned());
        next = link.map(|link| link.split(['<', '>']).nth(1).expect("an address").to_owned());
        let page: Vec<Value> = answer.json().await.expect("JSON");
        assert!(page.len() <= 2);
        seen.extend(page.iter().map(|session| session["id"].as_str().expect("an id").to_owned()));
        pages += 1;
    }
    assert_eq!((seen.len(), pages), (5, 3));
    assert!(seen.is_sorted_by(|one, other| one < other), "{seen:?}");
    for wrong in ["limit=0", "limit=101", "limit=x", "after=", "page=2"] {
        let answer = server.get(&format!("/auth/sessions?{wrong}")).bearer_auth(&alice.token).send().await;
        assert_eq!(answer.expect("an answer").status(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_user_who_is_no_user_of_ours_is_banned_with_everything_they_have() {
    // req H3, C6
    let server = TestServer::start().await;
    let token = server.mint.sign(&server.mint.claims("stranger"));
    let ticket = server.ticket(&token).await;
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&token)).await;
    assert_eq!(server.db_ban("stranger").await, 1);
    assert_eq!(socket.closed().await.1.code, 4004);
    server.clock.advance(Duration::from_secs(2));
    let newer = server.mint.sign(&server.mint.claims("stranger").with("jti", "newer"));
    for upgrade in [
        Upgrade::at("/http").bearer(&token),
        Upgrade::at("/http").bearer(&newer),
        Upgrade::at(format!("/ws?ticket={ticket}")),
    ] {
        assert_eq!(server.connect(upgrade).await.err().expect("refused").status, 401);
    }
    server.db_unban("stranger").await;
    server.enter(Upgrade::at("/http").bearer(&newer)).await;
    let before = server.connect(Upgrade::at("/http").bearer(&token)).await.err().expect("what was issued before ended");
    assert_eq!(before.status, 401);
}

#[tokio::test]
async fn a_user_who_was_disabled_and_removed_is_new_when_added_again() {
    // req H3: the new user is given credentials that hold.
    let server = TestServer::start().await;
    let old = server.user("user-bob", "Bob").await;
    server.db_disable("user-bob").await;
    server.db_delete("user-bob").await;
    server.db_add_user("user-bob", "Another Bob", &["user"]).await;
    let new = server.log_in("user-bob").await;
    server.enter(Upgrade::at("/ws").bearer(&new.token)).await;
    server.enter(Upgrade::at("/ws").cookie(&new.cookie)).await;
    for (credential, status) in [(&new.token, 200), (&old.token, 401)] {
        let answer = server.get("/auth/session").bearer_auth(credential).send().await.expect("an answer");
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn a_disabled_user_is_refused_with_a_credential_of_whatever_kind() {
    // req C6: also one that was issued after, and one that is verified without a look at the store.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let ticket = server.ticket(&alice.token).await;
    let mut socket = server.enter(Upgrade::at("/ws").header("x-api-key", &key)).await;
    server.db_disable("user-alice").await;
    assert_eq!(socket.closed().await.1.code, 4004);
    server.clock.advance(Duration::from_secs(2));
    let later = server.mint.sign(&server.mint.claims("user-alice"));
    for upgrade in [
        Upgrade::at("/http").bearer(&alice.token),
        Upgrade::at("/http").bearer(&later),
        Upgrade::at("/http").header("x-api-key", &key),
        Upgrade::at(format!("/ws?ticket={ticket}")),
    ] {
        assert_eq!(server.connect(upgrade).await.err().expect("refused").status, 401);
    }
    let mut cookie = server.connect(Upgrade::at("/cookie").cookie(&alice.cookie)).await.expect("accepted, to be told");
    assert_eq!(cookie.closed().await.1.code, 4001);
    server.db_change("user-alice", &UserChange::Enable).await;
    server.enter(Upgrade::at("/http").header("x-api-key", &key)).await;
    server.enter(Upgrade::at("/http").bearer(&later)).await;
}
