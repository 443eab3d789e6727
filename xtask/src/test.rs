//! `cargo xtask test`: sets up what the tests need, then checks and tests everything. CI runs this and nothing else.

use clap::Args;

use crate::check;
use crate::setup::{self, Tools};
use crate::step::{Failure, Steps, run as run_command, succeeds};
use crate::workspace::Workspace;

/// What may follow `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Build and run only the tests that this nextest expression selects, such as `test(ticket)` or `package(usher-auth)`;
    /// without cargo-nextest, those whose name contains it. Leaves out the checks and the documentation tests.
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// Install nothing: the tests use the clients that are there, and those that need a missing one fail.
    #[arg(long)]
    no_setup: bool,
}

/// All steps, up to the first that fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let steps = Steps::begin();
    let tools = if options.no_setup {
        steps.announce("set-up is left out, as asked");
        setup::what_is_there(workspace)
    } else {
        steps.announce("set-up: Chromium, Node.js and Python clients");
        setup::set_up(workspace)?
    };

    match &options.filter {
        None => check::run(workspace, &steps)?,
        Some(_) => steps.announce("checks and documentation tests are left out: there is a filter"),
    }

    // All targets at once, so that cargo resolves the same features as for the tests and builds nothing twice; the binary
    // `usher` is among them, for the tests that start it as a process of its own.
    steps.announce("build");
    run_command(workspace.cargo().args(["build", "--locked", "--workspace", "--all-targets"]))?;

    if options.filter.is_none() {
        steps.announce("documentation tests");
        run_command(workspace.cargo().args(["test", "--locked", "--workspace", "--doc"]))?;
    }

    // Last, so that a run closes on how many tests passed and not on a crate that has no example.
    run_tests(workspace, &steps, &tools, options.filter.as_deref())?;
    steps.announce("done");
    Ok(())
}

fn run_tests(workspace: &Workspace, steps: &Steps, tools: &Tools, filter: Option<&str>) -> Result<(), Failure> {
    let mut command = workspace.cargo();
    if succeeds(workspace.cargo().args(["nextest", "--version"])) {
        steps.announce("tests, with cargo-nextest");
        command.args(["nextest", "run", "--locked", "--workspace"]);
        command.args(filter.into_iter().flat_map(|expression| ["--filterset", expression]));
    } else {
        steps.announce("tests, with cargo test");
        command.args(["test", "--locked", "--workspace", "--lib", "--bins", "--tests"]).args(filter);
    }
    run_command(command.envs(tools.environment()))
}
