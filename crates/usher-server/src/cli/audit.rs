//! `usher audit`: by the running server if there is one, else on the store and the files.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use usher_axum::ambient::SystemRandomness;

use super::args::{AuditArgs, AuditCommand, ConfigFile};
use super::hand::{OpenStore, nothing_there, perform};
use super::manage::unexpected;
use super::runtime::block_on;
use super::{CommandError, Outcome, config, logging, output};
use crate::admin::{Answer, Operation};
use crate::backends::{self, IfMissing, Reached};
use usher_audit::{AuditKeys, ChainReport, Record, set_aside};

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
        AuditCommand::NewChain { old } => new_chain(&args.file, &old),
    }
}

/// The key is lost: what it chained is set aside, and a new one is made. A record says so, so that it cannot happen unseen.
fn new_chain(file: &ConfigFile, old: &Path) -> Result<Outcome, CommandError> {
    logging::quiet();
    let (config, _) = config::load(file)?;
    let key_file = config.store.audit_key_file();
    if key_file.exists() {
        let text = format!("the audit key {} is there: a new chain is for where it is lost", key_file.display());
        return Err(CommandError::Failed(text));
    }
    if let Some(path) = config.audit.first_file_with_lines() {
        let text = format!("{} holds records of the old chain: move it away first", path.display());
        return Err(CommandError::Failed(text));
    }
    if config.store.has_file(old) || config.audit.has_file(old) {
        let text = format!("{} is the name of a file of the store or of the audit: name another file", old.display());
        return Err(CommandError::Failed(text));
    }
    let count = block_on(async {
        let backends = match backends::reach(&config, IfMissing::Report).await? {
            Reached::Opened { backends, .. } => backends,
            Reached::Missing => return Err(nothing_there(file, &config.store)),
            Reached::Server(_) => {
                return Err(CommandError::Failed("the server is running and has the key: stop it first".to_owned()));
            }
        };
        if !backends.audit_begun(&config).await? {
            return Err(CommandError::Failed("no chain has begun: the first start makes a key".to_owned()));
        }
        let count = set_aside(&*backends.audit, old).await.map_err(|error| CommandError::Failed(error.to_string()))?;
        AuditKeys::create(&key_file, &SystemRandomness)?;
        let opened = OpenStore::on(backends, &config).await?;
        let audit = &opened.administration.audit;
        audit.record(Record::begun(count));
        opened.close().await;
        Ok(count)
    })?;
    output::line(&format!(
        "put {count} records that cannot be verified into {}, made a new audit key at {} and began a new chain",
        old.display(),
        key_file.display()
    ))?;
    Ok(Outcome::Yes)
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
    output::list(false, "there are no audit records", lines, columns, |line| {
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
