//! `cargo xtask fuzz`: runs the targets of `fuzz/`, each for a while, on the stable toolchain.
//!
//! The coverage instrumentation is an LLVM pass that stable rustc takes; only the address sanitizer would need a nightly one,
//! and our crates forbid `unsafe`. What was found stays in `fuzz/corpus` (not in git); inputs worth keeping for everybody are
//! committed to `fuzz/seeds/TARGET`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;
use clap::Args;

use crate::step::{Failure, Steps, run as run_command, succeeds};
use crate::workspace::Workspace;

/// The cargo-fuzz that is installed where there is none.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Longest time in seconds for one input; a parser that needs more is a finding. libFuzzer's own default is 20 minutes.
const SECONDS_PER_INPUT: u32 = 5;

/// What may follow `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// Which targets; all, if none is named.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long to run each, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs the targets one after the other, up to the first that finds something.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let steps = Steps::begin();
    let targets = chosen(&options.targets, known_targets(workspace)?)?;
    let tools = cargo_fuzz(workspace, &steps)?;
    for target in targets {
        steps.announce(&format!("fuzz {target} for {} s", options.seconds));
        let corpus = folder(workspace.root.join("fuzz/corpus").join(&target))?;
        let seeds = workspace.root.join("fuzz/seeds").join(&target);
        let mut command = workspace.cargo();
        on_path(&mut command, tools.as_deref());
        command.args(["fuzz", "run", "--sanitizer", "none", "--target-dir"]).arg(workspace.target.join("fuzz"));
        command.arg(&target).arg(corpus);
        command.args(seeds.is_dir().then_some(seeds));
        command.arg("--").args([
            format!("-max_total_time={}", options.seconds),
            format!("-timeout={SECONDS_PER_INPUT}"),
            "-print_final_stats=1".to_owned(),
        ]);
        run_command(&mut command)?;
    }
    steps.announce("done");
    Ok(())
}

fn known_targets(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let metadata = MetadataCommand::new().manifest_path(workspace.root.join("fuzz/Cargo.toml")).no_deps().exec()?;
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    Ok(targets.filter(cargo_metadata::Target::is_bin).map(|target| target.name).collect())
}

fn chosen(asked: &[String], known: Vec<String>) -> Result<Vec<String>, Failure> {
    if asked.is_empty() {
        return Ok(known);
    }
    match asked.iter().find(|target| !known.contains(target)) {
        Some(unknown) => Err(Failure::UnknownTarget { asked: unknown.clone(), known: known.join(", ") }),
        None => Ok(asked.to_vec()),
    }
}

/// Makes sure that there is a cargo-fuzz. Gives the folder to put on the path if it is one that we installed ourselves, below
/// the build directory: nothing of a developer's own is touched.
fn cargo_fuzz(workspace: &Workspace, steps: &Steps) -> Result<Option<PathBuf>, Failure> {
    if succeeds(workspace.cargo().args(["fuzz", "--version"])) {
        return Ok(None);
    }
    let home = workspace.target.join("tools");
    let programs = home.join("bin");
    if !programs.join("cargo-fuzz").is_file() {
        steps.announce("install cargo-fuzz below the build directory");
        let mut install = workspace.cargo();
        install.args(["install", "--quiet", "--locked", "--version", CARGO_FUZZ_VERSION, "cargo-fuzz", "--root"]);
        run_command(install.arg(&home).env("CARGO_TARGET_DIR", home.join("build")))?;
    }
    Ok(Some(programs))
}

fn on_path(command: &mut Command, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    if let Ok(joined) = std::env::join_paths(folders) {
        command.env("PATH", joined);
    }
}

fn folder(path: PathBuf) -> Result<PathBuf, Failure> {
    fs::create_dir_all(&path).map_err(Failure::file(format!("cannot make {}", path.display())))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_all_and_an_unknown_one_names_those_there_are() {
        let known = || vec!["jwt".to_owned(), "client_frame".to_owned()];
        assert_eq!(chosen(&[], known()).unwrap(), known());
        assert_eq!(chosen(&["jwt".to_owned()], known()).unwrap(), ["jwt"]);
        let failure = chosen(&["jwt".to_owned(), "jwk".to_owned()], known()).unwrap_err();
        assert_eq!(failure.to_string(), "no fuzz target `jwk`; there are: jwt, client_frame");
    }
}
