//! Usher's server: HTTP API, configuration, wiring, and the command line of the binary `usher`.
//!
//! This crate knows which backend runs; it decides nothing about who may come in. That is `usher-auth`'s.

pub mod backends;
pub mod cli;
pub mod config;
pub mod run;
pub mod server;

pub mod admin;
mod api;
mod boards;

mod admin_http;
pub mod metrics;
mod observers;

mod access_tokens;
mod address_key_file;
pub mod cookies;
mod error_text;
pub mod log;
pub mod passwords;
pub mod preflight;
mod reload;
mod revoker;
mod sealed;
pub mod session_feed;
mod sessions;
mod signing_key_file;
mod ticket_desk;
mod turns;
mod usable_file;

pub mod listener;
mod login_queue;
mod open_files;
pub mod open_requests;
