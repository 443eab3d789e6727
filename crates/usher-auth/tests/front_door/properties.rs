//! Laws that hold for every sequence of inputs: nobody gets to open without a verified credential (req E5), nothing is said or
//! done after the close, and who is not let in is gone in time (req E1, E6).

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::sync::Arc;

use usher_auth::carriers::{Carrier, Presented};
use usher_auth::close_code::CloseCause;
use usher_auth::connection::{Action, LINGER, Recipient, RenewedToken, SessionRenewal, Violation};
use usher_auth::ids::{TokenId, UserId};
use usher_auth::protocol::{ApplicationAnswer, OctoPrint, Protocol, Received, Transparent, UsherOverSockJs, UsherV1};
use usher_auth::refusal::{Refusal, RefusalKind, Rejection};
use usher_auth::revocation::RevocationCause;
use usher_auth::route::{RefuseMode, RouteRules};
use usher_auth::session::{Session, SessionLimits};
use usher_auth::wire::Mistake;
use usher_auth::{Now, Permit};

use crate::scene::{Scene, TIMEOUT, line, named, nothing, permit, presented, refusal, route, session, user};

/// What may happen to a connection.
#[derive(Clone, Debug)]
enum Input {
    Text(String),
    /// The verdict lets this user in, for so long.
    Admit(&'static str, Option<Duration>),
    Refuse(RefusalKind),
    /// The application takes the connection, or does not.
    Admission(bool),
    /// Time passes; the machine is told or is not.
    Pass(Duration, bool),
    Violation(Violation),
    PeerClosed,
    Revoked,
    End(CloseCause),
    Renewed,
    Unwrapped(Mistake, String),
    SessionRenewed,
    SessionUsed,
    UserChanged,
    RevokedWithMargin,
    RulesChanged,
    Heard,
}

/// How it begins.
#[derive(Clone, Debug)]
struct Beginning {
    carriers: Vec<Carrier>,
    anonymous: bool,
    refuse: RefuseMode,
    max_age: Option<Duration>,
    presented: Result<Presented, Refusal>,
    browser: bool,
    protocol: Arc<dyn Protocol>,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(r#"{"type":"auth","token":"a.b.c"}"#.to_owned()),
        1 => Just(format!(r#"{{"type":"auth","token":"utk_{}","id":1}}"#, "A".repeat(43))),
        1 => "[a-zA-Z0-9._:]{0,60}".prop_map(|token| format!(r#"{{"type":"auth","token":"{token}","id":"q"}}"#)),
        1 => Just(r#"{"type":"auth","token":"a.b.c","admin":true}"#.to_owned()),
        1 => Just(r#"{"type":"authenticated","user":{"id":"alice","name":"Alice"}}"#.to_owned()),
        2 => Just(r#"{"type":"join","room":"board-1"}"#.to_owned()),
        2 => Just(r#"{"type":"publish","room":"board-1","data":{"text":"hi"}}"#.to_owned()),
        1 => Just(r#"{"type":"ping"}"#.to_owned()),
        2 => Just(r#"{"auth":"alice:key"}"#.to_owned()),
        1 => Just(r#"{"auth":7}"#.to_owned()),
        1 => Just(r#"{"throttle":2}"#.to_owned()),
        1 => r#"[{}\[\]":,a-z0-9 ]{0,40}"#,
        1 => any::<String>(),
    ]
}

fn refusal_kind() -> impl Strategy<Value = RefusalKind> {
    prop::sample::select(vec![
        RefusalKind::Unauthorized,
        RefusalKind::InvalidSession,
        RefusalKind::UserNotFound,
        RefusalKind::Expired,
        RefusalKind::SpentTicket,
        RefusalKind::Forbidden,
        RefusalKind::Throttled { retry_after: Duration::from_secs(1) },
        RefusalKind::Unavailable,
    ])
}

fn lasting() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of((1_u64..20_000).prop_map(Duration::from_millis))
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        12 => text().prop_map(Input::Text),
        12 => (prop::sample::select(vec!["alice", "alice", "alice", "bob"]), lasting()).prop_map(|(id, lasting)| Input::Admit(id, lasting)),
        2 => refusal_kind().prop_map(Input::Refuse),
        12 => prop::sample::select(vec![true, true, true, false]).prop_map(Input::Admission),
        4 => (0_u64..2_000, any::<bool>()).prop_map(|(millis, told)| Input::Pass(Duration::from_millis(millis), told)),
        1 => prop::sample::select(vec![Violation::Protocol, Violation::InvalidUtf8, Violation::TooBig, Violation::Binary])
            .prop_map(Input::Violation),
        1 => Just(Input::PeerClosed),
        1 => Just(Input::Revoked),
        1 => prop::sample::select(CloseCause::ALL.to_vec()).prop_map(Input::End),
        6 => Just(Input::Renewed),
        2 => (prop::sample::select(vec![Mistake::NotJson, Mistake::NotWrapped, Mistake::ItemsNotStrings]), text())
            .prop_map(|(mistake, text)| Input::Unwrapped(mistake, text)),
        4 => prop::sample::select(vec![
            Input::SessionRenewed, Input::SessionUsed, Input::UserChanged, Input::RevokedWithMargin, Input::RulesChanged, Input::Heard,
        ]),
    ]
}

fn beginning() -> impl Strategy<Value = Beginning> {
    let carriers = prop_oneof![
        prop::sample::subsequence(Carrier::ALL.to_vec(), 0..=Carrier::ALL.len()),
        Just(vec![Carrier::Cookie, Carrier::FirstMessage]),
    ];
    let refuse = prop::sample::select(vec![RefuseMode::Auto, RefuseMode::Http, RefuseMode::Close]);
    let presented = prop_oneof![
        4 => Just(Ok(nothing())),
        4 => prop::sample::select(vec![Carrier::Cookie, Carrier::Query, Carrier::Ticket, Carrier::Header, Carrier::Subprotocol])
            .prop_map(|carrier| Ok(presented(carrier))),
        1 => Just(Ok(Presented::Nothing(refusal(RefusalKind::OriginForbidden)))),
        1 => Just(Err(refusal(RefusalKind::MultipleCredentials))),
        1 => Just(Err(refusal(RefusalKind::CarrierDisabled(Carrier::Query)))),
    ];
    let protocols: [Arc<dyn Protocol>; 5] = [
        Arc::new(UsherV1),
        Arc::new(UsherV1),
        Arc::new(UsherOverSockJs { lenient: true }),
        Arc::new(OctoPrint { lenient: true }),
        Arc::new(Transparent),
    ];
    let protocol = prop::sample::select(protocols.to_vec());
    (carriers, any::<bool>(), refuse, lasting(), presented, any::<bool>(), protocol).prop_map(
        |(carriers, anonymous, refuse, max_age, presented, browser, protocol)| Beginning {
            carriers,
            anonymous,
            refuse,
            max_age,
            presented,
            browser,
            protocol,
        },
    )
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    prop::collection::vec(input(), 0..40)
}

fn session_renewal(now: Now) -> SessionRenewal {
    let user = user("alice");
    let session = Session { created_at: now.unix, last_seen_at: now.unix, ..session(&user) };
    let limits = SessionLimits { idle: Duration::from_secs(9), absolute: Duration::from_secs(9) };
    let token = RenewedToken {
        token_id: TokenId::new("jti-new").expect("an id"),
        issued_at: now.unix,
        roles_read_at: now.unix,
        expires_at: now.unix.plus(Duration::from_secs(5)),
    };
    SessionRenewal::new(&session, &user, limits, token).expect("the session is the user's")
}

/// Follows one connection from outside and checks every action it asks for.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that was seen, in any combination")]
struct Watch {
    scene: Scene,
    anonymous_route: bool,
    waits_again: bool,
    /// The protocol has no words of its own.
    silent: bool,
    /// A verification was asked for and has not been answered.
    asked: bool,
    /// Who has been verified: those whom a verdict that was asked for let in.
    verified: Vec<UserId>,
    accepted: bool,
    rejected: bool,
    opened: bool,
    /// The code of the last frame.
    bye: Option<u64>,
    closed: bool,
    released: bool,
    /// The application was asked and has not answered.
    admitting: bool,
    passed_on: Option<Recipient>,
    delivered: usize,
    renewed: usize,
}

impl Watch {
    fn new(beginning: Beginning) -> Self {
        let Beginning { carriers, anonymous, refuse, max_age, presented, browser, protocol } = beginning;
        let heartbeat = Some(Duration::from_secs(4));
        let rules =
            RouteRules { anonymous, refuse, max_age, heartbeat, protocol: protocol.clone(), ..route(&carriers) };
        let mut watch = Self {
            scene: Scene::undecided(rules, presented, browser),
            anonymous_route: anonymous,
            waits_again: protocol.waits_again(),
            silent: protocol.name() == "transparent",
            asked: false,
            verified: Vec::new(),
            accepted: false,
            rejected: false,
            opened: false,
            bye: None,
            closed: false,
            released: false,
            admitting: false,
            passed_on: None,
            delivered: 0,
            renewed: 0,
        };
        watch.carry_out();
        watch
    }

    fn tell(&mut self, input: Input) {
        let was_ended = self.scene.connection.is_ended();
        let was_open = self.scene.connection.permit().is_some();
        let revoked = matches!(input, Input::Revoked);
        let Scene { connection, now, .. } = &mut self.scene;
        match input {
            Input::Text(text) => self.passed_on = Some(connection.handle_message(*now, Received::Text(&text))),
            Input::Admit(id, lasting) => {
                let permit = permit(id, Carrier::FirstMessage, lasting, *now);
                if std::mem::take(&mut self.asked) {
                    self.verified.push(permit.principal().id.clone());
                }
                connection.handle_verdict(*now, Ok(permit));
            }
            Input::Refuse(kind) => {
                self.asked = false;
                connection.handle_verdict(*now, Err(refusal(kind)));
            }
            Input::Admission(taken) => {
                self.admitting = false;
                let rejected = Refusal::new(RefusalKind::Application(Rejection::FORBIDDEN), "the application says no");
                connection.handle_admission(*now, if taken { Ok(()) } else { Err(rejected) });
            }
            Input::Pass(span, told) => {
                *now = now.after(span);
                if told {
                    connection.handle_timeout(*now);
                    let next = connection.poll_timeout();
                    assert!(next.is_none_or(|next| next > now.monotonic), "a deadline that has passed is over");
                }
            }
            Input::Violation(violation) => connection.handle_violation(*now, violation),
            Input::PeerClosed => connection.handle_peer_closed(),
            Input::Revoked => connection.handle_revoked(*now, RevocationCause::Logout),
            Input::End(cause) => connection.handle_end(*now, cause, None),
            Input::Renewed => connection.handle_permit_changed(*now, &ApplicationAnswer::default()),
            Input::Unwrapped(mistake, text) => {
                self.passed_on = Some(connection.handle_message(*now, Received::Misframed(mistake, &text)));
            }
            Input::SessionRenewed => connection.handle_session_renewed(*now, &session_renewal(*now)),
            Input::SessionUsed => {
                let session = session(&user("alice")).id;
                connection.handle_session_used(*now, &session, now.unix.plus(Duration::from_secs(7)));
            }
            Input::UserChanged => connection.handle_user_changed(*now, &user("alice"), now.unix),
            Input::RevokedWithMargin => {
                connection.handle_revoked_with_margin(*now, Duration::from_secs(3), RevocationCause::Logout);
            }
            Input::RulesChanged => {
                let protocol = connection.rules().protocol.clone();
                let rules = RouteRules { protocol, ..route(&[Carrier::FirstMessage, Carrier::Sockjs]) };
                let rules = Arc::new(rules);
                connection.handle_rules_changed(*now, Some(&rules), None);
            }
            Input::Heard => connection.handle_heard(*now),
        }
        let passed_on = self.passed_on.take() == Some(Recipient::Application);
        let actions = self.carry_out();
        if passed_on {
            assert!(was_open && self.scene.connection.permit().is_some(), "passed on without authentication");
            self.delivered += 1;
        }
        if was_ended {
            assert_eq!(actions, [""; 0], "ended is the end");
        }
        if revoked && was_open && self.waits_again {
            assert!(actions.starts_with(&["discard queued".to_owned(), "deauthenticate".to_owned()]), "{actions:?}");
        } else if revoked && was_open && self.silent {
            assert!(
                matches!(&actions[..], [discard, close] if discard == "discard queued" && close.starts_with("close")),
                "{actions:?}"
            );
        } else if revoked && was_open {
            // req H4
            assert!(
                matches!(&actions[..], [discard, bye, close] if discard == "discard queued" && bye.starts_with("send bye") && close.starts_with("close")),
                "{actions:?}"
            );
        }
    }

    /// Takes all actions, checks each, then the state they leave.
    fn carry_out(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(action) = self.scene.connection.poll_action() {
            lines.push(line(&action));
            self.check(action);
        }
        let connection = &self.scene.connection;
        if let Some(permit) = connection.permit() {
            assert!(self.opened && !self.closed);
            self.check_entitled(permit);
        }
        if (self.asked || self.admitting) && !self.closed && !self.released {
            assert!(!connection.wants_read(), "nothing is read while a credential is being verified");
        }
        assert_eq!(connection.is_ended(), self.released || self.rejected);
        assert!(!connection.is_ended() || connection.poll_timeout().is_none());
        assert!(!(connection.is_waiting() && connection.permit().is_some()));
        lines
    }

    fn check(&mut self, action: Action) {
        assert!(!self.released && !self.rejected, "{action:?} after the end");
        assert!(!self.closed || matches!(action, Action::Release), "{action:?} after the close");
        match action {
            Action::Verify(_) => {
                assert!(!self.asked, "one verification at a time");
                self.asked = true;
            }
            Action::Accept => {
                assert!(!self.accepted);
                self.accepted = true;
            }
            Action::Reject(_) => {
                assert!(!self.accepted);
                self.rejected = true;
            }
            Action::Opened => {
                assert!(self.accepted && !self.opened && !self.admitting, "the application takes it first");
                self.opened = true;
                self.check_entitled(self.scene.connection.permit().expect("opened with a permit"));
            }
            Action::PermitChanged(_) => {
                // Also while a credential is being verified: what changes elsewhere does not wait for that.
                assert!(self.opened);
                assert!(!self.verified.is_empty(), "renewed without a verified credential");
                self.renewed += 1;
            }
            Action::Admit(permit) => {
                assert!(!self.admitting, "the application is asked once");
                self.admitting = true;
                self.check_entitled(&permit);
            }
            Action::Send(frame) => {
                assert!(!self.silent, "a transparent connection says nothing");
                assert!(self.accepted, "a frame before the 101");
                let frame: serde_json::Value = serde_json::from_str(frame.text()).expect("a frame is JSON");
                let (kind, frame) = named(&frame);
                // req E4
                let to_anybody = ["error", "bye", "notice", "connected", "reauthRequired"];
                assert!(self.opened || to_anybody.contains(&kind), "{kind} to nobody");
                assert!(self.bye.is_none(), "{kind} after the last frame");
                if kind == "bye" {
                    self.bye = Some(frame["code"].as_u64().expect("bye has a code"));
                }
            }
            Action::Close { code, .. } => {
                assert!(self.accepted && !self.closed);
                assert!(self.silent || self.bye == Some(u64::from(code)), "one code, said twice");
                self.closed = true;
            }
            Action::Ping | Action::TouchSession => assert!(self.opened && !self.closed),
            Action::Deauthenticate => {
                assert!(self.opened && self.waits_again);
                // What is being verified is dropped, and whoever comes next is another.
                (self.opened, self.asked) = (false, false);
                self.verified.clear();
            }
            Action::Release => self.released = true,
            Action::Refused { .. } | Action::DiscardQueued | Action::Mistaken(..) => {}
        }
    }

    /// Only who was verified when it was asked for is in, or a visitor where the route takes visitors.
    fn check_entitled(&self, permit: &Permit) {
        let principal = permit.principal();
        let entitled = if principal.anonymous {
            self.anonymous_route && self.verified.is_empty()
        } else {
            // The first to come in stays who they are.
            self.verified.first() == Some(&principal.id)
        };
        assert!(entitled, "{principal:?} is in; verified: {:?}", self.verified);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn nobody_is_in_who_was_not_verified(beginning in beginning(), inputs in inputs()) {
        // req E5, H4
        let mut watch = Watch::new(beginning);
        for input in inputs {
            watch.tell(input);
        }
    }

    #[test]
    fn who_is_never_verified_is_gone_in_time(
        refuse in prop::sample::select(vec![RefuseMode::Auto, RefuseMode::Http, RefuseMode::Close]),
        browser in any::<bool>(),
        inputs in prop::collection::vec(input().prop_filter("no verdict lets in", |input| !matches!(input, Input::Admit(..))), 0..40),
    ) {
        // req E1, E6: whatever is sent, whenever.
        let carriers = vec![Carrier::FirstMessage];
        let mut watch = Watch::new(Beginning { carriers, anonymous: false, refuse, max_age: None, presented: Ok(nothing()), browser, protocol: Arc::new(UsherV1) });
        let accepted_at = watch.scene.now.monotonic;
        for input in inputs {
            watch.tell(input);
            if watch.scene.connection.is_waiting() {
                prop_assert_eq!(watch.scene.connection.poll_timeout(), Some(accepted_at + TIMEOUT));
            }
        }
        watch.tell(Input::Pass(TIMEOUT, true));
        watch.tell(Input::Pass(LINGER, true));
        prop_assert!(watch.released && !watch.opened);
    }
}

#[test]
fn the_sequences_reach_every_state() {
    // The laws above would hold for sequences that never get anywhere.
    let mut runner = TestRunner::deterministic();
    let (mut opened, mut closed, mut released, mut rejected, mut delivered, mut waited, mut renewed) =
        (0, 0, 0, 0, 0, 0, 0);
    for _ in 0..3000 {
        let mut watch = Watch::new(beginning().new_tree(&mut runner).expect("a beginning").current());
        for input in inputs().new_tree(&mut runner).expect("inputs").current() {
            watch.tell(input);
            waited += usize::from(watch.scene.connection.is_waiting());
        }
        opened += usize::from(watch.opened);
        closed += usize::from(watch.closed);
        released += usize::from(watch.released);
        rejected += usize::from(watch.rejected);
        delivered += watch.delivered;
        renewed += watch.renewed;
    }
    let reached = [opened, closed, released, rejected, delivered, waited, renewed];
    assert!(reached.iter().all(|count| *count >= 50), "{reached:?}");
}
