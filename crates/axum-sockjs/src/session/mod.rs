//! A session: its state machine, and the handles through which tasks share it.

pub mod machine;
pub mod message;

mod handle;
mod live;
mod queue;
mod receiving;

pub use handle::{SendJsonError, Session, SessionHandle};
pub(crate) use live::{Deliver, Live, Receiver, Sending};
