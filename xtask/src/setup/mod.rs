//! Sets up the clients that nobody here wrote, for the tests that need them: Chromium, Node.js with `ws`, `sockjs-client` and
//! `playwright-core`, Python with `websockets`, and OctoPrint's own clients.
//!
//! Programs are Debian packages, installed where that is allowed; libraries are pinned by hash in `e2e/` and installed below
//! the work tree. What is missing and may not be installed is named in one line each, and ends the command: a test that was
//! skipped for want of its client would look like one that passed.

mod clients;
mod debian;
mod peers;
mod programs;

use std::fs::File;
use std::path::{Path, PathBuf};

pub(crate) use self::peers::{Peers, set_up_peers};

use self::clients::{Environment, Pins};
use self::debian::Installer;
use self::programs::Program;
use crate::step::Failure;
use crate::workspace::Workspace;

/// The clients of the tests.
const E2E: Pins = Pins("e2e");
/// OctoPrint's, whose own list asks for all that a server needs that prints.
const OCTOPRINT: Environment =
    Environment { pins: E2E, requirements: "octoprint.txt", name: "octoprint", incomplete: true };

/// Where the tests find their clients. What is `None` is not there.
pub(crate) struct Tools {
    /// The folder that contains `node_modules`.
    node_dir: Option<PathBuf>,
    /// The Python that has `websockets`.
    python: Option<PathBuf>,
    /// The Python that has OctoPrint's clients.
    octoprint: Option<PathBuf>,
    /// Chromium or Chrome.
    chromium: Option<PathBuf>,
}

impl Tools {
    /// The variables by which the tests are told.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [
            ("USHER_E2E_NODE_DIR", &self.node_dir),
            ("USHER_E2E_PYTHON", &self.python),
            ("USHER_E2E_OCTOPRINT", &self.octoprint),
            (programs::CHROMIUM_VARIABLE, &self.chromium),
        ];
        all.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?)))
    }
}

/// Installs what is missing, or says how to.
pub(crate) fn set_up(workspace: &Workspace) -> Result<Tools, Failure> {
    let missing = programs::missing();
    if !missing.is_empty() {
        let installer = Installer::find().ok_or_else(|| Failure::Missing(lines(&missing)))?;
        println!("    installing {}", packages(&missing).join(" "));
        installer.install(&packages(&missing))?;
        let still_missing = programs::missing();
        if !still_missing.is_empty() {
            return Err(Failure::Missing(lines(&still_missing)));
        }
    }

    // Two set-ups at once would each remove what the other is installing.
    let _turn = turn(workspace, E2E)?;
    E2E.install_node_modules(workspace)?;
    E2E.environment().install(workspace)?;
    OCTOPRINT.install(workspace)?;
    Ok(what_is_there(workspace))
}

/// Installs nothing.
pub(crate) fn what_is_there(workspace: &Workspace) -> Tools {
    Tools {
        node_dir: E2E.node_dir(workspace),
        python: E2E.environment().python(workspace),
        octoprint: OCTOPRINT.python(workspace),
        chromium: programs::chromium(),
    }
}

/// Held while something is installed for those pins.
fn turn(workspace: &Workspace, pins: Pins) -> Result<File, Failure> {
    let lock = workspace.root.join(pins.0).join("package-lock.json");
    let turn = File::open(&lock).and_then(|file| file.lock().map(|()| file));
    turn.map_err(Failure::file(format!("cannot lock {}/package-lock.json", pins.0)))
}

fn packages(missing: &[Program]) -> Vec<&'static str> {
    missing.iter().flat_map(|program| program.debian_packages()).copied().collect()
}

fn lines(missing: &[Program]) -> Vec<String> {
    missing.iter().map(|program| program.how_to_get_it()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_are_told_only_of_what_is_there() {
        let tools =
            Tools { node_dir: Some("e2e".into()), python: None, octoprint: None, chromium: Some("chromium".into()) };
        let told: Vec<_> = tools.environment().map(|(name, _)| name).collect();
        assert_eq!(told, ["USHER_E2E_NODE_DIR", "USHER_E2E_CHROMIUM"]);
    }

    #[test]
    fn one_line_for_each_missing_program_says_how_to_get_it() {
        let failure = Failure::Missing(lines(&Program::ALL)).to_string();
        assert_eq!(failure.lines().count(), Program::ALL.len());
        for (line, program) in failure.lines().zip(Program::ALL) {
            assert!(line.starts_with("missing: "), "{line}");
            assert!(program.debian_packages().iter().all(|package| line.contains(package)), "{line}");
        }
    }
}
