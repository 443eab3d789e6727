//! Where a request comes from: the peer's address, or what a trusted proxy says of it (req M5).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The proxies whose `X-Forwarded-For` is believed. Empty by default: nobody's is.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// The address of the other end of a TCP connection, put into each request's extensions by whoever accepted it.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// Where a request comes from, as far as limits and logs are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl TrustedProxies {
    /// These networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether it is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Walks `X-Forwarded-For` from the right for as long as the address that added an entry is trusted: the first that is not
    /// is the client. An entry that is no address ends the walk at the proxy that sent it.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = canonical(peer.ip());
        let entries = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let mut entries: Vec<&str> = entries.flat_map(|value| value.split(',')).map(str::trim).collect();
        while self.trusts(client) {
            match entries.pop().map(str::parse::<IpAddr>) {
                Some(Ok(address)) => client = canonical(address),
                Some(Err(_)) | None => break,
            }
        }
        ClientAddress(client)
    }
}

impl ClientAddress {
    /// What limits count by: the address, or its /64 for IPv6, because one household has all of that.
    pub fn source(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => {
                let s = address.segments();
                IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
            }
        }
    }
}

/// An IPv4 address written as IPv6 is an IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let trusted = TrustedProxies::new(trusted.iter().map(|net| net.parse().expect("a network")).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(value));
        }
        trusted.client(SocketAddr::new(peer.parse().expect("an address"), 1), &headers).0.to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        // req M5
        assert_eq!(client(&[], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_first_untrusted_from_the_right_is_the_client() {
        // req M5
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["junk"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn an_ipv6_source_is_its_64() {
        let address = ClientAddress("2001:db8:1:2:3:4:5:6".parse().expect("an address"));
        assert_eq!(address.source().to_string(), "2001:db8:1:2::");
    }
}
