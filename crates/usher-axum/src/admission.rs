//! From a request that asks for a connection to an accepted one, or to a refusal over HTTP: the same for every transport.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::StatusCode;
use http::request::Parts;
use tracing::Instrument as _;
use usher_auth::carriers::Presented;
use usher_auth::connection::{Action, Connection};
use usher_auth::ids::ConnectionId;
use usher_auth::origin::RequestOrigin;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::route::RouteRules;

use crate::admitting::admit_within_patience;
use crate::budget::WaitingPlace;
use crate::client_address::PeerAddress;
use crate::observer::Event;
use crate::refusal_report::{report_refusal, scene};
use crate::socket::Opening;
use crate::{Application, ClientAddress, Door, Presenter, Problem};

/// When a client that found no room should come back.
const NO_ROOM_RETRY: Duration = Duration::from_secs(5);

/// What a request says about the connection it asks for.
pub(crate) struct Arrival {
    /// The credential that counts.
    pub(crate) presented: Result<Presented, Refusal>,
    /// Whether a browser sent it, which cannot read an HTTP refusal.
    pub(crate) browser: bool,
    /// The Origin of its page, where the browser says in another header that it is our own.
    pub(crate) own_origin: Option<String>,
    /// The path asked for, without what is secret of it.
    pub(crate) path: String,
    /// Whether it is SockJS's raw endpoint.
    pub(crate) raw_sockjs: bool,
}

/// A connection that may begin.
pub(crate) struct Accepted<A: Application> {
    pub(crate) opening: Opening<A>,
    /// Everything that is logged of this connection is logged in it.
    pub(crate) span: tracing::Span,
}

/// Where the request comes from.
pub(crate) fn client_address(door: &Door, head: &Parts) -> Result<ClientAddress, Problem> {
    let peer = head.extensions.get::<PeerAddress>().map(|PeerAddress(peer)| *peer);
    let peer = peer.or_else(|| head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer));
    let Some(peer) = peer else {
        tracing::error!(
            "the server does not say where requests come from: serve the router with \
             `into_make_service_with_connect_info::<SocketAddr>()`"
        );
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"));
    };
    Ok(door.parts().trusted_proxies.client(peer, &head.headers))
}

/// Decides about a request: verifies what it presents and takes a place for it.
pub(crate) async fn admit<A: Application>(
    door: &Door,
    rules: &Arc<RouteRules>,
    application: Arc<A>,
    head: &Parts,
    arrival: Arrival,
) -> Result<Accepted<A>, Problem> {
    let parts = door.parts();
    let address = client_address(door, head)?;
    let began = parts.clock.now();
    if door.is_draining() {
        return Err(shutting_down());
    }
    let generation = parts.connections.rules_generation();
    let Arrival { presented, browser, own_origin, path, raw_sockjs } = arrival;
    let origin = own_origin.or_else(|| RequestOrigin::of(&head.headers).as_str().map(str::to_owned));
    let presenter = Arc::new(Presenter { address, origin, path });
    let id = ConnectionId::from_random(parts.randomness.bytes());
    let mut connection = Connection::begin(id, rules.clone(), presented, browser, began);
    if raw_sockjs {
        connection = connection.on_raw_endpoint();
    }
    let span = tracing::info_span!("connection", %id, client = %address.0, route = %rules.path);
    let request = application.request(head);
    let decided = decide(door, &mut connection, &presenter, &application, &request).instrument(span.clone()).await;
    let took = parts.clock.now().monotonic.saturating_sub(began.monotonic);
    let answered = Event::Answered { took, accepted: decided.is_ok() };
    parts.observer.observe(&scene(&connection, &presenter), &answered);
    let Decided { admitted, place } = decided.map_err(|refusal| Problem::from(&refusal))?;
    if door.is_draining() {
        // It began while the application was asked.
        return Err(shutting_down());
    }
    let unnamed = connection.permit().is_none_or(|permit| permit.principal().anonymous);
    let place = match place {
        None if unnamed => {
            let budget = if connection.is_waiting() { door.waiting() } else { door.anonymous() };
            let Some(place) = budget.take(address.source()) else {
                let refusal = no_room();
                report_refusal(&*parts.observer, &connection, &presenter, &refusal, None);
                return Err(Problem::from(&refusal));
            };
            Some(place)
        }
        place => place,
    };
    Ok(Accepted {
        opening: Opening {
            connection,
            presenter,
            place,
            lingering: None,
            door: door.clone(),
            application,
            request,
            admitted,
            generation,
        },
        span,
    })
}

fn shutting_down() -> Problem {
    let refusal = Refusal::new(RefusalKind::Unavailable, "the server is shutting down");
    Problem::from(&refusal).with_retry_after(NO_ROOM_RETRY)
}

fn no_room() -> Refusal {
    let kind = RefusalKind::TooManyConnections { retry_after: NO_ROOM_RETRY };
    Refusal::new(kind, "the limit of unauthenticated sockets is reached")
}

/// What is there once a connection is accepted.
struct Decided<M> {
    /// What the application made of it, if it was asked already.
    admitted: Option<M>,
    /// Of an anonymous user.
    place: Option<WaitingPlace>,
}

/// Drives the connection up to its acceptance, or to a refusal over HTTP.
async fn decide<A: Application>(
    door: &Door,
    connection: &mut Connection,
    presenter: &Arc<Presenter>,
    application: &Arc<A>,
    request: &A::Request,
) -> Result<Decided<A::Admitted>, Refusal> {
    let parts = door.parts();
    let (mut admitted, mut place) = (None, None);
    while let Some(action) = connection.poll_action() {
        match action {
            Action::Verify(verification) => {
                let verdict = parts.verify(verification, presenter, &scene(connection, presenter)).await;
                connection.handle_verdict(parts.clock.now(), verdict);
            }
            Action::Refused { refusal, carrier } => {
                report_refusal(&*parts.observer, connection, presenter, &refusal, carrier);
            }
            Action::Admit(permit) => {
                // Before the application, which may have to dial for it.
                if permit.principal().anonymous {
                    place = door.anonymous().take(presenter.address.source());
                    if place.is_none() {
                        connection.handle_admission(parts.clock.now(), Err(no_room()));
                        continue;
                    }
                }
                let answer = admit_within_patience(application, request, permit, presenter).await;
                let answer = answer.map(|made| admitted = Some(made));
                connection.handle_admission(parts.clock.now(), answer);
            }
            Action::Accept => return Ok(Decided { admitted, place }),
            Action::Reject(refusal) => return Err(refusal),
            other => {
                // Fail closed: no socket for a connection that wants something else before it is accepted.
                tracing::error!(?other, "an action before the connection was accepted");
                break;
            }
        }
    }
    Err(Refusal::new(RefusalKind::Unavailable, "the connection was neither accepted nor rejected"))
}
