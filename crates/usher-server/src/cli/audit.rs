//! `usher audit`: by the running server if there is one, else on the store and the files.

use std::path::PathBuf;

use serde::Deserialize;

use super::args::{AuditArgs, AuditCommand};
use super::hand::perform;
use super::manage::unexpected;
use super::{CommandError, Outcome, output};
use crate::admin::{Answer, Operation};
use crate::audit::ChainReport;

pub(super) fn run(args: AuditArgs) -> Result<Outcome, CommandError> {
    match args.command {
        AuditCommand::Tail { lines, json } => {
            let operation = Operation::TailAudit { limit: lines };
            let Answer::AuditLines { lines } = perform(&args.file, operation)? else { return Err(unexpected()) };
            tail(&lines, json)
        }
        AuditCommand::Verify { rotated } => {
            // The server has a folder of its own to start from.
            let rotated = rotated.iter().map(std::path::absolute).collect::<Result<Vec<PathBuf>, _>>()?;
            let operation = Operation::VerifyAudit { rotated };
            let Answer::AuditVerified { chains } = perform(&args.file, operation)? else { return Err(unexpected()) };
            report(&chains)
        }
    }
}

/// What of a record is shown. Whatever cannot be read is shown as it is: that is what somebody looks for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    time: String,
    event: String,
    outcome: String,
    reason: Option<String>,
    subject: Option<String>,
    carrier: Option<String>,
    ip: Option<String>,
    route: Option<String>,
    room: Option<String>,
    count: Option<u64>,
}

fn tail(lines: &[String], json: bool) -> Result<Outcome, CommandError> {
    if json {
        for line in lines {
            output::line(&output::printable(line))?;
        }
        return Ok(Outcome::Yes);
    }
    let columns = ["time", "event", "outcome", "reason", "subject", "by", "from", "at", "count"];
    output::list(false, lines, columns, |line| {
        let shown: Shown = serde_json::from_str(line)
            .unwrap_or_else(|_| Shown { event: format!("not a record: {line}"), ..Shown::default() });
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            shown.time,
            shown.event,
            shown.outcome,
            text(shown.reason),
            text(shown.subject),
            text(shown.carrier),
            text(shown.ip),
            text(shown.room.or(shown.route)),
            shown.count.map_or_else(String::new, |count| format!("x{count}")),
        ]
    })?;
    Ok(Outcome::Yes)
}

fn report(chains: &[ChainReport]) -> Result<Outcome, CommandError> {
    let mut good = true;
    for ChainReport { chain, records, problems, unlisted, notes } in chains {
        let chain = output::printable(chain);
        for problem in problems {
            good = false;
            output::line(&format!("{chain}: {}", output::printable(problem)))?;
        }
        if *unlisted > 0 {
            output::line(&format!("{chain}: and {unlisted} problems more"))?;
        }
        for note in notes {
            output::line(&format!("{chain}: note: {}", output::printable(note)))?;
        }
        let verdict = if problems.is_empty() { "ok" } else { "NOT as it was written" };
        output::line(&format!("{chain}: {verdict}, {records} records hold"))?;
    }
    if !good {
        output::note(
            "usher: the audit trail was tampered with, or is damaged: keep a copy of it as it is, and look at what is missing",
        )?;
    }
    Ok(if good { Outcome::Yes } else { Outcome::No })
}
