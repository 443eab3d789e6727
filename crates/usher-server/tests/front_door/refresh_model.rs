//! Refreshes and log-outs of one session under a scheduler that tries their interleavings at every call of the store
//! (req L1, L2, L5, O7).

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use serde_json::{Value, json};
use shuttle::scheduler::RandomScheduler;
use usher_accounts::Revoker as _;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::{PlainToken, TokenKind};
use usher_auth::session::{RefreshState, RefreshToken, Session};
use usher_auth::throttle::AttemptRate;
use usher_auth::{Clock as _, UnixTime};
use usher_axum::client_address::PeerAddress;
use usher_store::memory::MemoryStore;
use usher_testkit::{BarrierStore, TestServer};

/// Schedules tried of each model. Each is another random one; the seed is printed with a failure.
const SCHEDULES: usize = 500;
/// Stack of each of the scheduler's tasks.
const STACK_BYTES: usize = 1 << 20;

/// A server whose store gives way to the scheduler at every call.
async fn server() -> TestServer {
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    // Thousands of refreshes of one account, on a clock that stands still.
    let unpaced = AttemptRate { attempts: 1_000_000, per: Duration::from_mins(1) };
    let server = TestServer::builder().settings(|settings| settings.logins.per_account = unpaced);
    let server = server.store(store.clone()).start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    store.pause_with(shuttle::future::yield_now);
    server
}

/// A session of alice's with a fresh refresh token, as a log-in leaves it.
async fn session(server: &TestServer, number: u16) -> (SessionId, String) {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    let id = SessionId::new(format!("ses_{number}")).expect("an id");
    let (user, now) = (UserId::new("user-alice").expect("an id"), server.clock.now().unix);
    let session = Session {
        id: id.clone(),
        user: user.clone(),
        secret: PlainToken::from_random(TokenKind::Session, bytes).hashed(),
        created_at: now,
        last_seen_at: now,
        client_ip: None,
        user_agent: None,
    };
    server.store.create_session(&session).await.expect("a store");
    let refresh = PlainToken::from_random(TokenKind::Refresh, bytes);
    let record = RefreshToken {
        secret: refresh.hashed(),
        session: id.clone(),
        user,
        issued_at: now,
        expires_at: now.plus(Duration::from_hours(24)),
        state: RefreshState::Fresh,
    };
    server.store.create_refresh_token(&record).await.expect("a store");
    (id, refresh.reveal().to_owned())
}

/// A refresh through the router itself: no socket, nothing but the store to wait for.
async fn refresh(router: Router, token: String) -> Result<String, u16> {
    let text = json!({"refresh_token": token}).to_string();
    let request = Request::post("/auth/refresh")
        .extension(PeerAddress(([127, 0, 0, 1], 1).into()))
        .header("content-type", "application/json")
        .header("content-length", text.len())
        .body(Body::from(text))
        .expect("a request");
    let answer = tower::ServiceExt::oneshot(router, request).await.expect("an answer");
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(status);
    }
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 16).await.expect("a body");
    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
    Ok(body["refresh_token"].as_str().expect("a token").to_owned())
}

/// Runs `model` under many schedules, each with a session of its own.
fn check<F>(model: impl Fn(Arc<TestServer>, SessionId, String) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = Arc::new(runtime.block_on(server()));
    let number = AtomicU16::new(0);
    // What asks for a timer finds one; nothing here waits for it.
    let _entered = runtime.enter();
    // The router's futures are deeper than the stack a model usually needs.
    let mut config = shuttle::Config::default();
    config.stack_size = STACK_BYTES;
    shuttle::Runner::new(RandomScheduler::new(SCHEDULES), config).run(move || {
        let (server, number) = (server.clone(), number.fetch_add(1, Ordering::Relaxed));
        shuttle::future::block_on(async {
            let (id, token) = session(&server, number).await;
            model(server, id, token).await;
        });
    });
}

#[test]
fn two_refreshes_of_one_token_make_one_chain() {
    // req L2
    check(|server, _, token| async move {
        let router = server.server().router();
        let one = shuttle::future::spawn(refresh(router.clone(), token.clone()));
        let other = shuttle::future::spawn(refresh(router.clone(), token));
        let (one, other) = (one.await.expect("no panic"), other.await.expect("no panic"));
        assert!(one.is_ok() && one == other, "{one:?} {other:?}");
        assert!(refresh(router, one.expect("checked")).await.is_ok());
    });
}

#[test]
fn a_refresh_that_races_a_log_out_leaves_nothing_alive() {
    // req L5, H5
    check(|server, id, token| async move {
        let router = server.server().router();
        let refreshing = shuttle::future::spawn(refresh(router.clone(), token.clone()));
        let (revoker, at) = (server.server().revoker().clone(), server.clock.now().unix);
        let target = RevocationTarget::Session(id);
        let revocation = Revocation { target, cause: RevocationCause::Logout, at, forget_at: UnixTime::MAX };
        revoker.revoke(&revocation, None).await.expect("a store");
        let renewed = refreshing.await.expect("no panic");
        if let Ok(successor) = renewed {
            assert!(refresh(router.clone(), successor).await.is_err(), "the successor outlived the log-out");
        }
        assert!(refresh(router, token).await.is_err());
    });
}

#[test]
fn a_token_that_comes_back_is_a_retry_or_ends_the_family() {
    // req L1, L2: never two live branches.
    check(|server, _, token| async move {
        let router = server.server().router();
        let again = shuttle::future::spawn(refresh(router.clone(), token.clone()));
        let first = refresh(router.clone(), token).await;
        let second = match &first {
            Ok(first) => refresh(router.clone(), first.clone()).await,
            Err(status) => Err(*status),
        };
        match again.await.expect("no panic") {
            Ok(again) => {
                assert_eq!(Ok(&again), first.as_ref(), "another branch");
                assert!(refresh(router, second.expect("nothing was stolen")).await.is_ok());
            }
            Err(_) => {
                if let Ok(second) = second {
                    assert!(refresh(router, second).await.is_err(), "the family outlived the reuse");
                }
            }
        }
    });
}
