//! What single steps cost: verification, admission, parsing, fan-out, and a look at a million revocations.
//!
//! `cargo bench --package usher-bench`

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use serde_json::value::RawValue;
use usher_auth::carriers::{Carrier, Credential, Presented};
use usher_auth::close_code::{CloseCodes, CloseProfile};
use usher_auth::connection::Connection;
use usher_auth::ids::{ConnectionId, IssuerName, SessionId, TokenId};
use usher_auth::jwt::{Algorithm, IssuerRules, KeySet, SubjectTemplate, TokenProfile, TokenVerifier, TrustedIssuer};
use usher_auth::origin::AllowedOrigins;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationIndex, RevocationTarget};
use usher_auth::room::{OnForbidden, Presence, Right, RoomName, RoomPattern, RoomPolicy, RoomRule};
use usher_auth::route::{FirstMessageRules, ReauthRules, RefuseMode, RouteRules};
use usher_auth::secret::SecretText;
use usher_auth::test_util::visitor;
use usher_auth::verify::{self, Circumstances};
use usher_auth::wire::Frame;
use usher_auth::{Now, Permit, UnixTime};
use usher_bench::{AUDIENCE, Mint, Signed};
use usher_rooms::RoomMessage;
use usher_rooms::{Attendance, Receiver, RoomLimits, Rooms};

fn main() {
    divan::main();
}

const REVOKED: u128 = 1_000_000;

/// A verifier that trusts the mint, a token of each algorithm, and a moment at which they hold.
struct Scene {
    mint: Mint,
    verifier: TokenVerifier,
    now: Now,
}

impl Scene {
    fn new() -> Self {
        let mint = Mint::new().expect("keys");
        let issuers = Signed::ALL.map(|signed| trusted(&mint, signed)).into();
        let verifier = TokenVerifier::new(issuers, BTreeSet::new()).expect("issuers that go together");
        let unix = jiff::Timestamp::now().as_second();
        let unix = UnixTime::from_seconds(unix);
        Self { mint, verifier, now: Now { monotonic: Duration::from_hours(1), unix } }
    }

    fn token(&self, signed: Signed) -> String {
        self.mint.token(signed, 1).expect("a token")
    }

    fn permit(&self, revoked: &RevocationIndex) -> Permit {
        let verified = self.verifier.verify(&self.token(Signed::Hs256), self.now.unix).expect("a good token");
        let at = Circumstances { carrier: Carrier::Header, now: self.now, revoked };
        verify::token(verified, at).expect("nobody revoked it")
    }
}

fn trusted(mint: &Mint, signed: Signed) -> TrustedIssuer {
    let algorithms: Vec<Algorithm> = vec![signed.name().parse().expect("an algorithm")];
    let key = mint.verifying(signed).as_bytes();
    let keys = match signed {
        Signed::Hs256 => KeySet::from_hmac_secret(key, &algorithms),
        Signed::Es256 | Signed::EdDsa => KeySet::from_public_key_pem(key, &algorithms),
    };
    let rules = IssuerRules {
        name: Some(IssuerName::new(signed.name().to_lowercase()).expect("a name")),
        issuer: signed.issuer(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms,
        subject: SubjectTemplate::default(),
        roles_claim: None,
        default_roles: Vec::new(),
        profile: TokenProfile::default(),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_hours(24),
        accepts_without_iat: false,
    };
    TrustedIssuer::new(rules, keys.expect("a key"))
}

/// Signature and claims of a token that was never seen before.
#[divan::bench(args = ["HS256", "ES256", "EdDSA"])]
fn verification(bencher: Bencher<'_, '_>, algorithm: &str) {
    let scene = Scene::new();
    let signed = Signed::ALL.into_iter().find(|signed| signed.name() == algorithm).expect("one of the three");
    let token = scene.token(signed);
    bencher.bench_local(|| scene.verifier.verify(black_box(&token), scene.now.unix).expect("a good token"));
}

/// From a presented credential to an open connection, without the verification of its signature.
#[divan::bench]
fn admission(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    let permit = scene.permit(&RevocationIndex::default());
    let rules = Arc::new(route());
    bencher.bench_local(|| {
        let token = Credential::Token(SecretText::new("a.b.c"));
        let presented = Ok(Presented::Credential(Carrier::Header, token));
        let id = ConnectionId::from_random([7; 16]);
        let mut connection = Connection::begin(id, rules.clone(), presented, false, scene.now);
        while connection.poll_action().is_some() {}
        connection.handle_verdict(scene.now, Ok(permit.clone()));
        while connection.poll_action().is_some() {}
        connection
    });
}

fn route() -> RouteRules {
    RouteRules {
        path: "/ws".to_owned(),
        carriers: [Carrier::Header].into_iter().collect(),
        anonymous: false,
        origins: AllowedOrigins::new(Vec::new()),
        cookie_name: "usher".to_owned(),
        max_age: None,
        first_message: FirstMessageRules { timeout: Duration::from_secs(5), max_bytes: 8 * 1024 },
        refuse: RefuseMode::Auto,
        close_codes: CloseCodes::from(CloseProfile::Usher),
        reauth: ReauthRules { lead: Duration::from_mins(1), jitter: Duration::from_secs(10) },
        heartbeat: Some(Duration::from_secs(25)),
        max_message_bytes: 64 * 1024,
        protocol: std::sync::Arc::new(usher_auth::protocol::UsherV1),
    }
}

const FRAMES: [(&str, &str); 3] = [
    ("ping", r#"{"type":"ping"}"#),
    ("join", r#"{"type":"join","room":"board-1","id":7}"#),
    ("publish", r#"{"type":"publish","room":"board-1","data":{"x":1,"y":2,"text":"a line of a drawing, moved"}}"#),
];

#[divan::bench(args = FRAMES.map(|(name, _)| name))]
fn parsing(bencher: Bencher<'_, '_>, frame: &str) {
    let text = FRAMES.iter().find(|(name, _)| *name == frame).expect("one of the three").1;
    bencher.bench_local(|| RoomMessage::parse(black_box(text)).expect("a good frame"));
}

/// A token among a million that were revoked, itself not.
#[divan::bench]
fn look_up_among_a_million_revocations(bencher: Bencher<'_, '_>) {
    let mut revoked = RevocationIndex::default();
    let issuer = Some(IssuerName::new("hs256").expect("a name"));
    for number in 0..REVOKED {
        let target = match number % 2 {
            0 => RevocationTarget::Session(SessionId::from_random(number.to_be_bytes())),
            _ => RevocationTarget::Token(issuer.clone(), TokenId::new(format!("jti-{number}")).expect("an id")),
        };
        let (cause, at) = (RevocationCause::Logout, UnixTime::EPOCH);
        revoked.insert(&Revocation { target, cause, at, forget_at: UnixTime::MAX });
    }
    let scene = Scene::new();
    let permit = scene.permit(&revoked);
    bencher.bench_local(|| revoked.check(black_box(permit.credential())));
}

/// Takes frames and does nothing with them: the cost is the room's own.
struct Nobody;

impl Receiver for Nobody {
    fn deliver(&self, frame: &Frame) {
        black_box(frame.clone());
    }
}

/// A publish to everybody else in a room, without mailboxes and sockets.
#[divan::bench(args = [10, 1_000, 10_000])]
fn broadcast(bencher: Bencher<'_, '_>, members: u32) {
    let right = vec![Right::Anonymous];
    let rooms = Rooms::new(
        RoomPolicy::new(vec![RoomRule {
            pattern: RoomPattern::parse("board-*").expect("a pattern"),
            join: right.clone(),
            publish: right.clone(),
            typing: right,
            presence: Presence::Off,
            on_forbidden: OnForbidden::Error,
        }]),
        RoomLimits::default(),
    );
    let room = RoomName::canonical("board-1").expect("a name");
    let now = Now { monotonic: Duration::from_hours(1), unix: UnixTime::from_seconds(1_760_000_000) };
    let mut crowd: Vec<Attendance> = (0..=members)
        .map(|number| {
            let connection = ConnectionId::from_random(u128::from(number).to_be_bytes());
            let mut attendance = rooms.attach(&visitor(connection, now), connection, Arc::new(Nobody));
            attendance.join(&room, None).expect("may join");
            attendance
        })
        .collect();
    let data = RawValue::from_string(format!("\"{}\"", "x".repeat(128))).expect("JSON");
    let sender = crowd.first_mut().expect("somebody");
    bencher.bench_local(|| sender.publish(&room, &data, None).expect("may publish"));
}
