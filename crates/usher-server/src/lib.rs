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

mod address_key_file;
pub mod cookies;
mod error_text;
pub mod log;
pub mod preflight;
mod reload;
mod signing_key_file;
mod usable_file;

pub mod listener;
mod open_files;
pub mod open_requests;
