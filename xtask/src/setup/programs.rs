//! The programs that the tests need of the machine, and how each is recognised and got.

use std::path::PathBuf;
use std::process::Command;

use crate::step::succeeds;

/// Names a Chromium or Chrome that is not on the path, for us and for the tests.
pub(super) const CHROMIUM_VARIABLE: &str = "USHER_E2E_CHROMIUM";

/// A program that the tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Chromium,
    Node,
    Npm,
    Python,
}

impl Program {
    pub(super) const ALL: [Self; 4] = [Self::Chromium, Self::Node, Self::Npm, Self::Python];

    /// Whether it is there, starts, and is recent enough for what `e2e/` pins.
    pub(super) fn is_there(self) -> bool {
        match self {
            Self::Chromium => chromium().is_some_and(|path| succeeds(Command::new(path).arg("--version"))),
            Self::Node => succeeds(
                Command::new("node")
                    .args(["--eval", "process.exit(Number(process.versions.node.split('.')[0]) >= 20 ? 0 : 1)"]),
            ),
            Self::Npm => succeeds(Command::new("npm").arg("--version")),
            Self::Python => succeeds(
                Command::new("python3")
                    .args(["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"]),
            ),
        }
    }

    /// What to ask apt-get for.
    pub(super) fn debian_packages(self) -> &'static [&'static str] {
        match self {
            Self::Chromium => &["chromium"],
            Self::Node => &["nodejs"],
            Self::Npm => &["npm"],
            Self::Python => &["python3", "python3-venv"],
        }
    }

    /// One line for whoever has to install it by hand.
    pub(super) fn how_to_get_it(self) -> String {
        let (what, or) = match self {
            Self::Chromium => {
                ("Chromium, for the browser tests", "name a Chromium or Chrome in the variable USHER_E2E_CHROMIUM")
            }
            Self::Node => ("Node.js 20 or later, for its WebSocket clients", "from nodejs.org"),
            Self::Npm => ("npm, for Node's WebSocket clients", "together with Node.js from nodejs.org"),
            Self::Python => ("Python 3.11 or later with venv, for its WebSocket client", "from python.org"),
        };
        format!("missing: {what}; get it with `apt-get install {}`, or {or}", self.debian_packages().join(" "))
    }
}

/// Those that are not there.
pub(super) fn missing() -> Vec<Program> {
    Program::ALL.into_iter().filter(|program| !program.is_there()).collect()
}

/// The browser that [`CHROMIUM_VARIABLE`] names, or else the first on the path.
pub(super) fn chromium() -> Option<PathBuf> {
    match std::env::var_os(CHROMIUM_VARIABLE) {
        Some(named) => Some(named.into()),
        None => ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(on_path),
    }
}

/// Where the shell would find it.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
