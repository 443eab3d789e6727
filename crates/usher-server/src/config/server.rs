//! `[server]`: where clients come in, and by which URL.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use usher_axum::TrustedProxies;
use usher_axum::client_address::ForwardedHeader;

use super::resolver::Resolver;
use super::tls::{Tls, TlsFiles};
use super::units::TimeSpan;

/// Where clients come in, and by which URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on. Without TLS only a loopback address may be reached directly.
    pub listen: String,
    /// The URL that clients know the server by, without a path. Origins, cookies and tokens are tied to it; absent, it is
    /// http://<listen>, which only a loopback address may be.
    #[schemars(example = &"https://chat.example.com")]
    pub public_url: Option<String>,
    /// Certificate chain and private key, as PEM files. TLS 1.2 and 1.3.
    pub tls: Option<Tls>,
    /// Addresses or networks of the proxies that are believed when they name the client in a header. Empty: none is.
    #[schemars(extend("examples" = [["10.0.0.2", "192.0.2.0/28"]]))]
    pub trusted_proxies: Vec<String>,
    /// The header in which those proxies name the client. Lists are read from the right; a header of one value must come once.
    pub client_address: ClientAddressHeader,
    /// Whether a proxy in trusted_proxies does the TLS, so that an address other than loopback may be listened on without it.
    pub plaintext_behind_proxy: bool,
    /// How long clients have to go when the server shuts down. They are told to, batch by batch, over the first half. At most 5m.
    pub drain: TimeSpan,
}

/// A header that names the client behind a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddressHeader {
    /// A list to which each proxy appends an address.
    #[default]
    XForwardedFor,
    /// RFC 7239: a list to which each proxy appends `for=…`.
    Forwarded,
    /// One address, set by the proxy.
    XRealIp,
    /// One address, set by Cloudflare.
    CfConnectingIp,
}

impl From<ClientAddressHeader> for ForwardedHeader {
    fn from(header: ClientAddressHeader) -> Self {
        match header {
            ClientAddressHeader::XForwardedFor => Self::XForwardedFor,
            ClientAddressHeader::Forwarded => Self::Forwarded,
            ClientAddressHeader::XRealIp => Self::XRealIp,
            ClientAddressHeader::CfConnectingIp => Self::CfConnectingIp,
        }
    }
}

/// `[server]`, resolved.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The URL that clients know the server by. It has no path.
    pub public_url: Url,
    /// The files for TLS; `None` where a proxy does it, or nobody needs to.
    pub tls: Option<TlsFiles>,
    /// Whose word about a client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whether clients may come only through one of the proxies.
    pub plaintext_behind_proxy: bool,
    /// How long a shutdown may take.
    pub drain: Duration,
}

/// Longest shutdown: whoever restarts a server waits for it.
const MAX_DRAIN: TimeSpan = TimeSpan::seconds(300);

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            tls: None,
            trusted_proxies: Vec::new(),
            client_address: ClientAddressHeader::default(),
            plaintext_behind_proxy: false,
            drain: TimeSpan::seconds(10),
        }
    }
}

impl ServerSettings {
    /// Whether clients reach us by HTTPS.
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

impl Server {
    pub(super) fn resolve(&self, resolver: &mut Resolver<'_>) -> Option<ServerSettings> {
        let listen = listen_address(&self.listen, "server.listen", resolver);
        let networks = self.trusted_networks(resolver);
        let tls = self.tls.as_ref().map(|tls| tls.resolve("server.tls", resolver));
        let public_url = self.public_url(listen, resolver);
        if let Some(listen) = listen {
            self.check_transport(listen, resolver);
        }
        let drain = resolver.span("server.drain", self.drain, Some(MAX_DRAIN));
        let (listen, public_url) = (listen?, public_url?);
        if public_url.scheme() == "https" && tls.is_none() && networks.is_empty() {
            resolver.warn(
                "server.trusted_proxies",
                "a proxy does the TLS, and none is listed: all clients will count as one, under the proxy's address",
            );
        }
        if self.client_address != ClientAddressHeader::default() && networks.is_empty() {
            resolver.warn(
                "server.client_address",
                "has no effect: server.trusted_proxies is empty, so no header is believed about a client's address",
            );
        }
        Some(ServerSettings {
            listen,
            public_url,
            tls,
            trusted_proxies: TrustedProxies::new(networks).reading(self.client_address.into()),
            plaintext_behind_proxy: self.plaintext_behind_proxy,
            drain,
        })
    }

    /// Plain HTTP is for loopback, or for a proxy that does the TLS (req A1).
    fn check_transport(&self, listen: SocketAddr, resolver: &mut Resolver<'_>) {
        if listen.ip().is_loopback() || self.tls.is_some() {
            return;
        }
        if !self.plaintext_behind_proxy {
            resolver.problem(
                "server.listen",
                format!("{listen} can be reached from other machines, and without TLS every credential would cross the network in clear"),
                "set server.tls, or listen on 127.0.0.1; if a proxy on another machine does the TLS, list it in \
                 server.trusted_proxies and set server.plaintext_behind_proxy = true",
            );
        } else if self.trusted_proxies.is_empty() {
            resolver.problem(
                "server.plaintext_behind_proxy",
                "says that a proxy does the TLS, but server.trusted_proxies lists none",
                "list the proxy's address in server.trusted_proxies",
            );
        }
    }

    fn trusted_networks(&self, resolver: &mut Resolver<'_>) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for (index, text) in self.trusted_proxies.iter().enumerate() {
            match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => networks.push(network.trunc()),
                Err(_) => resolver.problem(
                    format!("server.trusted_proxies[{index}]"),
                    format!("{text:?} is neither an address nor a network"),
                    "write it as 10.0.0.2 or 192.0.2.0/28",
                ),
            }
        }
        // Two halves are a whole: networks are joined before they are judged (req M5, CVE-2026-76835).
        if let Some(everything) = IpNet::aggregate(&networks).iter().find(|network| network.prefix_len() == 0) {
            resolver.problem(
                "server.trusted_proxies",
                format!(
                    "trusts everybody ({everything}): any client could claim any address and slip past every limit"
                ),
                "list the addresses of your proxies and nothing else",
            );
        }
        networks
    }

    fn public_url(&self, listen: Option<SocketAddr>, resolver: &mut Resolver<'_>) -> Option<Url> {
        const KEY: &str = "server.public_url";
        let Some(text) = &self.public_url else { return self.url_of_listener(listen?, resolver) };
        let url = match Url::parse(text) {
            Ok(url) if is_bare(&url) => url,
            _ => {
                resolver.problem(
                    KEY,
                    format!("{text:?} is not the URL of a site"),
                    "write scheme, host and port alone, such as https://chat.example.com",
                );
                return None;
            }
        };
        if url.scheme() == "http" && self.tls.is_some() {
            resolver.problem(KEY, "begins with http://, but server.tls makes the server speak HTTPS", "write https://");
        } else if url.scheme() == "http" && !is_loopback(&url) {
            resolver.problem(
                KEY,
                format!("by {text} every credential would cross the network in clear"),
                "write https://; the TLS may be our own (server.tls) or a proxy's",
            );
        }
        Some(url)
    }

    fn url_of_listener(&self, listen: SocketAddr, resolver: &mut Resolver<'_>) -> Option<Url> {
        let reason = match (listen.ip().is_loopback(), listen.port()) {
            (true, 0) => "must be given, because port 0 stands for any free port",
            (true, _) => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                return Url::parse(&format!("{scheme}://{listen}")).ok();
            }
            (false, _) => "must be given, because server.listen can be reached from other machines",
        };
        resolver.problem(
            "server.public_url",
            reason,
            "write the URL that clients use, such as https://chat.example.com: origins, cookies and tokens are tied to it",
        );
        None
    }
}

/// Reads an address to listen on.
pub(super) fn listen_address(text: &str, key: &str, resolver: &mut Resolver<'_>) -> Option<SocketAddr> {
    let address = text.parse();
    if address.is_err() {
        resolver.problem(
            key,
            format!("{text:?} is not an address with a port"),
            "write it as 127.0.0.1:8080 or [::1]:8080; names are not looked up",
        );
    }
    address.ok()
}

/// Whether the URL names this machine and no other.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_bare(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}
