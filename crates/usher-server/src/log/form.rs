//! The fields of an event or a span, escaped and cut: the one way from a value to the log.

use std::fmt::{self, Write as _};

use serde_json::Value;
use tracing::field::{Field, Visit};

use usher_audit::hidden_text::is_hidden;

/// Longest message, in bytes; what is longer is cut. A client's part of it is bounded by its field.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// Longest value of a field, in bytes; what is longer is cut (req N4).
const MAX_FIELD_BYTES: usize = 1024;
/// The field that `tracing` puts the text of an event into.
const MESSAGE: &str = "message";
/// What the fields of events of the crate `log` begin with: where they come from.
const LOG_PREFIX: &str = "log.";

/// What an event or a span says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    /// In their order. Texts are cut, and not escaped yet: that is the form's.
    pub(super) values: Vec<(&'static str, Value)>,
    /// The crate that an event of the crate `log` comes from.
    pub(super) log_target: Option<String>,
}

impl Fields {
    fn text(&mut self, field: &Field, value: &dyn fmt::Display) {
        let most = if field.name() == MESSAGE { MAX_MESSAGE_BYTES } else { MAX_FIELD_BYTES };
        let mut text = Cut { text: String::new(), most };
        // It fails when there is no more room.
        let _ = write!(text, "{value}");
        match field.name() {
            MESSAGE => self.message = text.text,
            "log.target" => self.log_target = Some(text.text),
            name if name.starts_with(LOG_PREFIX) => {}
            name => self.values.push((name, Value::String(text.text))),
        }
    }

    fn number(&mut self, field: &Field, value: Value) {
        if !field.name().starts_with(LOG_PREFIX) {
            self.values.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value.into());
    }
}

/// Takes so many bytes and no more.
struct Cut {
    text: String,
    most: usize,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.most - self.text.len().min(self.most);
        if more.len() <= room {
            self.text.push_str(more);
            return Ok(());
        }
        self.text.push_str(&more[..more.floor_char_boundary(room)]);
        self.text.push('…');
        Err(fmt::Error)
    }
}

/// The value for a line that people read: everything escaped that a terminal or a viewer acts upon, line breaks among it.
pub(super) fn escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.chars().any(|c| c.is_whitespace() || matches!(c, '=' | '"' | '\\' | '{' | '}' | ','))
}

/// ` name=value` for each, or `name=value name=value` if it is the `first`.
pub(super) fn pairs(values: &[(&'static str, Value)], mut first: bool, out: &mut String) {
    for (name, value) in values {
        if !std::mem::take(&mut first) {
            out.push(' ');
        }
        out.push_str(name);
        out.push('=');
        match value {
            // What could be taken for the end of the value, or for another field, stands in quotes.
            Value::String(text) if needs_quotes(text) => {
                out.push('"');
                escaped(&text.replace('\\', "\\\\").replace('"', "\\\""), out);
                out.push('"');
            }
            Value::String(text) => escaped(text, out),
            // Writing to a String cannot fail.
            other => drop(write!(out, "{other}")),
        }
    }
}
