//! A second application beside the rooms: a binary protocol of its own, over a transparent connection.
//!
//! Each message is one byte that says what it is, and a body. The application shows that nothing in a connection's life depends on what is said
//! over it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::request::Parts;
use parking_lot::Mutex;
use tokio::sync::Notify;
use usher_auth::close_code::{ApplicationClose, CloseCause};
use usher_auth::connection::PermitChange;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::refusal::{Refusal, RefusalKind, Rejection};
use usher_auth::wire::Frame;
use usher_auth::{Now, Permit};
use usher_axum::{Application, ConnectionHandle, Flow, Message, Presenter};

/// `[ECHO, …]` comes back as it is.
pub const ECHO: u8 = 0;
/// `[WHO]` is answered by `[WHO, user id]`.
pub const WHO: u8 = 1;
/// `[PIPE, n as 4 bytes]` is answered by that many frames of [`PIECE_BYTES`], each `[PIPE, its number as 4 bytes, …]`, as fast as the client reads.
pub const PIPE: u8 = 2;
/// `[CLOSE, code as 2 bytes, reason]` closes with these.
pub const CLOSE: u8 = 3;
/// `[FLOOD, n as 4 bytes]` is answered as [`PIPE`], whether the client reads or not.
pub const FLOOD: u8 = 4;
/// `[CHANGED, b'c' or b'r', roles]` comes when the permit was replaced, by a renewed credential or by changed rights.
pub const CHANGED: u8 = 5;

/// Bytes of a frame of [`PIPE`] and [`FLOOD`].
pub const PIECE_BYTES: usize = 16 * 1024;

/// This user is refused with 403, and [`UNREACHABLE`] with 502.
pub const UNWANTED: &str = "user-mallory";
/// This user is admitted once [`BinaryApplication::admit_slow`] says so.
pub const SLOW: &str = "user-slow";
/// As if the backend of this user did not answer.
pub const UNREACHABLE: &str = "user-lost";

/// The application.
#[derive(Debug, Default)]
pub struct BinaryApplication {
    held: Mutex<Held>,
    /// Told when [`SLOW`] is admitted, and when it is asked for.
    admits: Notify,
    asked: Notify,
}

#[derive(Debug, Default)]
struct Held {
    held: bool,
    waiting: Vec<Waker>,
}

impl BinaryApplication {
    /// From now on no message is taken, until [`Self::release`].
    pub fn hold(&self) {
        self.held.lock().held = true;
    }

    /// Waits until [`SLOW`] is to be admitted.
    pub async fn slow_asks(&self) {
        self.asked.notified().await;
    }

    /// [`SLOW`] is admitted.
    pub fn admit_slow(&self) {
        self.admits.notify_one();
    }

    /// Messages are taken again.
    pub fn release(&self) {
        let waiting = {
            let mut held = self.held.lock();
            held.held = false;
            std::mem::take(&mut held.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// An open connection of it.
pub struct BinarySession {
    permit: Permit,
    connection: Arc<ConnectionHandle>,
}

impl Application for BinaryApplication {
    /// The request's `x-label`, which [`WHO`] tells.
    type Request = Option<String>;
    type Admitted = Option<String>;
    type Session = (BinarySession, Option<String>);

    fn request(&self, head: &Parts) -> Option<String> {
        head.headers.get("x-label").and_then(|label| label.to_str().ok()).map(str::to_owned)
    }

    async fn admit(
        self: Arc<Self>,
        label: Option<String>,
        permit: Permit,
        client: Arc<Presenter>,
    ) -> Result<Option<String>, Refusal> {
        assert!(client.path.starts_with("/binary"), "the client is known");
        // As one that asks somebody else.
        tokio::task::yield_now().await;
        let rejection = match permit.principal().id.as_str() {
            UNWANTED => Rejection::FORBIDDEN,
            UNREACHABLE => Rejection::BAD_GATEWAY,
            SLOW => {
                self.asked.notify_one();
                self.admits.notified().await;
                return Ok(label);
            }
            _ => return Ok(label),
        };
        Err(Refusal::new(RefusalKind::Application(rejection), "the binary application does not take this user"))
    }

    fn open(
        &self,
        label: Option<String>,
        permit: &Permit,
        connection: &Arc<ConnectionHandle>,
        _: Now,
    ) -> Self::Session {
        (BinarySession { permit: permit.clone(), connection: connection.clone() }, label)
    }

    fn poll_ready(&self, _: &mut Self::Session, context: &mut Context<'_>) -> Poll<()> {
        let mut held = self.held.lock();
        if held.held {
            held.waiting.push(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn message(&self, (session, label): &mut Self::Session, message: Message, _: Now) -> Flow {
        let Message::Binary(bytes) = message else { return Flow::End(CloseCause::UnsupportedData) };
        let Some((kind, body)) = bytes.split_first() else { return Flow::End(CloseCause::Malformed) };
        match (*kind, body) {
            (ECHO, _) => session.connection.deliver(&Frame::from_binary(&bytes)),
            (WHO, _) => {
                let id = session.permit.principal().id.as_str().as_bytes();
                let label = label.as_deref().unwrap_or_default().as_bytes();
                session.connection.deliver(&Frame::from_binary(&[&[WHO], id, label].concat()));
            }
            (PIPE, &[a, b, c, d]) => {
                tokio::spawn(pipe(session.connection.clone(), u32::from_be_bytes([a, b, c, d])));
            }
            (FLOOD, &[a, b, c, d]) => {
                for number in 0..u32::from_be_bytes([a, b, c, d]) {
                    session.connection.deliver(&piece(FLOOD, number));
                }
            }
            (CLOSE, [a, b, reason @ ..]) => {
                let reason = String::from_utf8_lossy(reason).into_owned();
                return match ApplicationClose::new(u16::from_be_bytes([*a, *b]), reason) {
                    Ok(close) => Flow::Close(close),
                    Err(_) => Flow::End(CloseCause::Malformed),
                };
            }
            _ => return Flow::End(CloseCause::Malformed),
        }
        Flow::Continue
    }

    fn permit_changed(
        &self,
        (session, _): &mut Self::Session,
        permit: &Permit,
        change: PermitChange,
        _: Now,
    ) -> ApplicationAnswer {
        session.permit = permit.clone();
        let change = match change {
            PermitChange::Renewed => b'c',
            PermitChange::RightsChanged => b'r',
        };
        let roles: Vec<&str> = permit.principal().roles.iter().map(usher_auth::ids::Role::as_str).collect();
        let told = [&[CHANGED, change][..], roles.join(",").as_bytes()].concat();
        session.connection.deliver(&Frame::from_binary(&told));
        ApplicationAnswer::default()
    }
}

fn piece(kind: u8, number: u32) -> Frame {
    let mut bytes = vec![kind; PIECE_BYTES];
    bytes[1..5].copy_from_slice(&number.to_be_bytes());
    Frame::from_binary(&bytes)
}

/// Sends as a proxy does: it waits for the client.
async fn pipe(connection: Arc<ConnectionHandle>, count: u32) {
    for number in 0..count {
        let frame = piece(PIPE, number);
        loop {
            match connection.send(&frame) {
                Ok(()) => break,
                Err(usher_axum::SendError::Full) => {
                    if connection.writable().await.is_err() {
                        return;
                    }
                }
                Err(usher_axum::SendError::Closed) => return,
            }
        }
    }
}
