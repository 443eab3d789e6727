//! The end: `bye`, close frame, and the socket freed within [`LINGER`] whatever the peer does.

use std::borrow::Cow;
use std::time::Duration;

use super::{Action, Connection, LINGER, State};
use crate::close_code::CloseCause;
use crate::time::Now;
use crate::wire::octoprint::OctoPrintEvent;
use crate::wire::{Frame, ServerMessage};

impl Connection {
    /// End for `cause`, with its own reason.
    pub(super) fn end(&mut self, now: Now, cause: CloseCause) {
        self.end_with(now, cause, None);
    }

    pub(super) fn end_with(&mut self, now: Now, cause: CloseCause, retry_after: Option<Duration>) {
        self.say_goodbye(cause, cause.reason(), retry_after);
        self.state = State::Closing { deadline: now.monotonic + LINGER };
    }

    /// The last frame, and the close frame with the same code and reason.
    pub(super) fn say_goodbye(&mut self, cause: CloseCause, reason: &'static str, retry_after: Option<Duration>) {
        let code = self.rules.close_codes.code(cause);
        let reconnect = cause.reconnect();
        let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.actions.push_back(Action::Send(if self.rules.dialect.is_octoprint() {
            Frame::json(&OctoPrintEvent::Bye { code, reason, reconnect, retry_after_ms })
        } else {
            Frame::json(&ServerMessage::Bye { code, reason, reconnect, retry_after_ms })
        }));
        self.actions.push_back(Action::Close { code, reason: Cow::Borrowed(reason), cause });
    }

    /// Free the socket; only once.
    pub(super) fn release(&mut self) {
        if !matches!(self.state, State::Ended) {
            self.state = State::Ended;
            self.actions.push_back(Action::Release);
        }
    }
}
