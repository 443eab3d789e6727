//! A cookie counts only from an allowed page (req B1, B2); what the others get depends on what else the route takes.

use http::header::ORIGIN;
use usher_auth::carriers::Carrier;
use usher_auth::origin::AllowedOrigins;
use usher_auth::refusal::RefusalKind;
use usher_auth::route::{RefuseMode, RouteRules};
use usher_auth::secret::TokenKind;

use crate::carriers::{APP, Request, kind, secret};
use crate::scene::{Scene, route};

/// Everything that is not exactly the allowed origin.
const FOREIGN: [&str; 14] = [
    "https://evil.example",
    "https://app.example.com.evil.com",
    "https://evilapp.example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com:443",
    "null",
    "https://APP.example.com",
    "https://app.example.com.",
    "https://app.example.com@evil.com",
    "https://app.example.com/",
    "https://xn--pp-via.example.com",
    "https://app.example.com, https://app.example.com",
    "",
];

fn with_cookie() -> Request {
    Request::new().cookie("__Host-usher", &secret(TokenKind::Session))
}

/// The upgrade as a scene.
fn upgrade(request: &Request, rules: RouteRules, browser: bool) -> Scene {
    let presented = request.presents(&rules);
    Scene::begin(rules, presented, browser)
}

#[test]
fn a_foreign_page_gets_no_socket_on_a_route_for_cookies() {
    // req B1, S5: in no mode, with a cookie or without, with one or two.
    for origin in FOREIGN {
        for request in
            [Request::new(), with_cookie(), with_cookie().cookie("__Host-usher", &secret(TokenKind::Session))]
        {
            for refuse in [RefuseMode::Auto, RefuseMode::Http, RefuseMode::Close] {
                let rules = RouteRules { refuse, ..route(&[Carrier::Cookie, Carrier::Header]) };
                let mut scene = upgrade(&request.clone().header(ORIGIN, origin), rules, true);
                assert_eq!(
                    scene.actions(),
                    ["refused origin_not_allowed", "reject 403 Origin not allowed"],
                    "{origin}"
                );
                assert!(scene.connection.is_ended());
            }
        }
    }
}

#[test]
fn a_foreign_page_may_send_a_first_message() {
    // Its visitor's cookie plays no part in that, so that the page gains nothing by it.
    for origin in FOREIGN {
        let rules = route(&[Carrier::Cookie, Carrier::FirstMessage]);
        let mut scene = upgrade(&with_cookie().header(ORIGIN, origin), rules, true);
        assert_eq!(scene.actions(), ["accept"], "{origin}");
        assert!(scene.connection.is_waiting());
    }
}

#[test]
fn a_foreign_page_is_anonymous_where_the_route_takes_visitors() {
    for origin in FOREIGN {
        let rules = RouteRules { anonymous: true, ..route(&[Carrier::Cookie]) };
        let mut scene = upgrade(&with_cookie().header(ORIGIN, origin), rules, true);
        assert_eq!(scene.actions()[..2], ["accept", "opened"], "{origin}");
        assert!(scene.connection.permit().expect("a visitor").principal().anonymous);
    }
}

#[test]
fn two_cookies_from_a_foreign_page_are_as_foreign_as_one() {
    // What a page may not use it also learns nothing of, not even that there are two.
    let request =
        with_cookie().cookie("__Host-usher", &secret(TokenKind::Session)).header(ORIGIN, "https://evil.example");
    assert_eq!(kind(request.presents(&route(&[Carrier::Cookie]))), RefusalKind::OriginForbidden);
    let mut scene = upgrade(&request, route(&[Carrier::Cookie, Carrier::FirstMessage]), true);
    assert_eq!(scene.actions(), ["accept"]);
}

#[test]
fn a_cookie_without_an_origin_does_not_count() {
    // req B2: browsers always send one.
    assert_eq!(kind(with_cookie().presents(&route(&[Carrier::Cookie]))), RefusalKind::OriginForbidden);
    let mut scene = upgrade(&with_cookie(), route(&[Carrier::Cookie]), false);
    assert_eq!(scene.actions(), ["refused origin_not_allowed", "reject 403 Origin not allowed"]);

    let mut scene = upgrade(&with_cookie(), route(&[Carrier::Cookie, Carrier::FirstMessage]), false);
    assert_eq!(scene.actions(), ["accept"]);

    // Without a cookie there is no Origin to ask for: a program that presents nothing.
    assert_eq!(kind(Request::new().presents(&route(&[Carrier::Cookie]))), RefusalKind::MissingCredential);
}

#[test]
fn two_origins_are_nobodys() {
    // req B1
    for request in [with_cookie(), Request::new()] {
        let request = request.header(ORIGIN, APP).header(ORIGIN, APP);
        assert_eq!(kind(request.presents(&route(&[Carrier::Cookie]))), RefusalKind::OriginForbidden);
    }
}

#[test]
fn an_empty_list_allows_nobody() {
    // req B1
    let rules = RouteRules { origins: AllowedOrigins::default(), ..route(&[Carrier::Cookie]) };
    assert_eq!(kind(with_cookie().at_our_page().presents(&rules)), RefusalKind::OriginForbidden);
}

#[test]
fn the_origin_rule_is_about_cookies_alone() {
    // req B2
    let rules = route(&[Carrier::Query, Carrier::Header, Carrier::FirstMessage]);
    let request = Request::new().query("token=a.b.c").header(ORIGIN, "https://evil.example");
    let mut scene = upgrade(&request, rules.clone(), true);
    assert_eq!(scene.actions(), ["verify query token"]);
    // A route that takes no cookie has no page to tell from another.
    let mut scene = upgrade(&with_cookie().header(ORIGIN, "https://evil.example"), rules, true);
    assert_eq!(scene.actions(), ["accept"]);
}
