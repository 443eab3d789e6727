//! Where a request comes from: the peer's address, or what a trusted proxy says of it (req M5).

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

use self::forwarded::{Entry, entries};

mod forwarded;
#[cfg(test)]
mod tests;

pub use self::forwarded::ForwardedHeader;
pub use usher_auth::client_address::ClientAddress;

/// The proxies that may name the client in a header, and that header. Empty by default: no peer is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardedHeader,
}

/// The address of the other end of a TCP connection, put into each request's extensions by whoever accepted it.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

impl TrustedProxies {
    /// These networks, which name the client in `X-Forwarded-For`.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, header: ForwardedHeader::default() }
    }

    /// The same proxies, which name the client in `header`. The other headers are then ignored.
    #[must_use]
    pub fn reading(self, header: ForwardedHeader) -> Self {
        Self { header, ..self }
    }

    /// Whether it is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Walks the header from the right for as long as the address that added an entry is trusted: the first address that is not
    /// trusted is the client. An entry that names no address ends the walk at the proxy that sent it: what stands further left
    /// may be the client's invention.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.ip().to_canonical();
        let mut entries = entries(self.header, headers);
        while self.trusts(client) {
            match entries.next() {
                Some(Entry::Address(address)) => client = address,
                Some(Entry::Unreadable) | None => break,
            }
        }
        ClientAddress(client)
    }
}
