//! A server as a process: started, watched through /proc, and killed by its own id.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use tokio::net::TcpStream;

use crate::BenchError;
use crate::clock::now;

/// How long a server has to listen. Python imports a lot, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What a process uses in [`LOOK_EVERY`] and still counts as at rest.
const AT_REST: Duration = Duration::from_micros(300);
/// Most that is waited for rest: a server with many connections has always something to do.
const REST_PATIENCE: Duration = Duration::from_secs(2);

/// A server's process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    clock: ClockId,
    name: &'static str,
    log: PathBuf,
}

/// What of a process is in memory, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Its part of what it shares, and all of its own.
    pub(crate) proportional: u64,
}

impl Process {
    /// Starts it and waits until it takes connections on `address`.
    pub(crate) async fn start(
        name: &'static str,
        mut command: Command,
        folder: &Path,
        address: SocketAddr,
    ) -> Result<Self, BenchError> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).map_err(BenchError::io("cannot make a log"))?;
        let errors = file.try_clone().map_err(BenchError::io("cannot make a log"))?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().map_err(BenchError::io(format!("cannot start {name}")))?;
        let id = i32::try_from(child.id()).map_err(|_| BenchError::Peer("a process id that is none"))?;
        let clock = clock_getcpuclockid(Pid::from_raw(id))
            .map_err(|error| BenchError::io("cannot read a process's clock")(error.into()))?;
        let mut process = Self { child, clock, name, log };
        let until = now() + START_PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            if now() > until || !matches!(process.child.try_wait(), Ok(None)) {
                return Err(BenchError::NotStarted { server: name, said: process.said() });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(process)
    }

    /// CPU time so far, of all its threads, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration, BenchError> {
        let time = nix::time::clock_gettime(self.clock)
            .map_err(|error| BenchError::io(format!("cannot read the clock of {}", self.name))(error.into()))?;
        Ok(Duration::from(time))
    }

    /// CPU time once it has done what it put off.
    pub(crate) async fn cpu_at_rest(&self) -> Result<Duration, BenchError> {
        let until = now() + REST_PATIENCE;
        let mut before = self.cpu()?;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let after = self.cpu()?;
            if after.saturating_sub(before) < AT_REST || now() > until {
                return Ok(after);
            }
            before = after;
        }
    }

    /// Memory now.
    pub(crate) fn memory(&self) -> Result<Memory, BenchError> {
        Memory::parse(&self.proc_file("smaps_rollup")?).ok_or(BenchError::Peer("smaps_rollup without Pss"))
    }

    /// The most that was resident since the last [`Process::forget_peak`], in KiB.
    pub(crate) fn peak(&self) -> Result<u64, BenchError> {
        kib_after(&self.proc_file("status")?, "VmHWM:").ok_or(BenchError::Peer("a status without VmHWM"))
    }

    /// Lets the peak begin again from what is resident now.
    pub(crate) fn forget_peak(&self) -> Result<(), BenchError> {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(path, "5").map_err(BenchError::io("cannot reset the peak of memory"))
    }

    fn proc_file(&self, name: &str) -> Result<String, BenchError> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(path).map_err(BenchError::io(format!("cannot read {name} of {}", self.name)))
    }

    /// The end of its log.
    pub(crate) fn said(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Memory {
    fn parse(rollup: &str) -> Option<Self> {
        Some(Self { proportional: kib_after(rollup, "Pss:")? })
    }
}

fn kib_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr, BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(BenchError::io("no free port"))?;
    listener.local_addr().map_err(BenchError::io("no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_rollup() {
        let rollup = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:            5124 kB\nPss:            3012 kB\n\
                      Pss_Dirty:       900 kB\n";
        assert_eq!(Memory::parse(rollup), Some(Memory { proportional: 3012 }));
        assert_eq!(kib_after("VmHWM:\t  812 kB\n", "VmHWM:"), Some(812));
        assert_eq!(Memory::parse("Rss: 1 kB"), None);
    }
}
