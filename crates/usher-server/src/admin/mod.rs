//! What operators do to users, keys and sessions: the operations themselves, and the control socket by which the command line has
//! a running server do them.
//!
//! While a server runs it alone changes the data, so that it learns of every change at once; otherwise the command line does the
//! same operations on the store.

mod administration;
mod answer;
mod audit;
mod backup;
mod done;
mod explain;
mod keys;
mod operation;
mod sessions;
mod users;

mod control;
mod lock;

#[cfg(test)]
mod tests;

pub use administration::{AdminError, Administration, IssuerUsers, RulesInForce};
pub use answer::{Answer, BannedRow, Explained, KeyRow, NewKey, SessionRow, UserRow};
pub use backup::BackUp;
pub use control::{ControlClient, ControlError, ControlSocket, Way, find_way};
pub use lock::StoreLock;
pub use operation::{ExplainedAction, MAX_LIST, MAX_TAIL, NewPassword, Operation};
