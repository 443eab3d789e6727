//! What goes into a session and comes out of it, and why it may not.

use std::sync::Arc;

use crate::Transport;
use crate::codec::DecodeError;

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A message.
    Message(String),
    /// Something that is none, which the application wanted to see (see
    /// [`Application::malformed`](crate::Application::malformed)).
    Malformed(Malformed),
}

/// A client's text that holds no messages, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong with it.
    pub error: DecodeError,
    /// The whole of it, as the client sent it.
    pub text: String,
    /// How it came.
    pub transport: Transport,
}

/// What the application sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A string.
    Text(String),
    /// JSON, already escaped (see [`codec::json`](crate::codec::json)). It stands in the frame as it is.
    Json(String),
    /// What one of the two comes to, encoded before and shared with other sessions. It stands in the frame as it is.
    Shared(Arc<str>),
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// It did not fit the outbound queue, and ended the session.
    #[error("more was sent than the client fetched")]
    Overflow,
    /// It did not fit what the caller allows, and nothing changed.
    #[error("there is no room for it now")]
    Full,
}

/// Why a client's messages were not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Untaken {
    /// The session has ended.
    Ended,
    /// Not now; here they are again.
    Full(Vec<Incoming>),
}

impl Incoming {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Message(text) | Self::Malformed(Malformed { text, .. }) => text.len(),
        }
    }
}
