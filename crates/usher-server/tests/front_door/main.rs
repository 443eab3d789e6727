//! The server through its front door: real HTTP, real sockets. One binary, so that it is linked once.

mod audit;
mod carriers_table;
mod csrf;
mod demo;
mod hostile_tokens;
mod http_api;
mod http_limits;
mod logins;
mod metrics;
mod plaintext;
mod revocation;
mod rooms;
mod s3_ticket;
mod s4_first_message;
mod s5_cookie;
mod s6_query;
mod s8_header;
mod s9_profiles;
mod throttle;
mod upgrade_form;
