//! `POST /auth/login`: a password for a session.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use usher_auth::Clock;
use usher_auth::carriers::{Credential, session_cookie};
use usher_auth::ids::UserId;
use usher_auth::session::Session;
use usher_auth::user::{PasswordHash, User};
use usher_axum::{AttemptRefused, ClientAddress, Problem, Throttle};
use usher_store::Store;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::json::Json;
use super::origin_guard::OriginGuard;
use super::scene::HttpScene;
use super::{store_unavailable, tokens};
use crate::cookies::CookieSettings;
use usher_accounts::LoginQueue;
use usher_accounts::{Granted, LoginOrigin, NewLogIn, Sessions};
use usher_accounts::{PasswordHasher, needs_rehash};
use usher_audit::{AuditEvent, Outcome, Record};

/// When a log-in that found no room should come back.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// A user's id and password. `username` and `password` are taken for `user` and `pwd`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    /// The user's id.
    #[serde(alias = "username")]
    user: String,
    /// The password, exactly as it was set.
    #[serde(alias = "password")]
    #[schema(value_type = String)]
    pwd: Zeroizing<String>,
}

/// How the password is presented, as the audit says it.
const METHOD: &str = "password";

/// Log in with a password.
///
/// Answers with an access token, a refresh token and the session cookie. Unknown users, wrong passwords and disabled users get
/// the same answer in the same time.
#[utoipa::path(
    post, path = "/auth/login", tag = "auth", request_body = LoginRequest,
    responses(
        (status = 200, description = "Logged in; sets the session cookie", body = tokens::TokenAnswer<'static>),
        (status = 400, description = "The body is not what it should be"),
        (status = 401, description = "User and password do not go together"),
        (status = 403, description = "The page may not log its visitors in"),
        (status = 415, description = "The body is not application/json"),
        (status = 429, description = "Too many failed attempts, or too many log-ins; see Retry-After"),
        (status = 503, description = "Try again later; see Retry-After"),
    )
)]
pub(super) async fn log_in(
    _guard: OriginGuard,
    State(logins): State<PasswordLogins>,
    State(sessions): State<Sessions>,
    State(store): State<Arc<dyn Store>>,
    State(cookies): State<CookieSettings>,
    scene: HttpScene,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<Response, Response> {
    let proven = logins.check(&request.user, request.pwd, &scene, METHOD).await?;
    let replaced = previous_session(&store, &cookies, &headers).await?;
    let granted = logins.start(&sessions, proven, replaced, origin_of(scene.client, &headers), &scene, METHOD).await?;
    tracing::info!(user = %granted.user.id, client = %scene.client.0, "logged in");
    Ok(tokens::answer(&granted, &cookies))
}

/// How often a log-in begins anew because its user changed while it was under way.
const MOST_TRIES: u32 = 3;

/// A user whose password was right, with the hash that says so.
pub(super) struct ProvenPassword {
    user: User,
    hash: PasswordHash,
    password: Zeroizing<String>,
}

/// Checks passwords for every endpoint that takes one, so that throttling and timing are the same for all.
#[derive(Clone)]
pub(super) struct PasswordLogins {
    store: Arc<dyn Store>,
    passwords: PasswordHasher,
    queue: LoginQueue,
    throttle: Arc<Throttle>,
    clock: Arc<dyn Clock>,
}

impl axum::extract::FromRef<super::ApiState> for PasswordLogins {
    fn from_ref(state: &super::ApiState) -> Self {
        Self {
            store: state.store.clone(),
            passwords: state.passwords.clone(),
            queue: state.login_queue.clone(),
            throttle: state.throttle.clone(),
            clock: state.clock.clone(),
        }
    }
}

impl PasswordLogins {
    /// Start a session for a client that proved a password, in place of the session that its browser had before, whoever's it was (req J2).
    ///
    /// Password, roles or state of the user may be changed while the old ones are being looked at. The store compares them when it starts
    /// the session, so that none outlives a change; and then the password is looked at again.
    pub(super) async fn start(
        &self,
        sessions: &Sessions,
        proven: ProvenPassword,
        replaced: Option<Session>,
        origin: LoginOrigin,
        scene: &HttpScene,
        method: &'static str,
    ) -> Result<Granted, Response> {
        let id = proven.user.id.clone();
        let replaces = replaced.as_ref().map(|session| session.id.clone());
        let mut proven = proven;
        let mut tries_left = MOST_TRIES;
        let granted = loop {
            let (user, hash) = (proven.user.clone(), proven.hash.clone());
            let new = NewLogIn { user, hash, origin: origin.clone(), replaces: replaces.clone() };
            if let Some(granted) = sessions.start(new).await.map_err(|error| store_unavailable(&error))? {
                break granted;
            }
            tries_left -= 1;
            if tries_left == 0 {
                return Err(busy().into_response());
            }
            proven = self.check_again(proven, scene, method).await?;
        };
        if let Some(session) = replaced {
            let ended = Record::new(AuditEvent::SessionLogout, Outcome::Success).reason("replaced");
            scene.record(ended.subject(&session.user).session(&session.id));
        }
        let session = &granted.session.id;
        for event in [AuditEvent::LoginSuccess, AuditEvent::SessionCreated] {
            scene.record(Record::new(event, Outcome::Success).subject(&id).session(session).carrier(method));
        }
        Ok(granted)
    }

    /// The user has changed since the password was checked: it may be right still.
    async fn check_again(
        &self,
        proven: ProvenPassword,
        scene: &HttpScene,
        method: &'static str,
    ) -> Result<ProvenPassword, Response> {
        let ProvenPassword { user: User { id, .. }, hash: old, password } = proven;
        let found = self.store.user_with_password(&id).await.map_err(|error| store_unavailable(&error))?;
        if let Some((user, Some(hash))) = found.filter(|(user, _)| !user.disabled) {
            let matches = hash == old
                || self
                    .passwords
                    .verify(password.clone(), Some(hash.clone()))
                    .await
                    .map_err(|_| busy().into_response())?;
            if matches {
                return Ok(ProvenPassword { user, hash, password });
            }
        }
        tracing::info!(user = %id, "a log-in was refused: the user changed while it was under way");
        let failed = Record::new(AuditEvent::LoginFail, Outcome::Failure).reason("invalid_credentials");
        scene.record(failed.subject(&id).carrier(method).detail("the user changed during the log-in"));
        Err(wrong_password().into_response())
    }

    /// The user of that name if the password is theirs and they may come in. The wrong answer takes as long as the right one:
    /// for an unknown user a password is hashed that nobody has (req K3).
    pub(super) async fn check(
        &self,
        name: &str,
        password: Zeroizing<String>,
        scene: &HttpScene,
        method: &'static str,
    ) -> Result<ProvenPassword, Response> {
        let source = scene.client.source();
        let record = |record: Record| scene.record(record.claimed(name).carrier(method));
        let failed = |reason| Record::new(AuditEvent::LoginFail, Outcome::Failure).reason(reason);
        let refuse = |refused: AttemptRefused| {
            let (problem, failure) = match refused {
                AttemptRefused::Failures(refusal) => (Problem::from(&refusal), Record::refused(&refusal)),
                AttemptRefused::Logins { retry_after, detail } => {
                    let denied = Record::new(AuditEvent::RateLimitExceeded, Outcome::Denied).reason("too_many_logins");
                    (too_many_logins(retry_after), denied.detail(detail))
                }
            };
            record(failure);
            problem.into_response()
        };
        // Those that must be refused anyway take no place in the queue.
        if let Some(refused) = self.throttle.refuses(name, source, self.clock.now()) {
            return Err(refuse(refused));
        }
        // Held until the verdict: many of one source or account wait behind each other, and leave room for others.
        let Ok(_turn) = self.queue.turn(source, name).await else {
            record(failed("busy"));
            return Err(busy().into_response());
        };
        // Before the password is looked at: a throttled guess must not learn whether it was right (req K2).
        let attempt = self.throttle.attempt(name, source, &*self.clock).await.map_err(refuse)?;
        let found = match UserId::local(name) {
            Ok(id) => self.store.user_with_password(&id).await,
            Err(_) => Ok(None),
        };
        let (user, hash) = match found {
            Ok(Some((user, hash))) => (Some(user), hash),
            Ok(None) => (None, None),
            Err(error) => {
                attempt.give_back();
                record(failed("unavailable"));
                return Err(store_unavailable(&error));
            }
        };
        let Ok(matches) = self.passwords.verify(password.clone(), hash.clone()).await else {
            attempt.give_back();
            record(failed("busy"));
            return Err(busy().into_response());
        };
        match (user, hash) {
            (Some(user), Some(hash)) if matches && !user.disabled => {
                attempt.succeeded(&user.id, self.clock.now());
                let hash = self.upgraded(&user.id, password.clone(), hash).await;
                Ok(ProvenPassword { user, hash, password })
            }
            (user, _) => {
                drop(attempt);
                let failed = failed("invalid_credentials");
                record(match user {
                    Some(user) if user.disabled => failed.subject(&user.id).detail("the user is disabled"),
                    Some(user) => failed.subject(&user.id).detail("the password is another"),
                    None => failed.detail("no such user"),
                });
                tracing::info!(client = %scene.client.0, "a log-in failed");
                Err(wrong_password().into_response())
            }
        }
    }

    /// The password's hash with today's parameters, if the stored one has others (req K1). Where that does not work out, the old
    /// one serves until the next log-in.
    async fn upgraded(&self, user: &UserId, password: Zeroizing<String>, old: PasswordHash) -> PasswordHash {
        if !needs_rehash(&old) {
            return old;
        }
        let Ok(new) = self.passwords.hash(password).await else { return old };
        match self.store.upgrade_password_hash(user, &old, &new).await {
            Ok(true) => new,
            Ok(false) => old,
            Err(error) => {
                tracing::warn!(%user, %error, "a password's hash could not be upgraded");
                old
            }
        }
    }
}

fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many log-ins at once").with_retry_after(BUSY_RETRY)
}

fn too_many_logins(retry_after: Duration) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_logins", "Too many log-ins")
        .with_detail("a session lasts: keep the token, refresh it, or use an API key")
        .with_retry_after(retry_after)
}

fn wrong_password() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "User and password do not go together")
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"usher\""))
}

/// What is remembered of where a log-in came from.
pub(super) fn origin_of(address: ClientAddress, headers: &HeaderMap) -> LoginOrigin {
    LoginOrigin {
        client_ip: Some(address.0.to_string()),
        user_agent: headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned),
    }
}

/// The session whose cookie the client brings to a log-in.
pub(super) async fn previous_session(
    store: &Arc<dyn Store>,
    cookies: &CookieSettings,
    headers: &HeaderMap,
) -> Result<Option<Session>, Response> {
    let Ok(Some(Credential::Session(secret))) = session_cookie(headers, &cookies.name) else { return Ok(None) };
    store.session_by_secret(&secret.hashed()).await.map_err(|error| store_unavailable(&error))
}
