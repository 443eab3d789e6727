//! The server put together: backends and settings in, an HTTP service out. Constructing it does no I/O.

mod settings;
mod upkeep;

pub use self::settings::{ServerParts, ServerSettings};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Method, Request};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Host;
use usher_accounts::AccessTokens;
use usher_accounts::LoginQueue;
use usher_accounts::SessionFeed;
use usher_accounts::TicketIssuer;
use usher_accounts::{LiveRevoker, RevokerParts};
use usher_accounts::{Sessions, SessionsParts};
use usher_audit::AuditTrail;
use usher_auth::origin::AllowedOrigins;
use usher_auth::refusal::RefusalKind;
use usher_auth::route::RouteRules;
use usher_auth::session::SessionLimits;
use usher_auth::{Clock, Randomness, Refusal};
use usher_axum::rooms::RoomsApplication;
use usher_axum::{
    CredentialVerifier, Door, DoorParts, LiveConnections, PassedTime, PendingChange, Problem, RouteTable, SessionState,
    SockJsConfigError, SockJsRoute, Throttle, VerifierParts, WebSocketRoute,
};
use usher_rooms::Rooms;
use usher_store::{SessionEventReceiver, Store, WriteBehindStore};

use crate::admin_http::{self, AdminState};
use crate::api::{self, ApiState};
use crate::boards;
use crate::listener;
use crate::metrics::{Metrics, Owners};
use crate::observers::{AuditObserver, AuditRoomObserver, Observers};
use crate::open_requests::OpenRequests;

/// When clients that come in a drain should try again: another server is there then, or this one is back.
const RETRY_AFTER_DRAIN: Duration = Duration::from_secs(5);

/// A server that has not begun to listen.
pub struct Server {
    /// Replaced by a reload.
    current: RwLock<Current>,
    /// What a reload builds on.
    api: ApiState,
    application: Arc<RoomsApplication>,
    sockjs: Option<SockJsRoute<RoomsApplication>>,
    https: bool,
    boards_page: bool,
    sessions: SessionState,
    /// The events of other nodes; held by whoever takes them in.
    received: Mutex<Box<dyn SessionEventReceiver>>,
    revoker: LiveRevoker,
    rooms: Rooms,
    store: WriteBehindStore,
    audit: AuditTrail,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    session_limits: SessionLimits,
    refresh_ttl: Duration,
    /// From when revocations are loaded.
    passed: PassedTime,
    requests: OpenRequests,
}

/// What requests meet now.
struct Current {
    router: Router,
    /// The WebSocket routes by path, again: upgrades are most of what comes, and what the router does around an answer is for others.
    sockets: BTreeMap<String, WebSocketRoute<RoomsApplication>>,
    door: Door,
}

/// Where a request goes.
enum Way {
    Socket(WebSocketRoute<RoomsApplication>),
    Router(Router),
}

impl Server {
    /// Puts it together.
    ///
    /// # Errors
    /// When a setting of the SockJS endpoint cannot be.
    pub fn assemble(settings: ServerSettings, parts: ServerParts) -> Result<Self, SockJsConfigError> {
        let ServerParts {
            store,
            sessions: SessionFeed { state, events, received, newest },
            tickets,
            keys,
            tokens,
            issuer_keys,
            passwords,
            address_key,
            audit,
            metrics,
            clock,
            randomness,
        } = parts;
        let passed = PassedTime::new(clock.now(), newest, &settings.lifetimes);
        let store = WriteBehindStore::new(store);
        let shared_store: Arc<dyn Store> = Arc::new(store.clone());
        let throttle = Arc::new(Throttle::new(settings.failures, settings.logins, &address_key));
        let verifier = Arc::new(CredentialVerifier::new(VerifierParts {
            store: store.clone(),
            tickets: tickets.clone(),
            tokens,
            issuer_keys,
            sessions: state.clone(),
            throttle: throttle.clone(),
            clock: clock.clone(),
        }));
        let revoker = LiveRevoker::new(RevokerParts {
            store: store.clone(),
            sessions: state.clone(),
            events,
            throttle: throttle.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
        });
        let access_tokens = Arc::new(AccessTokens::new(keys, settings.token_profile.clone(), settings.access_ttl));
        let sessions = Sessions::new(SessionsParts {
            store: shared_store.clone(),
            access_tokens: access_tokens.clone(),
            revoker: revoker.clone(),
            state: state.clone(),
            throttle: throttle.clone(),
            limits: settings.session_limits,
            refresh_ttl: settings.refresh_ttl,
            most_per_user: settings.sessions_per_user,
            lifetimes: settings.lifetimes,
            newest,
            clock: clock.clone(),
            randomness: randomness.clone(),
        });
        let api = ApiState {
            store: shared_store,
            sessions,
            // One for each that is being hashed, and one that is looked up meanwhile.
            login_queue: LoginQueue::new(2 * passwords.concurrency(), passwords.most_waiting()),
            passwords,
            ticket_issuer: TicketIssuer::new(tickets, settings.ticket_ttl, clock.clone(), randomness.clone()),
            access_tokens,
            verifier: verifier.clone(),
            throttle,
            trusted_proxies: settings.trusted_proxies.clone(),
            cookies: settings.cookies.clone(),
            origins: Arc::new(settings.origins.clone()),
            audit: audit.clone(),
            clock: clock.clone(),
        };
        let rooms = Rooms::new(settings.rooms.clone(), settings.room_limits);
        let door = Door::new(DoorParts {
            verifier,
            connections: state.connections().clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            waiting: settings.waiting,
            anonymous: settings.anonymous,
            connection_limits: settings.connections,
            messages: settings.messages,
            outbound_limit: settings.outbound_limit,
            observer: Arc::new(Observers { audit: AuditObserver(audit.clone()), metrics: metrics.clone() }),
            clock: clock.clone(),
            randomness: randomness.clone(),
        });
        let application = Arc::new(RoomsApplication::new(rooms.clone(), Arc::new(AuditRoomObserver(audit.clone()))));
        let sockjs = settings.sockjs.as_ref().map(|sockjs| SockJsRoute::new(sockjs, &door, application.clone()));
        let server = Self {
            current: RwLock::new(Current { router: Router::new(), sockets: BTreeMap::new(), door: door.clone() }),
            api,
            application,
            sockjs: sockjs.transpose()?,
            https: settings.https,
            boards_page: settings.boards_page,
            sessions: state,
            received: Mutex::new(received),
            revoker,
            rooms,
            store,
            audit,
            metrics,
            clock,
            randomness,
            session_limits: settings.session_limits,
            refresh_ttl: settings.refresh_ttl,
            passed,
            requests: OpenRequests::default(),
        };
        let sockets = server.sockets(&door, &rules_by_path(&settings));
        let router = server.build_router(server.api.clone(), &sockets, &settings.origins);
        *server.current.write() = Current { router, sockets, door };
        Ok(server)
    }

    /// Takes in settings that changed: routes, rooms, limits, origins and trusted proxies. The others need a restart and are not looked
    /// at. Of the live connections only those end that would not be let in any more; those that lose rooms are told (req H14).
    ///
    /// They are in force for who comes when this returns, and on live connections once the change is taken in.
    pub fn reload(&self, settings: &ServerSettings) -> PendingChange {
        let mut current = self.current.write();
        let door = current.door.rebuilt(DoorParts {
            trusted_proxies: settings.trusted_proxies.clone(),
            waiting: settings.waiting,
            anonymous: settings.anonymous,
            connection_limits: settings.connections,
            messages: settings.messages,
            outbound_limit: settings.outbound_limit,
            ..current.door.parts().clone()
        });
        let api = ApiState {
            trusted_proxies: settings.trusted_proxies.clone(),
            origins: Arc::new(settings.origins.clone()),
            ..self.api.clone()
        };
        let mut routes = rules_by_path(settings);
        for rules in routes.values_mut() {
            self.keep_cookie(rules);
        }
        if let Some(sockjs) = &self.sockjs {
            // Where it is, and how it sends, is for a restart; so whoever takes the section out keeps the endpoint until then.
            let mut rules =
                settings.sockjs.as_ref().map_or_else(|| sockjs.rules(), |new| sockjs.rules_like(&new.rules));
            self.keep_cookie(&mut rules);
            sockjs.reload(&door, &rules);
            routes.insert(rules.path.clone(), rules);
        }
        let routes = Arc::new(routes);
        let sockets = self.sockets(&door, &routes);
        let router = self.build_router(api, &sockets, &settings.origins);
        self.rooms.set_policy(settings.rooms.clone());
        *current = Current { router, sockets, door };
        drop(current);
        // Whoever comes from here on meets the new rules; those who are in look at them now.
        self.sessions.connections().routes_changed(&routes)
    }

    /// What routes share: for further routes beside the configured ones, with an application of their own.
    pub fn door(&self) -> Door {
        self.current.read().door.clone()
    }

    /// The session cookie's name is for a restart: log-ins go on to set the one that they began with.
    fn keep_cookie(&self, rules: &mut Arc<RouteRules>) {
        if rules.cookie_name != self.api.cookies.name {
            Arc::make_mut(rules).cookie_name.clone_from(&self.api.cookies.name);
        }
    }

    /// Lets no client in any more: upgrades and new SockJS sessions are answered with 503.
    pub fn begin_drain(&self) {
        self.current.read().door.begin_drain();
    }

    /// Lets no client in any more, and tells every connection to come back elsewhere. Returns how many were left after `limit`.
    ///
    /// Clients that poll must be able to connect meanwhile, to fetch what they are told: see [`Self::answer_in_drain`].
    pub async fn drain(&self, limit: Duration) -> usize {
        self.begin_drain();
        let unfetched = || self.sockjs.as_ref().map_or(0, SockJsRoute::unfetched_closes);
        usher_axum::drain(self.sessions.connections(), unfetched, limit, &*self.randomness).await
    }

    /// The requests that are being carried out.
    pub fn requests(&self) -> &OpenRequests {
        &self.requests
    }

    /// Whether there are clients that need new connections in a drain: those of SockJS sessions over HTTP.
    pub fn has_polling_clients(&self) -> bool {
        self.polled_sessions() > 0
    }

    /// How many SockJS sessions over HTTP are remembered, those that have ended included.
    pub fn polled_sessions(&self) -> usize {
        self.sockjs.as_ref().map_or(0, SockJsRoute::polled_sessions)
    }

    /// Answers a request on a connection that came in a drain: of a SockJS session that there is, as ever; everything else with 503, as the
    /// last answer of its connection.
    pub fn answer_in_drain(&self, request: Request<Body>) -> impl Future<Output = Response> + Send + use<> {
        let known = self.sockjs.as_ref().is_some_and(|sockjs| sockjs.has_session(request.uri().path()));
        let answer = known.then(|| self.answer(request));
        let https = self.https;
        async move {
            if let Some(answer) = answer {
                return answer.await;
            }
            shutting_down(https)
        }
    }

    fn sockets(&self, door: &Door, routes: &RouteTable) -> BTreeMap<String, WebSocketRoute<RoomsApplication>> {
        let sockjs = self.sockjs.as_ref().map(|sockjs| sockjs.rules().path.clone());
        let own = routes.values().filter(|rules| sockjs.as_ref() != Some(&rules.path));
        let route = |rules: &Arc<RouteRules>| {
            let route =
                WebSocketRoute { rules: rules.clone(), door: door.clone(), application: self.application.clone() };
            (rules.path.clone(), route)
        };
        own.map(route).collect()
    }

    fn build_router(
        &self,
        api: ApiState,
        sockets: &BTreeMap<String, WebSocketRoute<RoomsApplication>>,
        origins: &AllowedOrigins,
    ) -> Router {
        let octoprint = self.sockjs.as_ref().is_some_and(|sockjs| sockjs.dialect().octoprint);
        let mut router = api::router(api, octoprint);
        for (path, route) in sockets {
            let route = route.clone();
            router = router.route(path, any(move |request: Request<Body>| route.clone().upgrade(request)));
        }
        if self.boards_page {
            router = router.merge(boards::router());
        }
        let router = api::finish(router, origins, self.https);
        match &self.sockjs {
            // It answers cross-origin requests by its own rules.
            Some(sockjs) => router.merge(api::protect(sockjs.router(), self.https)),
            None => router,
        }
    }

    /// Answers a request as the server is now: a reload counts at once. Whoever serves it puts a
    /// [`usher_axum::client_address::PeerAddress`] into each request's extensions.
    pub fn answer(&self, request: Request<Body>) -> impl Future<Output = Response> + Send + use<> {
        let current = self.current.read();
        let upgrade = request.method() == Method::GET && request.headers().contains_key(UPGRADE);
        let socket = current.sockets.get(request.uri().path()).filter(|_| upgrade);
        let way = socket.map_or_else(|| Way::Router(current.router.clone()), |route| Way::Socket(route.clone()));
        drop(current);
        let (https, open) = (self.https, self.requests.begin());
        async move {
            let Some(open) = open else { return shutting_down(https) };
            let answer = match way {
                Way::Socket(route) => {
                    let mut answer = route.upgrade(request).await;
                    api::protect_answer(&mut answer, https);
                    answer
                }
                Way::Router(router) => listener::routed(router, request).await,
            };
            drop(open);
            answer
        }
    }

    /// All that it serves, as it is now.
    pub fn router(&self) -> Router {
        self.current.read().router.clone()
    }

    /// The HTTP service of the operators' listener: numbers and health, for whoever calls it by one of `hosts`.
    pub fn admin_router(&self, hosts: Vec<Host>) -> Router {
        let owners = Owners {
            connections: self.sessions.connections().clone(),
            sockjs: self.sockjs.clone(),
            rooms: self.rooms.clone(),
            audit: self.audit.clone(),
        };
        admin_http::router(AdminState {
            hosts: Arc::new(hosts),
            metrics: self.metrics.clone(),
            owners: Arc::new(owners),
            store: Arc::new(self.store.clone()),
            audit: self.audit.clone(),
        })
    }

    /// What ends sessions and sockets.
    pub fn revoker(&self) -> &LiveRevoker {
        &self.revoker
    }

    /// The rooms, with the rules that are in force.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// The connections that are open.
    pub fn connections(&self) -> &LiveConnections {
        self.sessions.connections()
    }

    /// What this process knows of sessions.
    pub fn sessions(&self) -> &SessionState {
        &self.sessions
    }

    /// The store, with the uses of sessions that are not written yet.
    pub fn store(&self) -> &WriteBehindStore {
        &self.store
    }
}

/// The answer to who comes too late, the last one of its connection.
fn shutting_down(https: bool) -> Response {
    let refusal = Refusal::new(RefusalKind::Unavailable, "the server is shutting down");
    let problem = Problem::from(&refusal).with_retry_after(RETRY_AFTER_DRAIN);
    let mut answer = problem.with_header(CONNECTION, HeaderValue::from_static("close")).into_response();
    api::protect_answer(&mut answer, https);
    answer
}

fn rules_by_path(settings: &ServerSettings) -> RouteTable {
    settings.routes.iter().map(|rules| (rules.path.clone(), Arc::new(rules.clone()))).collect()
}
