//! A server of its own for each test: on a free loopback port, over SQLite in a folder of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::Request;
use reqwest::header::{ORIGIN as ORIGIN_HEADER, SET_COOKIE};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;
use usher_accounts::PasswordHasher;
use usher_accounts::Revoker as _;
use usher_accounts::SessionFeed;
use usher_audit::{AuditKeys, AuditSettings, AuditTrail, SinkSetting};
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, Role, UserId};
use usher_auth::jwt::{KeyRing, SigningKey, TokenVerifier, TrustedIssuer, generate_es256_pem};
use usher_auth::protocol::Transparent;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::route::RouteRules;
use usher_auth::secret::{PlainToken, TokenKind};
use usher_auth::user::User;
use usher_auth::{Clock, Randomness, UnixTime};
use usher_axum::ambient::SystemRandomness;
use usher_axum::{Door, IssuerKeys, MemoryLimits, WebSocketRoute};
use usher_server::listener::{self, Entrance};
use usher_server::metrics::Metrics;
use usher_server::server::{Server, ServerParts, ServerSettings};
use usher_sql::{SqlOptions, SqlStore};
use usher_store::memory::{MemorySessionEvents, MemoryStore, MemoryTickets};
use usher_store::{CreateApiKey, RevocationTimes, SessionEvents, Store, TicketBounds, TicketStore, UserChange};
use zeroize::Zeroizing;

use crate::binary_application::BinaryApplication;
use crate::mint::{self, Mint};
use crate::settings::{ORIGIN, settings};
use crate::{Refused, TestClient, TestClock, Upgrade};

/// The password of every user that [`TestServer::user`] adds.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A running server.
pub struct TestServer {
    /// Its address, such as `http://127.0.0.1:40123`.
    pub url: Url,
    /// The address of its listener for operators.
    pub admin_url: Url,
    /// The address of its binary application, whose routes are the same as those with rooms, below `/binary`.
    pub binary_url: Url,
    /// What is behind these.
    pub binary_application: Arc<BinaryApplication>,
    /// Its time.
    pub clock: Arc<TestClock>,
    /// What it remembers.
    pub store: Arc<dyn Store>,
    /// Makes tokens, good and bad.
    pub mint: Mint,
    /// For calls to its HTTP API. Keeps no cookies and follows no redirects.
    pub http: reqwest::Client,
    /// What it records.
    pub audit: AuditTrail,
    server: Arc<Server>,
    task: JoinHandle<()>,
    folder: TempDir,
}

/// A server to be.
pub struct TestServerBuilder {
    settings: ServerSettings,
    tickets: TicketBounds,
    store: Option<Arc<dyn Store>>,
    audit: Vec<SinkSetting>,
    audit_joins: bool,
    ticket_store: Option<Arc<dyn TicketStore>>,
    events: Arc<dyn SessionEvents>,
    memory: MemoryLimits,
    issuers: Vec<TrustedIssuer>,
    entrance: Entrance,
}

/// What a log-in gave.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The access token.
    pub token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The session cookie's value.
    pub cookie: String,
}

impl TestServerBuilder {
    /// With other settings.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut ServerSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// With other audit sinks. The trail's own store is apart from the server's.
    #[must_use]
    pub fn audit(mut self, sinks: Vec<SinkSetting>) -> Self {
        self.audit = sinks;
        self
    }

    /// Recording each room that is joined.
    #[must_use]
    pub fn audit_joins(mut self) -> Self {
        self.audit_joins = true;
        self
    }

    /// With other bounds for tickets.
    #[must_use]
    pub fn tickets(mut self, bounds: TicketBounds) -> Self {
        self.tickets = bounds;
        self
    }

    /// Over another store.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Over another ticket store.
    #[must_use]
    pub fn ticket_store(mut self, tickets: Arc<dyn TicketStore>) -> Self {
        self.ticket_store = Some(tickets);
        self
    }

    /// As one of several nodes, with this end of their events.
    #[must_use]
    pub fn events(mut self, events: Arc<dyn SessionEvents>) -> Self {
        self.events = events;
        self
    }

    /// Remembering less, or for a shorter time.
    #[must_use]
    pub fn memory(mut self, memory: MemoryLimits) -> Self {
        self.memory = memory;
        self
    }

    /// Taking connections in another way.
    #[must_use]
    pub fn entrance(mut self, entrance: Entrance) -> Self {
        self.entrance = entrance;
        self
    }

    /// With an issuer more.
    #[must_use]
    pub fn issuer(mut self, issuer: TrustedIssuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Starts it.
    pub async fn start(self) -> TestServer {
        // What the server logs is shown with a failing test.
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .try_init();
        let folder = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn Store> = match self.store {
            Some(store) => store,
            None => {
                let path = folder.path().join("usher.db");
                Arc::new(
                    SqlStore::open(&format!("sqlite://{}", path.display()), SqlOptions::default())
                        .await
                        .expect("a store"),
                )
            }
        };
        let clock = Arc::new(TestClock::new());
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let pem = generate_es256_pem(&SystemRandom::new()).expect("a key");
        let keys = KeyRing::new(SigningKey::from_pem(&pem).expect("a key"), Vec::new());
        let mint = Mint::new(&pem, keys.current().key_id(), clock.clone());
        let mut issuers = vec![TrustedIssuer::new(mint::own_rules(), keys.verification_keys())];
        issuers.extend(self.issuers);
        let tokens = Arc::new(TokenVerifier::new(issuers, mint::kept_claims()).expect("issuers that fit together"));
        let tickets = self.ticket_store.unwrap_or_else(|| Arc::new(MemoryTickets::new(self.tickets)));
        let (audit, writer) = AuditTrail::new(
            AuditSettings { sinks: self.audit, keep: Duration::from_hours(24), joins: self.audit_joins },
            Arc::new(MemoryStore::new()),
            AuditKeys::from_secret(&randomness.bytes()),
            clock.clone(),
        );
        tokio::spawn(writer.run());
        let routes = self.settings.routes.clone();
        let limits = self.settings.session_limits;
        let sessions = SessionFeed::begin(&*store, self.events, limits, self.memory).await.expect("a store");
        let server = Arc::new(
            Server::assemble(
                self.settings,
                ServerParts {
                    store: store.clone(),
                    sessions,
                    tickets,
                    keys,
                    tokens,
                    issuer_keys: IssuerKeys::none(),
                    passwords: PasswordHasher::new(2, randomness.clone()),
                    address_key: Zeroizing::new(randomness.bytes()),
                    audit: audit.clone(),
                    metrics: Metrics::default(),
                    clock: clock.clone(),
                    randomness,
                },
            )
            .expect("settings that can be"),
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let admin = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let admin_address = admin.local_addr().expect("an address");
        let binary = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let binary_address = binary.local_addr().expect("an address");
        let binary_application = Arc::new(BinaryApplication::default());
        let binary_router = binary_router(&routes, &server.door(), &binary_application);
        let binary_answer = move |request| listener::routed(binary_router.clone(), request);
        let (running, entrance) = (server.clone(), self.entrance);
        let serving = server.clone();
        let answer = move |request| serving.answer(request);
        let operators = server.admin_router(Vec::new());
        let admin_answer = move |request| listener::routed(operators.clone(), request);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = listener::serve(listener, entrance, answer, std::future::pending()) => {}
                () = listener::serve(admin, Entrance::default(), admin_answer, std::future::pending()) => {}
                () = listener::serve(binary, Entrance::default(), binary_answer, std::future::pending()) => {}
                () = running.update_rooms() => {}
                () = running.receive_events() => {}
            }
        });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        TestServer {
            url: Url::parse(&format!("http://{address}")).expect("a URL"),
            admin_url: Url::parse(&format!("http://{admin_address}")).expect("a URL"),
            binary_url: Url::parse(&format!("http://{binary_address}")).expect("a URL"),
            binary_application,
            clock,
            store,
            mint,
            http: http.build().expect("a client"),
            audit,
            server,
            task,
            folder,
        }
    }
}

/// The same routes once more, below `/binary`, with the binary application behind them.
fn binary_router(routes: &[RouteRules], door: &Door, application: &Arc<BinaryApplication>) -> Router {
    routes.iter().fold(Router::new(), |router, rules| {
        let path = format!("/binary{}", rules.path);
        let rules = Arc::new(RouteRules { path: path.clone(), protocol: Arc::new(Transparent), ..rules.clone() });
        let route = WebSocketRoute { rules, door: door.clone(), application: application.clone() };
        router.route(&path, any(move |request: Request<Body>| route.clone().upgrade(request)))
    })
}

impl TestServer {
    /// A server with the settings of [`crate::settings`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server to be changed before it starts.
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder {
            settings: settings(),
            tickets: TicketBounds::default(),
            store: None,
            audit: vec![SinkSetting::Store],
            audit_joins: false,
            ticket_store: None,
            events: Arc::new(MemorySessionEvents::default()),
            memory: MemoryLimits::until_told(),
            issuers: Vec::new(),
            entrance: Entrance::default(),
        }
    }

    /// The assembled server: for what has no front door yet.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The URL of `path`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{}", self.url.as_str().trim_end_matches('/'), path)
    }

    /// Adds a user with the role `user` and [`PASSWORD`], and logs them in.
    pub async fn user(&self, id: &str, name: &str) -> LoggedIn {
        self.db_add_user(id, name, &["user"]).await;
        self.log_in(id).await
    }

    /// Logs a user in with [`PASSWORD`].
    pub async fn log_in(&self, id: &str) -> LoggedIn {
        let response =
            self.post("/auth/login").json(&json!({"user": id, "pwd": PASSWORD})).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let cookie = response.headers()[SET_COOKIE].to_str().expect("text");
        let cookie = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie").1.to_owned();
        let body: Value = response.json().await.expect("JSON");
        let text = |name: &str| body[name].as_str().expect("text").to_owned();
        LoggedIn { token: text("token"), refresh_token: text("refresh_token"), cookie }
    }

    /// A POST.
    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(self.at(path))
    }

    /// A GET.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(self.at(path))
    }

    /// A POST from the page that may use its visitors' cookies, with one.
    pub fn post_with_cookie(&self, path: &str, cookie: &str) -> reqwest::RequestBuilder {
        self.post(path).header(ORIGIN_HEADER, ORIGIN).header("cookie", format!("usher={cookie}"))
    }

    /// A ticket, bought with a token and bound to nothing else.
    pub async fn ticket(&self, token: &str) -> String {
        let response = self.get("/ws_ticket").bearer_auth(token).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.expect("JSON");
        body["ticket"].as_str().expect("a ticket").to_owned()
    }

    /// An upgrade.
    pub async fn connect(&self, upgrade: Upgrade) -> Result<TestClient, Refused> {
        upgrade.connect(&self.url).await
    }

    /// An upgrade to the binary application.
    pub async fn connect_binary(&self, upgrade: Upgrade) -> Result<TestClient, Refused> {
        upgrade.connect(&self.binary_url).await
    }

    /// An upgrade to the binary application that must succeed.
    pub async fn enter_binary(&self, upgrade: Upgrade) -> TestClient {
        self.connect_binary(upgrade).await.unwrap_or_else(|refused| panic!("refused: {refused:?}"))
    }

    /// An upgrade that must succeed, with its `authenticated` frame read.
    pub async fn enter(&self, upgrade: Upgrade) -> TestClient {
        let mut client = self.connect(upgrade).await.unwrap_or_else(|refused| panic!("refused: {refused:?}"));
        client.expect("authenticated").await;
        client
    }

    /// Adds a user with [`PASSWORD`], without the front door.
    pub async fn db_add_user(&self, id: &str, name: &str, roles: &[&str]) {
        let hash = PasswordHasher::new(1, Arc::new(SystemRandomness))
            .hash(Zeroizing::new(PASSWORD.to_owned()))
            .await
            .expect("a hash");
        let user = User {
            id: UserId::local(id).expect("an id"),
            name: name.to_owned(),
            roles: roles.iter().map(|role| Role::new(role).expect("a role")).collect(),
            disabled: false,
            created_at: self.now(),
        };
        self.store.create_user(&user, Some(&hash)).await.expect("a store");
    }

    /// Makes an API key, without the front door.
    pub async fn db_api_key(&self, user: &str, expires_at: Option<UnixTime>) -> (ApiKeyId, String) {
        let randomness: &dyn Randomness = &SystemRandomness;
        let secret = PlainToken::from_random(TokenKind::ApiKey, randomness.bytes());
        let key = ApiKey {
            id: ApiKeyId::from_random(randomness.bytes()),
            user: UserId::new(user).expect("an id"),
            secret: secret.hashed(),
            label: "test".to_owned(),
            created_at: self.now(),
            expires_at,
        };
        let created = self.store.create_api_key(&key, usize::MAX).await.expect("a store");
        assert_eq!(created, CreateApiKey::Created);
        (key.id, secret.reveal().to_owned())
    }

    /// Revokes, as the administrator's tools do.
    pub async fn db_revoke(&self, target: RevocationTarget, cause: RevocationCause) -> usize {
        let at = self.now();
        let revocation = Revocation { target, cause, at, forget_at: UnixTime::MAX };
        self.server.revoker().revoke(&revocation, None).await.expect("a store")
    }

    /// Revokes with a margin in which clients may bring another credential.
    pub async fn db_revoke_softly(&self, target: RevocationTarget, margin: Duration) -> usize {
        let (cause, at) = (RevocationCause::Administrator, self.now());
        let revocation = Revocation { target, cause, at, forget_at: UnixTime::MAX };
        self.server.revoker().revoke(&revocation, Some(margin)).await.expect("a store")
    }

    /// Sets a user's roles, as the administrator's tools do.
    pub async fn db_set_roles(&self, user: &str, roles: &[&str]) {
        let roles: Vec<Role> = roles.iter().map(|role| Role::new(role).expect("a role")).collect();
        self.db_change(user, &UserChange::Roles(roles)).await;
    }

    /// Disables a user, as the administrator's tools do.
    pub async fn db_disable(&self, user: &str) {
        self.db_change(user, &UserChange::Disable).await;
    }

    /// Removes a user, as the administrator's tools do.
    pub async fn db_delete(&self, user: &str) {
        self.db_change(user, &UserChange::Remove).await;
    }

    /// Changes a user, as the administrator's tools do. How many connections that ended.
    pub async fn db_change(&self, user: &str, change: &UserChange) -> usize {
        let user = UserId::new(user).expect("an id");
        let when = RevocationTimes { at: self.now(), forget_at: UnixTime::MAX };
        let changed = self.store.change_user(&user, change, when).await.expect("a store").expect("a user");
        self.server.revoker().user_changed(&user, &changed).await
    }

    /// Bans another issuer's user, as the administrator's tools do. How many connections that ended.
    pub async fn db_ban(&self, user: &str) -> usize {
        let user = UserId::new(user).expect("an id");
        let when = RevocationTimes { at: self.now(), forget_at: UnixTime::MAX };
        let remembered = self.store.ban_user(&user, when).await.expect("a store");
        self.server.revoker().banned(&user, &remembered).await
    }

    /// Lifts a ban, as the administrator's tools do.
    pub async fn db_unban(&self, user: &str) {
        let user = UserId::new(user).expect("an id");
        assert!(self.store.unban_user(&user).await.expect("a store"));
        self.server.revoker().unbanned(&user).await;
    }

    /// The text of its metrics.
    pub async fn metrics(&self) -> String {
        let url = self.admin_url.join("/metrics").expect("a path");
        let answer = self.http.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("text")
    }

    /// What `/readyz` says, whatever its status.
    pub async fn readiness(&self) -> Value {
        let url = self.admin_url.join("/readyz").expect("a path");
        self.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Its audit records so far, oldest first. What is still being counted is not among them.
    pub async fn audit_records(&self) -> Vec<Value> {
        let lines = self.audit.tail(10_000).await.expect("a store");
        lines.iter().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }

    /// Where its data is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn now(&self) -> UnixTime {
        self.clock.now().unix
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
