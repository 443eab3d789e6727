//! The commands that manage data: by the running server if there is one, else on the store.

use std::collections::BTreeMap;

use usher_auth::UnixTime;
use usher_auth::ids::{Role, UserId};

use super::args::{
    BackupArgs, ConfigFile, ExplainArgs, KeyArgs, KeyCommand, SessionArgs, SessionCommand, UserArgs, UserCommand,
};
use super::hand::{Hand, perform};
use super::runtime::block_on;
use super::{CommandError, Outcome, config, logging, output, password};
use crate::admin::{Answer, BannedRow, ExplainedAction, MAX_LIST, Operation, UserRow};
use crate::backends::{self, IfMissing, Reached};

pub(super) fn user(args: UserArgs) -> Result<Outcome, CommandError> {
    let (operation, done) = match args.command {
        UserCommand::List { banned: false, form } => return list_users(&args.file, form.json),
        UserCommand::List { banned: true, form } => return list_banned(&args.file, form.json),
        UserCommand::Ban { id } => {
            let done = format!("banned {id}");
            (Operation::BanUser { id }, done)
        }
        UserCommand::Unban { id } => {
            let done = format!("{id} is not banned any more");
            (Operation::UnbanUser { id }, done)
        }
        UserCommand::Add { id, name, mut roles, password } => {
            if roles.is_empty() {
                roles.push(Role::new("user").map_err(|error| CommandError::Failed(error.to_string()))?);
            }
            let done = format!("added {id}");
            (Operation::AddUser { id, name, roles, password: password::read(&password)? }, done)
        }
        UserCommand::Disable { id } => {
            let done = format!("disabled {id}");
            (Operation::DisableUser { id }, done)
        }
        UserCommand::Enable { id } => {
            let done = format!("enabled {id}");
            (Operation::EnableUser { id }, done)
        }
        UserCommand::Roles { id, mut roles } => {
            roles.sort();
            roles.dedup();
            let names = roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", ");
            let done = format!("{id} has the roles: {}", if names.is_empty() { "none" } else { &names });
            (Operation::SetRoles { id, roles }, done)
        }
        UserCommand::Remove { id } => {
            let done = format!("removed {id}");
            (Operation::RemoveUser { id }, done)
        }
        UserCommand::Password { id, password } => {
            let done = format!("changed the password of {id}; their sessions have ended");
            (Operation::SetPassword { id, password: password::read(&password)? }, done)
        }
    };
    report(perform(&args.file, operation)?, &done)
}

fn list_users(file: &ConfigFile, json: bool) -> Result<Outcome, CommandError> {
    let rows = in_pages(file, |last: Option<&UserRow>| Operation::ListUsers {
        after: last.map(|row| row.id.clone()),
        limit: MAX_LIST,
    })?;
    output::list(
        json,
        "there are no users yet: `usher user add` adds one",
        &rows,
        ["id", "name", "roles", "state", "added"],
        |row| {
            let roles = row.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(",");
            let state = if row.disabled { "disabled" } else { "enabled" };
            [row.id.to_string(), row.name.clone(), roles, state.to_owned(), output::time(row.created_at)]
        },
    )?;
    Ok(Outcome::Yes)
}

fn list_banned(file: &ConfigFile, json: bool) -> Result<Outcome, CommandError> {
    let rows = in_pages(file, |last: Option<&BannedRow>| Operation::ListBanned {
        after: last.map(|row| row.id.clone()),
        limit: MAX_LIST,
    })?;
    output::list(json, "no user of another issuer is banned", &rows, ["id", "banned"], |row| {
        [row.id.to_string(), output::time(row.banned_at)]
    })?;
    Ok(Outcome::Yes)
}

/// A row of a list that comes in pages.
trait PagedRow: Sized {
    /// The rows of an answer, if it is of this kind.
    fn of(answer: Answer) -> Option<Vec<Self>>;
}

impl PagedRow for UserRow {
    fn of(answer: Answer) -> Option<Vec<Self>> {
        if let Answer::Users { users } = answer { Some(users) } else { None }
    }
}

impl PagedRow for BannedRow {
    fn of(answer: Answer) -> Option<Vec<Self>> {
        if let Answer::BannedUsers { users } = answer { Some(users) } else { None }
    }
}

/// All rows of a list, page after page; `page` asks for those after a row.
fn in_pages<T: PagedRow>(file: &ConfigFile, page: impl Fn(Option<&T>) -> Operation) -> Result<Vec<T>, CommandError> {
    logging::quiet();
    let (config, _) = config::load(file)?;
    block_on(async {
        let mut hand = Hand::reach(file, &config, IfMissing::Report).await?;
        let mut rows: Vec<T> = Vec::new();
        loop {
            let more = T::of(hand.execute(page(rows.last())).await?).ok_or_else(unexpected)?;
            let last = more.len() < MAX_LIST as usize;
            rows.extend(more);
            if last {
                hand.finish().await;
                return Ok(rows);
            }
        }
    })
}

/// Copies the store, and says what belongs to the copy.
pub(super) fn backup(args: &BackupArgs) -> Result<Outcome, CommandError> {
    let to = std::path::absolute(&args.to)?;
    let Answer::Done { .. } = perform(&args.file, Operation::BackUp { to: to.clone() })? else {
        return Err(unexpected());
    };
    let (config, _) = config::load(&args.file)?;
    output::line(&format!("copied {} to {}", config.store, to.display()))?;
    output::line("copy these files, too, and keep them as secret as the copy:")?;
    for (file, holds) in [
        (&config.tokens.key_file, "signs tokens"),
        (&config.store.audit_key_file(), "proves that the audit trail was not changed"),
        (&config.store.address_key_file(), "recognises addresses that accounts were used from"),
    ] {
        // Those that are not there yet are made when the server starts.
        if file.exists() {
            output::line(&format!("  {}  ({holds})", file.display()))?;
        }
    }
    Ok(Outcome::Yes)
}

pub(super) fn key(args: KeyArgs) -> Result<Outcome, CommandError> {
    match args.command {
        KeyCommand::Add { user, label, expires_in } => {
            let lifetime_seconds = expires_in.map(|span| span.0.as_secs());
            let operation = Operation::AddKey { user, label, lifetime_seconds };
            let Answer::KeyMade { id, key } = perform(&args.file, operation)? else { return Err(unexpected()) };
            output::note(&format!("made {id}; the key is shown this once:"))?;
            output::line(&key.0)?;
        }
        KeyCommand::List { user, form } => {
            let nothing = user
                .as_ref()
                .map_or_else(|| "there are no API keys".to_owned(), |user| format!("{user} has no API keys"));
            let Answer::Keys { keys } = perform(&args.file, Operation::ListKeys { user })? else {
                return Err(unexpected());
            };
            output::list(form.json, &nothing, &keys, ["id", "user", "label", "made", "expires"], |row| {
                let expires = row.expires_at.filter(|expires_at| *expires_at < UnixTime::MAX.as_seconds());
                let expires = expires.map_or_else(|| "never".to_owned(), output::time);
                [row.id.to_string(), row.user.to_string(), row.label.clone(), output::time(row.created_at), expires]
            })?;
        }
        KeyCommand::Revoke { id } => {
            let done = format!("revoked {id}");
            return report(perform(&args.file, Operation::RevokeKey { id })?, &done);
        }
    }
    Ok(Outcome::Yes)
}

pub(super) fn session(args: SessionArgs) -> Result<Outcome, CommandError> {
    let (operation, done) = match args.command {
        SessionCommand::List { user, form } => {
            let nothing = format!("{user} has no sessions");
            let Answer::Sessions { sessions } = perform(&args.file, Operation::ListSessions { user })? else {
                return Err(unexpected());
            };
            output::list(
                form.json,
                &nothing,
                &sessions,
                ["id", "began", "last used", "ends", "from", "with"],
                |row| {
                    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                    [
                        row.id.to_string(),
                        output::time(row.created_at),
                        output::time(row.last_seen_at),
                        output::time(row.expires_at),
                        text(&row.client_ip),
                        text(&row.user_agent),
                    ]
                },
            )?;
            return Ok(Outcome::Yes);
        }
        SessionCommand::Revoke(which) => {
            let margin_seconds = which.margin.map(|margin| margin.0.as_secs());
            match (which.id, which.user) {
                (Some(id), _) => {
                    let done = format!("ended {id}");
                    (Operation::RevokeSession { id, margin_seconds }, done)
                }
                (None, Some(user)) => return revoke_sessions_of(&args.file, user, margin_seconds),
                (None, None) => return Err(CommandError::Usage("give a session's id or --user")),
            }
        }
    };
    report(perform(&args.file, operation)?, &done)
}

fn revoke_sessions_of(file: &ConfigFile, user: UserId, margin_seconds: Option<u64>) -> Result<Outcome, CommandError> {
    let answer = perform(file, Operation::RevokeSessionsOf { user: user.clone(), margin_seconds })?;
    let Answer::SessionsEnded { sessions, connections, leeway_seconds } = answer else { return Err(unexpected()) };
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let ended = format!("ended {} and {} of {user}", count(sessions, "session"), count(connections, "connection"));
    output::line(&match leeway_seconds {
        None => ended,
        Some(0) => format!("{ended}; tokens that another issuer gave until now are refused"),
        Some(leeway) => format!(
            "{ended}; tokens that another issuer gave until now are refused, and those of the next {leeway} s (tokens.leeway), \
             because its clock may be ahead"
        ),
    })?;
    Ok(Outcome::Yes)
}

pub(super) fn explain(args: ExplainArgs) -> Result<Outcome, CommandError> {
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in args.claims {
        claims.entry(name).or_default().push(value);
    }
    let ExplainArgs { user, room, action, roles, file, .. } = args;
    let operation = Operation::Explain { user: user.clone(), roles, claims, room, action };
    let Answer::Explained(explained) = perform(&file, operation)? else { return Err(unexpected()) };
    for line in &explained.lines {
        output::line(&output::printable(line))?;
    }
    let roles = match explained.roles.iter().map(Role::as_str).collect::<Vec<_>>()[..] {
        [] => "no roles".to_owned(),
        ref roles => format!("roles: {}", roles.join(", ")),
    };
    let may = if explained.allowed { "may" } else { "may not" };
    let action = match action {
        ExplainedAction::Join => "join",
        ExplainedAction::Publish => "publish in",
        ExplainedAction::Typing => "show typing in",
    };
    output::line(&format!("{user} ({roles}) {may} {action} {}", output::printable(&explained.room)))?;
    Ok(if explained.allowed { Outcome::Yes } else { Outcome::No })
}

pub(super) fn migrate(file: &ConfigFile) -> Result<Outcome, CommandError> {
    logging::quiet();
    let (config, _) = config::load(file)?;
    let version = block_on(async {
        let Reached::Opened { backends, .. } = backends::reach(&config, IfMissing::Create).await? else {
            return Ok(None);
        };
        let version = backends.schema_version().await?;
        backends.close().await;
        Ok(Some(version))
    })?;
    output::line(&match version {
        Some(version) => format!("{} is at version {version} of the schema", config.store),
        None => "the running server brought the schema up to date when it started".to_owned(),
    })?;
    Ok(Outcome::Yes)
}

fn report(answer: Answer, done: &str) -> Result<Outcome, CommandError> {
    let Answer::Done { connections_ended } = answer else { return Err(unexpected()) };
    output::line(&match connections_ended {
        0 => done.to_owned(),
        1 => format!("{done}; 1 connection ended"),
        more => format!("{done}; {more} connections ended"),
    })?;
    Ok(Outcome::Yes)
}

pub(super) fn unexpected() -> CommandError {
    CommandError::Failed("the running server answered something else: is it another version?".to_owned())
}
