//! The command line, which `cargo xtask bench` calls.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::measure::Measurement;
use crate::plan::Plan;
use crate::record::Results;
use crate::report::{terminal_table, write_page};
use crate::run::run;
use crate::targets::judge;
use crate::{BenchError, Programs};

#[derive(Parser)]
#[command(name = "usher-bench", about = "Measures what a connection costs.")]
struct Cli {
    /// The folder `bench` of the repository
    #[arg(long, value_name = "FOLDER", default_value = "bench", global = true)]
    bench: PathBuf,
    /// The page that is written
    #[arg(long, value_name = "FILE", default_value = "docs/reference/benchmarks.md", global = true)]
    page: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, write the results, and write the page from them
    Run(RunArgs),
    /// Write the page from the results that are there
    Report,
}

#[derive(Args)]
struct RunArgs {
    /// Fewer runs of fewer connections
    #[arg(long)]
    quick: bool,
    /// Measure this alone; may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<Measurement>,
    /// The binary usher, built for release
    #[arg(long, value_name = "FILE")]
    usher: PathBuf,
    /// The example floor, built for release
    #[arg(long, value_name = "FILE")]
    floor: PathBuf,
    /// Node.js, if the packages are installed
    #[arg(long, value_name = "FILE")]
    node: Option<PathBuf>,
    /// A Python that has the packages
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("usher-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> Result<(), BenchError> {
    let measured = match cli.command {
        Command::Run(args) => measure(args, cli.bench.clone()),
        Command::Report => Ok(()),
    };
    let all = Results::read_all(&cli.bench.join("results"))?;
    write_page(&cli.page, &cli.bench, &all)?;
    println!("\n{}", terminal_table(&judge(&all)));
    measured
}

fn measure(args: RunArgs, bench: PathBuf) -> Result<(), BenchError> {
    let RunArgs { quick, only, usher, floor, node, python } = args;
    let programs = Programs { usher, floor, node, python, bench };
    if let Some(missing) = programs.missing() {
        return Err(BenchError::Usage(format!("{} is not there; build it first", missing.display())));
    }
    let plan = if quick { Plan::quick() } else { Plan::full() };
    let wanted = if only.is_empty() { Measurement::ALL.to_vec() } else { only };
    // One thread: what the generator uses, the server has not.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::io("no runtime"))?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).map_err(BenchError::io("no signals"))?;
        let mut hung_up = signal(SignalKind::hangup()).map_err(BenchError::io("no signals"))?;
        // Whatever ends the run, the servers that were started end with it.
        tokio::select! {
            outcome = run(programs, plan, &wanted, |line| println!("    {line}")) => outcome,
            _ = tokio::signal::ctrl_c() => Err(BenchError::Usage("interrupted".to_owned())),
            _ = terminated.recv() => Err(BenchError::Usage("terminated".to_owned())),
            _ = hung_up.recv() => Err(BenchError::Usage("the terminal is gone".to_owned())),
        }
    })
}
