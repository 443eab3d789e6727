//! The libraries that a folder pins, such as `e2e/` its clients: npm packages in its `node_modules`, where the scripts beside it
//! find them by name, and Python packages in virtual environments below the build directory.
//!
//! Each of these holds a copy of the lock files it was made from; while they are equal there is nothing to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Failure, run_quietly};
use crate::workspace::Workspace;

/// The copy of the lock files, within the folder that was made from them.
const STAMP: &str = ".made-from";

/// A folder of the repository with `package.json` and `package-lock.json`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pins(pub(super) &'static str);

/// Python packages in a virtual environment of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Environment {
    /// The folder that pins them, and below which of the build directory's they are.
    pub(super) pins: Pins,
    /// The lock file in it.
    pub(super) requirements: &'static str,
    /// What the environment is called.
    pub(super) name: &'static str,
    /// Whether the lock file leaves out dependencies that are declared and not needed.
    pub(super) incomplete: bool,
}

impl Pins {
    /// The folder that contains `node_modules`, once it does.
    pub(super) fn node_dir(self, workspace: &Workspace) -> Option<PathBuf> {
        let folder = workspace.root.join(self.0);
        folder.join("node_modules").is_dir().then_some(folder)
    }

    /// Installs what `package-lock.json` says. Runs no script of a package.
    pub(super) fn install_node_modules(self, workspace: &Workspace) -> Result<(), Failure> {
        let folder = workspace.root.join(self.0);
        let lock = contents(&[&folder.join("package.json"), &folder.join("package-lock.json")])?;
        make(&folder.join("node_modules"), &lock, || {
            let mut npm = Command::new("npm");
            npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            run_quietly(&mut npm).map(drop)
        })
    }

    /// The environment of its `requirements.txt`, which is complete.
    pub(super) const fn environment(self) -> Environment {
        Environment { pins: self, requirements: "requirements.txt", name: "venv", incomplete: false }
    }
}

impl Environment {
    /// Its Python, once it is there.
    pub(super) fn python(self, workspace: &Workspace) -> Option<PathBuf> {
        let program = self.folder(workspace).join("bin/python");
        program.is_file().then_some(program)
    }

    /// Makes it and installs what its lock file says, by hash.
    pub(super) fn install(self, workspace: &Workspace) -> Result<(), Failure> {
        let requirements = workspace.root.join(self.pins.0).join(self.requirements);
        let lock = contents(&[&requirements])?;
        let folder = self.folder(workspace);
        make(&folder, &lock, || {
            run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
            pip.args(self.incomplete.then_some("--no-deps"));
            pip.args(["--require-hashes", "--only-binary=:all:", "--requirement"]).arg(&requirements);
            run_quietly(&mut pip).map(drop)
        })
    }

    fn folder(self, workspace: &Workspace) -> PathBuf {
        workspace.target.join(self.pins.0).join(self.name)
    }
}

/// Calls `work`, twice if it fails at first (a registry may), unless `folder` was made from the same lock files.
fn make(folder: &Path, lock: &str, mut work: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == lock) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Failure::file(format!("cannot remove {}", folder.display())))?;
    }
    work().or_else(|_| work())?;
    fs::write(&stamp, lock).map_err(Failure::file(format!("cannot write {}", stamp.display())))
}

fn contents(files: &[&Path]) -> Result<String, Failure> {
    let read =
        |file: &&Path| fs::read_to_string(file).map_err(Failure::file(format!("cannot read {}", file.display())));
    files.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path, lock: &str) -> bool {
        let mut worked = false;
        make(folder, lock, || {
            worked = true;
            fs::create_dir_all(folder).unwrap();
            Ok(())
        })
        .unwrap();
        worked
    }

    #[test]
    fn a_folder_is_made_again_only_when_its_lock_files_change() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("node_modules");
        assert!(made(&folder, "ws 1"));
        fs::write(folder.join("old"), "").unwrap();
        assert!(!made(&folder, "ws 1"));
        assert!(made(&folder, "ws 2"));
        assert!(!folder.join("old").exists(), "what an older lock file installed is gone");
    }

    #[test]
    fn what_failed_is_tried_once_more_and_leaves_no_stamp() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("venv");
        let mut tries = 0;
        let outcome = make(&folder, "lock", || {
            tries += 1;
            Err(Failure::Untidy(tries))
        });
        assert!(matches!(outcome, Err(Failure::Untidy(2))));
        assert!(!folder.exists());
    }
}
