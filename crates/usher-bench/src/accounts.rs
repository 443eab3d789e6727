//! Usher's users, sessions, API keys and tickets: made through the front door, by its command line and its HTTP API.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::BenchError;
use crate::clock::now;
use crate::mint::Signed;
use crate::server::Server;

/// Of all local users.
const PASSWORD: &str = "a bench of oak beside the door";

/// A session's use is written to the store once it was last used a minute ago: cookies that are presented before that cost no write.
const LOG_IN_FOR: Duration = Duration::from_secs(45);

impl Server {
    /// Buys tickets: one buyer may hold so many of them, so there are many buyers.
    pub(crate) async fn tickets(&self, count: usize) -> Result<Vec<String>, BenchError> {
        const OF_ONE_BUYER: usize = 50;
        const AT_ONCE: usize = 16;
        let buyers = 0..count.div_ceil(OF_ONE_BUYER);
        let tokens = buyers.map(|buyer| self.mint.token(Signed::Hs256, buyer)).collect::<Result<Vec<_>, _>>()?;
        let buying = (0..count).map(|number| self.ticket(&tokens[number / OF_ONE_BUYER]));
        stream::iter(buying).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn ticket(&self, token: &str) -> Result<String, BenchError> {
        let answer = self.http.get(self.at("/ws_ticket")).bearer_auth(token).send().await?.error_for_status()?;
        text(&answer.json().await?, "ticket")
    }

    /// Adds local users until there are so many. One is there from the start.
    pub(crate) fn add_users(&self, count: usize) -> Result<(), BenchError> {
        let (usher, config) = self.command_line();
        (1..count).try_for_each(|number| add_user(usher, &config, number))
    }

    /// Makes an API key of the local user of that number.
    pub(crate) fn api_key(&self, user: usize) -> Result<String, BenchError> {
        let (usher, config) = self.command_line();
        let mut add = Command::new(usher);
        add.args(["key", "add", "--user", &user_id(user), "--config"]).arg(config);
        Ok(run(add, "")?.trim().to_owned())
    }

    /// Logs local users in, each so many times, as long as there is time for it; the sessions' cookies.
    pub(crate) async fn sessions(&self, users: usize, each: usize) -> Result<Vec<String>, BenchError> {
        // As many as hash passwords at once, and one that waits.
        const AT_ONCE: usize = 3;
        let until = now() + LOG_IN_FOR;
        let logging_in = (0..users * each).map(|number| self.log_in(number % users));
        let mut logging_in = stream::iter(logging_in).buffer_unordered(AT_ONCE);
        let mut cookies = Vec::with_capacity(users * each);
        while let Some(cookie) = logging_in.next().await {
            cookies.push(cookie?);
            if now() > until {
                break;
            }
        }
        Ok(cookies)
    }

    /// Logs the local user of that number in; the session's cookie.
    pub(crate) async fn log_in(&self, user: usize) -> Result<String, BenchError> {
        let body = json!({ "user": user_id(user), "pwd": PASSWORD }).to_string();
        let call = self.http.post(self.at("/auth/login")).header("content-type", "application/json").body(body);
        let answer = call.send().await?.error_for_status()?;
        let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let value = cookie.and_then(|cookie| cookie.strip_prefix("usher=")?.split(';').next());
        value.map(str::to_owned).ok_or(BenchError::Peer("a log-in without a cookie"))
    }

    /// Logs out: the session of that cookie, or everything of its user's. Returns once the server has answered.
    pub(crate) async fn log_out(&self, cookie: &str, everywhere: bool) -> Result<(), BenchError> {
        let call = self.http.post(self.at(&format!("/auth/logout?everywhere={everywhere}")));
        let call = call.header("cookie", format!("usher={cookie}")).header("origin", self.at(""));
        call.send().await?.error_for_status()?;
        Ok(())
    }
}

fn text(answer: &Value, name: &str) -> Result<String, BenchError> {
    answer[name].as_str().map(str::to_owned).ok_or(BenchError::Peer("an answer without what was asked for"))
}

fn user_id(number: usize) -> String {
    format!("local-{number}")
}

/// Adds the local user of that number: by the server if it runs, else to its store.
pub(crate) fn add_user(usher: &Path, config: &Path, number: usize) -> Result<(), BenchError> {
    let mut add = Command::new(usher);
    add.args(["user", "add", &user_id(number), "--name", "Local", "--password-stdin", "--config"]).arg(config);
    run(add, PASSWORD).map(drop)
}

/// Runs one of Usher's commands; what it printed.
fn run(mut command: Command, input: &str) -> Result<String, BenchError> {
    let failed = || BenchError::io("cannot run usher");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed())?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed())?;
    }
    let output = child.wait_with_output().map_err(failed())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::NotStarted { server: "usher", said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
