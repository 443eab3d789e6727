//! The audit trail: what happened, in whose words, without a credential (req N1–N5, K7).

use std::fs;

use serde_json::{Value, json};
use usher_audit::{AuditEvent, SinkSetting};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_testkit::{TestServer, Upgrade};

/// `event outcome reason carrier subject`, as far as there is any.
pub(crate) fn short(record: &Value) -> String {
    let fields = ["event", "outcome", "reason", "carrier", "subject"];
    fields.map(|field| record[field].as_str().unwrap_or("-").to_owned()).join(" ")
}

async fn short_records(server: &TestServer) -> Vec<String> {
    server.audit_records().await.iter().map(short).collect()
}

async fn refresh(server: &TestServer, token: &str) -> (u16, Value) {
    let answer = server.post("/auth/refresh").json(&json!({"refresh_token": token})).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn s11_a_day_at_the_door() {
    // req N1, K7, L1
    let server = TestServer::start().await;
    let wrong = json!({"user": "user-alice", "pwd": "not it"});
    let alice = server.user("user-alice", "Alice").await;
    server.post("/auth/login").json(&wrong).send().await.expect("an answer");
    server.post("/auth/login").json(&json!({"user": "nobody", "pwd": "x"})).send().await.expect("an answer");

    let ticket = server.ticket(&alice.token).await;
    let mut by_ticket = server.enter(Upgrade::at(format!("/ws?ticket={ticket}"))).await;
    server.connect(Upgrade::at(format!("/http?ticket={ticket}"))).await.err().expect("spent");
    let mut by_cookie = server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await;
    let foreign = Upgrade::at("/only/cookie").header("cookie", &format!("usher={}", alice.cookie));
    server.connect(foreign.header("origin", "http://evil.test")).await.err().expect("foreign");
    server.connect(Upgrade::at("/http").bearer("not.a.token")).await.err().expect("refused");

    by_ticket.send(&json!({"type": "join", "room": "nowhere"})).await;
    by_ticket.expect("error").await;
    by_ticket.join("news-1").await;
    by_ticket.send(&json!({"type": "publish", "room": "news-1", "data": 1})).await;
    by_ticket.expect("error").await;
    by_cookie.authenticate(&alice.token).await;
    by_cookie.expect("authenticated").await;
    by_cookie.close().await;

    let (_, rotated) = refresh(&server, &alice.refresh_token).await;
    refresh(&server, rotated["refresh_token"].as_str().expect("a token")).await;
    assert_eq!(refresh(&server, &alice.refresh_token).await.0, 400, "reuse");
    by_ticket.closed().await;
    server.connect(Upgrade::at("/http").bearer(&alice.token)).await.err().expect("revoked");

    let again = server.log_in("user-alice").await;
    let mut by_header = server.enter(Upgrade::at("/ws").bearer(&again.token)).await;
    server.post("/auth/logout").bearer_auth(&again.token).send().await.expect("an answer");
    by_header.closed().await;
    barrier(&server, 1 + 1).await;

    let records = short_records(&server).await;
    let expected = [
        "authn_login_success success - password user-alice",
        "session_created success - password user-alice",
        "authn_login_fail failure invalid_credentials password user-alice",
        "authn_login_fail failure invalid_credentials password -",
        "authn_token_created success ticket header user-alice",
        "authn_login_success success - ticket user-alice",
        "authn_token_reuse failure invalid_ticket ticket -",
        "authn_login_success success - cookie user-alice",
        "authz_fail denied origin_not_allowed - -",
        "authn_login_fail failure invalid_token header -",
        "authz_fail denied join_forbidden ticket user-alice",
        "authz_fail denied publish_forbidden ticket user-alice",
        "session_renewed success - first_message user-alice",
        "connection_closed success client_left first_message user-alice",
        "session_renewed success - refresh_token user-alice",
        "session_renewed success - refresh_token user-alice",
        "session_renewed success - ticket user-alice",
        "session_renewed success - ticket user-alice",
        "session_expired success refresh_reuse - user-alice",
        "session_expired success revoked ticket user-alice",
        "authn_token_reuse failure invalid_grant refresh_token user-alice",
        "authn_token_reuse failure invalid_token header user-alice",
        "authn_login_success success - password user-alice",
        "session_created success - password user-alice",
        "authn_login_success success - header user-alice",
        "session_logout success logout header user-alice",
        "session_expired success revoked header user-alice",
    ];
    // What two tasks do at once has no order between them.
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(records), sorted(expected.map(str::to_owned).to_vec()));
}

/// Waits until so many sockets that were let in have been closed in the trail.
async fn barrier(server: &TestServer, at_least: usize) {
    for _ in 0..10_000 {
        let ended = short_records(server)
            .await
            .iter()
            .filter(|line| line.starts_with("session_expired success revoked"))
            .count();
        if ended >= at_least {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the ends were not recorded: {:#?}", short_records(server).await);
}

#[tokio::test]
async fn throttles_limits_and_administrators() {
    // req N1, K7, H15
    let server = TestServer::builder().settings(|settings| settings.connections.per_user = 1).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut first = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let mut second = server.connect(Upgrade::at("/ws").bearer(&alice.token)).await.expect("a socket");
    second.closed().await;
    let (key_id, key) = server.db_api_key("user-alice", None).await;
    server.db_revoke(RevocationTarget::ApiKey(key_id), RevocationCause::KeyRevoked).await;
    server.connect(Upgrade::at("/http").header("x-api-key", &key)).await.err().expect("revoked");
    for _ in 0..11 {
        let wrong = json!({"user": "user-alice", "pwd": "not it"});
        server.post("/auth/login").json(&wrong).send().await.expect("an answer");
    }
    server.db_disable("user-alice").await;
    first.closed().await;
    barrier(&server, 1).await;
    let records = short_records(&server).await;
    for expected in [
        "excess_rate_limit_exceeded denied too_many header user-alice",
        "authn_token_revoked success key_revoked - user-alice",
        "authn_login_fail failure invalid_credentials password user-alice",
        "authn_login_fail_max denied throttled password -",
        "authn_token_revoked success user_disabled - user-alice",
        "session_expired success user_disabled - user-alice",
        "session_expired success revoked header user-alice",
    ] {
        assert!(records.iter().any(|record| record == expected), "{expected}\n{records:#?}");
    }
}

#[tokio::test]
async fn every_line_has_the_same_form_and_no_id_of_a_session() {
    // req N2, N3, N4
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let file = SinkSetting::File { path: path.clone(), name: "file:audit.jsonl".to_owned() };
    let server = TestServer::builder().audit(vec![file]).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let hostile = "a\u{202e}{\"event\":\"authn_login_success\"}\u{1b}[2J\r\n\u{2028}";
    for name in [hostile, &"x".repeat(10_000)] {
        let login = json!({"user": name, "pwd": "y"});
        server
            .post("/auth/login")
            .json(&login)
            .header("user-agent", "u".repeat(8_000))
            .send()
            .await
            .expect("an answer");
    }
    let origin = format!("http://{}.test", "o".repeat(4_000));
    server
        .connect(Upgrade::at("/only/cookie").cookie(&alice.cookie).header("origin", &origin))
        .await
        .err()
        .expect("two origins");
    server.connect(Upgrade::at("/http").bearer("x").header("origin", &origin)).await.err().expect("refused");
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    socket.send(&json!({"type": "join", "room": "private-\u{fdfa}"})).await;
    socket.ping().await;
    let records = server.audit_records().await;
    assert!(records.len() >= 6, "{records:#?}");
    let session =
        server.store.sessions_of(&"user-alice".parse().expect("an id"), None, 9).await.expect("a store")[0].id.clone();
    let text = fs::read_to_string(&path).expect("the file");
    assert!(!text.contains(session.as_str()));
    for (number, line) in (1..).zip(text.lines()) {
        let bad = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
        assert!(!line.contains(bad), "{line}");
        assert!(line.len() < 4096, "{}", line.len());
        assert_form(&serde_json::from_str(line).expect("one object"), number);
    }
    let hashed: Vec<&Value> =
        records.iter().filter(|record| record["subject"] == "user-alice").map(|r| &r["session"]).collect();
    assert!(
        hashed.len() >= 3 && hashed.iter().all(|session| *session == hashed[0] && session.is_string()),
        "{hashed:?}"
    );
}

/// The form that docs/reference/audit.md promises.
fn assert_form(record: &Value, number: u64) {
    let record = record.as_object().expect("an object");
    let always = ["time", "event", "outcome"];
    let maybe = ["reason", "connection", "session", "subject", "carrier", "ip", "origin", "route", "detail"];
    let extra = ["claimed", "room", "code", "lasted_ms", "rooms_lost", "connections_ended", "count", "first", "last"];
    for name in always {
        assert!(record[name].is_string(), "{name}: {record:?}");
    }
    for name in maybe {
        assert!(record[name].is_string() || record[name].is_null(), "{name}: {record:?}");
        assert!(record[name].as_str().is_none_or(|text| text.len() <= 260), "{name}: {record:?}");
    }
    for name in record.keys().map(String::as_str) {
        let known = always.contains(&name) || maybe.contains(&name) || extra.contains(&name);
        assert!(known || ["seq", "prev", "mac"].contains(&name), "{name}");
    }
    let event = record["event"].as_str().expect("text");
    assert!(AuditEvent::ALL.iter().any(|known| known.as_str() == event), "{event}");
    assert!(["success", "failure", "denied"].contains(&record["outcome"].as_str().expect("text")));
    let time = record["time"].as_str().expect("text");
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    assert!(record["ip"].as_str().is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_ok()));
    assert_eq!(record["seq"], number);
    assert!(record["prev"].as_str().is_some_and(|mac| mac.len() == 43));
    assert!(record["mac"].as_str().is_some_and(|mac| mac.len() == 43));
}

#[tokio::test]
async fn a_file_that_was_tampered_with_is_found_and_a_rotated_one_goes_on() {
    // req N5
    let folder = tempfile::tempdir().expect("a folder");
    let (path, rotated) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
    let file = SinkSetting::File { path: path.clone(), name: "file:audit.jsonl".to_owned() };
    let server = TestServer::builder().audit(vec![SinkSetting::Store, file]).start().await;
    server.user("user-alice", "Alice").await;
    server.audit.flush().await;
    fs::rename(&path, &rotated).expect("rotated");
    server.log_in("user-alice").await;
    let reports = server.audit.verify(vec![rotated.clone()]).await.expect("readable");
    assert_eq!(reports.iter().map(|report| report.records).collect::<Vec<_>>(), [4, 4]);
    assert!(reports.iter().all(|report| report.problems.is_empty() && report.notes.is_empty()), "{reports:?}");
    let alone = server.audit.verify(Vec::new()).await.expect("readable");
    assert_eq!(alone[1].problems, [""; 0]);
    assert_eq!(alone[1].notes, ["begins with record 3; what came before was rotated or removed by age"]);

    let text = fs::read_to_string(&path).expect("the file");
    let lines: Vec<&str> = text.lines().collect();
    for (tampered, problem) in [
        (text.replace("user-alice", "user-bob"), "line 1 (record 3) was changed"),
        (format!("{}\n", lines[1]), ""),
        (format!("{}\n", lines[0]), "record 4 is missing at the end: they were cut off"),
        (format!("{}\n{}\n", lines[1], lines[0]), "line 2 repeats record 3"),
        (
            String::new(),
            "there are no records, and the store knows of 4: give the rotated files, too, or they are gone",
        ),
    ] {
        fs::write(&path, &tampered).expect("tampered with");
        let report = &server.audit.verify(Vec::new()).await.expect("readable")[1];
        assert_eq!(report.problems.first().map_or("", String::as_str), problem, "{tampered}");
    }
    fs::write(&path, format!("{}\n", lines[1])).expect("tampered with");
    let report = &server.audit.verify(vec![rotated]).await.expect("readable")[1];
    assert_eq!(report.problems, ["record 3 is missing before line 3"], "with the file before it the gap shows");
}

#[tokio::test]
async fn a_sink_that_cannot_be_written_to_is_seen_and_gets_its_records_later() {
    // req N5
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("logs/audit.jsonl");
    let full = SinkSetting::File { path: "/dev/full".into(), name: "file:full".to_owned() };
    let file = SinkSetting::File { path: path.clone(), name: "file:audit.jsonl".to_owned() };
    let server = TestServer::builder().audit(vec![full, file, SinkSetting::Store]).start().await;
    server.user("user-alice", "Alice").await;
    server.audit.flush().await;
    let status = server.audit.status();
    assert!(status.failing, "no folder, and a full disk");
    assert_eq!((status.written, status.failed, status.pending), ([2, 0, 0], [0, 4, 0], [0, 4, 0]));
    assert_eq!(server.readiness().await, json!({"status": "ok", "audit": "failing", "audit_waiting": 4}));
    let metrics = server.metrics().await;
    assert!(metrics.contains("usher_audit_waiting{sink=\"file\"} 4\n"), "{metrics}");
    // Connections go on, and what waited is written in its order once it works.
    fs::create_dir(folder.path().join("logs")).expect("a folder");
    server.log_in("user-alice").await;
    server.audit.flush().await;
    let text = fs::read_to_string(&path).expect("the file");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected =
        ["authn_login_success success - password user-alice", "session_created success - password user-alice"];
    assert_eq!(records.iter().map(short).collect::<Vec<_>>(), [expected, expected].concat());
    assert!(server.metrics().await.contains("usher_audit_lost_total{sink=\"file\"} 0\n"));
    assert!(server.audit.status().failing, "the full disk is still full");
    let error = server.audit.verify(Vec::new()).await.expect_err("it is no file").to_string();
    assert_eq!(error, "/dev/full cannot be read: it is no regular file");
}
