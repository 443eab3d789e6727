//! The library through its public API: what a request presents, what is decided about it, and the connection that follows, in
//! simulated time.

mod admission;
mod amendments;
mod applications;
mod carriers;
mod changes_while_verifying;
mod closing;
mod life;
mod open;
mod origins;
mod properties;
mod refusals;
mod renewal;
mod scene;
mod sockjs;
mod subprotocols;
mod verdicts;
mod waiting;
