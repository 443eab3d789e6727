//! What the application holds of a session.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Serialize;

use super::live::Live;
use super::machine::Unsent;
use super::message::{Incoming, Outgoing, Unsendable};
use crate::Transport;
use crate::close::{Close, Ended};
use crate::codec;

/// A session, held by the application's task. Dropping it closes the session with [`Close::GO_AWAY`].
pub struct Session {
    handle: SessionHandle,
}

/// Sends to a session, closes it, and waits for its end. Cheap to clone.
#[derive(Clone)]
pub struct SessionHandle {
    live: Arc<Live>,
}

/// Why JSON was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendJsonError {
    /// The session did not take it.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    /// It could not be serialised.
    #[error("the message cannot be serialised")]
    Json(#[from] serde_json::Error),
}

impl Session {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self { handle: SessionHandle { live } }
    }

    /// The next thing that the client sent; `None` once the session has ended and all is read. Can be dropped while it waits.
    ///
    /// What waits unread is bounded (see [`Limits::inbound_bytes`](crate::Limits::inbound_bytes)): beyond that, a WebSocket is not
    /// read and an `xhr_send` is not answered.
    pub async fn receive(&mut self) -> Option<Incoming> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// [`Self::receive`] for hand-written futures.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.handle.live.poll_receive(context)
    }

    /// How many frames came since this was last asked that brought no message: pings, pongs, empty texts, and those that a later frame
    /// continues. Each wakes who waits in [`Self::poll_receive`].
    pub fn take_empty_frames(&mut self) -> usize {
        self.handle.live.take_empty_frames()
    }

    /// Ready when all that was sent has been written to the client's connection, or the session has ended.
    pub fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.handle.live.poll_written(context)
    }

    /// A handle for others, which can also outlive this.
    pub fn handle(&self) -> SessionHandle {
        self.handle.clone()
    }
}

impl std::ops::Deref for Session {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.handle
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.handle.close(Close::GO_AWAY);
    }
}

impl SessionHandle {
    /// Queues a string.
    ///
    /// # Errors
    /// When the session has ended, or if this is more than its outbound queue holds, which ends it.
    pub fn send(&self, text: impl Into<String>) -> Result<(), Unsendable> {
        self.live.with(|machine, now| machine.handle_send(now, Outgoing::Text(text.into())))
    }

    /// Queues a JSON value that stands in the frame as it is, as `a[{"connected":…}]`, and on a raw WebSocket as its text.
    ///
    /// # Errors
    /// As for [`Self::send`], and when serde cannot serialise it.
    pub fn send_json(&self, value: &impl Serialize) -> Result<(), SendJsonError> {
        let json = codec::json(value)?;
        Ok(self.live.with(|machine, now| machine.handle_send(now, Outgoing::Json(json)))?)
    }

    /// Queues what [`codec::quote`] or [`codec::json`] made once for many sessions; on a raw WebSocket it is the text itself.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub fn send_shared(&self, encoded: Arc<str>) -> Result<(), Unsendable> {
        self.live.with(|machine, now| machine.handle_send(now, Outgoing::Shared(encoded)))
    }

    /// As [`Self::send_shared`], if no more than `most` bytes wait then, those included that are being written; when nothing waits, one
    /// message of any size is taken.
    ///
    /// # Errors
    /// [`Unsendable::Full`] if there is no room: then nothing has changed. Else as for [`Self::send`].
    pub fn send_shared_within(&self, encoded: Arc<str>, most: usize) -> Result<(), Unsendable> {
        self.live.with(|machine, now| machine.handle_send_within(now, encoded, most))
    }

    /// Bytes that wait to be written to the client's connection, with what each message costs beside them.
    pub fn queued_bytes(&self) -> usize {
        self.live.outbound_bytes()
    }

    /// Drops what was sent and not handed to the client's connection yet.
    pub fn discard_unsent(&self) {
        self.live.with(|machine, _| machine.handle_discard());
    }

    /// From now on the client may send `bytes` more, with frame headers and everything else that is round its messages; `usize::MAX` is
    /// no limit. A WebSocket that sends more is closed with 1009, and a request is answered 413: for those who have not said yet who
    /// they are.
    pub fn limit_input(&self, bytes: usize) {
        self.live.limit_input(bytes);
    }

    /// Closes the session. What was sent before still goes out; nothing more is taken from the client. The first close stays.
    pub fn close(&self, close: Close) {
        self.end(close, Unsent::Deliver);
    }

    /// Closes the session and drops what was not handed to the client's connection yet, also if it was closed before.
    pub fn close_now(&self, close: Close) {
        self.end(close, Unsent::Drop);
    }

    fn end(&self, close: Close, unsent: Unsent) {
        self.live.with(|machine, now| {
            machine.handle_close(now, close.clone(), Ended::Application(close), unsent);
        });
    }

    /// Has the session forgotten as soon as it has ended and no request or socket of its client waits for frames. A client that comes later finds no
    /// session, in place of hearing for [`Config::disconnect_delay`](crate::Config::disconnect_delay) why it ended.
    pub fn forget(&self) {
        self.live.with(|machine, _| machine.handle_forget());
    }

    /// Why it has ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        self.live.ended()
    }

    /// Waits for its end.
    pub async fn wait_ended(&self) -> Ended {
        self.live.wait_ended().await
    }

    /// Of the request that opened it.
    pub fn transport(&self) -> Transport {
        self.live.transport
    }

    /// Counts sessions of this process; fit for logs, where the SockJS session id is not.
    pub fn number(&self) -> u64 {
        self.live.number
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("number", &self.number()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionHandle").field("number", &self.number()).finish_non_exhaustive()
    }
}
