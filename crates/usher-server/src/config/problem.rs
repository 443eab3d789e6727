//! What is wrong with a configuration, said so that somebody who is woken by it can mend it: where, which key, why, what to do.

use std::fmt;

/// Everything that is wrong with a configuration. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is written.
    pub location: Location,
    /// The full path of the key, such as `routes[0].carriers`; empty if it is about the file as a whole.
    pub key: String,
    /// Why it is refused.
    pub reason: String,
    /// What to do about it, where the reason does not say so.
    pub advice: Option<String>,
}

/// Something that is allowed, and that an operator should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it is written.
    pub location: Location,
    /// The full path of the key.
    pub key: String,
    /// What it means.
    pub message: String,
}

/// Where a setting is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// Nowhere: it is a default.
    #[default]
    Default,
    /// In the file, as a whole.
    File(String),
    /// On a line of the file, counted from 1.
    Line(String, usize),
    /// In an environment variable.
    Environment(String),
}

impl ConfigErrors {
    /// The problems, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// The problems, if there are any.
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        prefix(f, &self.location, &self.key)?;
        f.write_str(&self.reason)?;
        match &self.advice {
            Some(advice) => write!(f, "\n    {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        prefix(f, &self.location, &self.key)?;
        f.write_str(&self.message)
    }
}

fn prefix(f: &mut fmt::Formatter<'_>, location: &Location, key: &str) -> fmt::Result {
    match location {
        Location::Default => {}
        Location::File(file) => write!(f, "{file}: ")?,
        Location::Line(file, line) => write!(f, "{file}:{line}: ")?,
        Location::Environment(name) => write!(f, "{name}: ")?,
    }
    if key.is_empty() { Ok(()) } else { write!(f, "{key}: ") }
}
