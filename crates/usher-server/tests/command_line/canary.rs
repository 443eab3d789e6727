//! Random secrets through every carrier and every error path, at the most talkative level: none of them comes out anywhere (req N3).

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::Url;
use usher_auth::Randomness;
use usher_axum::ambient::SystemRandomness;
use usher_testkit::{TestClient, Upgrade};

use super::Desk;

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:8080"
[admin]
listen = "127.0.0.1:0"
[audit]
sinks = ["store", "file:audit.jsonl", "stdout"]
[[routes]]
path = "/ws"
carriers = ["cookie", "query", "ticket", "first_message", "header", "subprotocol"]
origins = ["http://app.test"]
[[routes]]
path = "/http"
carriers = ["cookie", "query", "ticket", "header", "subprotocol"]
origins = ["http://app.test"]
refuse = "http"
[[routes]]
path = "/cookie"
carriers = ["cookie"]
origins = ["http://app.test"]
[limits.failures]
per_account = "10000/min"
per_source = "10000/min"
"#;

/// How a browser without headers presents a token.
const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// `usher serve` at trace level, with everything that it says.
pub(crate) struct Talkative {
    child: Child,
    log: JoinHandle<String>,
    out: JoinHandle<String>,
    pub(crate) base: Url,
    pub(crate) admin: Url,
}

impl Talkative {
    pub(crate) fn start(desk: &Desk) -> Self {
        let mut command = desk.command(&["serve", "--config", "usher.toml", "--log-format", "json", "--log", "trace"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut stdout = child.stdout.take().expect("a pipe");
        let (found, addresses) = mpsc::channel();
        let log = std::thread::spawn(move || {
            stderr.lines().map(|line| line.expect("a line")).fold(String::new(), |all, line| {
                if line.contains("\"message\":\"listening") {
                    let event: Value = serde_json::from_str(&line).expect("JSON");
                    let _ = found.send(format!("http://{}", event["address"].as_str().expect("an address")));
                }
                all + &line + "\n"
            })
        });
        let out = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("text");
            text
        });
        let url = || Url::parse(&addresses.recv().expect("it listens")).expect("a URL");
        let (admin, base) = (url(), url());
        Self { child, log, out, base, admin }
    }

    /// Stops it in good order; what it logged, and what it printed.
    pub(crate) fn stop(mut self) -> (String, String) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success() && self.child.wait().expect("it ends").success());
        (self.log.join().expect("read"), self.out.join().expect("read"))
    }
}

/// What must not come out.
#[derive(Default)]
pub(crate) struct Canaries(Vec<String>);

impl Canaries {
    pub(crate) fn hatch(&mut self) -> String {
        let randomness: &dyn Randomness = &SystemRandomness;
        self.keep(&format!("canary{}", URL_SAFE_NO_PAD.encode(randomness.bytes::<24>()).replace(['-', '_'], "x")))
    }

    pub(crate) fn keep(&mut self, secret: &str) -> String {
        self.0.push(secret.to_owned());
        secret.to_owned()
    }

    pub(crate) fn assert_absent(&self, place: &str, text: &[u8]) {
        for canary in &self.0 {
            let found = text.windows(canary.len()).position(|window| window == canary.as_bytes());
            if let Some(at) = found {
                let around = &text[at.saturating_sub(200)..(at + 50).min(text.len())];
                panic!("{canary} is in {place}: …{}…", String::from_utf8_lossy(around));
            }
        }
    }
}

#[tokio::test]
async fn no_secret_comes_out_anywhere() {
    // req N3, C2
    let desk = Desk::with(CONFIG);
    let mut canaries = Canaries::default();
    let password = canaries.hatch();
    let args = ["user", "add", "alice", "--name", "Alice", "--password-stdin", "--config", "usher.toml"];
    let added = desk.usher_with_input(&args, &password);
    assert_eq!((added.code, added.stderr.as_str()), (0, "made a new store at usher.db\n"));
    let key = desk.usher(&["key", "add", "--user", "alice", "--config", "usher.toml"]).stdout;
    let key = canaries.keep(key.trim());
    let server = Talkative::start(&desk);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let at = |path: &str| server.base.join(path).expect("a path");
    let mut answers = String::new();

    // Log-ins: right, wrong, malformed, in the wrong place.
    let login =
        http.post(at("/auth/login")).json(&json!({"user": "alice", "pwd": password})).send().await.expect("an answer");
    assert_eq!(login.status(), 200);
    let cookie =
        login.headers()["set-cookie"].to_str().expect("text").split([';', '=']).nth(1).expect("a value").to_owned();
    let cookie = canaries.keep(&cookie);
    let body: Value = login.json().await.expect("JSON");
    let token = canaries.keep(body["token"].as_str().expect("a token"));
    let refresh = canaries.keep(body["refresh_token"].as_str().expect("a token"));
    let signature = token.rsplit('.').next().expect("a part").to_owned();
    canaries.keep(&signature);
    let c = Canaries::hatch;
    let bodies = [
        json!({"user": "alice", "pwd": c(&mut canaries)}).to_string(),
        json!({"user": c(&mut canaries), "pwd": c(&mut canaries)}).to_string(),
        json!({"user": "alice", "pwd": [c(&mut canaries)]}).to_string(),
        json!({"user": "alice", "pwd": "x", c(&mut canaries): c(&mut canaries)}).to_string(),
        format!("{{\"user\":\"alice\",\"pwd\":\"{}", c(&mut canaries)),
        format!("user=alice&pwd={}", c(&mut canaries)),
        json!({"user": "alice", "pwd": c(&mut canaries).repeat(1000)}).to_string(),
    ];
    for body in bodies {
        let request = http.post(at("/auth/login")).header("content-type", "application/json").body(body);
        answers += &request.send().await.expect("an answer").text().await.expect("text");
    }
    let basic = STANDARD.encode(format!("alice:{}", c(&mut canaries)));
    canaries.keep(&basic);
    for authorization in [
        format!("Basic {basic}"),
        format!("Basic {}", c(&mut canaries)),
        format!("Bearer {}", c(&mut canaries)),
        format!("Bearer a {}", c(&mut canaries)),
        c(&mut canaries),
    ] {
        for path in ["/auth", "/auth/session", "/ws_ticket"] {
            let request = http.get(at(path)).header("authorization", &authorization);
            answers += &request.send().await.expect("an answer").text().await.expect("text");
        }
    }
    for (path, query) in [("/auth", "pwd"), ("/ws_ticket", "token"), ("/auth/session", "token"), ("/nowhere", "token")]
    {
        let url = at(&format!("{path}?{query}={}", c(&mut canaries)));
        answers += &http.get(url).bearer_auth(&token).send().await.expect("an answer").text().await.expect("text");
    }
    for refresh in [json!({"refresh_token": c(&mut canaries)}), json!({"refresh_token": {"x": c(&mut canaries)}})] {
        answers +=
            &http.post(at("/auth/refresh")).json(&refresh).send().await.expect("an answer").text().await.expect("text");
    }

    // Upgrades by every carrier: good, bad, twice.
    let ticket: Value =
        http.get(at("/ws_ticket")).bearer_auth(&token).send().await.expect("an answer").json().await.expect("JSON");
    let ticket = canaries.keep(ticket["ticket"].as_str().expect("a ticket"));
    let cookie_name = "__Host-usher";
    let with_cookie = |value: &str, path: &str| {
        Upgrade::at(path.to_owned()).header("cookie", &format!("{cookie_name}={value}; usher={value}")).browser()
    };
    let encoded = canaries.keep(&URL_SAFE_NO_PAD.encode(&token));
    for path in ["/ws", "/http"] {
        let good = [
            Upgrade::at(path).bearer(&token),
            Upgrade::at(path).header("x-api-key", &key),
            Upgrade::at(format!("{path}?token={token}")),
            Upgrade::at(format!("{path}?ticket={ticket}")),
            Upgrade::at(path).header("sec-websocket-protocol", &format!("usher.v1, {BEARER_PROTOCOL}{encoded}")),
            with_cookie(&cookie, path),
        ];
        let bad = [
            Upgrade::at(path).bearer(&c(&mut canaries)),
            Upgrade::at(path).bearer(&canaries.keep(&format!("{}A{}", &token[..token.len() - 20], "b".repeat(19)))),
            Upgrade::at(path).header("x-api-key", &c(&mut canaries)),
            Upgrade::at(path).header("x-api-key", &format!("usk_{}", &c(&mut canaries)[..38])),
            Upgrade::at(format!("{path}?token={}", c(&mut canaries))),
            Upgrade::at(format!("{path}?ticket={}", c(&mut canaries))),
            Upgrade::at(format!("{path}?token={}&ticket={}", c(&mut canaries), c(&mut canaries))),
            Upgrade::at(path)
                .header("sec-websocket-protocol", &format!("usher.v1, {BEARER_PROTOCOL}{}", c(&mut canaries))),
            with_cookie(&c(&mut canaries), path),
            with_cookie(&c(&mut canaries), "/cookie"),
        ];
        for upgrade in good.into_iter().chain(bad) {
            match upgrade.connect(&server.base).await {
                Ok(socket) => answers += &talk(socket, &mut canaries, &token).await,
                Err(refused) => answers += &refused.problem.to_string(),
            }
        }
    }
    for first in [
        json!({"type": "auth", "token": c(&mut canaries)}).to_string(),
        json!({"type": "auth", "token": [c(&mut canaries)]}).to_string(),
        json!({"type": c(&mut canaries), "token": "x"}).to_string(),
        c(&mut canaries),
        format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", c(&mut canaries).repeat(400)),
    ] {
        let mut socket = Upgrade::at("/ws").connect(&server.base).await.expect("it waits");
        socket.send_text(&first).await;
        for frame in socket.closed().await.0 {
            answers += &frame.to_string();
        }
    }
    let mut socket = Upgrade::at("/ws").connect(&server.base).await.expect("it waits");
    socket.authenticate(&token).await;
    socket.expect("authenticated").await;
    let mut waiting = Upgrade::at("/ws").connect(&server.base).await.expect("it waits");
    waiting.send_binary(c(&mut canaries).into_bytes()).await;
    waiting.closed().await;

    // A refresh, its reuse, and what the commands say.
    let rotated =
        http.post(at("/auth/refresh")).json(&json!({"refresh_token": refresh})).send().await.expect("an answer");
    let rotated: Value = rotated.json().await.expect("JSON");
    let second = canaries.keep(rotated["refresh_token"].as_str().expect("a token"));
    canaries.keep(rotated["token"].as_str().expect("a token"));
    let third = http.post(at("/auth/refresh")).json(&json!({"refresh_token": second})).send().await.expect("an answer");
    let third: Value = third.json().await.expect("JSON");
    canaries.keep(third["refresh_token"].as_str().expect("a token"));
    let reuse =
        http.post(at("/auth/refresh")).json(&json!({"refresh_token": refresh})).send().await.expect("an answer");
    assert_eq!(reuse.status(), 400);
    answers += &reuse.text().await.expect("text");
    socket.closed().await;
    // What our own crates say below info: crates that are not ours say nothing there, whatever the filter.
    let mut garbage =
        std::net::TcpStream::connect(server.base.socket_addrs(|| None).expect("an address")[0]).expect("it listens");
    garbage.write_all(b"no request\r\n\r\n").expect("written");
    garbage.read_to_end(&mut Vec::new()).expect("an answer");
    let metrics = http.get(server.admin.join("/metrics").expect("a path")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("usher_refusals_total"), "{metrics}");
    let tail = desk.usher(&["audit", "tail", "-n", "1000", "--json", "--config", "usher.toml"]);
    assert!(tail.stdout.lines().count() > 30, "{}{}", tail.stdout, tail.stderr);
    let (log, out) = server.stop();

    canaries.assert_absent("the answers to what was refused", answers.as_bytes());
    canaries.assert_absent("the metrics", metrics.as_bytes());
    canaries.assert_absent("usher audit tail", tail.stdout.as_bytes());
    assert!(log.contains("\"level\":\"DEBUG\""), "it was talkative");
    canaries.assert_absent("the log", log.as_bytes());
    assert!(out.contains("authn_login_fail") && out.contains("sys_shutdown"), "{out}");
    canaries.assert_absent("standard output", out.as_bytes());
    for entry in fs::read_dir(desk.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            canaries.assert_absent(&path.display().to_string(), &fs::read(&path).expect("a file"));
        }
    }
}

/// Says wrong things over a socket that is open or waiting, and ends it; what the server said.
async fn talk(mut socket: TestClient, canaries: &mut Canaries, token: &str) -> String {
    socket.authenticate(token).await;
    let mut said = String::new();
    if let Ok(frame) = socket.next().await {
        said += &frame.to_string();
    }
    socket.authenticate(&canaries.hatch()).await;
    if let Ok(frame) = socket.next().await {
        said += &frame.to_string();
    }
    socket.close().await;
    said
}
