//! What is wrong with a configuration, and what the operator should know of it, collected while the sections are resolved.
//!
//! Knows no section: every section uses it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::units::TimeSpan;
use super::{Config, ConfigErrors, Location, Problem, Warning};

/// Collects what is wrong while the sections are resolved.
pub(super) struct Resolver<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'a> Resolver<'a> {
    /// Nothing is wrong yet with `config`.
    pub(super) fn new(config: &'a Config) -> Self {
        Self { config, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The warnings, or every problem in the order of the file.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, ConfigErrors> {
        self.problems.sort_by_key(|problem| problem.location.line());
        ConfigErrors::check(self.problems)?;
        Ok(self.warnings)
    }

    /// Something is wrong with the value of `key`.
    pub(super) fn problem(&mut self, key: impl Into<String>, reason: impl Into<String>, advice: impl Into<Advice>) {
        let key = key.into();
        let location = self.config.location(&key);
        self.problems.push(Problem { location, key, reason: reason.into(), advice: advice.into().0 });
    }

    /// The operator should know what the value of `key` means.
    pub(super) fn warn(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        self.warnings.push(Warning { location: self.config.location(&key), key, message: message.into() });
    }

    /// The value, or a problem with the error's own words.
    pub(super) fn checked<T, E: ToString>(&mut self, key: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.problem(key, error.to_string(), Advice::none())).ok()
    }

    /// A duration that must be more than zero, and at most `most`.
    pub(super) fn span(&mut self, key: &str, span: TimeSpan, most: Option<TimeSpan>) -> Duration {
        if span.0.is_zero() {
            self.problem(key, "0 would end everything before it begins", "write how long it may last, such as \"30s\"");
        } else if let Some(most) = most.filter(|most| span > *most) {
            self.problem(key, format!("{span} is too long"), format!("write at most {most}"));
        }
        span.0
    }

    /// Warns where others may read a file that holds a secret.
    ///
    /// Our own signing key is refused then (see `signing_key_file`): we made it, and know how. These files others put there, and a
    /// certificate's key that a group may read, or a Kubernetes secret of mode 0644, is too common to keep a server from starting.
    pub(super) fn warn_if_exposed(&mut self, key: &str, path: &Path) {
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.mode() & 0o7777);
        if mode & 0o077 != 0 {
            self.warn(
                key,
                format!("{} may be read by others (mode {mode:04o}): run `chmod 600` on it", path.display()),
            );
        }
    }

    /// A path as configured, from the folder of the configuration file.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.config.written.folder.join(path)
    }
}

/// What to do about a problem, where its reason does not say so.
pub(super) struct Advice(Option<String>);

impl Advice {
    /// The reason says it.
    pub(super) fn none() -> Self {
        Self(None)
    }
}

impl From<&str> for Advice {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<String> for Advice {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl<T: Into<String>> From<Option<T>> for Advice {
    fn from(text: Option<T>) -> Self {
        Self(text.map(Into::into))
    }
}

impl Location {
    /// For sorting: the file from top to bottom, then everything else.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::Line(_, line) => *line,
            Self::File(_) => 0,
            Self::Default | Self::Environment(_) => usize::MAX,
        }
    }
}
