//! Versioned JSON for what nodes and stores exchange: `{"v":1,"body":{…}}`.
//!
//! Knows nothing of the bodies. The version is looked at before the body is, so that a record of a newer version is reported as
//! such and not as damaged. Errors never repeat a record's content: it may be a user's message.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another version of Usher wrote it.
    #[error("the record has version {found}, and this program reads version {known}")]
    Version {
        /// The record's version.
        found: u64,
        /// The version that is read here.
        known: u64,
    },
    /// It is not JSON, or not the JSON that was expected.
    #[error("the record is malformed at column {column}")]
    Malformed {
        /// In bytes from 1; from the start of the body where that is what is malformed. 0 if no place can be named.
        column: usize,
    },
    /// Its authentication code is wrong: it was changed, it belongs elsewhere, or another key made it.
    #[error("the record's authentication code is wrong")]
    Forged,
}

/// `body` as a record of `version`.
///
/// # Panics
/// If `body` cannot be JSON (a map whose keys are no strings).
pub fn write(version: u64, body: &impl Serialize) -> String {
    serde_json::to_string(&Written { v: version, body }).expect("records serialise to JSON")
}

/// The body of a record, which must have `version`.
pub fn read<T: DeserializeOwned>(version: u64, text: &str) -> Result<T, RecordError> {
    parse(read_raw(version, text)?.get())
}

/// `body` as the text that [`write()`] would put into a record, for what must be authenticated.
pub(crate) fn body(body: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(body).expect("records serialise to JSON")
}

/// The body of a record as the text that was written.
fn read_raw(version: u64, text: &str) -> Result<Box<RawValue>, RecordError> {
    let Read { v, body } = parse(text)?;
    if v == version {
        body.ok_or(RecordError::Malformed { column: 0 })
    } else {
        Err(RecordError::Version { found: v, known: version })
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, RecordError> {
    serde_json::from_str(text).map_err(|error| RecordError::Malformed { column: error.column() })
}

#[derive(Serialize)]
struct Written<'a, T> {
    v: u64,
    body: &'a T,
}

#[derive(Deserialize)]
struct Read {
    v: u64,
    /// Looked for once the version is known.
    body: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back() {
        let text = write(3, &["a", "b"]);
        assert_eq!(text, r#"{"v":3,"body":["a","b"]}"#);
        assert_eq!(read::<Vec<String>>(3, &text), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn another_version_is_told_whatever_its_body_is() {
        for text in [r#"{"v":2,"body":{"new":[]}}"#, r#"{"v":2}"#, r#"{"v":2,"more":1,"body":7}"#] {
            assert_eq!(read::<Vec<String>>(1, text), Err(RecordError::Version { found: 2, known: 1 }), "{text}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_record() {
        for text in
            ["hunter2", r#"{"v":1,"body":"hunter2"}"#, r#"{"v":1}"#, r#"{"v":"hunter2","body":1}"#, r#"{"body":[]}"#]
        {
            let error = read::<Vec<String>>(1, text).expect_err(text);
            assert!(matches!(error, RecordError::Malformed { .. }), "{text}");
            assert!(!error.to_string().contains("hunter"), "{error}");
        }
    }
}
