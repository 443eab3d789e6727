//! The SockJS endpoint: its settings, and what it asks of every request.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum_sockjs::{
    AllowedOrigins, Application as Endpoint, Close, Config, ConfigError, Limits, Malformed, OnMalformed, Session,
    SockJs, Transport as Way, TransportRequest, Transports,
};
use parking_lot::{Mutex, RwLock};
use tracing::Instrument as _;
use usher_auth::carriers::{Presented, present, present_same_origin};
use usher_auth::close_code::CloseCause;
use usher_auth::origin::RequestOrigin;
use usher_auth::protocol::SockJsDialect;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::route::RouteRules;
use usher_auth::wire::{Mistake, shape};

use super::opener::{Bond, Page, Proof, check_page};
use super::session_transport::SessionTransport;
use crate::admission::{Accepted, Arrival, admit, client_address};
use crate::lingering::LingeringPlace;
use crate::observer::Event;
use crate::socket;
use crate::{Application, Door, Presenter, Problem};

/// Frames without a message that are read ahead of their metering: no more are while a credential is verified, when nothing is metered.
const MOST_EMPTY_FRAMES: usize = 100;
/// Beyond the messages themselves: what wraps them, and several in one request.
const REQUEST_OVERHEAD_BYTES: usize = 1024;
/// Beyond what a connection may have queued, one message of any size and the frames of its end: the bound of the session itself, which
/// is never met.
const FAREWELL_BYTES: usize = 64 * 1024;

/// A character of a message takes at most so many bytes as a JSON escape in a JSON string.
const MOST_WRAPPING: usize = 7;

/// What the operator decides of the SockJS endpoint.
#[derive(Clone, Debug)]
pub struct SockJsSettings {
    /// Who comes in, and how they talk. Its `path` is where the endpoint is.
    pub rules: RouteRules,
    /// What is spoken over it. It decides the protocol of the rules, whatever stands there.
    pub dialect: SockJsDialect,
    /// The older ways, which are off unless asked for.
    pub transports: SockJsTransports,
    /// How long a client hears nothing until it is sent `h`.
    pub heartbeat: Duration,
    /// How long a session lives without a receiving request, and after its close.
    pub disconnect_delay: Duration,
    /// Bytes after which a streaming answer ends, so that the browser lets go of them.
    pub response_bytes: usize,
}

/// Transports for browsers of old, each a risk of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SockJsTransports {
    /// A session through `<script>`: any page can open one.
    pub jsonp: bool,
    /// The page that other sites' pages load in a frame.
    pub iframe: bool,
    /// A page that does not end.
    pub htmlfile: bool,
}

/// The SockJS endpoint. Cheap to clone.
pub struct SockJsRoute<A: Application> {
    service: SockJs<Entrance<A>>,
    current: Arc<RwLock<Current>>,
    dialect: SockJsDialect,
}

impl<A: Application> Clone for SockJsRoute<A> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), current: self.current.clone(), dialect: self.dialect }
    }
}

/// What a reload replaces.
#[derive(Clone)]
struct Current {
    door: Door,
    rules: Arc<RouteRules>,
}

impl<A: Application> SockJsRoute<A> {
    /// The endpoint, in front of `application`.
    ///
    /// # Errors
    /// When a time or a bound is zero.
    pub fn new(settings: &SockJsSettings, door: &Door, application: Arc<A>) -> Result<Self, ConfigError> {
        let rules = RouteRules { protocol: settings.dialect.protocol(), ..settings.rules.clone() };
        let rules = Arc::new(rules);
        let config = config(settings, door);
        let current = Arc::new(RwLock::new(Current { door: door.clone(), rules }));
        let origins = current.clone();
        let allowed = move |origin: &str| origins.read().rules.origins.allow(RequestOrigin::One(origin));
        let config = Config { allowed_origins: AllowedOrigins::Where(Arc::new(allowed)), ..config };
        let service =
            SockJs::new(Entrance { current: current.clone(), dialect: settings.dialect, application }, config)?;
        Ok(Self { service, current, dialect: settings.dialect })
    }

    /// From now on requests meet this door and these rules.
    pub fn reload(&self, door: &Door, rules: &Arc<RouteRules>) {
        *self.current.write() = Current { door: door.clone(), rules: rules.clone() };
    }

    /// The rules as they are.
    pub fn rules(&self) -> Arc<RouteRules> {
        self.current.read().rules.clone()
    }

    /// What is spoken over it, which stays.
    pub fn dialect(&self) -> SockJsDialect {
        self.dialect
    }

    /// Rules that changed, as far as they can take effect while it runs: its path and its protocol stay.
    pub fn rules_like(&self, rules: &RouteRules) -> Arc<RouteRules> {
        let Current { rules: now, .. } = &*self.current.read();
        Arc::new(RouteRules { path: now.path.clone(), protocol: now.protocol.clone(), ..rules.clone() })
    }

    /// Bytes that wait to be written to the clients of all sessions. Looks at each: for a metric, not for the path of a message.
    pub fn queued_bytes(&self) -> usize {
        self.service.queued_bytes()
    }

    /// How many sessions are closed whose clients have not fetched the close frame yet.
    pub fn unfetched_closes(&self) -> usize {
        self.service.unfetched_closes()
    }

    /// How many sessions there are whose clients come back with a request of their own for each answer.
    pub fn polled_sessions(&self) -> usize {
        self.service.polled_sessions()
    }

    /// Whether a request for `path` is for a session that there is.
    pub fn has_session(&self, path: &str) -> bool {
        let rules = self.rules();
        path.strip_prefix(rules.path.trim_end_matches('/')).is_some_and(|path| self.service.has_session(path))
    }

    /// Serves it at its path.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let path = self.current.read().rules.path.clone();
        self.service.router(&path)
    }
}

fn config(settings: &SockJsSettings, door: &Door) -> Config {
    let message = settings.rules.max_message_bytes;
    let outbound = door.parts().outbound_limit;
    let SockJsTransports { jsonp, iframe, htmlfile } = settings.transports;
    let slow = settings.rules.close_codes.code(CloseCause::SlowConsumer);
    Config {
        transports: Transports { jsonp, iframe, htmlfile, ..Transports::default() },
        heartbeat: settings.heartbeat,
        disconnect_delay: settings.disconnect_delay,
        overflow: Close::new(slow, CloseCause::SlowConsumer.reason()),
        limits: Limits {
            message_bytes: message,
            // Wrapped once more, a message is at most twice as long.
            request_bytes: 2 * message + REQUEST_OVERHEAD_BYTES,
            outbound_bytes: outbound + MOST_WRAPPING * message + FAREWELL_BYTES,
            inbound_bytes: 2 * message,
            read_again_below: socket::PAUSE_READING_AT,
            empty_frames: MOST_EMPTY_FRAMES,
            response_bytes: settings.response_bytes,
            // Counted by the door, where those who wait have a budget of their own.
            sessions: u32::MAX,
            ..Limits::default()
        },
        ..Config::default()
    }
}

/// What the SockJS service asks about every request.
struct Entrance<A: Application> {
    current: Arc<RwLock<Current>>,
    dialect: SockJsDialect,
    application: Arc<A>,
}

/// Who opened a session.
struct Opener<A: Application> {
    /// Until its task has begun.
    accepted: Mutex<Option<Accepted<A>>>,
    bond: Arc<Bond>,
    dialect: SockJsDialect,
    id: usher_auth::ids::ConnectionId,
    /// What holds a place until the ended session is forgotten.
    _lingering: LingeringPlace,
}

impl<A: Application> Endpoint for Entrance<A> {
    type Opener = Opener<A>;

    async fn accept(&self, request: &TransportRequest<'_>) -> Result<Opener<A>, Response> {
        let Current { door, rules } = self.current.read().clone();
        let (headers, query) = (request.headers(), request.query());
        let over_websocket = matches!(request.transport(), Way::Websocket | Way::RawWebsocket);
        let page = if over_websocket {
            // The rules of every other upgrade.
            Ok(match RequestOrigin::of(headers) {
                RequestOrigin::Absent => Page::None,
                _ => Page::Listed,
            })
        } else {
            check_page(&rules, request.method(), headers)
        };
        let browser = page.as_ref().is_ok_and(|page| *page != Page::None);
        let (presented, own_origin) = match page {
            Ok(Page::Own(origin)) => (present_same_origin(&rules, headers, query), Some(origin)),
            Ok(_) => (present(&rules, headers, query), None),
            Err(refusal) => (Err(refusal), None),
        };
        let fingerprint = match &presented {
            Ok(Presented::Credential(_, credential)) => credential.fingerprint(),
            Ok(Presented::Nothing(_)) | Err(_) => None,
        };
        let arrival = Arrival {
            presented,
            browser,
            own_origin,
            // The path that was asked for holds the session id.
            path: rules.path.clone(),
            raw_sockjs: request.transport() == Way::RawWebsocket,
        };
        let accepted = admit(&door, &rules, self.application.clone(), request.parts(), arrival).await;
        let mut accepted = accepted.map_err(IntoResponse::into_response)?;
        let lingering = LingeringPlace::default();
        accepted.opening.lingering = Some(lingering.clone());
        let bond = Bond::new(fingerprint, accepted.opening.connection.permit());
        let id = accepted.opening.connection.id();
        Ok(Opener {
            accepted: Mutex::new(Some(accepted)),
            bond: Arc::new(bond),
            dialect: self.dialect,
            id,
            _lingering: lingering,
        })
    }

    async fn admit(&self, opener: &Opener<A>, request: &TransportRequest<'_>) -> Result<(), Response> {
        let Current { door, rules } = self.current.read().clone();
        let address = client_address(&door, request.parts()).map_err(IntoResponse::into_response)?;
        let origin = RequestOrigin::of(request.headers()).as_str().map(str::to_owned);
        let presenter = Presenter { address, origin, path: rules.path.clone() };
        let refused = async {
            check_page(&rules, request.method(), request.headers())?;
            match opener.bond.check(&rules, request.headers(), request.query())? {
                Proof::Given => Ok(()),
                Proof::Of(verification, user) => {
                    let scene = presenter.scene(opener.id, &rules.path);
                    let credential = verification.credential.fingerprint();
                    let permit = door.parts().verify(verification, &presenter, &scene).await?;
                    if permit.principal().id != user {
                        return Err(Refusal::new(RefusalKind::Forbidden, "the credential is of another user"));
                    }
                    opener.bond.proved(credential);
                    Ok(())
                }
            }
        };
        let Err(refusal) = refused.await else { return Ok(()) };
        let scene = presenter.scene(opener.id, &rules.path);
        door.parts().observer.observe(&scene, &Event::Refused { refusal: &refusal, carrier: None });
        tracing::info!(
            client = %address.0,
            transport = request.transport().as_str(),
            code = refusal.code(),
            detail = refusal.detail(),
            "a request of a SockJS session was refused"
        );
        Err(Problem::from(&refusal).into_response())
    }

    fn malformed(&self, opener: &Opener<A>, malformed: &Malformed) -> OnMalformed {
        let lenient = opener.dialect.lenient;
        let bare_object = malformed.text.trim_start().starts_with('{')
            && malformed.error == axum_sockjs::codec::DecodeError::NotWrapped;
        // A request that sends messages has an answer of its own, which names the mistake.
        if malformed.transport == Way::Websocket || (lenient && bare_object) {
            return OnMalformed::Deliver;
        }
        tracing::info!(
            connection = %opener.id,
            sent = shape(&malformed.text),
            write = Mistake::NotWrapped.reason(),
            "what came over xhr_send holds no messages"
        );
        OnMalformed::Refuse
    }

    async fn run(&self, session: Session, opener: Arc<Opener<A>>) {
        let Some(Accepted { opening, span }) = opener.accepted.lock().take() else { return };
        let transport =
            SessionTransport::new(session, opener.dialect, opener.bond.clone(), opening.connection.input_limits());
        drop(opener);
        socket::run(transport, opening).instrument(span).await;
    }
}
