//! The service: takes a request to the place that its path means.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::any;
use http::request::Parts;
use http::{Method, Request, StatusCode};

use crate::ambient::Clock;
use crate::application::{Application, TransportRequest};
use crate::close::{Close, Ended};
use crate::config::{Config, ConfigError};
use crate::http::{answer, info, pages, polling, sending, streaming};
use crate::path::{Place, SessionId, place};
use crate::registry::{Entry, Registered, Registry};
use crate::session::machine::{ReceiverKind, Rules, Unsent};
use crate::session::{Live, Receiver, Session};
use crate::{Transport, websocket};

/// A SockJS service: one base address, one application. Cheap to clone.
pub struct SockJs<A: Application>(Arc<Inner<A>>);

pub(crate) struct Inner<A: Application> {
    pub(crate) application: A,
    pub(crate) config: Config,
    pub(crate) registry: Arc<Registry<A::Opener>>,
    iframe: pages::Iframe,
    clock: Clock,
}

impl<A: Application> Clone for SockJs<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Application> SockJs<A> {
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(application: A, config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self(Arc::new(Inner {
            application,
            registry: Registry::new(config.limits.sessions),
            iframe: pages::Iframe::new(&config.sockjs_url),
            config,
            clock: Clock::new(),
        })))
    }

    /// A router that serves all under `base`, which begins with a slash; `/` is the root.
    ///
    /// # Panics
    /// Like axum's own, when `base` is no path.
    pub fn router<S: Clone + Send + Sync + 'static>(&self, base: &str) -> Router<S> {
        let base = base.trim_end_matches('/');
        let length = base.len();
        let service = self.clone();
        let all = any(move |request| {
            let service = service.clone();
            async move { service.serve(length, request).await }
        });
        // Not nested: axum takes `//` after the base of a nest for `/`, and the two are not the same here.
        let router = Router::new().route(&format!("{base}/"), all.clone());
        let router = router.route(&format!("{base}/{{*rest}}"), all.clone());
        if base.is_empty() { router } else { router.route(base, all) }
    }

    /// Answers one request, of whose path the base has been taken off.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        self.serve(0, request).await
    }

    /// Answers one request, of whose path the first `base` bytes are the service's own address.
    async fn serve(&self, base: usize, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let origins = &self.0.config.allowed_origins;
        let path = parts.uri.path().get(base..).unwrap_or_default();
        let Some(place) = place(path).filter(|place| self.is_on(place)) else {
            return answer::empty(StatusCode::NOT_FOUND);
        };
        let methods = match &place {
            Place::Greeting | Place::Iframe | Place::RawWebsocket => "GET",
            Place::Info => "OPTIONS, GET",
            Place::Session(_, transport) => transport.methods(),
        };
        if !methods.split(", ").any(|method| method == parts.method.as_str()) {
            return answer::method_not_allowed(methods);
        }
        if parts.method == Method::OPTIONS {
            return answer::preflight(origins, methods, &parts.headers);
        }
        let headers = parts.headers.clone();
        let mut response = match place {
            Place::Greeting => return pages::greeting(),
            Place::Iframe => return self.0.iframe.answer(&parts.headers),
            Place::Info => info::answer(&self.0.config),
            Place::RawWebsocket => websocket::upgrade(&self.0, parts, Transport::RawWebsocket).await,
            Place::Session(_, Transport::Websocket) => websocket::upgrade(&self.0, parts, Transport::Websocket).await,
            Place::Session(id, transport) => {
                let mut response = self.0.transport(id, transport, parts, body).await;
                if self.0.config.cookie_needed {
                    answer::set_session_cookie(&headers, response.headers_mut());
                }
                answer::forbid_storing(response.headers_mut());
                response
            }
        };
        origins.apply(&headers, response.headers_mut());
        response
    }

    /// How many sessions there are, over all transports; closed ones count until they die.
    pub fn sessions(&self) -> usize {
        self.0.registry.count()
    }

    /// Bytes that wait to be written to the clients of all sessions, open or closed. Looks at each: for a metric, not for the path of a message.
    pub fn queued_bytes(&self) -> usize {
        self.0.registry.all().iter().map(|live| live.outbound_bytes()).sum()
    }

    /// How many sessions are closed whose clients have not fetched the close frame yet; after the disconnect delay they never will.
    /// Looks at each session.
    pub fn unfetched_closes(&self) -> usize {
        self.0.registry.all().iter().filter(|live| live.owes_close()).count()
    }

    /// How many sessions there are whose clients come back with a request of their own for each answer.
    pub fn polled_sessions(&self) -> usize {
        self.0.registry.named()
    }

    /// Whether a request for `path`, of which the base has been taken off, is for a session that there is.
    pub fn has_session(&self, path: &str) -> bool {
        matches!(place(path), Some(Place::Session(id, _)) if self.0.registry.find(&id).is_some())
    }

    /// Refuses new sessions from now on, closes all that there are, and waits until the last is gone: as long as the disconnect
    /// delay for clients that do not come to hear of it.
    pub async fn drain(&self, close: Close) {
        for live in self.0.registry.begin_drain() {
            live.with(|machine, now| {
                machine.handle_close(now, close.clone(), Ended::Drained(close.clone()), Unsent::Deliver);
            });
        }
        self.0.registry.emptied().await;
    }

    fn is_on(&self, place: &Place) -> bool {
        let transports = &self.0.config.transports;
        match place {
            Place::Greeting | Place::Info => true,
            Place::Iframe => transports.iframe,
            Place::RawWebsocket => transports.raw_websocket,
            Place::Session(_, transport) => transports.has(*transport),
        }
    }
}

impl<A: Application> Inner<A> {
    async fn transport(self: &Arc<Self>, id: SessionId, transport: Transport, parts: Parts, body: Body) -> Response {
        let callback = match transport {
            Transport::HtmlFile | Transport::Jsonp => match pages::callback(parts.uri.query()) {
                Ok(callback) => callback,
                Err(problem) => return answer::text(StatusCode::INTERNAL_SERVER_ERROR, problem),
            },
            _ => String::new(),
        };
        let found = match transport {
            Transport::XhrSend | Transport::JsonpSend => {
                return sending::answer(self, &id, transport, parts, body).await;
            }
            Transport::Xhr => self.receiver(id, transport, &parts, ReceiverKind::Poll).await,
            Transport::Jsonp => self.receiver(id, transport, &parts, ReceiverKind::Script).await,
            _ => self.receiver(id, transport, &parts, ReceiverKind::Stream).await,
        };
        match (found, transport) {
            (Err(response), _) => response,
            (Ok(receiver), Transport::Xhr | Transport::Jsonp) => polling::answer(receiver, transport, &callback),
            (Ok(receiver), _) => streaming::answer(receiver, transport, &callback, self.config.limits.response_bytes),
        }
    }

    /// The receiver that a poll or a stream becomes, of a new session or of one that there is.
    async fn receiver(
        self: &Arc<Self>,
        id: SessionId,
        transport: Transport,
        parts: &Parts,
        kind: ReceiverKind,
    ) -> Result<Receiver, Response> {
        let request = TransportRequest::new(transport, parts);
        let entry = match self.registry.find(&id) {
            Some(entry) => entry,
            None => match self.open(Some(id), &request, kind).await? {
                Opened::New(_, receiver) => return Ok(receiver),
                Opened::Lost(entry) => entry,
            },
        };
        self.application.admit(&entry.opener, &request).await?;
        Ok(Receiver::attach(&entry.live, kind).await)
    }

    /// Opens a session, with its first receiver.
    pub(crate) async fn open(
        self: &Arc<Self>,
        name: Option<SessionId>,
        request: &TransportRequest<'_>,
        kind: ReceiverKind,
    ) -> Result<Opened<A>, Response> {
        let transport = request.transport();
        let Some(place) = self.registry.reserve() else {
            tracing::debug!(transport = transport.as_str(), "a session was refused: there are as many as may be");
            return Err(answer::empty(StatusCode::SERVICE_UNAVAILABLE));
        };
        let opener = self.application.accept(request).await?;
        let make = |number| Live::new(number, transport, self.rules(transport), self.clock);
        let (entry, registration) = match self.registry.register(place, name, opener, make) {
            Registered::New(entry, registration) => (entry, registration),
            Registered::Taken(entry) => return Ok(Opened::Lost(entry)),
            Registered::Draining => return Err(answer::empty(StatusCode::SERVICE_UNAVAILABLE)),
        };
        tracing::debug!(session = entry.live.number, transport = transport.as_str(), "session opened");
        let live = entry.live.clone();
        tokio::spawn(async move {
            live.drive().await;
            drop(registration);
        });
        // Made here, so that the session ends even if the task never runs.
        let session = Session::new(entry.live.clone());
        let (service, opener) = (self.clone(), entry.opener.clone());
        tokio::spawn(async move { service.application.run(session, opener).await });
        let receiver = Receiver::attach(&entry.live, kind).await;
        Ok(Opened::New(entry, receiver))
    }

    fn rules(&self, transport: Transport) -> Rules {
        Rules {
            heartbeat: self.config.heartbeat,
            disconnect_delay: self.config.disconnect_delay,
            outbound_bytes: self.config.limits.outbound_bytes,
            inbound_bytes: self.config.limits.inbound_bytes,
            overflow: self.config.overflow.clone(),
            framed: transport != Transport::RawWebsocket,
            read_again_below: self.config.limits.read_again_below,
        }
    }
}

/// What became of an attempt to open a session.
pub(crate) enum Opened<A: Application> {
    New(Entry<A::Opener>, Receiver),
    /// Another request opened it meanwhile.
    Lost(Entry<A::Opener>),
}
