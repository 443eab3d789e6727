//! Two nodes over one store: what one changes, the other knows from the event alone.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use usher_auth::UnixTime;
use usher_auth::ids::{Role, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::user::User;
use usher_store::memory::{MemorySessionEvents, MemoryStore};
use usher_store::{MAX_QUEUED_EVENTS, RevocationTimes, SessionEvent, SessionEvents as _, UserChange};
use usher_testkit::{LoggedIn, TestClient, TestServer, Upgrade};

struct Nodes {
    one: TestServer,
    other: TestServer,
    /// A third node's end, which makes events that no server made.
    third: MemorySessionEvents,
    alice: LoggedIn,
    key: String,
}

fn alice() -> UserId {
    UserId::new("user-alice").expect("an id")
}

impl Nodes {
    async fn start() -> Self {
        let (store, third) = (Arc::new(MemoryStore::default()), MemorySessionEvents::default());
        let start =
            async || TestServer::builder().store(store.clone()).events(Arc::new(third.another_node())).start().await;
        let (one, other) = (start().await, start().await);
        let alice = one.user("user-alice", "Alice").await;
        let (_, key) = one.db_api_key("user-alice", None).await;
        Self { one, other, third, alice, key }
    }

    fn cookie(&self) -> Upgrade {
        Upgrade::at("/cookie").cookie(&self.alice.cookie)
    }

    /// A socket at the other node by the cookie, which is remembered there from then on.
    async fn at_other(&self) -> TestClient {
        self.other.enter(self.cookie()).await
    }

    /// Returns once the other node has taken in all that was published before.
    async fn settle(&self) {
        // A user who is blocked last is blocked there once all before has arrived.
        let marker = UserId::new("marker:1").expect("an id");
        let facts = usher_auth::permit::CredentialFacts {
            user: marker.clone(),
            session: None,
            token: None,
            api_key: None,
            issued_by: None,
            issued_at: UnixTime::EPOCH,
            roles_read_at: None,
        };
        let cause = RevocationCause::UserBanned;
        let blocked = SessionEvent::UserBlocked(usher_auth::revocation::BlockedUser { user: marker.clone(), cause });
        self.third.publish(&blocked).await.expect("it can be published");
        while self.other.server().sessions().revocations().check(&facts).is_none() {
            tokio::task::yield_now().await;
        }
        self.third.publish(&SessionEvent::UserUnblocked(marker)).await.expect("it can be published");
    }

    async fn is_refused_at_other(&self, upgrade: Upgrade) -> bool {
        match self.other.connect(upgrade).await {
            Err(refused) => refused.status == 401,
            Ok(mut socket) => socket.closed().await.1.code == 4001,
        }
    }
}

#[tokio::test]
async fn a_log_out_at_one_node_closes_what_is_open_at_the_other() {
    // req H3, H4
    let nodes = Nodes::start().await;
    let mut socket = nodes.at_other().await;
    let logout = nodes.one.post_with_cookie("/auth/logout", &nodes.alice.cookie).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    assert_eq!(socket.closed().await.1.code, 4004);
    assert!(nodes.is_refused_at_other(nodes.cookie()).await, "what the other node remembered of the session");
}

#[tokio::test]
async fn every_change_of_a_user_at_one_node_counts_at_the_other() {
    // req C6, H4
    for change in [UserChange::Disable, UserChange::Remove] {
        let nodes = Nodes::start().await;
        let key = || Upgrade::at("/http").header("x-api-key", &nodes.key);
        let (mut by_cookie, mut by_key) = (nodes.at_other().await, nodes.other.enter(key()).await);
        nodes.one.db_change("user-alice", &change).await;
        assert_eq!(by_cookie.closed().await.1.code, 4004, "{change:?}");
        assert_eq!(by_key.closed().await.1.code, 4004, "{change:?}");
        nodes.settle().await;
        assert!(nodes.is_refused_at_other(nodes.cookie()).await, "{change:?}");
        assert!(nodes.is_refused_at_other(key()).await, "{change:?}");
        if change == UserChange::Disable {
            nodes.one.db_change("user-alice", &UserChange::Enable).await;
            nodes.settle().await;
            nodes.other.enter(key()).await.vanish();
        }
    }
}

#[tokio::test]
async fn other_roles_at_one_node_reach_what_is_open_at_the_other() {
    // req H14, also where the clock of the node that makes the change is behind.
    for ahead in [Duration::ZERO, Duration::from_hours(1)] {
        let nodes = Nodes::start().await;
        nodes.other.clock.advance(ahead);
        let mut socket = nodes.at_other().await;
        socket.join("board-1").await;
        for roles in [&[][..], &["user"], &[]] {
            nodes.one.db_set_roles("user-alice", roles).await;
            if roles.is_empty() {
                assert_eq!(socket.expect("rooms_lost").await["rooms"], json!(["board-1"]), "{ahead:?}");
            } else {
                nodes.settle().await;
                socket.join("board-1").await;
            }
        }
        let mut later = nodes.at_other().await;
        later.send(&json!({"type": "join", "room": "board-1", "id": 1})).await;
        assert_eq!(later.expect("error").await["code"], "forbidden", "what is remembered has the new roles");
    }
}

#[tokio::test]
async fn a_renewal_and_a_use_at_one_node_prolong_what_is_open_at_the_other() {
    // req J4
    let nodes = Nodes::start().await;
    let mut socket = nodes.at_other().await;
    for node in [&nodes.one, &nodes.other] {
        node.clock.advance(Duration::from_mins(5));
    }
    let slid = nodes.one.post_with_cookie("/auth/refresh", &nodes.alice.cookie).send().await.expect("an answer");
    assert_eq!(slid.status(), 200);
    let until = socket.expect("authenticated").await["expires_at"].as_i64().expect("an end");
    let left = until - nodes.one.clock.unix().as_seconds();
    assert!((24 * 3600 - 60..=24 * 3600).contains(&left), "{left}");
    nodes.one.clock.advance(Duration::from_mins(5));
    let advanced = nodes.one.clock.unix();
    nodes.one.enter(nodes.cookie()).await.vanish();
    nodes.one.server().write_new_session_uses().await;
    let found = nodes.other.store.sessions_of(&alice(), None, 9).await.expect("a store");
    assert!(found[0].last_seen_at >= advanced, "written before it is told");
}

#[tokio::test]
async fn what_was_missed_is_read_again() {
    // req H5: the events themselves never arrive.
    let nodes = Nodes::start().await;
    let (mut by_cookie, mut by_key) =
        (nodes.at_other().await, nodes.other.enter(Upgrade::at("/http").header("x-api-key", &nodes.key)).await);
    nodes.other.db_add_user("user-bob", "Bob", &["user"]).await;
    let bob = nodes.other.log_in("user-bob").await;
    let mut bobs = nodes.other.enter(Upgrade::at("/cookie").cookie(&bob.cookie)).await;
    bobs.join("board-1").await;
    // In the store alone, as if another node had done it while this one was cut off.
    let session = nodes.one.store.sessions_of(&alice(), None, 9).await.expect("a store")[0].id.clone();
    let at = nodes.one.clock.unix();
    let target = RevocationTarget::Session(session);
    let revocation = Revocation { target, cause: RevocationCause::Logout, at, forget_at: UnixTime::MAX };
    nodes.one.store.revoke(&revocation).await.expect("a store");
    let when = RevocationTimes { at, forget_at: UnixTime::MAX };
    let bob_id = UserId::new("user-bob").expect("an id");
    nodes.one.store.change_user(&bob_id, &UserChange::Roles(Vec::new()), when).await.expect("a store");
    nodes.one.store.change_user(&alice(), &UserChange::Disable, when).await.expect("a store");
    // More events than wait for a node, in one step in which it does not run.
    let noise = User {
        id: UserId::new("noise").expect("an id"),
        name: "Noise".to_owned(),
        roles: vec![Role::new("user").expect("a role")],
        disabled: false,
        created_at: at,
    };
    for _ in 0..=MAX_QUEUED_EVENTS {
        let event = SessionEvent::UserChanged { user: noise.clone(), read_at: at };
        nodes.third.publish(&event).await.expect("it can be published");
    }
    assert_eq!(by_cookie.closed().await.1.code, 4004);
    assert_eq!(by_key.closed().await.1.code, 4004);
    assert_eq!(bobs.expect("rooms_lost").await["rooms"], json!(["board-1"]));
    assert!(nodes.is_refused_at_other(nodes.cookie()).await);
}
