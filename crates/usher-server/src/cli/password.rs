//! Where a password comes from: standard input or a terminal, never an argument.

use std::io::{self, IsTerminal as _, Read};

use zeroize::Zeroizing;

use super::CommandError;
use super::args::PasswordArgs;
use crate::admin::NewPassword;
use usher_accounts::MAX_PASSWORD_BYTES;

/// Reads the new password.
pub(super) fn read(args: &PasswordArgs) -> Result<NewPassword, CommandError> {
    if args.password_stdin {
        return from(&mut io::stdin().lock());
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::Usage("there is no terminal to ask for the password: use --password-stdin"));
    }
    let first = Zeroizing::new(rpassword::prompt_password("New password: ")?);
    let second = Zeroizing::new(rpassword::prompt_password("Again: ")?);
    if first == second {
        Ok(NewPassword(first))
    } else {
        Err(CommandError::Failed("the two passwords differ; nothing was changed".to_owned()))
    }
}

/// All of `input`, less one line break at its end.
fn from(input: &mut impl Read) -> Result<NewPassword, CommandError> {
    let mut text = Zeroizing::new(String::new());
    // One byte more than a password may have, and a line break: what is longer is then refused as too long.
    input.take(MAX_PASSWORD_BYTES as u64 + 3).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => CommandError::Failed("the password is not UTF-8".to_owned()),
        _ => CommandError::Io(error),
    })?;
    let length = text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(length);
    Ok(NewPassword(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_is_not_part_of_the_password() {
        // req K4
        let read = |text: &str| from(&mut text.as_bytes()).expect("a password").0.to_string();
        assert_eq!(read("hunter two\n"), "hunter two");
        assert_eq!(read("hunter two\r\n"), "hunter two");
        assert_eq!(read(" hunter \n\n"), " hunter \n");
        assert_eq!(read("no end"), "no end");
        assert!(from(&mut &b"\xff\xfe"[..]).is_err());
        assert!(read(&"x".repeat(5000)).len() > MAX_PASSWORD_BYTES);
    }
}
