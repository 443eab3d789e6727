//! The server as a process of its own: what happens when it is killed, told to go, told to reload, or besieged.

mod backup;
mod killed;
mod known_addresses;
mod open_files;
mod polling_at_a_stop;
mod process;
mod reloads;
mod requests_at_a_stop;
mod signals;
mod silent;
mod small_files;
mod sockjs_sessions;
mod token_lifetimes;
mod trouble;
mod yesterdays_data;
