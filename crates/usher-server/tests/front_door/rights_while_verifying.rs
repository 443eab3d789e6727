//! Rights that change while a new credential is being verified: in force at once, whatever the verification takes and brings (req H3).

use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;
use usher_store::memory::MemoryStore;
use usher_testkit::{Barrier, BarrierStore, TestServer, Upgrade};

#[tokio::test]
async fn roles_taken_away_count_at_once_and_do_not_come_back_with_the_verdict() {
    // req H3: the verification stands still before the key is read, before its user is read, and after that: then it knows the old roles.
    let barriers = [Barrier::Before("api_key_by_secret"), Barrier::Before("user"), Barrier::After("user")];
    for barrier in barriers {
        let store = BarrierStore::new(Arc::new(MemoryStore::default()));
        let server = TestServer::builder().store(store.clone()).start().await;
        let alice = server.user("alice", "Alice").await;
        let (_, key) = server.db_api_key("alice", None).await;
        let bob = server.user("bob", "Bob").await;
        let mut publisher = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
        publisher.join("board-1").await;
        let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
        socket.join("board-1").await;
        publisher.expect("user_joined").await;

        let (stands_still, reached) = oneshot::channel::<()>();
        let (goes_on, released) = oneshot::channel::<()>();
        store.detour(barrier, async move {
            stands_still.send(()).expect("the test waits");
            released.await.expect("the test goes on");
        });
        socket.authenticate(&key).await;
        reached.await.expect("it is being verified");
        server.db_set_roles("alice", &[]).await;
        // Acknowledged: nothing is delivered under the role from here on.
        publisher.send(&json!({"type": "publish", "room": "board-1", "data": "late"})).await;
        let seen = publisher.ping().await;
        assert!(seen.iter().any(|frame| frame["type"] == "user_left"), "{barrier:?}: {seen:?}");
        assert_eq!(socket.expect("rooms_lost").await["rooms"], json!(["board-1"]), "{barrier:?}");

        goes_on.send(()).expect("it is being verified still");
        let verdict = socket.next().await.expect("it goes on");
        assert_eq!(verdict["type"], "authenticated", "{barrier:?}: {verdict}");
        socket.send(&json!({"type": "join", "room": "board-1"})).await;
        assert_eq!(socket.expect("error").await["code"], "forbidden", "{barrier:?}: the old roles did not come back");
        assert!(socket.ping().await.is_empty());
    }
}

#[tokio::test]
async fn rooms_withdrawn_by_a_reload_are_left_at_once() {
    // req H14
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let server = TestServer::builder().store(store.clone()).start().await;
    let alice = server.user("alice", "Alice").await;
    let (_, key) = server.db_api_key("alice", None).await;
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    socket.join("board-1").await;
    let (stands_still, reached) = oneshot::channel::<()>();
    let (goes_on, released) = oneshot::channel::<()>();
    store.detour(Barrier::Before("api_key_by_secret"), async move {
        stands_still.send(()).expect("the test waits");
        released.await.expect("the test goes on");
    });
    socket.authenticate(&key).await;
    reached.await.expect("it is being verified");
    let mut changed = usher_testkit::settings();
    changed.rooms = usher_auth::room::RoomPolicy::new(Vec::new());
    server.server().reload(&changed).taken_in().await;
    assert_eq!(socket.expect("rooms_lost").await["rooms"], json!(["board-1"]));
    goes_on.send(()).expect("it is being verified still");
    socket.expect("authenticated").await;
    socket.send(&json!({"type": "join", "room": "board-1"})).await;
    assert_eq!(socket.expect("error").await["code"], "forbidden");
}
