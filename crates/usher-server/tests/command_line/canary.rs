//! Credentials through every way in, at the most talkative log there is: none of them may be in what the server writes (req N3).

use std::io::{BufRead as _, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use url::Url;
use usher_testkit::Upgrade;

use super::{Desk, Serving};

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:8080"

[[routes]]
path = "/ws"
carriers = ["cookie", "query", "ticket", "first_message", "header", "subprotocol"]
"#;
const ORIGIN: &str = "http://127.0.0.1:8080";
const PASSWORD: &str = "canary battery staple horse";

/// What a server writes, collected until it has ended.
struct Written(Vec<JoinHandle<String>>);

impl Written {
    /// Everything, once the process is gone.
    fn all(self) -> String {
        self.0.into_iter().map(|reader| reader.join().expect("read")).collect()
    }
}

/// A server that logs by `filter`, where it listens, and what it writes.
fn serve(desk: &Desk, filter: &str) -> (Serving, Url, Written) {
    let mut command = desk.command(&["serve", "--config", "usher.toml", "--log-format", "json"]);
    command.env("USHER_LOG", filter).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the server starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let (listening, address) = mpsc::channel();
    let out = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("text");
        text
    });
    let err = thread::spawn(move || {
        let mut text = String::new();
        for line in stderr.lines().map(|line| line.expect("a line")) {
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["message"] == "listening" {
                listening.send(event["address"].as_str().expect("an address").to_owned()).expect("somebody waits");
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    });
    let address = address.recv().expect("the server listens");
    (Serving(child), Url::parse(&format!("http://{address}")).expect("a URL"), Written(vec![out, err]))
}

async fn answer(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), status);
    answer.json().await.expect("JSON")
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn is_let_in(server: &Url, upgrade: Upgrade) {
    let mut client = upgrade.connect(server).await.expect("accepted");
    client.expect("authenticated").await;
    assert!(client.ping().await.is_empty());
}

/// Uses credentials, good ones and bad ones, and returns them all.
async fn use_credentials(server: &Url, key: &str) -> Vec<String> {
    let http = Client::builder().no_proxy().build().expect("a client");
    let at = |path: &str| server.join(path).expect("a URL");
    let login = |pwd: &str| http.post(at("/auth/login")).json(&json!({"user": "alice", "pwd": pwd}));
    answer(login("canary-wrong-password"), 401).await;
    let logged_in = login(PASSWORD).send().await.expect("an answer");
    let cookie = logged_in.headers()["set-cookie"].to_str().expect("text").to_owned();
    let cookie = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie").1.to_owned();
    let body: Value = logged_in.json().await.expect("JSON");
    let (token, refresh_token) = (text(&body["token"]), text(&body["refresh_token"]));
    let ticket = async || text(&answer(http.get(at("/ws_ticket")).bearer_auth(&token), 200).await["ticket"]);
    let (ticket_in_url, ticket_in_message) = (ticket().await, ticket().await);
    let basic = answer(http.get(at("/auth")).basic_auth("alice", Some(PASSWORD)), 200).await;
    let refresh = http.post(at("/auth/refresh")).json(&json!({"refresh_token": refresh_token}));
    let renewed = answer(refresh, 200).await;
    let spent = http.post(at("/auth/refresh")).json(&json!({"refresh_token": "canary-refresh-token"}));
    answer(spent, 400).await;

    let ws = || Upgrade::at("/ws");
    let encoded = URL_SAFE_NO_PAD.encode(&token);
    let subprotocols = format!("base64url.bearer.authorization.k8s.io.{encoded}, usher.v1");
    is_let_in(server, ws().bearer(&token)).await;
    is_let_in(server, ws().header("x-api-key", key)).await;
    is_let_in(server, ws().header("origin", ORIGIN).header("cookie", &format!("usher={cookie}"))).await;
    is_let_in(server, ws().header("sec-websocket-protocol", &subprotocols)).await;
    is_let_in(server, Upgrade::at(format!("/ws?token={token}"))).await;
    is_let_in(server, Upgrade::at(format!("/ws?ticket={ticket_in_url}"))).await;
    for credential in [&token, &format!("alice:{key}"), &ticket_in_message] {
        let mut client = ws().connect(server).await.expect("waiting");
        client.authenticate(credential).await;
        client.expect("authenticated").await;
        // And once more, to stay.
        client.authenticate(&token).await;
        client.next().await.expect("an answer");
    }
    let mut client = ws().connect(server).await.expect("waiting");
    client.authenticate("canary-first-message").await;
    client.closed().await;
    for refused in [
        ws().bearer("canary-bearer"),
        ws().header("x-api-key", "canary-api-key"),
        Upgrade::at("/ws?token=canary-query-token"),
        Upgrade::at("/ws?ticket=canary-ticket"),
        Upgrade::at("/nowhere?token=canary-elsewhere"),
    ] {
        refused.connect(server).await.err().expect("refused");
    }
    let mut secrets = vec![token, refresh_token, cookie, key.to_owned(), ticket_in_url, ticket_in_message, encoded];
    secrets.extend([text(&basic["token"]), text(&basic["refresh_token"])]);
    secrets.extend([text(&renewed["token"]), text(&renewed["refresh_token"])]);
    secrets.extend([PASSWORD.to_owned(), STANDARD.encode(format!("alice:{PASSWORD}")), "canary-".to_owned()]);
    secrets
}

#[tokio::test]
async fn no_credential_is_logged_whatever_the_filter() {
    // req N3
    let desk = Desk::with(CONFIG);
    let add = ["user", "add", "alice", "--name", "Alice", "--password-stdin", "--config", "usher.toml"];
    assert_eq!(desk.usher_with_input(&add, &format!("{PASSWORD}\n")).code, 0);
    let key = desk.usher(&["key", "add", "--user", "alice", "--config", "usher.toml"]).stdout.trim().to_owned();
    for filter in
        ["trace", "off,usher_server=trace,tungstenite=trace,tungstenite::protocol=trace,hyper=trace,sqlx=trace"]
    {
        let (serving, server, written) = serve(&desk, filter);
        let secrets = use_credentials(&server, &key).await;
        drop(serving);
        let written = written.all();
        assert!(written.contains("\"message\":\"logged in\""), "{filter}: it does log");
        for secret in secrets {
            assert!(!secret.is_empty());
            let line = written.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{filter}: {secret}");
        }
    }
}
