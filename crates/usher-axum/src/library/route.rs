//! A route: a handler, and what its clients must present.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::MatchedPath;
use axum::handler::Handler;
use axum::response::Response;
use http::Request;
use usher_auth::carriers::Carrier;
use usher_auth::origin::AllowedOrigins;
use usher_auth::route::RouteRules;

use super::handler::HandlerApplication;
use super::usher::Usher;
use crate::{Application, AuthenticatedWebSocket, HandlerOutcome, WebSocketRoute};

/// An authenticated WebSocket route, for [`axum::routing::get`]. By default clients present a token in the `Authorization` header or in a first message, and
/// text and binary pass as they are.
pub struct AuthenticatedRoute<A> {
    usher: Usher,
    application: Arc<A>,
    rules: RouteRules,
    /// With the path of the first request.
    resolved: Arc<OnceLock<Arc<RouteRules>>>,
}

/// A route whose application is a handler.
pub type WebSocketHandler<H> = AuthenticatedRoute<HandlerApplication<H>>;

impl<A> Clone for AuthenticatedRoute<A> {
    fn clone(&self) -> Self {
        let Self { usher, application, rules, resolved } = self;
        let (usher, application, rules) = (usher.clone(), application.clone(), rules.clone());
        Self { usher, application, rules, resolved: resolved.clone() }
    }
}

impl<A: Application> AuthenticatedRoute<A> {
    pub(super) fn new(usher: Usher, application: Arc<A>, rules: RouteRules) -> Self {
        Self { usher, application, rules, resolved: Arc::default() }
    }

    /// The ways in which a credential may be presented here; one that is not listed is refused. [`Carrier::Query`] puts tokens into URLs, where logs and
    /// histories keep them.
    #[must_use]
    pub fn carriers(self, carriers: impl IntoIterator<Item = Carrier>) -> Self {
        let carriers = carriers.into_iter().collect();
        self.rules(|rules| rules.carriers = carriers)
    }

    /// The pages whose visitors' cookies count: with [`Carrier::Cookie`].
    #[must_use]
    pub fn origins(self, origins: AllowedOrigins) -> Self {
        self.rules(|rules| rules.origins = origins)
    }

    /// Clients that present nothing are let in as anonymous users.
    #[must_use]
    pub fn anonymous(self) -> Self {
        self.rules(|rules| rules.anonymous = true)
    }

    /// Longest life of a connection, whatever its credential says.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        self.rules(|rules| rules.max_age = Some(max_age))
    }

    /// Changes any of the route's rules. Its path is the one at which the router has it.
    #[must_use]
    pub fn rules(mut self, change: impl FnOnce(&mut RouteRules)) -> Self {
        change(&mut self.rules);
        self.resolved = Arc::default();
        self
    }

    /// Answers a request.
    pub(super) async fn answer(self, request: Request<Body>) -> Response {
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let path = matched.unwrap_or_else(|| request.uri().path());
        let at = |path: &str| Arc::new(RouteRules { path: path.to_owned(), ..self.rules.clone() });
        let resolved = self.resolved.get_or_init(|| at(path));
        // A clone of the route may be at another path.
        let rules = if resolved.path == path { resolved.clone() } else { at(path) };
        let route = WebSocketRoute { rules, door: self.usher.door().clone(), application: self.application };
        route.upgrade(request).await
    }
}

/// Tells axum's `Handler` of a route from those of functions.
#[derive(Clone, Copy, Debug)]
pub struct RouteMarker;

impl<A: Application, S: Send + Sync + 'static> Handler<RouteMarker, S> for AuthenticatedRoute<A> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request<Body>, _: S) -> Self::Future {
        Box::pin(self.answer(request))
    }
}

impl Usher {
    /// A route whose connections are given to `handler`, each once it is authenticated. The handler runs in a task of its own.
    pub fn websocket<H, F, O>(&self, handler: H) -> WebSocketHandler<H>
    where
        H: Fn(AuthenticatedWebSocket) -> F + Send + Sync + 'static,
        F: Future<Output = O> + Send + 'static,
        O: HandlerOutcome,
    {
        self.application(Arc::new(HandlerApplication::new(handler)))
    }

    /// A route before an [`Application`], which sees the request and may refuse before the 101.
    pub fn application<A: Application>(&self, application: Arc<A>) -> AuthenticatedRoute<A> {
        AuthenticatedRoute::new(self.clone(), application, RouteRules::transparent())
    }
}
