//! What can be asked for.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use usher_auth::ids::{ApiKeyId, Role, SessionId, UserId};

use super::logging::LogArgs;
use crate::admin::{ExplainedAction, MAX_TAIL};
use crate::config::TimeSpan;

/// A WebSocket authentication server.
///
/// Exit codes: 0 done, 1 not done or answered with no, 2 used wrongly.
#[derive(Debug, Parser)]
#[command(name = "usher", version, propagate_version = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try everything on this machine: two users, a route for each way in, a page to meet on
    ///
    /// Keeps its data in ./usher-demo and gives alice and bob new passwords at each start.
    Demo(DemoArgs),
    /// Run the server
    Serve(ServeArgs),
    /// Check the configuration, and say what is on
    ///
    /// Refuses what would be unsafe, each with its reason. Without a file it checks the defaults. The environment's USHER_… settings
    /// count here as they do for `serve`.
    Check(ConfigFile),
    /// Add, list and change users
    User(UserArgs),
    /// Make, list and revoke API keys
    Key(KeyArgs),
    /// List and revoke sessions
    Session(SessionArgs),
    /// Say why a user may or may not do something in a room, rule by rule
    ///
    /// Exits with 0 if they may and with 1 if not.
    Explain(ExplainArgs),
    /// Show the audit trail, or verify that nobody tampered with it
    Audit(AuditArgs),
    /// Copy the store to a new file, while the server runs or not
    ///
    /// Prints which key files belong to it. An existing file is never overwritten.
    Backup(BackupArgs),
    /// Print what can be configured
    Config(ConfigArgs),
    /// Bring the store's schema up to date
    ///
    /// SQLite does this by itself whenever it is opened.
    Migrate(ConfigFile),
}

#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file; without one, the defaults
    #[arg(long, value_name = "FILE", env = "USHER_CONFIG", global = true)]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Address and port to listen on; loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
    /// Where the data is kept
    #[arg(long, value_name = "FOLDER", default_value = "usher-demo")]
    pub(super) folder: PathBuf,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    pub(super) command: UserCommand,
    #[command(flatten)]
    pub(super) file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user
    Add {
        /// Id to log in with; without spaces or ':'
        id: UserId,
        /// Name that others see
        #[arg(long)]
        name: String,
        /// A role; may be given more than once [default: user]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List all users of ours, or all banned users of other issuers
    List {
        /// The banned users of other issuers
        #[arg(long)]
        banned: bool,
        #[command(flatten)]
        form: ListForm,
    },
    /// Disable a user of ours: refuse every credential, and close the user's connections
    Disable {
        /// User id
        id: UserId,
    },
    /// Enable a disabled user, who then has to log in again
    Enable {
        /// User id
        id: UserId,
    },
    /// Ban a user of another issuer: refuse every credential, and close the user's connections
    Ban {
        /// User id, such as myapp:alice; the user need not have been here before
        id: UserId,
    },
    /// Accept the credentials of a banned user again
    Unban {
        /// User id
        id: UserId,
    },
    /// Set what a user may do; what they have open goes on with the new roles
    Roles {
        /// Whose
        id: UserId,
        /// A role; may be given more than once. Those not given are taken away
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Remove a user with everything of theirs, and end what they have open
    Remove {
        /// Whom
        id: UserId,
    },
    /// Set a user's password, and end their sessions
    Password {
        /// Whose
        id: UserId,
        #[command(flatten)]
        password: PasswordArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// Read the password from standard input; a line break at its end is not part of it
    ///
    /// Without this, a terminal is asked for it. Passwords are never taken from arguments, which other users of the machine can see.
    #[arg(long)]
    pub(super) password_stdin: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ListForm {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    pub(super) command: KeyCommand,
    #[command(flatten)]
    pub(super) file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make an API key and print it, once, alone on the last line of standard output
    Add {
        /// Whose
        #[arg(long, value_name = "ID")]
        user: UserId,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
        /// How long it works, such as 90d; without this, until it is revoked
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<TimeSpan>,
    },
    /// List API keys, without the keys themselves
    List {
        /// One user's
        #[arg(long, value_name = "ID")]
        user: Option<UserId>,
        #[command(flatten)]
        form: ListForm,
    },
    /// End an API key and what was opened with it
    Revoke {
        /// Its id, as listed
        id: ApiKeyId,
    },
}

#[derive(Debug, Args)]
pub(super) struct SessionArgs {
    #[command(subcommand)]
    pub(super) command: SessionCommand,
    #[command(flatten)]
    pub(super) file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List a user's sessions
    List {
        /// Whose
        #[arg(long, value_name = "ID")]
        user: UserId,
        #[command(flatten)]
        form: ListForm,
    },
    /// End a session, or all of a user's, with their tokens and connections
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// Its id, as listed
    #[arg(required_unless_present = "user", conflicts_with = "user")]
    pub(super) id: Option<SessionId>,
    /// All of this user's, who may be another issuer's; their API keys stay (see `usher key revoke`)
    #[arg(long, value_name = "ID")]
    pub(super) user: Option<UserId>,
    /// Let live connections go on for so long, to bring another credential; new ones are refused at once
    #[arg(long, value_name = "SPAN")]
    pub(super) margin: Option<TimeSpan>,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Who
    #[arg(long, value_name = "ID")]
    pub(super) user: UserId,
    /// Where
    #[arg(long)]
    pub(super) room: String,
    /// What
    #[arg(long)]
    pub(super) action: ExplainedAction,
    /// A role that their token would give them; may be given more than once
    #[arg(long = "role", value_name = "ROLE")]
    pub(super) roles: Vec<Role>,
    /// A claim that their token would have, as NAME=VALUE; may be given more than once
    #[arg(long = "claim", value_name = "CLAIM", value_parser = claim)]
    pub(super) claims: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) file: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    pub(super) command: AuditCommand,
    #[command(flatten)]
    pub(super) file: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Show the last records
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TAIL)))]
        lines: u32,
        /// Print the records as they were written, one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Find records that were changed, inserted, moved, taken out or cut off
    ///
    /// Exits with 0 if all hold and with 1 if not.
    Verify {
        /// Files that the audit file was rotated to, oldest first
        #[arg(value_name = "FILE")]
        rotated: Vec<PathBuf>,
    },
    /// Begin a new chain on purpose, where the audit key is lost for good
    ///
    /// Without its key nothing can verify the old records. They are written to FILE and removed from the store; then a new key is made.
    /// The server must not run, and audit files with old records must be moved away first.
    NewChain {
        /// New file for the old records, one JSON object a line
        #[arg(value_name = "FILE")]
        old: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The new file; made readable by its owner alone
    #[arg(value_name = "FILE")]
    pub(super) to: PathBuf,
    #[command(flatten)]
    pub(super) file: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print a file with every key, its meaning and its default
    Default,
    /// Print the JSON Schema, for editors
    Schema,
}

fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_the_contract_shows_is_understood() {
        for line in [
            "usher demo",
            "usher serve --config usher.toml",
            "usher check --config usher.toml",
            "usher check",
            "usher user add alice --name Alice --role user --role admin --password-stdin",
            "usher user list --json --config usher.toml",
            "usher user --config usher.toml disable alice",
            "usher user enable alice",
            "usher user remove alice",
            "usher user password alice --password-stdin",
            "usher key add --user alice --label ci",
            "usher key add --user alice --expires-in 90d",
            "usher key list",
            "usher key revoke key_abc",
            "usher session list --user alice",
            "usher session revoke ses_abc",
            "usher session revoke --user google:1",
            "usher explain --user alice --room board-1 --action publish",
            "usher explain --user google:1 --room board-1 --action join --role user --claim team=blue",
            "usher audit tail",
            "usher audit tail -n 5 --json --config usher.toml",
            "usher audit verify",
            "usher audit verify audit.jsonl.2 audit.jsonl.1",
            "usher audit new-chain old-audit.jsonl --config usher.toml",
            "usher config schema",
            "usher config default",
            "usher migrate --config usher.toml",
            "usher serve --log info,usher_axum=debug --log-format json",
        ] {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
        for line in [
            "usher",
            "usher user add alice --name Alice --password hunter2",
            "usher session revoke",
            "usher session revoke ses_abc --user alice",
            "usher explain --user alice --room board-1 --action shout",
            "usher key add --user alice --expires-in 90",
            "usher serve --log inof",
            "usher serve --log info,usher_axum=debugg",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
