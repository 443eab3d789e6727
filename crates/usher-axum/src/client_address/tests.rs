//! Headers of proxies, honest and forged.

use http::HeaderValue;

use super::*;

const PROXY: &str = "10.0.0.1";
/// What the proxy saw in these tests.
const CLIENT: &str = "203.0.113.7";

fn client_by(header: ForwardedHeader, trusted: &[&str], peer: &str, name: &'static str, lines: &[&[u8]]) -> String {
    let networks = trusted.iter().map(|net| net.parse().expect("a network")).collect();
    let trusted = TrustedProxies::new(networks).reading(header);
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line).expect("a header's value"));
    }
    trusted.client(SocketAddr::new(peer.parse().expect("an address"), 1), &headers).0.to_string()
}

fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
    let lines: Vec<&[u8]> = forwarded.iter().map(|line| line.as_bytes()).collect();
    client_by(ForwardedHeader::XForwardedFor, trusted, peer, "x-forwarded-for", &lines)
}

fn forwarded(lines: &[&str]) -> String {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    client_by(ForwardedHeader::Forwarded, &["10.0.0.0/8"], PROXY, "forwarded", &lines)
}

#[test]
fn no_peer_is_believed_by_default() {
    // req M5
    assert_eq!(client(&[], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
}

#[test]
fn the_first_untrusted_from_the_right_is_the_client() {
    // req M5
    assert_eq!(client(&["10.0.0.0/8"], PROXY, &["1.1.1.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
    assert_eq!(client(&["10.0.0.0/8"], PROXY, &["1.1.1.1", "198.51.100.7"]), "198.51.100.7");
    assert_eq!(client(&["10.0.0.0/8"], PROXY, &["1.1.1.1", "198.51.100.7", "10.0.0.2,10.0.0.3"]), "198.51.100.7");
    assert_eq!(client(&["10.0.0.0/8"], PROXY, &["junk"]), PROXY);
    assert_eq!(client(&["10.0.0.0/8"], PROXY, &[]), PROXY);
    assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
}

#[test]
fn whatever_a_client_sends_is_left_of_what_the_proxy_adds() {
    // req M5
    let added = format!(", {CLIENT}").into_bytes();
    for junk in
        ["ä".as_bytes(), b"\xe4", b"\xff\xfe\x80", b"", b",,,", b"\"", b"for=1.2.3.4", b"1.2.3.4", &[b'x'; 9_000]]
    {
        let line = [junk, &added].concat();
        let seen = client_by(ForwardedHeader::XForwardedFor, &["10.0.0.0/8"], PROXY, "x-forwarded-for", &[&line]);
        assert_eq!(seen, CLIENT, "{junk:?}");
        let lines: [&[u8]; 2] = [junk, CLIENT.as_bytes()];
        let seen = client_by(ForwardedHeader::XForwardedFor, &["10.0.0.0/8"], PROXY, "x-forwarded-for", &lines);
        assert_eq!(seen, CLIENT, "{junk:?} in a line of its own");
    }
}

#[test]
fn an_entry_of_a_trusted_proxy_that_cannot_be_read_ends_the_walk_there() {
    // req M5: never further left, where a client writes what it likes.
    for entry in [
        "unknown",
        "_hidden",
        "",
        "203.0.113",
        "203.0.113.7:",
        "203.0.113.7:x",
        "203.0.113.7:65536",
        "203.0.113.7:+80",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]443",
        "[203.0.113.7]",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "0x7f.1",
        "203.0.113.7 8",
        "example.com",
    ] {
        assert_eq!(client(&["10.0.0.0/8"], PROXY, &[&format!("1.2.3.4, {entry}")]), PROXY, "{entry:?}");
        let seen = client(&["10.0.0.0/8"], PROXY, &[&format!("1.2.3.4, {entry}, 10.0.0.2")]);
        assert_eq!(seen, "10.0.0.2", "{entry:?} behind another proxy");
    }
}

#[test]
fn ports_and_brackets() {
    // req M5
    for (entry, address) in [
        ("203.0.113.7:1234", "203.0.113.7"),
        ("203.0.113.7:0", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
        ("\t203.0.113.7 ", "203.0.113.7"),
    ] {
        assert_eq!(client(&["10.0.0.0/8"], PROXY, &[&format!("1.2.3.4,{entry}")]), address, "{entry}");
    }
}

#[test]
fn a_forwarded_header() {
    // req M5, RFC 7239
    for (lines, address) in [
        (&["for=203.0.113.7"][..], CLIENT),
        (&["for=192.0.2.43, for=203.0.113.7"], CLIENT),
        (&["for=192.0.2.43", "For=\"203.0.113.7:4711\""], CLIENT),
        (&["for=\"[2001:db8::1]\""], "2001:db8::1"),
        (&["for=\"[2001:db8::1]:443\""], "2001:db8::1"),
        (&["for=\"[2001:db8::1]:_port\";proto=https"], "2001:db8::1"),
        (&["for=\"[::ffff:203.0.113.7]\""], CLIENT),
        (&["by=10.0.0.1 ; FOR = 203.0.113.7 ; host=\"a,b;for=1.2.3.4\""], CLIENT),
        (&["host=\"x\\\", for=1.2.3.4, \\\"\";for=203.0.113.7"], CLIENT),
        (&["for=203.0.113.7, for=10.0.0.2;proto=https"], CLIENT),
        (&[";for=203.0.113.7; ;"], CLIENT),
    ] {
        assert_eq!(forwarded(lines), address, "{lines:?}");
    }
}

#[test]
fn quotes_of_a_client_do_not_reach_what_the_proxy_adds() {
    // req M5
    for junk in ["for=\"1.2.3.4", "\"", "\\", "\\\"", "for=\"\\", "for=1.2.3.4;;;", "=,=,=", "\u{e4}"] {
        assert_eq!(forwarded(&[&format!("{junk}, for={CLIENT}")]), CLIENT, "{junk}");
        assert_eq!(forwarded(&[&format!("{junk}, for=\"{CLIENT}:80\"")]), CLIENT, "{junk}");
        assert_eq!(forwarded(&[junk, &format!("for={CLIENT}")]), CLIENT, "{junk}");
    }
}

#[test]
fn a_forwarded_element_that_cannot_be_read_ends_the_walk_there() {
    // req M5
    for element in [
        "for=unknown",
        "for=_hidden",
        "proto=https",
        "",
        "for=203.0.113.7;for=1.2.3.4",
        "for",
        "for=",
        "for=\"203.0.113.7",
        "203.0.113.7",
        "for=203.0.113.7\\\"",
        "for=\"\"",
        ";",
    ] {
        assert_eq!(forwarded(&["for=1.2.3.4", element]), PROXY, "{element}");
    }
}

#[test]
fn a_header_of_one_value() {
    // req M5
    for (header, name) in
        [(ForwardedHeader::XRealIp, "x-real-ip"), (ForwardedHeader::CfConnectingIp, "cf-connecting-ip")]
    {
        let seen = |peer: &str, lines: &[&[u8]]| client_by(header, &["10.0.0.0/8"], peer, name, lines);
        assert_eq!(seen(PROXY, &[b"203.0.113.7"]), CLIENT);
        assert_eq!(seen(PROXY, &[b"[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(seen("192.0.2.1", &[b"203.0.113.7"]), "192.0.2.1", "no proxy of ours");
        // One of the two may be the client's.
        assert_eq!(seen(PROXY, &[b"1.2.3.4", b"203.0.113.7"]), PROXY);
        assert_eq!(seen(PROXY, &[b"203.0.113.7", b"203.0.113.7"]), PROXY);
        assert_eq!(seen(PROXY, &[b"1.2.3.4, 203.0.113.7"]), PROXY);
        assert_eq!(seen(PROXY, &[b"\xe4"]), PROXY);
        assert_eq!(seen(PROXY, &[]), PROXY);
        let other = client_by(header, &["10.0.0.0/8"], PROXY, "x-forwarded-for", &[b"1.2.3.4"]);
        assert_eq!(other, PROXY, "only the configured header counts");
    }
}

#[test]
fn an_ipv6_source_is_its_64() {
    let address = ClientAddress("2001:db8:1:2:3:4:5:6".parse().expect("an address"));
    assert_eq!(address.source().to_string(), "2001:db8:1:2::");
}
