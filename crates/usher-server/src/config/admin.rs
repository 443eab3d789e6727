//! `[admin]`: the listener for operators. Absent, there is none.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resolver::Resolver;
use super::server::{Server, listen_address};

/// A listener for operators, apart from the one that clients use. Absent, there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port to listen on. With server.tls it speaks HTTPS with the same certificate; without, it must be loopback.
    pub listen: String,
}

/// `[admin]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where to listen. Uses the server's TLS, if that has any.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9090".to_owned() }
    }
}

impl Admin {
    pub(super) fn resolve(&self, server: &Server, resolver: &mut Resolver<'_>) -> Option<AdminSettings> {
        const KEY: &str = "admin.listen";
        let listen = listen_address(&self.listen, KEY, resolver)?;
        if !listen.ip().is_loopback() && server.tls.is_none() {
            resolver.problem(
                KEY,
                format!("{listen} can be reached from other machines, and without TLS an operator's credentials would cross the network in clear"),
                "listen on 127.0.0.1, or set server.tls",
            );
        }
        if let Ok(clients) = server.listen.parse::<SocketAddr>()
            && same_place(listen, clients)
        {
            resolver.problem(
                KEY,
                format!(
                    "{listen} is where clients come in (server.listen = {clients}): operators need a door of their own"
                ),
                "choose another port",
            );
        }
        Some(AdminSettings { listen })
    }
}

/// Whether two listeners would meet. An unspecified address takes the port on every address.
fn same_place(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || everywhere)
}
