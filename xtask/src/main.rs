//! Every developer command in one place: `cargo xtask test`, `check`, `tidy`, `fuzz`, `deny`, `bench`.
//!
//! Knows how the repository is checked, and nothing of what is checked: it imports no crate of ours.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for a terminal")]

mod bench;
mod check;
mod deny;
mod fuzz;
mod setup;
mod step;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::step::Failure;
use crate::workspace::Workspace;

/// What is typed after `cargo xtask`.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Developer commands of Usher.")]
enum Arguments {
    /// Set up what the tests need, then check and test everything, as CI does.
    Test(test::Options),
    /// Formatting, lints and tidy rules, without running a test.
    Check,
    /// Repository rules that no lint knows: which crate imports which, circles between files, module heads, file sizes.
    Tidy,
    /// Run the fuzz targets, each for a while.
    Fuzz(fuzz::Options),
    /// Licences, advisories, duplicates and sources of our dependencies, with cargo-deny.
    Deny(deny::Options),
    /// Measure what a connection costs, beside a floor and beside others; writes bench/results and docs/reference/benchmarks.md.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    match arguments {
        Arguments::Test(options) => test::run(&workspace, options),
        Arguments::Check => check::run(&workspace, &step::Steps::begin()),
        Arguments::Tidy => tidy::run(&workspace),
        Arguments::Fuzz(options) => fuzz::run(&workspace, options),
        Arguments::Deny(options) => deny::run(&workspace, options),
        Arguments::Bench(options) => bench::run(&workspace, options),
    }
}
