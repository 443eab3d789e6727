//! What a connection wants done.

use std::borrow::Cow;

use crate::close_code::CloseCause;
use crate::credential::{Carrier, Credential};
use crate::mistake::Mistake;
use crate::permit::Permit;
use crate::refusal::Refusal;
use crate::wire::Frame;

/// Something to do, in the order it comes out.
#[derive(Clone, Debug)]
pub enum Action {
    /// Verify a credential and answer with [`super::Connection::handle_verdict`].
    Verify(Verification),
    /// The credential is verified: ask the application whether it takes the connection, and answer with
    /// [`super::Connection::handle_admission`]. Nothing is open yet.
    Admit(Permit),
    /// Answer the upgrade with 101.
    Accept,
    /// Answer the upgrade over HTTP; there will be no socket.
    Reject(Refusal),
    /// An attempt was refused: for the log and the audit. Comes before the frames that say so, and also before `Reject`.
    Refused {
        /// Why.
        refusal: Refusal,
        /// How the credential was presented, where one was.
        carrier: Option<Carrier>,
    },
    /// The connection is authenticated: register it under its permit, then check once more that the permit was not revoked meanwhile.
    Opened,
    /// The permit was replaced: register anew, check once more, tell the application, then call
    /// [`super::Connection::handle_permit_changed`].
    PermitChanged(PermitChange),
    /// Write a frame.
    Send(Frame),
    /// The session behind the connection was used: write that down, and tell its connections with
    /// [`super::Connection::handle_session_used`].
    TouchSession,
    /// Send a ping: the peer has been silent for long.
    Ping,
    /// Drop every frame that is queued and not begun: nothing more may reach this peer but what follows.
    DiscardQueued,
    /// The credential has ended and the socket waits for another one: the application and the registry let the connection go. What was
    /// queued for the user must not reach the next one.
    Deauthenticate,
    /// For the operator's log: the client wrote this wrongly, and was understood all the same. The text is the shape of what it sent.
    Mistaken(Mistake, String),
    /// Send a close frame, half-close, and read on for [`super::LINGER`] without looking at what comes.
    Close {
        /// The code.
        code: u16,
        /// At most 123 bytes.
        reason: Cow<'static, str>,
        /// For the log and the metrics.
        cause: CloseCause,
        /// How many frames of the connection's own directly before it belong to the end: none of a protocol without words for it. A revocation
        /// that comes later drops everything that is queued but these.
        farewell: usize,
    },
    /// Free the socket now.
    Release,
}

/// Why a permit was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitChange {
    /// The credential was renewed: the client is told so, with what the application adds.
    Renewed,
    /// The user's rights or name changed. The client is told nothing by the connection itself.
    RightsChanged,
}

/// A credential to be verified.
#[derive(Clone, Debug)]
pub struct Verification {
    /// How it was presented.
    pub carrier: Carrier,
    /// What was presented.
    pub credential: Credential,
}
