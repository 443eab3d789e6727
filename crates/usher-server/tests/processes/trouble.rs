//! A store in trouble while 200 clients log in, renew and log out (S17): its disk is full, fails, is read-only, the file may not grow, another
//! process holds the lock. What was acknowledged holds, what could not be done says so, and nothing needs a restart.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::process::{PASSWORD, Place, Process, Tokens};

const CLIENTS: usize = 200;
const USERS: usize = 20;
/// So many operations are seen to fail before the trouble ends, and so many to succeed before the next one.
const SEEN: usize = 20;

/// What is the matter, as the number of the system's error that writing gets: `EIO`, `ENOSPC`, `EROFS`.
const ERRORS: [(&str, u32); 3] = [("I/O error", 5), ("disk full", 28), ("read-only", 30)];

#[derive(Default)]
struct Counts {
    done: AtomicUsize,
    failed: AtomicUsize,
    over: AtomicBool,
}

/// What the server acknowledged to one client.
#[derive(Debug)]
struct Acknowledged {
    tokens: Tokens,
    logged_out: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn s17_a_store_in_trouble_loses_nothing_and_recovers_by_itself() {
    // req O6, H3, L1
    let place = Place::new(
        "[limits]\nlogins = { per_account = \"100000/min\", per_source = \"100000/min\" }\n\
         per_user = { sessions = 100000 }\n[[routes]]\npath = \"/ws\"\n",
    );
    for number in 0..USERS {
        place.add_user(&format!("user-{number}"));
    }
    let control = place.file("failing-writes");
    let server = place.start_with_environment(&[
        ("LD_PRELOAD", build_shim(&place).to_str().expect("text")),
        ("FAILING_WRITES", control.to_str().expect("text")),
    ]);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let counts = Arc::new(Counts::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(http.clone(), server.url.to_string(), number, counts.clone())))
        .collect();
    works(&http, &server, &counts).await;

    for (name, errno) in ERRORS {
        std::fs::write(&control, errno.to_string()).expect("written");
        fails(&counts, name).await;
        std::fs::remove_file(&control).expect("removed");
        works(&http, &server, &counts).await;
    }
    server.set_limit("fsize", "4096:");
    fails(&counts, "the file may not grow").await;
    server.set_limit("fsize", "unlimited:");
    works(&http, &server, &counts).await;

    let lock = Lock::take(&place);
    fails(&counts, "locked").await;
    drop(lock);
    works(&http, &server, &counts).await;

    counts.over.store(true, Ordering::SeqCst);
    let mut sessions = Vec::new();
    for client in clients {
        sessions.extend(client.await.expect("no panic"));
    }
    assert!(sessions.iter().any(|session| session.logged_out) && sessions.iter().any(|session| !session.logged_out));
    place.run(&["audit", "verify"]);
    // And all of it is durable.
    server.kill();
    let server = place.start();
    for session in &sessions {
        check(&http, &server, session).await;
    }
}

/// Waits until the server says that it is ready, and operations succeed.
async fn works(http: &reqwest::Client, server: &Process, counts: &Counts) {
    let ready = async || {
        let answer = http.get(format!("{}readyz", server.url)).send().await.expect("an answer");
        answer.status().as_u16() == 200
    };
    while !ready().await {
        tokio::task::yield_now().await;
    }
    let before = counts.done.load(Ordering::SeqCst);
    while counts.done.load(Ordering::SeqCst) < before + SEEN {
        tokio::task::yield_now().await;
    }
}

/// Waits until operations fail.
async fn fails(counts: &Counts, why: &str) {
    let before = counts.failed.load(Ordering::SeqCst);
    let seen = async {
        while counts.failed.load(Ordering::SeqCst) < before + SEEN {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(100), seen)
        .await
        .unwrap_or_else(|_| panic!("{why}: nothing failed"));
}

/// Logs in, renews a few times, logs out of every other session; what is refused for the store's sake is asked for again.
async fn client(http: reqwest::Client, server: String, number: usize, counts: Arc<Counts>) -> Vec<Acknowledged> {
    let post = async |path: &str, body: Value, bearer: Option<&str>| loop {
        let mut request = http.post(format!("{server}{path}"));
        request = match bearer {
            Some(token) => request.bearer_auth(token),
            None => request.json(&body),
        };
        let answer = request.send().await.expect("the process goes on");
        let status = answer.status().as_u16();
        let body = answer.json::<Value>().await.unwrap_or_default();
        match (status, body["code"].as_str()) {
            (503, Some("unavailable")) => counts.failed.fetch_add(1, Ordering::SeqCst),
            // Too many log-ins at once: no trouble of the store's.
            (503, _) => continue,
            _ => {
                counts.done.fetch_add(1, Ordering::SeqCst);
                return (status, body);
            }
        };
    };
    let tokens = |body: &Value| Tokens {
        access: body["token"].as_str().expect("a token").to_owned(),
        refresh: body["refresh_token"].as_str().expect("a token").to_owned(),
    };
    let mut sessions: Vec<Acknowledged> = Vec::new();
    while !counts.over.load(Ordering::SeqCst) {
        let user = format!("user-{}", number % USERS);
        let (status, body) = post("auth/login", json!({"user": user, "pwd": PASSWORD}), None).await;
        assert_eq!(status, 200, "log-in");
        let mut held = tokens(&body);
        for _ in 0..3 {
            // What failed did not happen, or is a retry that yields the same: the token is good as long as no answer gave another.
            let (status, body) = post("auth/refresh", json!({"refresh_token": held.refresh}), None).await;
            assert_eq!(status, 200, "a refresh token was lost");
            held = tokens(&body);
        }
        let log_out = sessions.len() % 2 == 1;
        if log_out {
            let (status, _) = post("auth/logout", Value::Null, Some(&held.access)).await;
            assert_eq!(status, 204, "log-out");
        }
        sessions.push(Acknowledged { tokens: held, logged_out: log_out });
    }
    sessions
}

async fn check(http: &reqwest::Client, server: &Process, session: &Acknowledged) {
    let access = http.get(format!("{}auth/session", server.url)).bearer_auth(&session.tokens.access).send().await;
    let renewed = http
        .post(format!("{}auth/refresh", server.url))
        .json(&json!({"refresh_token": session.tokens.refresh}))
        .send()
        .await;
    let status = |answer: reqwest::Result<reqwest::Response>| answer.expect("an answer").status().as_u16();
    let expected = if session.logged_out { (401, 400) } else { (200, 200) };
    assert_eq!((status(access), status(renewed)), expected, "{session:?}");
}

/// What makes writes fail, built with the C compiler that Usher itself needs.
fn build_shim(place: &Place) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/processes/failing_writes.c");
    let library = place.file("failing_writes.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(built.expect("there is a C compiler").success());
    library
}

/// Another process that holds the store's lock.
struct Lock(std::process::Child);

impl Lock {
    fn take(place: &Place) -> Self {
        let program = "import sqlite3, sys\n\
                       connection = sqlite3.connect('usher.db', timeout=60, isolation_level=None)\n\
                       connection.execute('BEGIN IMMEDIATE')\n\
                       sys.stdin.read()\n";
        let mut python = Command::new("python3");
        let child = python.args(["-c", program]).current_dir(place.path()).stdin(std::process::Stdio::piped()).spawn();
        Self(child.expect("python3 is there"))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
