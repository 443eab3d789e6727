//! What an authenticated connection reaches.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use tungstenite::Utf8Bytes;
use usher_auth::close_code::{ApplicationClose, CloseCause};
use usher_auth::connection::PermitChange;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::wire::{Frame, InvalidFrame};
use usher_auth::{Now, Permit, Refusal};

use crate::{ConnectionHandle, Presenter};

/// The application behind a route: Usher's rooms, a proxy, or code of its own.
///
/// A connection passes through it in this order:
///
/// 1. [`Application::request`] sees the head of the upgrade request, and keeps of it what it needs.
/// 2. [`Application::admit`] sees the permit, and takes the connection or refuses it. Where the credential came with the request this is before
///    the 101, else after the first message. It may take its time: a proxy dials its backend here.
/// 3. [`Application::open`] makes what the application keeps for the connection, which is dropped when the connection ends, whatever ends it.
/// 4. [`Application::message`] gets each message, in order. While [`Application::poll_ready`] is pending nothing is read from the client, which
///    pauses it by TCP.
///
/// What goes to the client goes through the [`ConnectionHandle`]: [`ConnectionHandle::deliver`] for what must not wait (a client that reads too
/// slowly is closed), [`ConnectionHandle::send`] for what may (a pipe waits for [`ConnectionHandle::writable`]).
///
/// The methods without `async` are called from the connection's task and must not block.
pub trait Application: Send + Sync + 'static {
    /// What is kept of the upgrade request for as long as the connection lives.
    type Request: Clone + Send + Sync + 'static;
    /// What came of taking the connection, such as a connection to a backend.
    type Admitted: Send + 'static;
    /// What is kept for an open connection.
    type Session: Send + 'static;

    /// An upgrade was requested. Nothing is verified yet.
    fn request(&self, head: &Parts) -> Self::Request;

    /// A user was verified, or is let in as anonymous: takes the connection, or refuses it with a
    /// [`usher_auth::refusal::RefusalKind::Application`]. An answer that takes longer than [`ADMISSION_PATIENCE`] is a refusal.
    ///
    /// Called again if the connection is authenticated again after its credential has ended. Not called when an anonymous user logs in on an open
    /// connection: that is [`Application::permit_changed`], and the application may close the connection.
    fn admit(
        self: Arc<Self>,
        request: Self::Request,
        permit: Permit,
        client: Arc<Presenter>,
    ) -> impl Future<Output = Result<Self::Admitted, Refusal>> + Send;

    /// The connection is open and registered. What it is sent goes to `connection`.
    fn open(
        &self,
        admitted: Self::Admitted,
        permit: &Permit,
        connection: &Arc<ConnectionHandle>,
        now: Now,
    ) -> Self::Session;

    /// Whether the application can take another message. If not, the task is woken when it can, and reads nothing until then: a client that hangs up
    /// meanwhile is noticed when something is written to it, or when messages are taken again.
    fn poll_ready(&self, _session: &mut Self::Session, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// The client sent a message.
    fn message(&self, session: &mut Self::Session, message: Message, now: Now) -> Flow;

    /// The application's own rules may have changed: what they no longer give is taken away, and the client is told.
    fn rules_changed(&self, _session: &mut Self::Session, _now: Now) {}

    /// The permit was replaced, by a renewal of the credential or because the user's rights changed. What the new one does not give is taken away
    /// before this returns. After a renewal the answer's members are added to what the client is told; after a change of rights the
    /// application tells the client itself.
    fn permit_changed(
        &self,
        session: &mut Self::Session,
        permit: &Permit,
        change: PermitChange,
        now: Now,
    ) -> ApplicationAnswer;
}

/// How long an application may take to admit a connection.
pub const ADMISSION_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Whether a connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It does, and the client is told that its message was wrong.
    Invalid(InvalidFrame),
    /// It ends, with the route's code for that cause.
    End(CloseCause),
    /// It ends, with a code and a reason of the application's.
    Close(ApplicationClose),
}

/// A message from the client. A clone is a reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// As a frame, to be sent.
    pub fn to_frame(&self) -> Frame {
        match self {
            Self::Text(text) => Frame::from_text(text),
            Self::Binary(bytes) => Frame::from_binary(bytes),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(Text::new(text.into()))
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// Text of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Utf8Bytes);

impl Text {
    pub(crate) fn new(text: Utf8Bytes) -> Self {
        Self(text)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Users' messages do not belong in logs.
        write!(f, "Text({} bytes)", self.0.len())
    }
}
