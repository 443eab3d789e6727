//! One connection in simulated time: what is told to it, and the actions that come out as lines of text.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use usher_auth::api_key::ApiKey;
use usher_auth::carriers::{Carrier, Credential, Presented};
use usher_auth::close_code::{CloseCodes, CloseProfile};
use usher_auth::connection::{Action, Connection, LINGER, PermitChange, Recipient, Verification};
use usher_auth::ids::{ApiKeyId, ConnectionId, Role, SessionId, UserId};
use usher_auth::origin::{AllowedOrigins, Origin};
use usher_auth::protocol::{ApplicationAnswer, Received, UsherV1};
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::revocation::RevocationIndex;
use usher_auth::route::{FirstMessageRules, ReauthRules, RefuseMode, RouteRules};
use usher_auth::secret::{PlainToken, SecretText, TokenKind};
use usher_auth::session::{Session, SessionLimits};
use usher_auth::user::User;
use usher_auth::verify::{self, Circumstances};
use usher_auth::{Now, Permit, UnixTime};

/// When every scene begins.
pub(crate) const START: Now = Now { monotonic: Duration::from_hours(24), unix: UnixTime::from_seconds(1_760_000_000) };
/// The route's wait for a first message.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// A first message that asks to be let in.
pub(crate) const AUTH: &str = r#"{"type":"auth","token":"a.b.c"}"#;
/// To be multiplied.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The shortest step of time.
pub(crate) const TICK: Duration = Duration::from_millis(1);

fn since_start(monotonic: Duration) -> Duration {
    monotonic.checked_sub(START.monotonic).expect("scenes begin at the start")
}

/// A tick less than `span`.
pub(crate) fn just_before(span: Duration) -> Duration {
    span.checked_sub(TICK).expect("longer than a tick")
}

/// A route that takes `carriers`, and otherwise has the defaults.
pub(crate) fn route(carriers: &[Carrier]) -> RouteRules {
    RouteRules {
        path: "/ws".to_owned(),
        carriers: carriers.iter().copied().collect(),
        anonymous: false,
        origins: AllowedOrigins::new(vec![Origin::parse("https://app.example.com").expect("an origin")]),
        cookie_name: "__Host-usher".to_owned(),
        max_age: None,
        first_message: FirstMessageRules { timeout: TIMEOUT, max_bytes: 8 * 1024 },
        refuse: RefuseMode::Auto,
        close_codes: CloseCodes::from(CloseProfile::Usher),
        reauth: ReauthRules { lead: Duration::ZERO, jitter: Duration::ZERO },
        heartbeat: None,
        max_message_bytes: 64 * 1024,
        protocol: Arc::new(UsherV1),
    }
}

/// A local user with the role `user`.
pub(crate) fn user(id: &str) -> User {
    User {
        id: UserId::local(id).expect("a local id"),
        name: id.to_uppercase(),
        roles: vec![Role::new("user").expect("a role")],
        disabled: false,
        created_at: UnixTime::EPOCH,
    }
}

/// A session of `user` that began at [`START`].
pub(crate) fn session(user: &User) -> Session {
    Session {
        id: SessionId::from_random([1; 16]),
        user: user.id.clone(),
        secret: PlainToken::from_random(TokenKind::Session, [1; 32]).hashed(),
        created_at: START.unix,
        last_seen_at: START.unix,
        client_ip: None,
        user_agent: None,
    }
}

/// An API key of `user` without an end.
pub(crate) fn api_key(user: &User) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_random([2; 16]),
        user: user.id.clone(),
        secret: PlainToken::from_random(TokenKind::ApiKey, [2; 32]).hashed(),
        label: "test".to_owned(),
        created_at: START.unix,
        expires_at: None,
    }
}

/// `id` verified at `now`, until `lasting` later or for ever.
pub(crate) fn permit(id: &str, carrier: Carrier, lasting: Option<Duration>, now: Now) -> Permit {
    let user = user(id);
    let at = Circumstances { carrier, now, revoked: &RevocationIndex::default() };
    match lasting {
        Some(lasting) => {
            let session = Session { created_at: now.unix, last_seen_at: now.unix, ..session(&user) };
            verify::session(&session, Some(&user), now.unix, SessionLimits { idle: lasting, absolute: lasting }, at)
        }
        None => verify::api_key(&api_key(&user), None, Some(&user), now.unix, at),
    }
    .expect("a session that has just begun, or a key without an end")
}

/// A refusal of `kind`.
pub(crate) fn refusal(kind: RefusalKind) -> Refusal {
    Refusal::new(kind, "for the log")
}

/// A credential as `carrier` brings it, not verified.
pub(crate) fn presented(carrier: Carrier) -> Presented {
    let credential = match carrier {
        Carrier::Cookie => Credential::Session(PlainToken::from_random(TokenKind::Session, [3; 32])),
        Carrier::Ticket => Credential::Ticket(PlainToken::from_random(TokenKind::Ticket, [3; 32])),
        _ => Credential::Token(SecretText::new("a.b.c")),
    };
    Presented::Credential(carrier, credential)
}

/// Nothing that counts was presented.
pub(crate) fn nothing() -> Presented {
    Presented::Nothing(refusal(RefusalKind::MissingCredential))
}

/// A connection and the time it lives in.
pub(crate) struct Scene {
    pub(crate) connection: Connection,
    pub(crate) now: Now,
    /// What was done up to the last message that was passed on to the application.
    done: Vec<String>,
}

impl Scene {
    /// An upgrade from a program, which sends no `Origin`.
    pub(crate) fn program(rules: RouteRules, presented: impl Into<Upgrade>) -> Self {
        Self::begin(rules, presented, false)
    }

    /// An upgrade from a page, which does.
    pub(crate) fn browser(rules: RouteRules, presented: impl Into<Upgrade>) -> Self {
        Self::begin(rules, presented, true)
    }

    pub(crate) fn begin(rules: RouteRules, presented: impl Into<Upgrade>, browser: bool) -> Self {
        let mut scene = Self::undecided(rules, presented, browser);
        // An anonymous user is as far already.
        scene.connection.handle_admission(START, Ok(()));
        scene
    }

    /// The application has not been asked yet.
    pub(crate) fn undecided(rules: RouteRules, presented: impl Into<Upgrade>, browser: bool) -> Self {
        let id = ConnectionId::from_random([9; 16]);
        let connection = Connection::begin(id, Arc::new(rules), presented.into().0, browser, START);
        Self { connection, now: START, done: Vec::new() }
    }

    /// Waiting for a first message.
    pub(crate) fn waiting() -> Self {
        let mut scene = Self::program(route(&[Carrier::FirstMessage]), nothing());
        assert_eq!(scene.actions(), ["accept"]);
        assert!(scene.connection.is_waiting());
        scene
    }

    /// The first message's credential is being verified.
    pub(crate) fn verifying() -> Self {
        let mut scene = Self::waiting();
        scene.text(AUTH);
        assert_eq!(scene.actions(), ["verify first_message token"]);
        scene
    }

    /// Alice, let in by a first message, until `lasting` after [`START`].
    pub(crate) fn alice(lasting: Option<Duration>) -> Self {
        Self::alice_on(route(&[Carrier::FirstMessage]), lasting)
    }

    /// Alice on a route of these rules, let in at the upgrade by a header.
    pub(crate) fn alice_on(rules: RouteRules, lasting: Option<Duration>) -> Self {
        let mut scene = Self::program(rules, presented(Carrier::Header));
        assert_eq!(scene.actions(), ["verify header token"]);
        scene.admit("alice", lasting);
        assert_eq!(scene.actions()[..2], ["accept", "opened"]);
        assert!(scene.connection.permit().is_some());
        scene
    }

    /// Alice's new credential is being verified.
    pub(crate) fn renewing(lasting: Option<Duration>) -> Self {
        let mut scene = Self::alice(lasting);
        scene.text(AUTH);
        assert_eq!(scene.actions(), ["verify first_message token"]);
        scene
    }

    /// Time passes, and the machine is told.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.pass_unnoticed(span);
        self.connection.handle_timeout(self.now);
    }

    /// Time passes, and the machine is not told yet.
    pub(crate) fn pass_unnoticed(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.message(Received::Text(text));
    }

    pub(crate) fn message(&mut self, message: Received<'_>) {
        if self.connection.handle_message(self.now, message) == Recipient::Application {
            let mut done = self.actions();
            done.push(match message {
                Received::Text(text) | Received::Misframed(_, text) => format!("deliver {}", delivered(text)),
                Received::Binary(bytes) => format!("deliver {bytes:?}"),
            });
            self.done = done;
        }
    }

    /// The application has taken in a change of the permit, and has nothing to add.
    pub(crate) fn permit_changed(&mut self) {
        self.connection.handle_permit_changed(self.now, &ApplicationAnswer::default());
    }

    /// The verdict, and the application takes the connection: this is `id`, for `lasting` from now on.
    pub(crate) fn admit(&mut self, id: &str, lasting: Option<Duration>) {
        let permit = permit(id, Carrier::FirstMessage, lasting, self.now);
        self.connection.handle_verdict(self.now, Ok(permit));
        self.connection.handle_admission(self.now, Ok(()));
    }

    /// The verdict is no.
    pub(crate) fn refuse(&mut self, kind: RefusalKind) {
        self.connection.handle_verdict(self.now, Err(refusal(kind)));
    }

    /// When the machine wants to be told the time, counted from [`START`].
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.connection.poll_timeout().map(since_start)
    }

    /// Everything that is to be done, in order. The application takes every connection.
    pub(crate) fn actions(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.done);
        while let Some(action) = self.connection.poll_action() {
            match action {
                // Where the scene has answered it already, this changes nothing.
                Action::Admit(_) => self.connection.handle_admission(self.now, Ok(())),
                action => lines.push(line(&action)),
            }
        }
        lines
    }

    /// It closed with `close`, keeps the socket for a second and then frees it, whatever comes meanwhile.
    pub(crate) fn assert_gone_within_linger(&mut self) {
        assert_eq!(self.deadline(), Some(since_start(self.now.monotonic) + LINGER));
        self.text(AUTH);
        self.admit("mallory", None);
        self.pass(just_before(LINGER));
        assert_eq!(self.actions(), [""; 0]);
        self.pass(TICK);
        assert_eq!(self.actions(), ["release"]);
        assert!(self.connection.is_ended());
    }
}

/// What [`usher_auth::carriers::present`] found.
pub(crate) struct Upgrade(Result<Presented, Refusal>);

impl From<Presented> for Upgrade {
    fn from(presented: Presented) -> Self {
        Self(Ok(presented))
    }
}

impl From<Refusal> for Upgrade {
    fn from(refusal: Refusal) -> Self {
        Self(Err(refusal))
    }
}

impl From<Result<Presented, Refusal>> for Upgrade {
    fn from(presented: Result<Presented, Refusal>) -> Self {
        Self(presented)
    }
}

/// One action as a line.
pub(crate) fn line(action: &Action) -> String {
    match action {
        Action::Verify(Verification { carrier, credential }) => format!("verify {carrier} {}", form(credential)),
        Action::Accept => "accept".to_owned(),
        Action::Reject(refusal) => format!("reject {} {}", refusal.status().as_u16(), refusal.reason()),
        Action::Refused { refusal, .. } => format!("refused {}", refusal.code()),
        Action::Opened => "opened".to_owned(),
        Action::Admit(permit) => format!("admit {}", permit.principal().id),
        Action::PermitChanged(PermitChange::Renewed) => "renewed".to_owned(),
        Action::PermitChanged(PermitChange::RightsChanged) => "rights changed".to_owned(),
        Action::Send(frame) => format!("send {}", sent(&serde_json::from_str(frame.text()).expect("a frame is JSON"))),
        Action::TouchSession => "touch session".to_owned(),
        Action::Ping => "ping".to_owned(),
        Action::DiscardQueued => "discard queued".to_owned(),
        Action::Deauthenticate => "deauthenticate".to_owned(),
        Action::Mistaken(mistake, shape) => format!("mistaken {mistake} {shape}"),
        Action::Close { code, reason, .. } => format!("close {code} {reason}"),
        Action::Release => "release".to_owned(),
    }
}

fn form(credential: &Credential) -> &'static str {
    match credential {
        Credential::Session(_) => "session",
        Credential::Token(_) => "token",
        Credential::ApiKey { .. } => "api key",
        Credential::SessionKey { .. } => "session key",
        Credential::TokenOf { .. } => "a user's token",
        Credential::Ticket(_) => "ticket",
        Credential::Unrecognised => "unrecognised",
    }
}

/// The type of a frame or the name of OctoPrint's event, and where its fields are.
pub(crate) fn named(frame: &Value) -> (&str, &Value) {
    match (frame["type"].as_str(), frame.as_object().and_then(|members| members.iter().next())) {
        (Some(kind), _) => (kind, frame),
        (None, Some((name, payload))) => (name, payload),
        (None, None) => panic!("no message: {frame}"),
    }
}

fn sent(frame: &Value) -> String {
    let (kind, frame) = named(frame);
    let field = |name: &str| frame[name].as_str().unwrap_or_else(|| panic!("{name} in {frame}"));
    let mut text = match kind {
        "error" => format!("error {}", field("code")),
        "bye" => format!("bye {} {} {}", frame["code"], field("reason"), field("reconnect")),
        "authenticated" => {
            let user = frame["user"]["id"].as_str().unwrap_or_else(|| panic!("a user in {frame}"));
            let end = frame["expires_at"].as_i64().map(|end| end - START.unix.as_seconds());
            format!("authenticated {user} {}", end.map_or("for ever".to_owned(), |end| format!("until {end} s")))
        }
        "reauth_required" => {
            let at = |name: &str| frame[name].as_i64().expect("a time") - START.unix.as_seconds();
            format!("reauth_required {} s, by {} s", at("expires_at"), at("deadline"))
        }
        "reauthRequired" => format!("reauthRequired {}", field("reason")),
        "notice" => format!("notice {}", field("code")),
        other => other.to_owned(),
    };
    for name in ["rooms", "id", "rooms_lost", "retry_after_ms"] {
        if let Some(value) = frame.get(name) {
            text = format!("{text} {name}={value}");
        }
    }
    text
}

/// The type of a message, and what it is about.
fn delivered(text: &str) -> String {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let member = |names: &[&str]| names.iter().find_map(|name| message.get(*name)).cloned();
    let (Some(kind), Some(room)) = (message["type"].as_str(), member(&["room", "boardId"])) else {
        return text.to_owned();
    };
    let room = room.as_str().map_or_else(|| room.to_string(), str::to_owned);
    member(&["data"]).map_or_else(|| format!("{kind} {room}"), |data| format!("{kind} {room} {data}"))
}
