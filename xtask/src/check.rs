//! `cargo xtask check`: formatting, tidy rules and lints, of the workspace and of the fuzz targets.

use crate::step::{Failure, Steps, run as run_command};
use crate::tidy;
use crate::workspace::Workspace;

/// The fast ones first. Warnings are errors here, and nowhere else.
pub(crate) fn run(workspace: &Workspace, steps: &Steps) -> Result<(), Failure> {
    steps.announce("format");
    run_command(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    run_command(workspace.cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;

    steps.announce("tidy");
    tidy::run(workspace)?;

    steps.announce("clippy");
    run_command(workspace.cargo().args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;

    steps.announce("clippy of the fuzz targets");
    // Without the fuzzer itself, which is a minute of C++ and cannot be linked without instrumentation.
    run_command(
        workspace
            .cargo()
            .args(["clippy", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features"])
            .arg("--target-dir")
            .arg(&workspace.target)
            .args(["--", "-D", "warnings"]),
    )
}
