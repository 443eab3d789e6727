//! Which credential a request presents, and that it is exactly one (req C1), told apart by its form alone.

use http::header::{AUTHORIZATION, COOKIE, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};
use usher_auth::carriers::{
    Carrier, Credential, MAX_CREDENTIAL_BYTES, Presented, explicit_header, present, session_cookie,
};
use usher_auth::ids::UserId;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::route::RouteRules;
use usher_auth::secret::{PlainToken, SecretText, TokenKind};

use crate::scene::route;

pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(crate) const APP: &str = "https://app.example.com";
/// `a.b.c` as the bearer subprotocol.
pub(crate) const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.YS5iLmM";

/// An upgrade request, as far as carriers look at it.
#[derive(Clone, Default)]
pub(crate) struct Request {
    headers: HeaderMap,
    query: Option<String>,
}

impl Request {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        self.headers.append(name, HeaderValue::from_str(value.as_ref()).expect("a header value"));
        self
    }

    pub(crate) fn query(mut self, query: impl AsRef<str>) -> Self {
        self.query =
            Some(self.query.map_or(query.as_ref().to_owned(), |before| format!("{before}&{}", query.as_ref())));
        self
    }

    /// As a page of ours sends it.
    pub(crate) fn at_our_page(self) -> Self {
        self.header(ORIGIN, APP)
    }

    /// With a session cookie of this secret.
    pub(crate) fn cookie(self, name: &str, secret: &PlainToken) -> Self {
        self.header(COOKIE, format!("{name}={}", secret.reveal()))
    }

    pub(crate) fn presents(&self, rules: &RouteRules) -> Result<Presented, Refusal> {
        present(rules, &self.headers, self.query.as_deref())
    }
}

pub(crate) fn secret(kind: TokenKind) -> PlainToken {
    PlainToken::from_random(kind, [5; 32])
}

pub(crate) fn kind(presented: Result<Presented, Refusal>) -> RefusalKind {
    match presented {
        Err(refusal) | Ok(Presented::Nothing(refusal)) => refusal.kind(),
        Ok(Presented::Credential(carrier, credential)) => panic!("{credential:?} by {carrier}"),
    }
}

fn token() -> Credential {
    Credential::Token(SecretText::new("a.b.c"))
}

fn session() -> Credential {
    Credential::Session(secret(TokenKind::Session))
}

/// Adds a credential to a request.
type Presents = fn(Request) -> Request;

/// Every way to present a credential explicitly at an upgrade.
fn explicit() -> [(Carrier, Presents, Credential); 7] {
    let ticket = Credential::Ticket(secret(TokenKind::Ticket));
    let key = Credential::ApiKey { user: None, key: secret(TokenKind::ApiKey) };
    [
        (Carrier::Header, |request| request.header(AUTHORIZATION, "Bearer a.b.c"), token()),
        (Carrier::Header, |request| request.header(X_API_KEY, secret(TokenKind::ApiKey).reveal()), key.clone()),
        (
            Carrier::Subprotocol,
            |request| request.header(SEC_WEBSOCKET_PROTOCOL, format!("{BEARER_PROTOCOL}, usher.v1")),
            token(),
        ),
        (Carrier::Ticket, |request| request.query(format!("ticket={}", secret(TokenKind::Ticket).reveal())), ticket),
        (Carrier::Query, |request| request.query("token=a.b.c"), token()),
        (Carrier::Query, |request| request.query("access_token=a.b.c"), token()),
        (Carrier::Query, |request| request.query(format!("token={}", secret(TokenKind::ApiKey).reveal())), key),
    ]
}

#[test]
fn one_explicit_credential_counts_alone_and_beside_a_cookie() {
    // req C1, B2: with an explicit credential the cookie and its Origin rule play no part.
    for (carrier, present, credential) in explicit() {
        let rules = route(&[carrier, Carrier::Cookie, Carrier::FirstMessage]);
        let alone = present(Request::new());
        let with_cookie = present(Request::new().at_our_page().cookie("__Host-usher", &secret(TokenKind::Session)));
        let with_two_cookies = present(
            Request::new()
                .cookie("__Host-usher", &secret(TokenKind::Session))
                .cookie("__Host-usher", &secret(TokenKind::Session)),
        );
        let from_elsewhere = present(Request::new().header(ORIGIN, "https://evil.example"));
        for request in [alone, with_cookie, with_two_cookies, from_elsewhere] {
            assert_eq!(request.presents(&rules), Ok(Presented::Credential(carrier, credential.clone())));
        }
    }
}

#[test]
fn any_two_explicit_credentials_are_refused() {
    // req C1: each pair, also of one kind, also where the route takes one of the two alone, in either order.
    for (first_carrier, first, _) in explicit() {
        for (second_carrier, second, _) in explicit() {
            let request = second(first(Request::new()));
            for carriers in [&Carrier::ALL[..], &[first_carrier], &[second_carrier], &[]] {
                let refused = kind(request.presents(&route(carriers)));
                assert_eq!(
                    refused,
                    RefusalKind::MultipleCredentials,
                    "{first_carrier} and {second_carrier} on {carriers:?}"
                );
            }
        }
    }
}

#[test]
fn the_same_parameter_twice_is_two_credentials() {
    // req C1, ASVS 15.3.7
    let ticket = secret(TokenKind::Ticket);
    for query in [
        "token=a&token=b".to_owned(),
        "token=a.b.c&token=a.b.c".to_owned(),
        "token=&token=a".to_owned(),
        "token=a&access_token=b".to_owned(),
        "token=a&x=1&%74oken=b".to_owned(),
        "ticket=a&ticket=b".to_owned(),
        format!("ticket={0}&ticket={0}", ticket.reveal()),
        format!("ticket={}&token=a.b.c", ticket.reveal()),
    ] {
        let request = Request::new().query(&query);
        assert_eq!(kind(request.presents(&route(&Carrier::ALL))), RefusalKind::MultipleCredentials, "{query}");
    }
    let one = Request::new().query("room=board-1&token=a.b.c&Token=x&tickets=y&access-token=z");
    assert_eq!(one.presents(&route(&Carrier::ALL)), Ok(Presented::Credential(Carrier::Query, token())));
}

#[test]
fn an_empty_credential_was_presented_all_the_same() {
    // It is judged and refused, and no cookie or first message takes its place.
    for (request, carrier) in [
        (Request::new().query("token="), Carrier::Query),
        (Request::new().query("token"), Carrier::Query),
        (Request::new().query("ticket="), Carrier::Ticket),
        (Request::new().header(X_API_KEY, ""), Carrier::Header),
    ] {
        let request = request.at_our_page().cookie("__Host-usher", &secret(TokenKind::Session));
        assert_eq!(
            request.presents(&route(&Carrier::ALL)),
            Ok(Presented::Credential(carrier, Credential::Unrecognised))
        );
    }
}

#[test]
fn a_carrier_that_is_off_is_refused_with_the_settings_name() {
    // req C2: also `?access_token=good` on a route that does not list `query`.
    for (carrier, present, _) in explicit() {
        let others: Vec<_> = Carrier::ALL.into_iter().filter(|other| *other != carrier).collect();
        let refused = present(Request::new()).presents(&route(&others)).expect_err("it is off");
        assert_eq!(refused.kind(), RefusalKind::CarrierDisabled(carrier));
        assert_eq!(refused.status(), 401);
        assert!(refused.detail().contains("`carriers`"), "{}", refused.detail());
        let hint = refused.hint().expect("a way to mend it");
        assert!(hint.contains("`carriers`") && hint.contains(&format!("`{carrier}`")), "{hint}");
    }
}

#[test]
fn the_cookie_counts_from_a_page_of_ours() {
    let secret = secret(TokenKind::Session);
    for carriers in [&[Carrier::Cookie][..], &Carrier::ALL] {
        for request in [
            Request::new().cookie("__Host-usher", &secret),
            Request::new().header(COOKIE, format!("theme=dark; __Host-usher={}; a=b", secret.reveal())),
            Request::new().header(COOKIE, "theme=dark").cookie("__Host-usher", &secret),
            Request::new().header(COOKIE, format!("__Host-usher={}; __host-usher=planted", secret.reveal())),
        ] {
            assert_eq!(
                request.at_our_page().presents(&route(carriers)),
                Ok(Presented::Credential(Carrier::Cookie, session()))
            );
        }
    }
}

#[test]
fn two_cookies_of_the_name_are_refused() {
    // req C1, J3: a sibling domain may have planted one of them.
    let secret = secret(TokenKind::Session);
    let one_header = format!("__Host-usher={0}; __Host-usher={0}", secret.reveal());
    for request in [
        Request::new().header(COOKIE, one_header),
        Request::new().cookie("__Host-usher", &secret).cookie("__Host-usher", &secret),
        Request::new().header(COOKIE, "__Host-usher=planted").cookie("__Host-usher", &secret),
        Request::new().header(COOKIE, "__Host-usher=; a=b").cookie("__Host-usher", &secret),
    ] {
        for carriers in [&[Carrier::Cookie][..], &[Carrier::Cookie, Carrier::FirstMessage]] {
            let refused = request.clone().at_our_page().presents(&route(carriers)).expect_err("two cookies");
            assert_eq!(refused.kind(), RefusalKind::MultipleCredentials);
        }
        // Where the cookie is no carrier it is nothing to look at.
        let elsewhere = request.at_our_page().presents(&route(&[Carrier::FirstMessage]));
        assert!(matches!(elsewhere, Ok(Presented::Nothing(_))), "{elsewhere:?}");
    }
}

#[test]
fn a_neighbours_cookie_does_not_take_ours_away() {
    // req J3: a page of the same site may set a cookie of any bytes, and browsers send it in the same header.
    let ours = secret(TokenKind::Session).reveal().to_owned();
    let bytes = |text: &[u8]| HeaderValue::from_bytes(text).expect("a header value");
    let request = |header: Vec<u8>| {
        let mut request = Request::new().at_our_page();
        request.headers.append(COOKIE, bytes(&header));
        request
    };
    let route = route(&[Carrier::Cookie]);
    for foreign in
        [&b"name=J\xc3\xbcrgen"[..], b"latin=\xfc", b"\xff\xfe", b"=nameless", b"n\xc3\xa4me=1", b"", b"a=b=c=\x80"]
    {
        let first = request([foreign, b"; __Host-usher=", ours.as_bytes()].concat());
        let last = request([b"__Host-usher=", ours.as_bytes(), b";", foreign].concat());
        for request in [first, last] {
            assert_eq!(request.presents(&route), Ok(Presented::Credential(Carrier::Cookie, session())), "{foreign:?}");
        }
        let twice = request([b"__Host-usher=x; ", foreign, b"; __Host-usher=", ours.as_bytes()].concat());
        let refused = twice.presents(&route).expect_err("two cookies");
        assert_eq!(refused.kind(), RefusalKind::MultipleCredentials);
        let hint = refused.hint().expect("a hint");
        assert!(hint.contains("the cookie __Host-usher twice"), "{hint}");
    }
    let broken = request([&b"__Host-usher=\xff"[..], ours.as_bytes()].concat());
    assert_eq!(broken.presents(&route), Ok(Presented::Credential(Carrier::Cookie, Credential::Unrecognised)));
}

#[test]
fn a_cookie_of_nearly_the_name_is_none() {
    // req J3: no browser protects `__host-usher`.
    let secret = secret(TokenKind::Session);
    for name in ["__host-usher", "__HOST-USHER", "usher", "__Host-usher2", "x__Host-usher", "%5F_Host-usher"] {
        let request = Request::new().at_our_page().cookie(name, &secret);
        assert_eq!(kind(request.presents(&route(&[Carrier::Cookie]))), RefusalKind::MissingCredential, "{name}");
    }
}

#[test]
fn a_cookie_that_is_no_secret_of_ours_is_presented_and_unrecognised() {
    // Its refusal is then "Invalid session" and not "Unauthorized".
    let wrong_kind = secret(TokenKind::Refresh).reveal().to_owned();
    for value in ["", "x", "uss_short", "a.b.c", &wrong_kind] {
        let request = Request::new().at_our_page().header(COOKIE, format!("__Host-usher={value}"));
        let expected = Ok(Presented::Credential(Carrier::Cookie, Credential::Unrecognised));
        assert_eq!(request.presents(&route(&[Carrier::Cookie])), expected, "{value:?}");
    }
}

#[test]
fn a_route_for_tickets_alone_says_what_is_missing() {
    // S3
    assert_eq!(kind(Request::new().presents(&route(&[Carrier::Ticket]))), RefusalKind::MissingTicket);
    let both = route(&[Carrier::Ticket, Carrier::Header]);
    assert_eq!(kind(Request::new().presents(&both)), RefusalKind::MissingCredential);
}

#[test]
fn the_bearer_header_byte_by_byte() {
    // req C4, RFC 9110 §11.2, RFC 6750 §2.1
    enum Is {
        Token,
        Malformed,
        /// Another scheme, which may belong to a proxy before us.
        NotOurs,
    }
    let rules = route(&[Carrier::Header]);
    for (value, is) in [
        (&b"Bearer a.b.c"[..], Is::Token),
        (b"bearer a.b.c", Is::Token),
        (b"BEARER a.b.c", Is::Token),
        (b"bEaReR a.b.c", Is::Token),
        (b"Bearer YS9iKw==", Is::Token),
        (b"Bearer -._~+/0aZ", Is::Token),
        (b"Bearer", Is::Malformed),
        (b"Bearer ", Is::Malformed),
        (b"Bearer  a.b.c", Is::Malformed),
        (b"Bearer\ta.b.c", Is::Malformed),
        (b"Bearer \ta.b.c", Is::Malformed),
        (b"Bearer a.b.c ", Is::Malformed),
        (b"Bearer a.b.c d.e.f", Is::Malformed),
        (b"Bearer a.b.c,d.e.f", Is::Malformed),
        (b"Bearer a.b.c, Bearer d.e.f", Is::Malformed),
        (b"Bearer,a.b.c", Is::Malformed),
        (b"Bearer=a.b.c", Is::Malformed),
        (b"Bearer a=b", Is::Malformed),
        (b"Bearer =", Is::Malformed),
        (b"Bearer \"a.b.c\"", Is::Malformed),
        (b"Bearer token=\"a.b.c\"", Is::Malformed),
        (b"Bearer a.b.c;", Is::Malformed),
        (b"Bearer caf\xc3\xa9", Is::Malformed),
        (b"Bearer a.b.c\xff", Is::Malformed),
        (b"Basic YTpi", Is::NotOurs),
        (b"Bearers a.b.c", Is::NotOurs),
        (b"Token a.b.c", Is::NotOurs),
        (b"a.b.c", Is::NotOurs),
        (b"", Is::NotOurs),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).expect("bytes that HTTP allows"));
        let presented = present(&rules, &headers, None);
        let shown = value.escape_ascii();
        match is {
            Is::Token => {
                assert!(
                    matches!(presented, Ok(Presented::Credential(Carrier::Header, Credential::Token(_)))),
                    "{shown}"
                );
            }
            Is::Malformed => {
                let refused = presented.expect_err("malformed");
                assert_eq!(
                    (refused.kind(), refused.status().as_u16()),
                    (RefusalKind::MalformedCredential, 400),
                    "{shown}"
                );
            }
            Is::NotOurs => assert_eq!(kind(presented), RefusalKind::MissingCredential, "{shown}"),
        }
    }
    for never in [&b"Bearer a\0b"[..], b"Bearer a\r\nX-Api-Key: b", b"Bearer a\nb", b"Bearer a\x7fb"] {
        assert!(HeaderValue::from_bytes(never).is_err(), "HTTP itself refuses it: {}", never.escape_ascii());
    }
}

#[test]
fn a_scheme_that_is_not_ours_leaves_the_cookie_in_force() {
    let request = Request::new()
        .at_our_page()
        .header(AUTHORIZATION, "Basic YTpi")
        .cookie("__Host-usher", &secret(TokenKind::Session));
    assert_eq!(
        request.presents(&route(&[Carrier::Cookie, Carrier::Header])),
        Ok(Presented::Credential(Carrier::Cookie, session()))
    );
}

#[test]
fn credentials_are_told_apart_by_their_form() {
    let key = secret(TokenKind::ApiKey);
    let user = |id: &str| Some(UserId::new(id).expect("a user id"));
    let own = |user| Credential::ApiKey { user, key: secret(TokenKind::ApiKey) };
    let too_long = "a".repeat(MAX_CREDENTIAL_BYTES + 1);
    let long = "a".repeat(MAX_CREDENTIAL_BYTES);
    for (text, credential) in [
        ("a.b.c".to_owned(), token()),
        (key.reveal().to_owned(), own(None)),
        (format!("alice:{}", key.reveal()), own(user("alice"))),
        (format!("google:7:{}", key.reveal()), own(user("google:7"))),
        (format!(":{}", key.reveal()), Credential::Unrecognised),
        (format!("a b:{}", key.reveal()), Credential::Unrecognised),
        (format!("{} ", key.reveal()), Credential::Unrecognised),
        (format!("{}x", key.reveal()), Credential::Unrecognised),
        ("usk_short".to_owned(), Credential::Unrecognised),
        ("alice:password".to_owned(), Credential::Unrecognised),
        (secret(TokenKind::Ticket).reveal().to_owned(), Credential::Ticket(secret(TokenKind::Ticket))),
        ("utk_short".to_owned(), Credential::Unrecognised),
        (String::new(), Credential::Unrecognised),
        (too_long, Credential::Unrecognised),
        (long.clone(), Credential::Token(SecretText::new(long))),
    ] {
        assert_eq!(Credential::classify(&text), credential);
        // req D7: where no ticket belongs none is taken, and so none is burnt.
        let lasting = if matches!(credential, Credential::Ticket(_)) { Credential::Unrecognised } else { credential };
        assert_eq!(Credential::classify_lasting(&text), lasting);
    }
    // req F11: a session's or a refresh token's secret opens nothing by another carrier.
    for kind in [TokenKind::Session, TokenKind::Refresh] {
        let text = secret(kind).reveal().to_owned();
        assert_eq!(
            Credential::classify(&text),
            Credential::Token(SecretText::new(text)),
            "verified as a JWT, which it is not"
        );
    }
}

#[test]
fn a_user_and_a_key_in_one_text() {
    let key = secret(TokenKind::ApiKey);
    let id = |id: &str| UserId::new(id).expect("a user id");
    let text = SecretText::new;
    let long = "a".repeat(MAX_CREDENTIAL_BYTES);
    for (written, credential) in [
        (format!("alice:{}", key.reveal()), Credential::ApiKey { user: Some(id("alice")), key: key.clone() }),
        (key.reveal().to_owned(), Credential::ApiKey { user: None, key: key.clone() }),
        ("alice:uso_a.b.c".to_owned(), Credential::SessionKey { user: id("alice"), key: text("uso_a.b.c") }),
        ("alice:a.b.c".to_owned(), Credential::TokenOf { user: id("alice"), token: text("a.b.c") }),
        // An issuer's user: the last colon ends the id.
        ("google:7:a.b.c".to_owned(), Credential::TokenOf { user: id("google:7"), token: text("a.b.c") }),
        ("google:7:uso_a".to_owned(), Credential::SessionKey { user: id("google:7"), key: text("uso_a") }),
        ("a.b.c".to_owned(), token()),
        ("alice:password".to_owned(), Credential::TokenOf { user: id("alice"), token: text("password") }),
        // Whose a session key is must be said, or it is none.
        ("uso_a.b.c".to_owned(), Credential::Unrecognised),
        (":uso_a.b.c".to_owned(), Credential::Unrecognised),
        (":a.b.c".to_owned(), Credential::Unrecognised),
        ("a b:a.b.c".to_owned(), Credential::Unrecognised),
        ("alice:".to_owned(), Credential::Unrecognised),
        ("alice:usk_short".to_owned(), Credential::Unrecognised),
        (":".to_owned(), Credential::Unrecognised),
        (String::new(), Credential::Unrecognised),
        (format!("alice:{long}"), Credential::Unrecognised),
    ] {
        assert_eq!(Credential::classify_user_key(&written), credential, "{written}");
        // req F11: nowhere else is it a session key.
        for elsewhere in [Credential::classify(&written), Credential::classify_lasting(&written)] {
            assert!(!matches!(elsewhere, Credential::SessionKey { .. } | Credential::TokenOf { .. }), "{written}");
            assert!(!written.contains("uso_") || elsewhere == Credential::Unrecognised, "{written}");
        }
        let shown = format!("{credential:?}");
        assert!(!shown.contains("a.b.c") && !shown.contains("password"), "{shown}");
    }
    let claimed = |written: &str| Credential::classify_user_key(written).claimed_user().cloned();
    assert_eq!(claimed("google:7:a.b.c"), Some(id("google:7")));
    assert_eq!(claimed("alice:uso_x"), Some(id("alice")));
    assert_eq!(claimed("a.b.c"), None);
}

#[test]
fn what_is_presented_is_not_printed() {
    // req N3
    let key = secret(TokenKind::ApiKey);
    for (request, shown) in [
        (Request::new().query("token=a.b.c"), "a.b.c"),
        (Request::new().header(X_API_KEY, format!("alice:{}", key.reveal())), key.reveal()),
    ] {
        let presented = format!("{:?}", request.presents(&route(&Carrier::ALL)));
        assert!(presented.contains("Credential") && !presented.contains(shown), "{presented}");
    }
    let refused = Request::new().header(AUTHORIZATION, "Bearer s3cret s3cret").presents(&route(&Carrier::ALL));
    assert!(!format!("{refused:?}").contains("s3cret"));
}

#[test]
fn an_http_api_takes_headers_and_the_cookie_by_the_same_rules() {
    let key = secret(TokenKind::ApiKey);
    let bearer = Request::new().header(AUTHORIZATION, "Bearer a.b.c");
    assert_eq!(explicit_header(&bearer.headers), Ok(Some(token())));
    let keyed = Request::new().header(X_API_KEY, key.reveal());
    assert_eq!(explicit_header(&keyed.headers), Ok(Some(Credential::ApiKey { user: None, key: key.clone() })));
    let both = bearer.clone().header(X_API_KEY, key.reveal());
    assert_eq!(explicit_header(&both.headers).map_err(|refusal| refusal.kind()), Err(RefusalKind::MultipleCredentials));
    let twice = bearer.header(AUTHORIZATION, "Bearer a.b.c");
    assert_eq!(
        explicit_header(&twice.headers).map_err(|refusal| refusal.kind()),
        Err(RefusalKind::MultipleCredentials)
    );
    assert_eq!(explicit_header(&HeaderMap::new()), Ok(None));

    let cookie = Request::new().cookie("usher", &secret(TokenKind::Session));
    assert_eq!(session_cookie(&cookie.headers, "usher"), Ok(Some(session())));
    assert_eq!(session_cookie(&cookie.headers, "__Host-usher"), Ok(None));
}
