//! Where a connection's frames go.

use usher_auth::wire::Frame;

/// A connection's outbox.
pub trait Receiver: Send + Sync {
    /// Put `frame` into the outbox; a clone of it is a reference count.
    ///
    /// Called with the room's lock held: it must not block, must not panic, and must not call back into [`crate::Rooms`] or an
    /// [`crate::Attendance`]. An outbox that is full does not wait: it ends its connection as a slow consumer.
    fn deliver(&self, frame: &Frame);
}
