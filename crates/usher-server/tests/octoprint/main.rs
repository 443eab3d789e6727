//! OctoPrint's own clients, as its package brings them, against an endpoint that follows its conventions: S1 by those for whom it is.

mod client;
mod command_line;
mod javascript;
mod octorest;
