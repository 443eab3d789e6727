//! `cargo xtask deny`: licences, advisories, duplicates and sources of what we depend on, by `deny.toml`.

use clap::Args;

use crate::step::{Failure, run as run_command, succeeds};
use crate::workspace::Workspace;

/// What may follow `cargo xtask deny`.
#[derive(Args)]
pub(crate) struct Options {
    /// Which checks; all, if none is named. `advisories` fetches the advisory database, the others need no network.
    #[arg(value_parser = ["advisories", "bans", "licenses", "sources"])]
    checks: Vec<String>,
}

/// Runs cargo-deny, or says how to get it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    if !succeeds(workspace.cargo().args(["deny", "--version"])) {
        return Err(Failure::Missing(vec![
            "missing: cargo-deny; get it with `cargo install cargo-deny --locked`".to_owned(),
        ]));
    }
    run_command(workspace.cargo().args(["deny", "--all-features", "check"]).args(&options.checks))
}
