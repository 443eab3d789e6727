//! The headers and query of an upgrade: never a panic, and never a socket for somebody unverified.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use usher_auth::carriers::{Carrier, negotiate_subprotocol, present};
use usher_auth::close_code::CloseCodes;
use usher_auth::connection::{Action, Connection};
use usher_auth::ids::ConnectionId;
use usher_auth::origin::{AllowedOrigins, Origin, RequestOrigin};
use usher_auth::route::{FirstMessageRules, ReauthRules, RefuseMode, RouteRules};
use usher_auth::{Now, UnixTime};

static RULES: LazyLock<Arc<RouteRules>> = LazyLock::new(|| {
    Arc::new(RouteRules {
        path: "/ws".to_owned(),
        carriers: Carrier::ALL.into_iter().collect(),
        anonymous: false,
        origins: AllowedOrigins::new(vec![Origin::parse("http://app.test").expect("an origin")]),
        cookie_name: "usher".to_owned(),
        max_age: None,
        reauth: ReauthRules::default(),
        heartbeat: None,
        first_message: FirstMessageRules::default(),
        refuse: RefuseMode::Auto,
        close_codes: CloseCodes::default(),
        max_message_bytes: 64 * 1024,
        protocol: std::sync::Arc::new(usher_auth::protocol::UsherV1),
    })
});

// The first line is the query; each other line is a header.
fuzz_target!(|request: &[u8]| {
    let mut lines = request.split(|byte| *byte == b'\n');
    let query = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let mut headers = HeaderMap::new();
    for line in lines.take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]))
        {
            headers.append(name, value);
        }
    }
    let _ = negotiate_subprotocol(&headers, &[usher_auth::protocol::SUBPROTOCOL]);
    let presented = present(&RULES, &headers, query);
    let browser = RequestOrigin::of(&headers) != RequestOrigin::Absent;
    let now = Now { monotonic: Duration::from_secs(1), unix: UnixTime::from_seconds(1_760_000_000) };
    let mut connection = Connection::begin(ConnectionId::from_random([7; 16]), RULES.clone(), presented, browser, now);
    while let Some(action) = connection.poll_action() {
        assert!(!matches!(action, Action::Opened | Action::Admit(_)));
    }
    assert!(connection.permit().is_none());
});
