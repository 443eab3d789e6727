//! The upgrade as an argument of an axum handler, beside axum's own.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts};
use axum::response::Response;
use http::Request;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use usher_auth::carriers::Carrier;
use usher_auth::route::RouteRules;

use super::handler::HandlerApplication;
use super::route::AuthenticatedRoute;
use super::usher::Usher;
use crate::{AuthenticatedWebSocket, HandlerOutcome};

/// A request for an authenticated WebSocket, as an argument of a handler whose state has an [`Usher`] (axum's `FromRef`). Nothing is verified before
/// [`Self::serve`].
///
/// ```no_run
/// use axum::response::Response;
/// use usher_axum::{AuthenticatedUpgrade, AuthenticatedWebSocket};
///
/// async fn rooms(axum::extract::Path(room): axum::extract::Path<String>, upgrade: AuthenticatedUpgrade) -> Response {
///     upgrade.serve(move |socket: AuthenticatedWebSocket| {
///         let room = room.clone();
///         async move { socket.send(format!("{} is in {room}", socket.permit().principal().id)).await }
///     }).await
/// }
/// ```
pub struct AuthenticatedUpgrade {
    usher: Usher,
    request: Request<Body>,
    rules: RouteRules,
}

impl AuthenticatedUpgrade {
    /// As [`AuthenticatedRoute::carriers`].
    #[must_use]
    pub fn carriers(mut self, carriers: impl IntoIterator<Item = Carrier>) -> Self {
        self.rules.carriers = carriers.into_iter().collect();
        self
    }

    /// As [`AuthenticatedRoute::rules`].
    #[must_use]
    pub fn rules(mut self, change: impl FnOnce(&mut RouteRules)) -> Self {
        change(&mut self.rules);
        self
    }

    /// Verifies what the client presents, answers, and gives the connection to `handler` once it is authenticated. The answer is the 101, or the
    /// refusal.
    pub async fn serve<H, F, O>(self, handler: H) -> Response
    where
        H: Fn(AuthenticatedWebSocket) -> F + Send + Sync + 'static,
        F: Future<Output = O> + Send + 'static,
        O: HandlerOutcome,
    {
        let Self { usher, request, rules } = self;
        let route = AuthenticatedRoute::new(usher, Arc::new(HandlerApplication::new(handler)), rules);
        // In a box whose type says that it is `Send`: of a handler that captures references the compiler cannot tell by itself.
        let answer: Pin<Box<dyn Future<Output = Response> + Send>> = Box::pin(route.answer(request));
        answer.await
    }
}

impl<S> FromRequestParts<S> for AuthenticatedUpgrade
where
    S: Send + Sync,
    Usher: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let on_upgrade = parts.extensions.remove::<OnUpgrade>();
        let mut request = Request::new(Body::empty());
        request.method_mut().clone_from(&parts.method);
        request.uri_mut().clone_from(&parts.uri);
        *request.version_mut() = parts.version;
        request.headers_mut().clone_from(&parts.headers);
        *request.extensions_mut() = parts.extensions.clone();
        if let Some(on_upgrade) = on_upgrade {
            request.extensions_mut().insert(on_upgrade);
        }
        Ok(Self { usher: Usher::from_ref(state), request, rules: RouteRules::transparent() })
    }
}
