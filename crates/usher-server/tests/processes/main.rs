//! The server as a process of its own: what happens when it is killed, told to go, told to reload, or besieged.

mod killed;
mod process;
mod reloads;
mod signals;
mod silent;
mod sockjs_sessions;
