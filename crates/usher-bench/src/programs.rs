//! The programs that are measured, and where they are.

use std::path::{Path, PathBuf};

/// The programs that are measured.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The binary `usher`.
    pub usher: PathBuf,
    /// The example `floor`.
    pub floor: PathBuf,
    /// Node.js, if the packages of `bench/` are there.
    pub node: Option<PathBuf>,
    /// A Python that has the packages of `bench/`.
    pub python: Option<PathBuf>,
    /// The folder `bench`.
    pub bench: PathBuf,
}

impl Programs {
    /// The script of a peer.
    pub(crate) fn peer(&self, script: &str) -> PathBuf {
        self.bench.join("peers").join(script)
    }

    /// The first of the two that is not there.
    pub(crate) fn missing(&self) -> Option<&Path> {
        [&self.usher, &self.floor].into_iter().find(|program| !program.is_file()).map(PathBuf::as_path)
    }
}
