//! kill -9 in the middle of a storm of log-ins, refreshes and log-outs: what was acknowledged holds (req H3, J1, L1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use url::Url;

use crate::process::{Place, Tokens, log_in, refresh};

/// Everybody's storm is over after so many acknowledged operations.
const OPERATIONS: usize = 250;
const USERS: usize = 6;

/// What the server acknowledged of one session.
#[derive(Debug)]
struct Acknowledged {
    /// Its refresh tokens, the current one last.
    chain: Vec<String>,
    access: String,
    /// One that was spent; `None` if the server was gone before.
    ticket: Option<String>,
    /// Whether its log-out was acknowledged; `None` if it was asked for and not answered.
    logged_out: Option<bool>,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let place = Place::new(
        "[limits]\nfailures = { per_account = \"100000/min\", per_source = \"100000/min\" }\n[[routes]]\npath = \"/ws\"\n",
    );
    for number in 0..USERS {
        place.add_user(&format!("user-{number}"));
    }
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    for round in 0..3 {
        let server = place.start();
        let url = server.url.to_string();
        let count = Arc::new(AtomicUsize::new(0));
        let storms: Vec<_> = (0..USERS)
            .map(|number| tokio::spawn(storm(http.clone(), url.clone(), format!("user-{number}"), count.clone())))
            .collect();
        while count.load(Ordering::Relaxed) < OPERATIONS {
            tokio::task::yield_now().await;
        }
        server.kill();
        let mut sessions = Vec::new();
        for storm in storms {
            sessions.extend(storm.await.expect("no panic"));
        }
        assert!(sessions.len() > USERS, "round {round}: it was a storm");

        let server = place.start();
        let url = server.url.to_string();
        assert_eq!(place.run(&["user", "list", "--json"]).matches("user-").count() / 2, USERS, "no user is lost");
        for session in sessions {
            check(&http, &url, &session).await;
        }
    }
}

/// Logs in, refreshes thrice, logs out of every other session, until the server is gone.
async fn storm(http: reqwest::Client, server: String, user: String, count: Arc<AtomicUsize>) -> Vec<Acknowledged> {
    let mut sessions = Vec::new();
    loop {
        let Some(Tokens { access, refresh: first }) = log_in(&http, &server, &user).await else { return sessions };
        count.fetch_add(1, Ordering::Relaxed);
        let ticket = spend_ticket(&http, &server, &access).await;
        sessions.push(Acknowledged { chain: vec![first], access, ticket, logged_out: Some(false) });
        let odd = sessions.len() % 2 == 1;
        let session = sessions.last_mut().expect("just added");
        for _ in 0..3 {
            let current = session.chain.last().expect("one").clone();
            let Some(answer) = refresh(&http, &server, &current).await else { return sessions };
            let renewed = answer.expect("a current token is good");
            count.fetch_add(1, Ordering::Relaxed);
            session.chain.push(renewed.refresh);
            session.access = renewed.access;
        }
        if odd {
            session.logged_out = None;
            let request = http.post(format!("{server}auth/logout")).bearer_auth(&session.access);
            let Ok(answer) = request.send().await else { return sessions };
            assert_eq!(answer.status(), 204);
            count.fetch_add(1, Ordering::Relaxed);
            session.logged_out = Some(true);
        }
    }
}

/// Buys a ticket and spends it on a socket.
async fn spend_ticket(http: &reqwest::Client, server: &str, access: &str) -> Option<String> {
    let answer = http.get(format!("{server}ws_ticket")).bearer_auth(access).send().await.ok()?;
    assert_eq!(answer.status(), 200, "ticket");
    let body: Value = answer.json().await.ok()?;
    let ticket = body["ticket"].as_str().expect("a ticket").to_owned();
    let status = present(server, &ticket).await?;
    assert_eq!(status, 101, "a good ticket");
    Some(ticket)
}

/// Presents a ticket at an upgrade; the answer's status, or `None` if the server is gone.
async fn present(server: &str, ticket: &str) -> Option<u16> {
    let url = Url::parse(server).expect("a URL");
    let address = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let stream = tokio::net::TcpStream::connect(&address).await.ok()?;
    let request = format!("ws://{address}/ws?ticket={ticket}");
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((_, response)) => Some(response.status().as_u16()),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Some(response.status().as_u16()),
        Err(_) => None,
    }
}

async fn check(http: &reqwest::Client, server: &str, session: &Acknowledged) {
    if let Some(ticket) = &session.ticket {
        assert_eq!(present(server, ticket).await, Some(401), "a spent ticket worked again");
    }
    let current = session.chain.last().expect("one");
    let access = http.get(format!("{server}auth/session")).bearer_auth(&session.access).send().await;
    let access = access.expect("an answer").status().as_u16();
    let renewed = refresh(http, server, current).await.expect("an answer");
    match session.logged_out {
        // Nobody knows which it was; it must be one of them.
        None => assert_eq!(access == 200, renewed.is_ok(), "half a log-out: {session:?}"),
        Some(true) => {
            assert_eq!(access, 401, "a revocation was lost: {session:?}");
            assert_eq!(renewed.expect_err("a revocation was lost"), 400);
        }
        Some(false) => {
            assert_eq!(access, 200, "a session was lost: {session:?}");
            let renewed = renewed.unwrap_or_else(|status| panic!("a refresh token was lost ({status}): {session:?}"));
            if session.chain.len() >= 3 {
                // Long spent: its successor was used.
                let spent = refresh(http, server, &session.chain[0]).await.expect("an answer");
                assert_eq!(spent.expect_err("a spent token worked"), 400);
                let family = refresh(http, server, &renewed.refresh).await.expect("an answer");
                assert_eq!(family.expect_err("the family has ended"), 400);
            }
        }
    }
}
