//! Which IP addresses belong to the public Internet, and a name resolver that gives no other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Blocks that are not for hosts on the Internet: the IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast, and what
/// is reserved.
const NOT_PUBLIC_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// IPv6 gives hosts addresses from one block only.
const UNICAST_V6: &str = "2000::/3";
/// What the IANA IPv6 Special-Purpose Address Registry takes out of it: protocol assignments with Teredo, documentation (two),
/// and 6to4, which wraps an IPv4 address.
const NOT_PUBLIC_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16"];
/// NAT64 (RFC 6052): an IPv4 address in the last four bytes, which decides.
const NAT64: &str = "64:ff9b::/96";

struct Blocks {
    not_public_v4: Vec<Ipv4Net>,
    unicast_v6: Ipv6Net,
    not_public_v6: Vec<Ipv6Net>,
    nat64: Ipv6Net,
}

static BLOCKS: LazyLock<Blocks> = LazyLock::new(|| {
    let v6 = |block: &str| block.parse::<Ipv6Net>().expect("the blocks above are well-formed");
    Blocks {
        not_public_v4: NOT_PUBLIC_V4
            .iter()
            .map(|block| block.parse().expect("the blocks above are well-formed"))
            .collect(),
        unicast_v6: v6(UNICAST_V6),
        not_public_v6: NOT_PUBLIC_V6.iter().map(|block| v6(block)).collect(),
        nat64: v6(NAT64),
    }
});

/// Whether an address is one that anybody on the Internet could reach.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) if BLOCKS.nat64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !BLOCKS.not_public_v4.iter().any(|block| block.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    BLOCKS.unicast_v6.contains(&address) && !BLOCKS.not_public_v6.iter().any(|block| block.contains(&address))
}

/// Resolves names with the system's resolver, and refuses a name if any of its addresses is not public: a name with one foot in
/// a private network is not to be guessed about.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(private) = addresses.iter().find(|address| !is_public(address.ip())) {
                let refused = format!("the name leads to {}, which is not a public address", private.ip());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_in_every_dress() {
        // req G4
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in
            ["93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::5db8:d822", "::ffff:8.8.8.8"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
