//! What happens to a user while a log-in of theirs is under way, and to a hash that has grown old.

use std::sync::Arc;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::{Value, json};
use usher_auth::UnixTime;
use usher_auth::ids::UserId;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::user::PasswordHash;
use usher_store::memory::MemoryStore;
use usher_store::{Store, UserStore};
use usher_testkit::{BarrierStore, TestServer};

const PASSWORD: &str = "correct horse battery staple";

fn alice() -> UserId {
    UserId::new("user-alice").expect("an id")
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
    assert!(barriers.len() >= 8, "{barriers:?}");
    for barrier in barriers.into_iter().skip(1) {
        let id = format!("{barrier:?}");
        let (_, original) = store.user_with_password(&alice()).await.expect("a store").expect("a user");
        let (target_store, revoker) = (store.clone(), server.server().revoker().clone());
        let changed_at = server.clock.unix();
        store.detour(barrier, async move {
            let new = PasswordHash::from_phc("$argon2id$another");
            target_store.set_password(&alice(), &new).await.expect("a store");
            let target = RevocationTarget::User { user: alice(), issued_before: changed_at, except: None };
            let cause = RevocationCause::PasswordChanged;
            let revocation = Revocation { target, cause, at: changed_at, forget_at: UnixTime::MAX };
            usher_server::admin::Revoker::revoke(&revoker, &revocation, None).await.expect("a store");
        });
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
        assert!(server.store.sessions_of(&alice()).await.expect("a store").is_empty(), "{id}");
        store.set_password(&alice(), &original.expect("a password")).await.expect("a store");
        store.met();
    }
}

#[tokio::test]
async fn an_old_hash_is_upgraded_by_the_next_log_in() {
    // req K1
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).expect("parameters"));
    let weak = weak.hash_password_with_salt(PASSWORD.as_bytes(), &[9; 16]).expect("a hash").to_string();
    server.store.set_password(&alice(), &PasswordHash::from_phc(weak.clone())).await.expect("a store");
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
