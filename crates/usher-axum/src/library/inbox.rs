//! What a client sent and its handler has not taken yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::Message;
use crate::sync::Mutex;

/// Most messages that wait for the handler. The client's socket is not read while as many wait.
const MOST_MESSAGES: usize = 32;
/// Most bytes of messages that wait, and one message of any size: the socket is not read while as many wait.
const MOST_BYTES: usize = 128 * 1024;

/// Between the connection, which puts messages in, and the handler, which takes them out.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Nothing more comes.
    ended: bool,
    /// The handler takes nothing more.
    abandoned: bool,
    handler: Option<Waker>,
    connection: Option<Waker>,
}

impl Inbox {
    /// For the connection: whether there is room for another message. After the handler has ended there always is: messages are dropped.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.abandoned || (state.messages.len() < MOST_MESSAGES && state.bytes < MOST_BYTES) {
            return Poll::Ready(());
        }
        state.connection = Some(context.waker().clone());
        Poll::Pending
    }

    /// For the connection: the client sent a message.
    pub(super) fn put(&self, message: Message) {
        let handler = {
            let mut state = self.state.lock();
            if !state.abandoned {
                state.bytes += message.len();
                state.messages.push_back(message);
            }
            state.handler.take()
        };
        wake(handler);
    }

    /// For the connection: nothing more comes. What waits may still be taken if `keeps`; else it is gone.
    pub(super) fn end(&self, keeps: bool) {
        let handler = {
            let mut state = self.state.lock();
            state.ended = true;
            if !keeps {
                state.messages = VecDeque::new();
            }
            state.handler.take()
        };
        wake(handler);
    }

    /// For the handler: the next message; `None` after the last.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let (message, connection) = {
            let mut state = self.state.lock();
            let Some(message) = state.messages.pop_front() else {
                if state.ended {
                    return Poll::Ready(None);
                }
                state.handler = Some(context.waker().clone());
                return Poll::Pending;
            };
            state.bytes -= message.len();
            (message, state.connection.take())
        };
        wake(connection);
        Poll::Ready(Some(message))
    }

    /// For the handler: it takes nothing more.
    fn abandon(&self) {
        let connection = {
            let mut state = self.state.lock();
            state.abandoned = true;
            state.messages = VecDeque::new();
            state.bytes = 0;
            state.connection.take()
        };
        wake(connection);
    }
}

/// The handler's end of an inbox.
#[derive(Debug)]
pub(super) struct Reader(pub(super) Arc<Inbox>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Message {
        Message::Text("x".repeat(length).as_str().into())
    }

    fn has_room(inbox: &Inbox) -> bool {
        inbox.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn take(inbox: &Inbox) -> Poll<Option<usize>> {
        inbox.poll_take(&mut Context::from_waker(Waker::noop())).map(|message| message.map(|message| message.len()))
    }

    #[test]
    fn what_waits_is_bounded_in_messages_and_in_bytes() {
        // req E8
        let inbox = Inbox::default();
        for _ in 0..MOST_MESSAGES {
            assert!(has_room(&inbox));
            inbox.put(text(1));
        }
        assert!(!has_room(&inbox));
        assert_eq!(take(&inbox), Poll::Ready(Some(1)));
        assert!(has_room(&inbox));
        let inbox = Inbox::default();
        inbox.put(text(MOST_BYTES - 1));
        assert!(has_room(&inbox));
        inbox.put(text(MOST_BYTES));
        assert!(!has_room(&inbox));
        assert_eq!(take(&inbox), Poll::Ready(Some(MOST_BYTES - 1)));
        assert!(!has_room(&inbox));
        assert_eq!(take(&inbox), Poll::Ready(Some(MOST_BYTES)));
        assert!(has_room(&inbox) && take(&inbox).is_pending());
    }

    #[test]
    fn after_the_end_what_waits_is_taken_or_gone() {
        for keeps in [true, false] {
            let inbox = Inbox::default();
            inbox.put(text(3));
            inbox.end(keeps);
            assert_eq!(take(&inbox), Poll::Ready(keeps.then_some(3)));
            assert_eq!(take(&inbox), Poll::Ready(None));
        }
    }

    #[test]
    fn nothing_is_kept_for_a_handler_that_is_gone() {
        let inbox = Arc::new(Inbox::default());
        let reader = Reader(inbox.clone());
        inbox.put(text(MOST_BYTES));
        assert!(!has_room(&inbox));
        drop(reader);
        inbox.put(text(MOST_BYTES));
        assert!(has_room(&inbox) && inbox.state.lock().messages.is_empty());
    }
}
