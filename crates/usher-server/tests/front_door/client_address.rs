//! The client's address behind a proxy, as limits and the audit see it (req M5).

use serde_json::json;
use usher_axum::TrustedProxies;
use usher_axum::client_address::ForwardedHeader;
use usher_testkit::{TestServer, raw_request};

async fn behind_a_proxy(header: ForwardedHeader) -> TestServer {
    let networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let proxies = TrustedProxies::new(networks).reading(header);
    TestServer::builder().settings(|settings| settings.trusted_proxies = proxies).start().await
}

/// The address that the audit has of a log-in that failed with these header lines.
async fn seen(server: &TestServer, lines: &[&[u8]]) -> String {
    let body = json!({"user": "user-alice", "pwd": "wrong"}).to_string();
    let mut request = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n".to_vec();
    for line in lines {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    let answer = raw_request(&server.url, &request).await;
    assert_eq!(answer.status, 401, "{}", answer.head);
    let records = server.audit_records().await;
    records.last().expect("a record")["ip"].as_str().expect("an address").to_owned()
}

#[tokio::test]
async fn a_byte_beyond_ascii_does_not_hide_the_client() {
    // req M5
    let server = behind_a_proxy(ForwardedHeader::XForwardedFor).await;
    let cases: [(&[&[u8]], &str); 6] = [
        (&[b"X-Forwarded-For: 203.0.113.7"], "203.0.113.7"),
        (&[b"X-Forwarded-For: 1.2.3.4, 203.0.113.8"], "203.0.113.8"),
        (&[b"X-Forwarded-For: \xe4, 203.0.113.9"], "203.0.113.9"),
        (&[b"X-Forwarded-For: \xe4", b"X-Forwarded-For: 203.0.113.10:1234"], "203.0.113.10"),
        (&[b"X-Forwarded-For: 1.2.3.4, \xe4"], "127.0.0.1"),
        (&[b"X-Forwarded-For: \xe4, [2001:db8::1]:443"], "2001:db8::1"),
    ];
    for (lines, expected) in cases {
        assert_eq!(seen(&server, lines).await, expected, "{lines:?}");
    }
}

#[tokio::test]
async fn only_the_configured_header_names_the_client() {
    // req M5
    let others: [&[u8]; 4] = [
        b"X-Forwarded-For: 198.51.100.1",
        b"Forwarded: for=198.51.100.2",
        b"X-Real-IP: 198.51.100.3",
        b"CF-Connecting-IP: 198.51.100.4",
    ];
    for (header, expected) in [
        (ForwardedHeader::XForwardedFor, "198.51.100.1"),
        (ForwardedHeader::Forwarded, "198.51.100.2"),
        (ForwardedHeader::XRealIp, "198.51.100.3"),
        (ForwardedHeader::CfConnectingIp, "198.51.100.4"),
    ] {
        let server = behind_a_proxy(header).await;
        assert_eq!(seen(&server, &others).await, expected, "{header:?}");
    }
}
