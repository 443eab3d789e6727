//! What a connection costs: a load generator, the servers it is pointed at, and the table it prints.
//!
//! Knows servers by their processes and sockets alone, ours as well as others'; nothing imports it.

mod clock;
mod error;
pub mod floor_wire;
mod machine;
mod numbers;
mod preflight;
mod process;

mod wire;

mod accounts;
mod configuration;
mod mint;
mod programs;
mod server;
mod sockjs;
mod subject;

mod crowd;
mod sources;

mod measure;
mod plan;
mod record;

mod report;
mod targets;

mod cli;

pub use cli::main;
pub use error::BenchError;
pub use mint::{AUDIENCE, Mint, Signed};
pub use programs::Programs;
pub use run::smoke;

mod run;
