//! `cargo xtask bench`: builds as packages are built, sets up the peers, measures, and writes the results, the page and its charts.

use clap::Args;

use crate::setup::{Peers, set_up_peers};
use crate::step::{Failure, Steps, run as run_command};
use crate::workspace::Workspace;

/// What may follow `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer runs of fewer connections: five minutes and the build, instead of half an hour.
    #[arg(long)]
    quick: bool,
    /// Measure this alone, such as connect or fan-out; may be given more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Measure nothing: write the page from the results that are there.
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    report: bool,
}

/// All steps, up to the first that fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let steps = Steps::begin();
    let built = workspace.target.join("dist");
    if options.report {
        build(workspace, &steps)?;
        return run_command(workspace.command(built.join("usher-bench")).arg("report"));
    }

    steps.announce("set-up: what Usher is measured against");
    let Peers { node, python, missing } = set_up_peers(workspace)?;
    for line in missing {
        println!("    {line}");
    }
    build(workspace, &steps)?;

    steps.announce("measure");
    let mut bench = workspace.command(built.join("usher-bench"));
    bench.arg("run").arg("--usher").arg(built.join("usher")).arg("--floor").arg(built.join("examples/floor"));
    for (flag, program) in [("--node", node), ("--python", python)] {
        bench.args(program.into_iter().flat_map(|program| [flag.into(), program.into_os_string()]));
    }
    bench.args(options.quick.then_some("--quick"));
    bench.args(options.only.iter().flat_map(|name| ["--only", name]));
    run_command(&mut bench)?;
    steps.announce("done: bench/results, docs/reference/benchmarks.md");
    Ok(())
}

/// One build, so that what all of them need is built once.
fn build(workspace: &Workspace, steps: &Steps) -> Result<(), Failure> {
    steps.announce("build, as packages are built");
    let mut build = workspace.cargo();
    build.args(["build", "--locked", "--profile", "dist", "--package", "usher-server", "--package", "usher-bench"]);
    run_command(build.args(["--bin", "usher", "--bin", "usher-bench", "--example", "floor"]))
}
