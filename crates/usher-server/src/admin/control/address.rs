//! The address of the socket: a path, which the system allows 107 bytes only.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Longest path that every system takes in a socket's address.
const MAX_ADDRESS_BYTES: usize = 100;

/// A path that leads to the socket and is short enough to be its address.
pub(super) struct Address {
    path: PathBuf,
    /// Keeps the way open that the path takes.
    _folder: Option<File>,
}

impl Address {
    /// The path itself, or on Linux one that begins at its open folder.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= MAX_ADDRESS_BYTES || !cfg!(target_os = "linux") {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Self { path: path.to_owned(), _folder: None });
        };
        let folder = File::open(parent)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
