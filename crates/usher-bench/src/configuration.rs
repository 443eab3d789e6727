//! Usher's configuration while it is measured.

use std::net::SocketAddr;
use std::time::Duration;

use crate::mint::{AUDIENCE, Signed};

/// A SockJS client must hear something that often.
const MAX_SOCKJS_HEARTBEAT: Duration = Duration::from_secs(25);

/// Defaults, but for limits that would throttle a generator which is a thousand clients at once.
pub(crate) fn configuration(address: SocketAddr, heartbeat: Option<Duration>) -> String {
    let every = |most: Duration| {
        let line = |every: Duration| format!("heartbeat = \"{}s\"\n", every.min(most).as_secs());
        heartbeat.map(line).unwrap_or_default()
    };
    let (heartbeat, sockjs_heartbeat) = (every(Duration::MAX), every(MAX_SOCKJS_HEARTBEAT));
    let mut config = format!(
        r#"[server]
listen = "{address}"
[store]
url = "sqlite://usher.db"
[tokens]
leeway = "0s"
ticket_ttl = "60s"
[audit]
sinks = ["file:audit.jsonl"]
[limits]
waiting = {{ total = 20000, per_ip = 20000 }}
connections = {{ per_user = 20000, per_session = 20000 }}
messages = "1000000/s"
logins = {{ per_account = "1000000/min", per_source = "1000000/min" }}
{heartbeat}[sockjs]
{sockjs_heartbeat}[[routes]]
path = "/ws"
carriers = ["cookie", "ticket", "first_message", "header", "subprotocol", "query"]
first_message = {{ timeout = "60s" }}
[[rooms]]
pattern = "off-*"
join = ["any"]
publish = ["any"]
presence = "off"
[[rooms]]
pattern = "full-*"
join = ["any"]
publish = ["any"]
presence = "full"
"#
    );
    for signed in Signed::ALL {
        let key = if signed == Signed::Hs256 { "hmac_secret_file" } else { "public_key_file" };
        config.push_str(&format!(
            "[[issuers]]\nname = \"{}\"\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\nalgorithms = [\"{}\"]\n{key} = \"{}\"\n",
            signed.name().to_lowercase(),
            signed.issuer(),
            signed.name(),
            signed.key_file()
        ));
    }
    config
}
