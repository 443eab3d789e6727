//! Steps: one line announces each, with the seconds since the start; the first that fails ends the command.

use std::process::{Command, Output};
use std::time::Instant;

/// What ended a command before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program that could not even be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program that said no.
    #[error("failed ({status}): {command}")]
    Ended {
        /// What was typed, so to speak.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A file or folder.
    #[error("{what}: {source}")]
    File {
        /// What was being done, and with which path.
        what: String,
        /// Why it could not be.
        source: std::io::Error,
    },
    /// Cargo does not understand the workspace.
    #[error("cargo metadata: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// Something that the tests need is not there: one line for each, with how to get it.
    #[error("{}", .0.join("\n"))]
    Missing(Vec<String>),
    /// Tidy rules that are broken; they have been printed.
    #[error("tidy: {0} to mend")]
    Untidy(usize),
    /// A fuzz target that does not exist.
    #[error("no fuzz target `{asked}`; there are: {known}")]
    UnknownTarget {
        /// What was typed.
        asked: String,
        /// What could have been.
        known: String,
    },
}

impl Failure {
    /// For `map_err` on file operations: what was being done.
    pub(crate) fn file(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::File { what, source }
    }
}

/// The steps of one command.
pub(crate) struct Steps {
    started: Instant,
}

impl Steps {
    /// Seconds count from here.
    pub(crate) fn begin() -> Self {
        Self { started: now() }
    }

    /// Announces a step that begins, or that there is no more to do.
    pub(crate) fn announce(&self, what: &str) {
        println!("==> [{:>4} s] {what}", now().duration_since(self.started).as_secs());
    }
}

/// Runs it; what it prints goes through as it is.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|source| not_started(command, source))?;
    if status.success() { Ok(()) } else { Err(Failure::Ended { command: typed(command), status }) }
}

/// Runs it; what it prints is shown only if it fails, and given back otherwise.
pub(crate) fn run_quietly(command: &mut Command) -> Result<Output, Failure> {
    let output = command.output().map_err(|source| not_started(command, source))?;
    if output.status.success() {
        return Ok(output);
    }
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Err(Failure::Ended { command: typed(command), status: output.status })
}

/// Whether it can be started and succeeds. Prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn not_started(command: &Command, source: std::io::Error) -> Failure {
    Failure::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

fn typed(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[expect(clippy::disallowed_methods, reason = "how long a step takes is all that is asked of this clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_arguments() {
        let failure = run_quietly(Command::new("false").arg("--once")).unwrap_err();
        assert!(failure.to_string().ends_with(": false --once"), "{failure}");
        assert!(!succeeds(&mut Command::new("false")));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(
            matches!(&failure, Failure::Start { program, .. } if program == "no-such-program-anywhere"),
            "{failure}"
        );
    }
}
