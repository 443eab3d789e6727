//! What a machine must allow before anything is measured, with errors that say what to change.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::BenchError;
use crate::sources::SOURCES;

/// Files that a process has open beside its connections: a store, an audit trail, listeners, and connections to the HTTP API.
const OTHER_FILES: u64 = 200;
/// Connections that a source address may be asked for within the minute that a closed one keeps its port.
const PORTS: u32 = 4_000;

/// Checks that so many connections can be open at once; raises the limit of open files as far as that is allowed, which the servers
/// inherit.
pub(crate) fn check(connections: usize) -> Result<(), BenchError> {
    let needed = connections as u64 + OTHER_FILES;
    let failed = |error: nix::Error| BenchError::io("cannot read the limit of open files")(error.into());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if hard < needed {
        return Err(BenchError::Usage(format!(
            "{needed} open files are needed in each process, and {hard} are allowed (`ulimit -n`); allow more, or measure less with --quick"
        )));
    }
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(failed)?;
    }
    ports_suffice()?;
    loopback_addresses_are_there()
}

fn ports_suffice() -> Result<(), BenchError> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u32>().ok());
    let (Some(first), Some(last)) = (ends.next(), ends.next()) else { return Ok(()) };
    if last.saturating_sub(first) < PORTS {
        return Err(BenchError::Usage(format!(
            "clients need {PORTS} ports of their own on each loopback address, and net.ipv4.ip_local_port_range allows {first} to {last}"
        )));
    }
    Ok(())
}

/// Clients come from many addresses, which Linux has without being told.
fn loopback_addresses_are_there() -> Result<(), BenchError> {
    let last = Ipv4Addr::new(127, 0, 0, u8::try_from(SOURCES).unwrap_or(u8::MAX));
    let bound = TcpListener::bind((last, 0));
    bound.map(drop).map_err(BenchError::io(format!("clients come from 127.0.0.1 to {last}, and the last is not there")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_there_may_be_files_is_said_in_time() {
        check(10).unwrap();
        let refused = check(usize::MAX / 4).unwrap_err().to_string();
        assert!(refused.contains("ulimit -n"), "{refused}");
    }
}
