//! S3: log in over HTTP → token → single-use ticket → ticket checked before the handshake is accepted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Barrier;
use usher_store::TicketBounds;
use usher_testkit::{TestServer, Upgrade};

const ROUTE: &str = "/only/ticket";

#[tokio::test]
async fn s3_basic_then_ticket_then_socket() {
    // req D1, D2
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let basic = server
        .get("/auth")
        .basic_auth("user-alice", Some("correct horse battery staple"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(basic.status(), 200);
    assert!(!basic.headers().contains_key("set-cookie"));
    let token = basic.json::<Value>().await.expect("JSON")["token"].as_str().expect("a token").to_owned();

    let answer = server.get("/ws_ticket").bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let answer: Value = answer.json().await.expect("JSON");
    let members: Vec<&String> = answer.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["expires", "ticket"], "exactly these two");
    let left = answer["expires"].as_i64().expect("seconds") - server.clock.unix().as_seconds();
    assert!((29..=30).contains(&left), "{left}");

    let ticket = answer["ticket"].as_str().expect("a ticket");
    let mut client = server.connect(Upgrade::at(format!("{ROUTE}?ticket={ticket}"))).await.expect("let in");
    let authenticated = client.expect("authenticated").await;
    assert_eq!(authenticated["user"], json!({"id": "user-alice", "name": "Alice"}));
    assert_eq!(authenticated["carrier"], "ticket");
}

#[tokio::test]
async fn s3_a_second_use_is_refused() {
    // req D3
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let ticket = server.ticket(&alice.token).await;
    let upgrade = || Upgrade::at(format!("{ROUTE}?ticket={ticket}"));
    server.enter(upgrade()).await;
    assert_refused(&server, upgrade(), 401, "Invalid ticket").await;
    // A browser, too, gets no 101 for a bad ticket.
    assert_refused(&server, upgrade().browser(), 401, "Invalid ticket").await;
}

#[tokio::test]
async fn s3_missing_and_wrong_tickets_have_their_reasons() {
    let server = TestServer::start().await;
    assert_refused(&server, Upgrade::at(ROUTE), 401, "Missing ticket").await;
    assert_refused(&server, Upgrade::at(ROUTE).browser(), 401, "Missing ticket").await;
    for wrong in ["", "x", "utk_short", &format!("utk_{}", "A".repeat(43)), &format!("usk_{}", "A".repeat(43))] {
        assert_refused(&server, Upgrade::at(format!("{ROUTE}?ticket={wrong}")), 401, "Invalid ticket").await;
    }
}

#[tokio::test]
async fn s3_a_ticket_ends_by_the_servers_clock() {
    // req D4
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let (early, late) = (server.ticket(&alice.token).await, server.ticket(&alice.token).await);
    server.clock.advance(Duration::from_secs(29));
    server.enter(Upgrade::at(format!("{ROUTE}?ticket={early}"))).await;
    server.clock.advance(Duration::from_secs(2));
    let upgrade = || Upgrade::at(format!("{ROUTE}?ticket={late}"));
    assert_refused(&server, upgrade(), 401, "Invalid ticket").await;
    server.clock.step_wall_back(Duration::from_mins(1));
    assert_refused(&server, upgrade(), 401, "Invalid ticket").await;
}

#[tokio::test]
async fn s3_a_ticket_is_bound_to_origin_and_path() {
    // req D5, D7
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let buy = |body: Value| {
        let request = server.post_with_cookie("/ws_ticket", &alice.cookie).json(&body);
        async move {
            request.send().await.expect("an answer").json::<Value>().await.expect("JSON")["ticket"]
                .as_str()
                .expect("a ticket")
                .to_owned()
        }
    };
    let with_origin = buy(json!({})).await;
    let elsewhere = Upgrade::at(format!("{ROUTE}?ticket={with_origin}")).header("origin", "http://evil.test");
    assert_refused(&server, elsewhere, 403, "Forbidden").await;
    let again = Upgrade::at(format!("{ROUTE}?ticket={with_origin}")).browser();
    assert_refused(&server, again, 401, "Invalid ticket").await;

    let with_path = buy(json!({"path": "/ws"})).await;
    assert_refused(&server, Upgrade::at(format!("{ROUTE}?ticket={with_path}")).browser(), 403, "Forbidden").await;
    let with_path = buy(json!({"path": ROUTE})).await;
    server.enter(Upgrade::at(format!("{ROUTE}?ticket={with_path}")).browser()).await;
}

#[tokio::test]
async fn s3_a_ticket_dies_with_the_session() {
    // req D6
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let ticket = server.ticket(&alice.token).await;
    let logout = server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    let refused = server.connect(Upgrade::at(format!("{ROUTE}?ticket={ticket}"))).await.err().expect("refused");
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn s3_only_somebody_authenticated_buys_tickets() {
    // req D2
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    for request in [server.get("/ws_ticket"), server.post("/ws_ticket")] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"usher\"");
    }
    let cross_site = server
        .post("/ws_ticket")
        .header("cookie", format!("usher={}", alice.cookie))
        .header("origin", "http://evil.test");
    assert_eq!(cross_site.send().await.expect("an answer").status(), 403);
    let without_origin = server.post("/ws_ticket").header("cookie", format!("usher={}", alice.cookie));
    assert_eq!(without_origin.send().await.expect("an answer").status(), 403);
    let get_with_cookie = server.get("/ws_ticket").header("cookie", format!("usher={}", alice.cookie));
    assert_eq!(get_with_cookie.send().await.expect("an answer").status(), 405);
    let ticket = server.ticket(&alice.token).await;
    assert_eq!(
        server.get("/ws_ticket").bearer_auth(&ticket).send().await.expect("an answer").status(),
        401,
        "a ticket buys none"
    );
}

#[tokio::test]
async fn s3_outstanding_tickets_are_bounded() {
    // req D8
    let bounds = TicketBounds { per_user: 3, ..TicketBounds::default() };
    let server = TestServer::builder().tickets(bounds).start().await;
    let alice = server.user("user-alice", "Alice").await;
    for _ in 0..3 {
        server.ticket(&alice.token).await;
    }
    let refused = server.get("/ws_ticket").bearer_auth(&alice.token).send().await.expect("an answer");
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    server.clock.advance(Duration::from_secs(31));
    server.ticket(&alice.token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_of_a_thousand_at_once_exactly_one_gets_in() {
    // req D3
    let server = Arc::new(TestServer::start().await);
    let alice = server.user("user-alice", "Alice").await;
    let ticket = server.ticket(&alice.token).await;
    let start = Arc::new(Barrier::new(1_000));
    let racers: Vec<_> = (0..1_000)
        .map(|_| {
            let (server, start, ticket) = (server.clone(), start.clone(), ticket.clone());
            tokio::spawn(async move {
                start.wait().await;
                server.connect(Upgrade::at(format!("{ROUTE}?ticket={ticket}"))).await
            })
        })
        .collect();
    let (mut admitted, mut refused) = (Vec::new(), 0);
    for racer in racers {
        match racer.await.expect("no panic") {
            Ok(client) => admitted.push(client),
            Err(answer) => {
                assert_eq!((answer.status, &answer.problem["title"]), (401, &json!("Invalid ticket")));
                refused += 1;
            }
        }
    }
    assert_eq!((admitted.len(), refused), (1, 999));
    // A ticket lost to a race is no guess: nobody was throttled for it.
    server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
}

async fn assert_refused(server: &TestServer, upgrade: Upgrade, status: u16, title: &str) {
    let refused = server.connect(upgrade).await.err().expect("refused");
    assert_eq!((refused.status, refused.problem["title"].as_str()), (status, Some(title)), "{refused:?}");
}
