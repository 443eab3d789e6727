//! What a process remembers of sessions holds until an event says otherwise, and uses are written behind.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use usher_accounts::Revoker as _;
use usher_auth::UnixTime;
use usher_auth::ids::{Role, SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::session::SessionLimits;
use usher_axum::MemoryLimits;
use usher_store::memory::MemoryStore;
use usher_store::{RevocationStore as _, RevocationTimes, SessionStore as _, Store, UserChange, UserStore as _};
use usher_testkit::{Barrier, BarrierStore, TestServer, TestServerBuilder, Upgrade};

fn alice() -> UserId {
    UserId::new("user-alice").expect("an id")
}

fn counted() -> (Arc<BarrierStore>, TestServerBuilder) {
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    (store.clone(), TestServer::builder().store(store))
}

/// The calls of the store since the last time this was asked, by name.
fn calls(store: &BarrierStore) -> Vec<&'static str> {
    let begun = |barrier| match barrier {
        Barrier::Before(name) => Some(name),
        Barrier::After(_) => None,
    };
    store.met().into_iter().filter_map(begun).collect()
}

/// What the server remembers of alice, as a process that has just started.
async fn forget(server: &TestServer) {
    server.server().revoker().user_added(&alice()).await;
}

async fn only_session(store: &dyn Store) -> (SessionId, UnixTime) {
    let sessions = store.sessions_of(&alice(), None, 9).await.expect("a store");
    let [session] = &sessions[..] else { panic!("one session, not {}", sessions.len()) };
    (session.id.clone(), session.last_seen_at)
}

#[tokio::test]
async fn a_cookie_and_a_key_that_are_remembered_ask_the_store_nothing() {
    let (store, builder) = counted();
    let server = builder.start().await;
    let user = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let cookie = async || server.enter(Upgrade::at("/cookie").cookie(&user.cookie)).await.vanish();
    let api_key = async || server.enter(Upgrade::at("/http").header("x-api-key", &key)).await.vanish();
    calls(&store);
    cookie().await;
    assert_eq!(calls(&store), [""; 0], "it is remembered from its log-in on");
    forget(&server).await;
    cookie().await;
    assert_eq!(calls(&store), ["session_by_secret", "user"]);
    api_key().await;
    assert_eq!(calls(&store), ["api_key_by_secret", "user"]);
    // Longer than look-ups were remembered for, within the minute in which a use is noted; and then past it, again and again.
    for seconds in [31, 31, 61, 3_600] {
        server.clock.advance(Duration::from_secs(seconds));
        cookie().await;
        api_key().await;
        assert_eq!(calls(&store), [""; 0], "after {seconds} s more");
    }
    server.server().write_new_session_uses().await;
    assert_eq!(calls(&store), ["touch_sessions"], "all uses at once");
    server.server().write_new_session_uses().await;
    assert_eq!(calls(&store), [""; 0], "no use is new");
}

#[tokio::test]
async fn beside_an_unheard_writer_a_look_up_is_remembered_for_its_age() {
    let (store, builder) = counted();
    let server = builder.memory(MemoryLimits::default()).start().await;
    let user = server.user("user-alice", "Alice").await;
    let enter = async || server.enter(Upgrade::at("/cookie").cookie(&user.cookie)).await.vanish();
    enter().await;
    calls(&store);
    server.clock.advance(Duration::from_secs(25));
    enter().await;
    assert_eq!(calls(&store), [""; 0]);
    server.clock.advance(Duration::from_secs(6));
    // Another process ends the session, and this one is not told.
    let target = RevocationTarget::Session(only_session(&*store).await.0);
    let revocation =
        Revocation { target, cause: RevocationCause::Logout, at: UnixTime::EPOCH, forget_at: UnixTime::MAX };
    store.revoke(&revocation).await.expect("a store");
    let mut refused = server.connect(Upgrade::at("/cookie").cookie(&user.cookie)).await.expect("to be told why");
    assert_eq!(refused.closed().await.1.code, 4001);
}

#[tokio::test]
async fn a_use_counts_before_it_is_written() {
    // req J4
    let (store, builder) = counted();
    let limits = SessionLimits { idle: Duration::from_secs(90), absolute: Duration::from_hours(1) };
    let server = builder.settings(|settings| settings.session_limits = limits).start().await;
    let user = server.user("user-alice", "Alice").await;
    let begun = only_session(&*store).await.1;
    let mut advanced = begun;
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(70));
        advanced = server.clock.unix();
        server.enter(Upgrade::at("/cookie").cookie(&user.cookie)).await.vanish();
    }
    assert_eq!(only_session(&*store).await.1, begun, "nothing is written yet");
    assert!(only_session(server.server().store()).await.1 >= advanced);
    // By every way to the session: its owner's list, and a look-up of a process that remembers it no more.
    forget(&server).await;
    let slid = server.post_with_cookie("/auth/refresh", &user.cookie).send().await.expect("an answer");
    assert_eq!(slid.status(), 200, "by what the store has, it idled out");
    server.clock.advance(Duration::from_secs(91));
    let mut refused = server.connect(Upgrade::at("/cookie").cookie(&user.cookie)).await.expect("to be told why");
    assert_eq!(refused.closed().await.1.code, 4002);
}

#[tokio::test]
async fn a_session_that_ends_before_its_use_is_written_stays_ended() {
    // req J5
    let (store, builder) = counted();
    let server = builder.start().await;
    let user = server.user("user-alice", "Alice").await;
    server.clock.advance(Duration::from_secs(61));
    server.enter(Upgrade::at("/cookie").cookie(&user.cookie)).await.vanish();
    let logout = server.post_with_cookie("/auth/logout", &user.cookie).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    server.server().write_new_session_uses().await;
    assert!(store.sessions_of(&alice(), None, 9).await.expect("a store").is_empty());
    let mut refused = server.connect(Upgrade::at("/cookie").cookie(&user.cookie)).await.expect("to be told why");
    assert_eq!(refused.closed().await.1.code, 4001);
}

#[tokio::test]
async fn a_look_up_that_a_log_out_falls_into_leaves_nothing_behind() {
    // req H5: what was read before the log-out must not be remembered, because nothing would correct it once the revocation is forgotten.
    let (store, builder) = counted();
    let server = builder.start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let barriers = [
        ("session_by_secret", 0),
        ("session_by_secret", 1),
        ("user", 0),
        ("user", 1),
        ("api_key_by_secret", 1),
        ("user", 1),
    ];
    for (number, (method, after)) in barriers.into_iter().enumerate() {
        let barrier = if after == 0 { Barrier::Before(method) } else { Barrier::After(method) };
        let user = server.log_in("user-alice").await;
        let (key_id, key) = server.db_api_key("user-alice", None).await;
        forget(&server).await;
        let by_key = number >= 4;
        let upgrade = || {
            if by_key {
                Upgrade::at("/http").header("x-api-key", &key)
            } else {
                Upgrade::at("/cookie").cookie(&user.cookie)
            }
        };
        let target = if by_key {
            RevocationTarget::ApiKey(key_id)
        } else {
            RevocationTarget::Session(only_session(&*store).await.0)
        };
        let (revoker, now) = (server.server().revoker().clone(), server.clock.unix());
        let forget_at = now.plus(Duration::from_secs(1));
        let revocation = Revocation { target, cause: RevocationCause::Administrator, at: now, forget_at };
        store.detour(barrier, async move {
            revoker.revoke(&revocation, None).await.expect("a store");
        });
        if let Ok(mut socket) = server.connect(upgrade()).await {
            socket.closed().await;
        }
        assert!(store.was_taken(), "{barrier:?}");
        server.clock.advance(Duration::from_secs(2));
        server.server().sessions().revocations().forget(server.clock.unix());
        assert!(server.server().sessions().revocations().is_empty(), "{barrier:?}: it is forgotten");
        match server.connect(upgrade()).await {
            Err(refused) => assert_eq!(refused.status, 401, "{barrier:?}"),
            Ok(mut socket) => assert_eq!(socket.closed().await.1.code, 4001, "{barrier:?}"),
        }
    }
}

#[tokio::test]
async fn a_log_in_that_a_change_falls_into_leaves_nothing_behind() {
    // req H5, G5: between the start of a session in the store and what is remembered of it.
    let (store, builder) = counted();
    let server = builder.start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let admin = Role::new("admin").expect("a role");
    for change in [UserChange::Roles(vec![admin]), UserChange::Disable] {
        let (changing, revoker) = (store.clone(), server.server().revoker().clone());
        let when = RevocationTimes { at: server.clock.unix(), forget_at: server.clock.unix() };
        store.detour(Barrier::After("start_session"), {
            let change = change.clone();
            async move {
                let changed = changing.change_user(&alice(), &change, when).await.expect("a store").expect("alice");
                revoker.user_changed(&alice(), &changed).await;
            }
        });
        let user = server.log_in("user-alice").await;
        assert!(store.was_taken(), "{change:?}");
        server.server().sessions().revocations().forget(server.clock.unix());
        let cookie = format!("usher={}", user.cookie);
        let answer = server.get("/auth/session").header("cookie", cookie).send().await.expect("an answer");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        match change {
            UserChange::Roles(_) => assert_eq!(body["user"]["roles"], json!(["admin"])),
            _ => assert_eq!(status, 401, "{body}"),
        }
    }
}
