//! Nothing falls between a check and a registration (req H5), and nothing moves after a revocation is acknowledged (req H4).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use usher_accounts::Revoker;
use usher_auth::ids::UserId;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::ticket::Ticket;
use usher_auth::{Now, UnixTime};
use usher_store::memory::{MemoryStore, MemoryTickets};
use usher_store::{RedeemedTicket, StoreError, TicketBounds, TicketRejected, TicketStore};
use usher_testkit::{BarrierStore, TestServer, Upgrade};

fn alice() -> UserId {
    UserId::new("user-alice").expect("an id")
}

#[tokio::test]
async fn a_revocation_at_any_await_of_an_upgrade_is_seen() {
    // req H5: at every call of the store, before it and after it, the user is logged out everywhere.
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let server = TestServer::builder().store(store.clone()).start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    for way in ["cookie", "refreshed cookie", "key"] {
        let mut barrier_number = 0;
        loop {
            let user = server.log_in("user-alice").await;
            let (key_id, key) = server.db_api_key("user-alice", None).await;
            let upgrade = || match way {
                "key" => Upgrade::at("/http").header("x-api-key", &key),
                // Nothing else may come here: a cookie that is stale is refused and not waited past.
                _ => Upgrade::at("/cookie").cookie(&user.cookie),
            };
            if way == "refreshed cookie" {
                // Long enough for the upgrade to write down that the session was used.
                server.clock.advance(std::time::Duration::from_secs(61));
            }
            // Nothing is cached: each look-up meets the store.
            server.server().revoker().user_added(&alice()).await;
            store.met();
            server.enter(upgrade()).await.vanish();
            server.server().revoker().user_added(&alice()).await;
            let barriers = store.met();
            if way == "refreshed cookie" {
                server.clock.advance(std::time::Duration::from_secs(61));
            }
            let Some(barrier) = barriers.get(barrier_number).copied() else { break };
            barrier_number += 1;
            let target = match way {
                "key" => RevocationTarget::ApiKey(key_id),
                _ => RevocationTarget::User { user: alice(), issued_before: UnixTime::MAX, except: None },
            };
            let (revoker, at) = (server.server().revoker().clone(), server.clock.unix());
            let cause = if way == "key" { RevocationCause::KeyRevoked } else { RevocationCause::LogoutEverywhere };
            store.detour(barrier, async move {
                let revocation = Revocation { target, cause, at, forget_at: UnixTime::MAX };
                revoker.revoke(&revocation, None).await.expect("a store");
            });
            match server.connect(upgrade()).await {
                Err(refused) => assert_eq!(refused.status, 401, "{way} {barrier:?}"),
                // Let in and ended at once, or accepted to be told that it is not.
                Ok(mut socket) => {
                    let code = socket.closed().await.1.code;
                    assert!(code == 4004 || way != "key" && code == 4001, "{way} {barrier:?}: {code}");
                }
            }
            assert!(store.was_taken(), "{way} {barrier:?}");
            assert_eq!(server.server().connections().count(), 0, "{way} {barrier:?}");
        }
        assert!(barrier_number >= 4, "{way}: {barrier_number} barriers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_moves_in_either_direction_after_the_acknowledgement() {
    // req H4: floods both ways while the session ends; each message carries whether the end had been acknowledged.
    let server = Arc::new(
        TestServer::builder()
            .settings(|settings| {
                settings.messages.interval = std::time::Duration::from_nanos(1);
                settings.messages.burst = u32::MAX;
            })
            .start()
            .await,
    );
    let bob = server.user("user-bob", "Bob").await;
    for round in 0..20 {
        let alice = server.user(&format!("user-alice-{round}"), "Alice").await;
        let mut listening = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
        listening.join("board-1").await;
        let mut alices = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
        alices.join("board-1").await;
        let acknowledged = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicUsize::new(0));
        let flood = {
            let (acknowledged, sent) = (acknowledged.clone(), sent.clone());
            tokio::spawn(async move {
                // Until it is closed: what was sent after the acknowledgement says so.
                for _ in 0..5_000 {
                    let late = acknowledged.load(Ordering::SeqCst);
                    alices.send(&json!({"type": "publish", "room": "board-1", "data": {"late": late}})).await;
                    sent.fetch_add(1, Ordering::SeqCst);
                }
                alices.closed().await
            })
        };
        while sent.load(Ordering::SeqCst) < 50 + round * 10 {
            tokio::task::yield_now().await;
        }
        let logout = server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
        assert_eq!(logout.status(), 204);
        acknowledged.store(true, Ordering::SeqCst);
        // To her: nothing that is published from here on.
        listening.send(&json!({"type": "publish", "room": "board-1", "data": "after", "id": "after"})).await;
        loop {
            let frame = listening.next().await.expect("bob stays");
            assert_ne!(frame["data"]["late"], true, "round {round}: taken after the acknowledgement");
            if frame["type"] == "published" {
                break;
            }
        }
        for frame in listening.ping().await {
            assert_ne!(frame["data"]["late"], true, "round {round}: taken after the acknowledgement");
        }
        let (frames, closed) = flood.await.expect("no panic");
        // Whether the client still hears the code depends on how much it had under way; what it hears is never a message.
        assert!(closed.code == 4004 || closed.code == 1006, "round {round}: {closed:?}");
        assert!(frames.iter().all(|frame| frame["data"] != "after"), "round {round}: sent after the acknowledgement");
    }
}

type Detour = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tickets whose redemption is interrupted, once: before it or after it.
struct InterruptedTickets {
    inner: MemoryTickets,
    before: Mutex<Option<Detour>>,
    after: Mutex<Option<Detour>>,
}

#[async_trait]
impl TicketStore for InterruptedTickets {
    async fn put(
        &self,
        secret: &HashedToken,
        ticket: Ticket,
        now: Now,
    ) -> Result<Result<(), TicketRejected>, StoreError> {
        self.inner.put(secret, ticket, now).await
    }

    async fn redeem(&self, secret: &HashedToken, now: Now) -> Result<RedeemedTicket, StoreError> {
        let (before, after) = (self.before.lock().take(), self.after.lock().take());
        if let Some(before) = before {
            before.await;
        }
        let redeemed = self.inner.redeem(secret, now).await;
        if let Some(after) = after {
            after.await;
        }
        redeemed
    }
}

#[tokio::test]
async fn a_revocation_while_a_ticket_is_redeemed_is_seen() {
    // req H5, D6: before the ticket is taken out, and after it.
    let tickets = Arc::new(InterruptedTickets {
        inner: MemoryTickets::new(TicketBounds::default()),
        before: Mutex::default(),
        after: Mutex::default(),
    });
    let server = TestServer::builder().ticket_store(tickets.clone()).start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    for (when, place) in [("before", &tickets.before), ("after", &tickets.after)] {
        for first_message in [false, true] {
            let user = server.log_in("user-alice").await;
            let ticket = server.ticket(&user.token).await;
            let (revoker, at) = (server.server().revoker().clone(), server.clock.unix());
            let target = RevocationTarget::User { user: alice(), issued_before: UnixTime::MAX, except: None };
            let cause = RevocationCause::LogoutEverywhere;
            *place.lock() = Some(Box::pin(async move {
                let revocation = Revocation { target, cause, at, forget_at: UnixTime::MAX };
                revoker.revoke(&revocation, None).await.expect("a store");
            }));
            if first_message {
                let mut socket = server.connect(Upgrade::at("/ws")).await.expect("it waits");
                socket.authenticate(&ticket).await;
                assert_eq!(socket.closed().await.1.code, 4001, "{when}, first message");
            } else {
                let refused = server.connect(Upgrade::at(format!("/ws?ticket={ticket}"))).await.err();
                assert_eq!(refused.expect("refused").status, 401, "{when}");
            }
            assert!(place.lock().is_none(), "{when}: it was interrupted");
            assert_eq!(server.server().connections().count(), 0);
        }
    }
}
