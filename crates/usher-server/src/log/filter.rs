//! What is logged: a level, or levels by the part of the program.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// The levels, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A list such as `info,usher_axum=debug`: a level for everything, and levels for targets, which are crates and their modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part:?} is neither a level ({}) nor TARGET=LEVEL{}; write it as info or info,usher_axum=debug",
    LEVELS.join(", "),
    .near.map_or_else(String::new, |near| format!(", did you mean {near}?"))
)]
pub struct InvalidFilter {
    /// The part of the list that is wrong.
    pub part: String,
    /// What may have been meant.
    near: Option<&'static str>,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl LogFilter {
    /// For the subscriber. A filter of its own would take a misspelt level for the name of a target, and log everything of that.
    pub(super) fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let parts: Vec<String> = text.split(',').map(part).collect::<Result<_, _>>()?;
        Ok(Self(parts.join(",")))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One part in its normal form.
fn part(text: &str) -> Result<String, InvalidFilter> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if LEVELS.contains(&lower.as_str()) {
        return Ok(lower);
    }
    let invalid = |level: &str| {
        let near = LEVELS.into_iter().find(|known| strsim::damerau_levenshtein(known, level) <= 2);
        InvalidFilter { part: text.to_owned(), near }
    };
    match lower.split_once('=') {
        Some((_, level)) => {
            let target = text.split('=').next().unwrap_or_default().trim();
            let named = target.split("::").all(|name| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            });
            let level = level.trim();
            if named && LEVELS.contains(&level) { Ok(format!("{target}={level}")) } else { Err(invalid(level)) }
        }
        // The name of one of our crates alone is everything of it.
        None if super::is_ours(text) && !text.contains([' ', '[', '{']) => Ok(text.to_owned()),
        None => Err(invalid(&lower)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets_are_understood() {
        for (text, normal) in [
            ("info", "info"),
            ("WARN", "warn"),
            ("off", "off"),
            ("info, usher_axum=debug", "info,usher_axum=debug"),
            ("usher_axum::socket=TRACE,hyper=warn", "usher_axum::socket=trace,hyper=warn"),
            ("warn,usher_sql", "warn,usher_sql"),
        ] {
            assert_eq!(text.parse::<LogFilter>().map(|filter| filter.to_string()), Ok(normal.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        // A subscriber's own filter takes each of these: as the name of a target, or as nothing.
        for (text, wrong, near) in [
            ("inof", "inof", Some("info")),
            ("info,usher_axum=debugg", "usher_axum=debugg", Some("debug")),
            ("verbose", "verbose", None),
            ("info,,debug", "", None),
            ("", "", None),
            ("info;debug", "info;debug", None),
            ("usher axum=info", "usher axum=info", Some("info")),
            ("=info", "=info", Some("info")),
            ("info[span]", "info[span]", None),
        ] {
            let error = text.parse::<LogFilter>().expect_err(text);
            assert_eq!((error.part.as_str(), error.near), (wrong, near), "{text}");
        }
        let error = "inof".parse::<LogFilter>().expect_err("wrong").to_string();
        assert_eq!(
            error,
            "\"inof\" is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL, did you mean info?; write it as info or \
             info,usher_axum=debug"
        );
    }
}
