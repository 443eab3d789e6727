//! The server as a process of its own: what happens when it is killed, told to go, told to reload, or besieged.

mod killed;
mod polling_at_a_stop;
mod process;
mod signals;
mod silent;
mod sockjs_sessions;
