//! A right: what somebody must be or have to do a thing.

use std::fmt;
use std::str::FromStr;

use crate::ids::{Role, UserId};
use crate::permit::Principal;

/// One condition; any one of a list suffices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// Any authenticated user; not anonymous visitors.
    Any,
    /// Anonymous visitors.
    Anonymous,
    /// Users with the role.
    Role(Role),
    /// One user.
    User(UserId),
    /// Users whose token has the value in the claim.
    Claim {
        /// The claim's name.
        name: String,
        /// The value, as text.
        value: String,
    },
}

/// A text that is no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a right: write any, anonymous, role:R, user:ID or claim:NAME=VALUE")]
pub struct InvalidRight(pub String);

impl Right {
    /// Whether `principal` meets the condition.
    pub fn holds(&self, principal: &Principal) -> bool {
        match self {
            Self::Any => !principal.anonymous,
            Self::Anonymous => principal.anonymous,
            Self::Role(role) => principal.roles.contains(role),
            Self::User(id) => principal.id == *id,
            Self::Claim { name, value } => principal.claims.get(name).is_some_and(|values| values.contains(value)),
        }
    }
}

impl FromStr for Right {
    type Err = InvalidRight;

    fn from_str(text: &str) -> Result<Self, InvalidRight> {
        let invalid = || InvalidRight(text.to_owned());
        match text.split_once(':') {
            None if text == "any" => Ok(Self::Any),
            None if text == "anonymous" => Ok(Self::Anonymous),
            Some(("role", role)) => Role::new(role).map(Self::Role).map_err(|_| invalid()),
            Some(("user", id)) => UserId::new(id).map(Self::User).map_err(|_| invalid()),
            Some(("claim", claim)) => match claim.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    Ok(Self::Claim { name: name.to_owned(), value: value.to_owned() })
                }
                _ => Err(invalid()),
            },
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Claim { name, value } => write!(f, "claim:{name}={value}"),
        }
    }
}
