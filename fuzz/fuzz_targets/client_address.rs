//! What proxies and clients write about a client's address: never a panic, and what a client sent never counts.

#![no_main]

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use usher_axum::TrustedProxies;
use usher_axum::client_address::ForwardedHeader;

const PEER: &str = "10.0.0.1:1234";
/// What the proxy saw.
const CLIENT: &str = "203.0.113.7";

// Each line is a header line that the client sent. The proxy appends to the last one.
fuzz_target!(|sent: &[u8]| {
    let peer: SocketAddr = PEER.parse().expect("an address");
    for (header, name, added) in [
        (ForwardedHeader::XForwardedFor, "x-forwarded-for", ", 203.0.113.7"),
        (ForwardedHeader::Forwarded, "forwarded", ", for=203.0.113.7"),
        (ForwardedHeader::Forwarded, "forwarded", ", for=\"203.0.113.7:80\";proto=https"),
    ] {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().expect("a network")]).reading(header);
        let name = HeaderName::from_static(name);
        let mut lines: Vec<Vec<u8>> = sent.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let collect = |lines: &[Vec<u8>]| {
            let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
            values.map(|value| (name.clone(), value)).collect::<HeaderMap>()
        };
        // What a trusted proxy itself sends is read without a panic, whatever it is.
        let _ = proxies.client(peer, &collect(&lines));
        let last = lines.last_mut().expect("split gives one at least");
        if HeaderValue::from_bytes(last).is_ok() {
            last.extend_from_slice(added.as_bytes());
            assert_eq!(proxies.client(peer, &collect(&lines)).0.to_string(), CLIENT);
        }
    }
});
