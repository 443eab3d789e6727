//! What a connection wants done.

use std::borrow::Cow;

use crate::carriers::{Carrier, Credential};
use crate::close_code::CloseCause;
use crate::refusal::Refusal;
use crate::wire::{ClientMessage, Frame, Mistake};

/// Something to do, in the order it comes out.
#[derive(Clone, Debug)]
pub enum Action {
    /// Verify a credential and answer with [`super::Connection::handle_verdict`].
    Verify(Verification),
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
    /// Somebody is in: register the connection under its permit, then check once more that the permit was not revoked meanwhile.
    Opened,
    /// The permit was replaced: register anew, check once more, look at the rooms again, then call
    /// [`super::Connection::handle_renewed`].
    Renewed,
    /// Write a frame.
    Send(Frame),
    /// The session behind the connection was used: write that down, and tell its connections with
    /// [`super::Connection::handle_session_used`].
    TouchSession,
    /// Send a ping: the peer has been silent for long.
    Ping,
    /// A message for what stands behind the door.
    Deliver(ClientMessage),
    /// Drop every frame that is queued and not begun: nothing more may reach this peer but what follows.
    DiscardQueued,
    /// Nobody is in any more, and the socket waits as at first: leave the rooms and the registry. What was queued for who was in must
    /// not go to who comes next.
    SendAway,
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
    },
    /// Free the socket now.
    Release,
}

/// A credential to be verified.
#[derive(Clone, Debug)]
pub struct Verification {
    /// How it was presented.
    pub carrier: Carrier,
    /// What was presented.
    pub credential: Credential,
}
