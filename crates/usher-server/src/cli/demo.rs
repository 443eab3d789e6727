//! `usher demo`.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use usher_auth::Randomness;
use usher_auth::ids::{Role, UserId};
use usher_axum::ambient::SystemRandomness;
use zeroize::Zeroizing;

use super::args::DemoArgs;
use super::hand::OpenStore;
use super::{CommandError, Outcome, logging, output, runtime};
use crate::admin::{AdminError, NewPassword, Operation};
use crate::backends::{self, IfMissing, Reached};
use crate::config::{self, ResolvedConfig};
use crate::log::LogSettings;

const USERS: [(&str, &str); 2] = [("alice", "Alice"), ("bob", "Bob")];

pub(super) fn run(args: &DemoArgs) -> Result<Outcome, CommandError> {
    if !args.listen.ip().is_loopback() {
        return Err(CommandError::Usage("the demo is for this machine alone: give --listen a loopback address"));
    }
    logging::start(&args.log, &LogSettings::default());
    DirBuilder::new().recursive(true).mode(0o700).create(&args.folder).map_err(|error| {
        CommandError::Failed(format!(
            "the folder {} cannot be made: {error}; --folder names another",
            args.folder.display()
        ))
    })?;
    // What the demo allows is what it is for: its warnings are not worth a newcomer's time.
    let (config, _) = config::demo(&args.folder, args.listen).resolve()?;
    let runtime = runtime::of_a_server()?;
    let welcome = runtime.block_on(prepare_users(&config))?;
    let url = config.server.public_url.clone();
    let folder = args.folder.display().to_string();
    let ready = move |_| {
        // If nobody reads what we print, the demo still runs.
        let _ = output::line(&format!(
            "\nUsher's demo is at {url}\n\n{welcome}\nOpen it in two browsers, log in as each, and meet on board-1.\n\
             The passwords are new at each start; the data is kept in {folder}. Stop with Ctrl-C.\n"
        ));
    };
    let reload = || config::demo(&args.folder, args.listen).resolve();
    runtime.block_on(crate::run::run(config, true, reload, ready))?;
    Ok(Outcome::Yes)
}

/// Gives each user a new password; the lines that say which.
async fn prepare_users(config: &ResolvedConfig) -> Result<String, CommandError> {
    let Reached::Opened { backends, .. } = backends::reach(config, IfMissing::Create).await? else {
        return Err(CommandError::Failed("the demo is running already".to_owned()));
    };
    let store = OpenStore::on(backends, config).await?;
    let mut lines = String::new();
    for (id, name) in USERS {
        let password = new_password(&SystemRandomness);
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "  {id:6}  {}", *password);
        let id = UserId::new(id).map_err(|error| CommandError::Failed(error.to_string()))?;
        let role = Role::new("user").map_err(|error| CommandError::Failed(error.to_string()))?;
        let add = Operation::AddUser {
            id: id.clone(),
            name: name.to_owned(),
            roles: vec![role],
            password: NewPassword(password.clone()),
        };
        match store.administration.execute(add).await {
            Err(AdminError::UserExists(_)) => {
                let set = Operation::SetPassword { id, password: NewPassword(password) };
                store.administration.execute(set).await?;
            }
            other => drop(other?),
        }
    }
    store.close().await;
    Ok(lines)
}

/// 80 random bits in four groups of four characters that cannot be taken for each other.
fn new_password(randomness: &dyn Randomness) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut password = Zeroizing::new(String::new());
    for (index, byte) in randomness.bytes::<16>().into_iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            password.push('-');
        }
        password.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;
    use usher_accounts::check_new_password;

    #[test]
    fn the_demos_passwords_are_random_and_acceptable() {
        // req K5: the demo's users are its own, and nobody knows their passwords beforehand.
        let (one, two) = (new_password(&SystemRandomness), new_password(&SystemRandomness));
        assert_ne!(one, two);
        assert_eq!(one.len(), 19);
        assert_eq!(check_new_password(&one, "alice"), Ok(()));
    }
}
