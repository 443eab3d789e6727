//! The end: `bye`, close frame, and the socket freed within [`LINGER`] whatever the peer does.

use std::borrow::Cow;
use std::time::Duration;

use super::{Action, Connection, LINGER, State};
use crate::close_code::{ApplicationClose, CloseCause};
use crate::protocol::Event;
use crate::time::Now;

impl Connection {
    /// End an open or waiting connection for `cause`, saying so first.
    pub fn handle_end(&mut self, now: Now, cause: CloseCause, retry_after: Option<Duration>) {
        if matches!(self.state, State::Open(_)) || self.is_waiting() {
            self.end_with(now, cause, retry_after);
        }
    }

    /// The application ends the connection, with a code and a reason of its own.
    pub fn handle_application_close(&mut self, now: Now, close: &ApplicationClose) {
        if matches!(self.state, State::Open(_)) {
            let (code, reason) = (close.code(), Cow::Owned(close.reason().to_owned()));
            self.say_goodbye(CloseCause::Application, code, reason, None);
            self.state = State::Closing { deadline: now.monotonic + LINGER };
        }
    }

    /// End for `cause`, with its own reason.
    pub(super) fn end(&mut self, now: Now, cause: CloseCause) {
        self.end_with(now, cause, None);
    }

    pub(super) fn end_with(&mut self, now: Now, cause: CloseCause, retry_after: Option<Duration>) {
        let code = self.rules.close_codes.code(cause);
        self.say_goodbye(cause, code, Cow::Borrowed(cause.reason()), retry_after);
        self.state = State::Closing { deadline: now.monotonic + LINGER };
    }

    /// The last frame, and the close frame with the same code and reason.
    pub(super) fn say_goodbye(
        &mut self,
        cause: CloseCause,
        code: u16,
        reason: Cow<'static, str>,
        retry_after: Option<Duration>,
    ) {
        let before = self.actions.len();
        self.tell(&Event::Closing { code, reason: &reason, reconnect: cause.reconnect(), retry_after });
        let farewell = self.actions.len() - before;
        self.actions.push_back(Action::Close { code, reason, cause, farewell });
    }

    /// Free the socket; only once.
    pub(super) fn release(&mut self) {
        if !matches!(self.state, State::Ended) {
            self.state = State::Ended;
            self.actions.push_back(Action::Release);
        }
    }
}
