//! Usher's configuration while it is measured.

use std::net::SocketAddr;
use std::time::Duration;

use crate::mint::{AUDIENCE, Signed};

/// Defaults, but for limits that would throttle a generator which is a thousand clients at once.
pub(crate) fn configuration(address: SocketAddr, heartbeat: Option<Duration>) -> String {
    let heartbeat = heartbeat.map(|every| format!("heartbeat = \"{}s\"\n", every.as_secs())).unwrap_or_default();
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
{heartbeat}[sockjs]
{heartbeat}[[routes]]
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
