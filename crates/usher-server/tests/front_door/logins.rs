//! What happens to a user while a log-in of theirs is under way, and to a hash that has grown old.

use std::sync::Arc;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::{Value, json};
use usher_accounts::Revoker;
use usher_auth::UnixTime;
use usher_auth::ids::{Role, UserId};
use usher_auth::user::PasswordHash;
use usher_store::memory::MemoryStore;
use usher_store::{RevocationTimes, Store, UserChange, UserStore as _};
use usher_testkit::{Barrier, BarrierStore, TestServer, Upgrade};

const PASSWORD: &str = "correct horse battery staple";

fn alice() -> UserId {
    UserId::new("user-alice").expect("an id")
}

/// The change, as the administrator's tools do it: at the time of the server's clock when it is awaited.
fn change(
    server: &TestServer,
    store: &Arc<BarrierStore>,
    change: UserChange,
) -> impl Future<Output = ()> + Send + use<> {
    let (store, revoker, clock) = (store.clone(), server.server().revoker().clone(), server.clock.clone());
    async move {
        let when = RevocationTimes { at: clock.unix(), forget_at: UnixTime::MAX };
        let changed = store.change_user(&alice(), &change, when).await.expect("a store").expect("alice");
        Revoker::user_changed(&revoker, &alice(), &changed).await;
    }
}

async fn log_in(server: &TestServer) -> (u16, Value) {
    let request = server.post("/auth/login").json(&json!({"user": "user-alice", "pwd": PASSWORD}));
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_log_in_does_not_outlive_a_password_change_that_happened_under_it() {
    // req H3, H5: the old password was right when it was looked at; then it was changed, and all sessions were ended.
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let server = TestServer::builder().store(store.clone()).start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    store.met();
    assert_eq!(log_in(&server).await.0, 200);
    let barriers = store.met();
    assert!(barriers.len() >= 4, "{barriers:?}");
    for barrier in barriers.into_iter().skip(1) {
        let id = format!("{barrier:?}");
        let (_, original) = store.user_with_password(&alice()).await.expect("a store").expect("a user");
        let new = UserChange::Password(PasswordHash::from_phc("$argon2id$another"));
        store.detour(barrier, change(&server, &store, new));
        let (status, body) = log_in(&server).await;
        assert!(store.was_taken(), "{id}");
        if status == 200 {
            // Granted before anybody could know; what it granted holds no longer.
            let token = body["token"].as_str().expect("a token");
            let answer = server.get("/auth/session").bearer_auth(token).send().await.expect("an answer");
            assert_eq!(answer.status(), 401, "{id}");
        } else {
            assert_eq!(status, 401, "{id}");
        }
        assert!(server.store.sessions_of(&alice(), None, 9).await.expect("a store").is_empty(), "{id}");
        change(&server, &store, UserChange::Password(original.expect("a password"))).await;
        store.met();
    }
}

#[tokio::test]
async fn a_log_in_does_not_carry_roles_past_their_withdrawal() {
    // req H3, H5: the user was read with the role; it was taken away before the token was signed.
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let server = TestServer::builder().store(store.clone()).start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    store.met();
    assert_eq!(log_in(&server).await.0, 200);
    for barrier in store.met().into_iter().skip(1) {
        store.detour(barrier, change(&server, &store, UserChange::Roles(Vec::new())));
        // The token is made in a later second than the last change back.
        server.clock.advance(std::time::Duration::from_secs(2));
        let (status, body) = log_in(&server).await;
        assert!(store.was_taken(), "{barrier:?}");
        assert_eq!(status, 200, "the password is right, {barrier:?}");
        let socket = server.connect(Upgrade::at("/http").bearer(body["token"].as_str().expect("a token"))).await;
        if let Ok(mut socket) = socket {
            socket.expect("authenticated").await;
            socket.send(&json!({"type": "join", "room": "board-1"})).await;
            assert_eq!(socket.expect("error").await["code"], "forbidden", "{barrier:?}");
        }
        let roles = [Role::new("user").expect("a role")];
        change(&server, &store, UserChange::Roles(roles.to_vec())).await;
        store.met();
    }
}

#[tokio::test]
async fn a_log_out_is_done_though_the_client_hangs_up() {
    // req H3, J5: it closes the tab in the middle of it.
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let server = TestServer::builder().store(store.clone()).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    store.detour(Barrier::After("revoke"), async move {
        let _ = released.await;
    });
    let address = format!("{}:{}", server.url.host_str().expect("a host"), server.url.port().expect("a port"));
    let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it listens");
    let request =
        format!("POST /auth/logout HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n", alice.token);
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("written");
    while !store.was_taken() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    // Time enough for the server to see that.
    for _ in 0..20 {
        assert_eq!(server.get("/healthz").send().await.expect("an answer").status(), 200);
    }
    // Whether it still waits for this is what is asked.
    let _ = release.send(());
    assert_eq!(socket.closed().await.1.code, 4004);
    assert_eq!(server.get("/auth/session").bearer_auth(&alice.token).send().await.expect("an answer").status(), 401);
}

#[tokio::test]
async fn an_old_hash_is_upgraded_by_the_next_log_in() {
    // req K1
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).expect("parameters"));
    let weak = weak.hash_password_with_salt(PASSWORD.as_bytes(), &[9; 16]).expect("a hash").to_string();
    server.db_change("user-alice", &UserChange::Password(PasswordHash::from_phc(weak.clone()))).await;
    let stored = async |store: &Arc<dyn Store>| {
        let (_, hash) = store.user_with_password(&alice()).await.expect("a store").expect("a user");
        hash.expect("a password").as_phc().to_owned()
    };
    let wrong = server.post("/auth/login").json(&json!({"user": "user-alice", "pwd": "wrong"})).send();
    assert_eq!(wrong.await.expect("an answer").status(), 401);
    assert_eq!(stored(&server.store).await, weak, "a wrong password upgrades nothing");
    assert_eq!(log_in(&server).await.0, 200);
    let upgraded = stored(&server.store).await;
    assert!(upgraded.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{upgraded}");
    assert_eq!(log_in(&server).await.0, 200, "it is the same password");
    assert_eq!(stored(&server.store).await, upgraded, "once is enough");
}

#[tokio::test]
async fn log_ins_that_upgrade_a_hash_at_once_all_succeed() {
    // req K1: one of them upgrades it, and the others find another hash of the same password.
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).expect("parameters"));
    let weak = weak.hash_password_with_salt(PASSWORD.as_bytes(), &[9; 16]).expect("a hash").to_string();
    server.db_change("user-alice", &UserChange::Password(PasswordHash::from_phc(weak))).await;
    let statuses = tokio::join!(log_in(&server), log_in(&server), log_in(&server));
    assert_eq!([statuses.0.0, statuses.1.0, statuses.2.0], [200; 3]);
}

/// Changes alice's roles each time before her session is started, so many times.
fn change_each_time(server: &Arc<TestServer>, store: &Arc<BarrierStore>, times: usize) {
    if times > 0 {
        let (server, again) = (server.clone(), store.clone());
        let roles = vec![Role::new(format!("role-{times}")).expect("a role")];
        let changing = change(&server, store, UserChange::Roles(roles));
        store.detour(Barrier::Before("start_session"), async move {
            changing.await;
            change_each_time(&server, &again, times - 1);
        });
    }
}

#[tokio::test]
async fn a_log_in_of_a_user_who_changes_all_the_time_is_to_be_tried_again() {
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let server = Arc::new(TestServer::builder().store(store.clone()).start().await);
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    change_each_time(&server, &store, 2);
    assert_eq!(log_in(&server).await.0, 200, "the third try");
    assert!(store.was_taken());
    change_each_time(&server, &store, 3);
    let (status, body) = log_in(&server).await;
    assert_eq!((status, &body["code"]), (503, &json!("busy")), "not that the password is wrong");
}
