//! The library through its public API: what a request presents, what is decided about it, and the connection that follows, in
//! simulated time.

mod admission;
mod closing;
mod open;
mod properties;
mod refusals;
mod renewal;
mod scene;
mod waiting;
