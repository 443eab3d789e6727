//! What stands behind the sessions.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::response::Response;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method};

use crate::{Malformed, Session, Transport};

/// What stands behind the sessions of a service. It is asked about every request before anything happens.
pub trait Application: Send + Sync + 'static {
    /// What is remembered of a session's opener, for its task and to hold later requests against.
    type Opener: Send + Sync + 'static;

    /// A request would open a session. `Err` answers it instead, and nothing is opened; the cross-origin headers are added.
    ///
    /// Of two requests that open one session at the same time one wins. The other's opener is dropped, and it is treated as a later
    /// request of the session that won.
    fn accept(&self, request: &TransportRequest<'_>) -> impl Future<Output = Result<Self::Opener, Response>> + Send;

    /// A later request of a session: a poll, a stream, or messages to it. `Err` answers it instead, and the session stays as it is.
    ///
    /// A session id is all that a request needs to reach a session; so this is where to ask for the cookie of the opener, and for
    /// an `Origin` that may.
    fn admit(
        &self,
        opener: &Self::Opener,
        request: &TransportRequest<'_>,
    ) -> impl Future<Output = Result<(), Response>> + Send;

    /// A client's text holds no messages: a bare object, broken JSON, items that are no strings.
    fn malformed(&self, opener: &Self::Opener, malformed: &Malformed) -> OnMalformed {
        let _ = (opener, malformed);
        OnMalformed::Refuse
    }

    /// The life of a session, in a task of its own. When it returns the session is closed with
    /// [`Close::GO_AWAY`](crate::Close::GO_AWAY), unless it has ended before.
    fn run(&self, session: Session, opener: Arc<Self::Opener>) -> impl Future<Output = ()> + Send;
}

/// What to do with a client's text that holds no messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMalformed {
    /// A WebSocket is closed with [`Close::MALFORMED`](crate::Close::MALFORMED); a request is answered 500, and its session goes on.
    Refuse,
    /// The session receives it as [`Incoming::Malformed`](crate::Incoming::Malformed), and can answer.
    Deliver,
}

/// A request that would open a session or use one.
pub struct TransportRequest<'a> {
    transport: Transport,
    parts: &'a Parts,
}

impl<'a> TransportRequest<'a> {
    pub(crate) fn new(transport: Transport, parts: &'a Parts) -> Self {
        Self { transport, parts }
    }

    /// What it is for.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Its method.
    pub fn method(&self) -> &'a Method {
        &self.parts.method
    }

    /// Its headers.
    pub fn headers(&self) -> &'a HeaderMap {
        &self.parts.headers
    }

    /// The query of its address, if it has one.
    pub fn query(&self) -> Option<&'a str> {
        self.parts.uri.query()
    }

    /// What servers and middleware attached to it.
    pub fn extensions(&self) -> &'a Extensions {
        &self.parts.extensions
    }

    /// The other end of its connection, where the server attaches axum's [`ConnectInfo`].
    pub fn peer(&self) -> Option<SocketAddr> {
        self.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| *peer)
    }

    /// The whole head. Its address holds the session id, which is a secret.
    pub fn parts(&self) -> &'a Parts {
        self.parts
    }
}

impl fmt::Debug for TransportRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TransportRequest").field("transport", &self.transport).finish_non_exhaustive()
    }
}
