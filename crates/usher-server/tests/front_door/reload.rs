//! A reload touches only the connections whose decision changed (req H14).

use serde_json::json;
use usher_auth::carriers::Carrier;
use usher_auth::room::{OnForbidden, Presence, RoomPattern, RoomPolicy, RoomRule};
use usher_testkit::{TestServer, Upgrade, route, settings};

#[tokio::test]
async fn a_carrier_that_is_switched_off_ends_those_who_came_by_it() {
    // req H14
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut by_cookie = Vec::new();
    let mut by_header = Vec::new();
    for _ in 0..20 {
        by_cookie.push(server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await);
        by_header.push(server.enter(Upgrade::at("/ws").bearer(&alice.token)).await);
    }
    let mut elsewhere = server.enter(Upgrade::at("/http").bearer(&alice.token)).await;
    let mut changed = settings();
    let ws = changed.routes.iter_mut().find(|rules| rules.path == "/ws").expect("it is there");
    *ws = route("/ws", &[Carrier::Cookie]);
    server.server().reload(&changed);
    for mut socket in by_header {
        assert_eq!(socket.closed().await.1.code, 4003);
    }
    for socket in &mut by_cookie {
        assert!(socket.ping().await.is_empty());
    }
    assert!(elsewhere.ping().await.is_empty());
    // Whoever comes now meets the new rules.
    let refused = server.connect(Upgrade::at("/ws").bearer(&alice.token)).await.err().expect("refused");
    assert_eq!(refused.problem["code"], "carrier_disabled");
    // Nothing changed: nobody is touched.
    server.server().reload(&changed);
    for socket in &mut by_cookie {
        assert!(socket.ping().await.is_empty());
    }
}

#[tokio::test]
async fn a_route_that_is_gone_is_gone() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut socket = server.enter(Upgrade::at("/http").bearer(&alice.token)).await;
    let mut waiting = server.connect(Upgrade::at("/only/first_message")).await.expect("it may wait");
    let mut changed = settings();
    changed.routes.retain(|rules| rules.path != "/http" && rules.path != "/only/first_message");
    server.server().reload(&changed);
    assert_eq!(socket.closed().await.1.code, 4003);
    assert_eq!(waiting.closed().await.1.code, 4003);
    let refused = server.connect(Upgrade::at("/http").bearer(&alice.token)).await.err().expect("refused");
    assert_eq!(refused.status, 404);
}

#[tokio::test]
async fn room_rules_that_change_are_told_to_those_who_lose_rooms() {
    // req H14
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut losing = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    losing.join("board-1").await;
    let mut keeping = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    keeping.join("news-1").await;
    let mut changed = settings();
    let rights = vec!["role:user".parse().expect("a right")];
    changed.rooms = RoomPolicy::new(vec![RoomRule {
        pattern: RoomPattern::parse("news-*").expect("a pattern"),
        join: rights.clone(),
        publish: rights.clone(),
        typing: rights,
        presence: Presence::Full,
        on_forbidden: OnForbidden::Error,
    }]);
    server.server().reload(&changed);
    assert_eq!(losing.expect("rooms_lost").await["rooms"], json!(["board-1"]));
    assert!(losing.ping().await.is_empty(), "told once");
    assert!(keeping.ping().await.is_empty());
}

#[tokio::test]
async fn limits_that_change_count_for_who_comes_next() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut first = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let mut changed = settings();
    changed.connections.per_user = 1;
    server.server().reload(&changed);
    let mut second = server.connect(Upgrade::at("/ws").bearer(&alice.token)).await.expect("a 101");
    assert_eq!(second.closed().await.1.code, 4029);
    assert!(first.ping().await.is_empty());
}
