//! What the bench measures Usher against: Node.js and Python with the packages that `bench/` pins.
//!
//! A peer that cannot be had does not end the bench: it is named, and the others are measured.

use std::path::PathBuf;

use super::clients::Pins;
use super::debian::Installer;
use super::programs::Program;
use super::turn;
use crate::step::Failure;
use crate::workspace::Workspace;

const PINS: Pins = Pins("bench");

/// The interpreters that have the packages. What is `None` is not there.
pub(crate) struct Peers {
    /// Node.js, beside whose scripts the packages are.
    pub(crate) node: Option<PathBuf>,
    /// The Python of the virtual environment.
    pub(crate) python: Option<PathBuf>,
    /// Why something is not there.
    pub(crate) missing: Vec<String>,
}

/// Installs what is missing, or says why it could not.
pub(crate) fn set_up_peers(workspace: &Workspace) -> Result<Peers, Failure> {
    let _turn = turn(workspace, PINS)?;
    let mut missing = Vec::new();
    let node = had([Program::Node, Program::Npm], || PINS.install_node_modules(workspace), &mut missing);
    let python = had([Program::Python], || PINS.environment().install(workspace), &mut missing);
    Ok(Peers {
        node: node.then(|| PINS.node_dir(workspace).map(|_| PathBuf::from("node"))).flatten(),
        python: python.then(|| PINS.environment().python(workspace)).flatten(),
        missing,
    })
}

/// Whether the programs are there, installed if they may be, and the packages could be installed with them.
fn had<const N: usize>(
    programs: [Program; N],
    install: impl FnOnce() -> Result<(), Failure>,
    missing: &mut Vec<String>,
) -> bool {
    let lacking = || programs.iter().filter(|program| !program.is_there());
    if let Some(installer) = lacking().next().and_then(|_| Installer::find()) {
        let packages: Vec<&str> = lacking().flat_map(|program| program.debian_packages()).copied().collect();
        if let Err(failure) = installer.install(&packages) {
            missing.push(failure.to_string());
        }
    }
    if let Some(program) = lacking().next() {
        missing.push(program.how_to_get_it());
        return false;
    }
    install().map_err(|failure| missing.push(failure.to_string())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_whose_packages_cannot_be_installed_is_named_and_left_out() {
        let mut missing = Vec::new();
        assert!(!had([], || Err(Failure::Untidy(1)), &mut missing));
        assert_eq!(missing.len(), 1);
        assert!(had([], || Ok(()), &mut missing));
        assert_eq!(missing.len(), 1);
    }
}
