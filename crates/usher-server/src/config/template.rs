//! A complete configuration with every key, its meaning and its default, written from the types themselves.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::Config;
use super::shape::{self, Shape};

/// Width of the comments, in characters.
const WIDTH: usize = 110;

const HEAD: &str = "\
# Usher's configuration: every key with its default. Keep what you change and remove the rest.
#
# Durations and sizes are written with their units: 500ms, 30s, 10m, 24h, 30d; 512B, 64KiB, 1MiB. Relative paths start from
# this file's folder. Every key outside [[…]] is also set by an environment variable, USHER_SECTION__KEY, such as
# USHER_SERVER__LISTEN or USHER_LIMITS__WAITING__TOTAL.
";

/// The default configuration as commented TOML.
///
/// # Panics
/// Never: the defaults are plain data.
pub fn default_toml() -> String {
    let schema = shape::schema();
    let defaults = serde_json::to_value(Config::default()).expect("the defaults are plain data");
    let mut out = HEAD.to_owned();
    for (key, shape) in Shape::of(&schema).entries() {
        out.push('\n');
        comment(&mut out, "", shape);
        let value = &defaults[key];
        match (shape.items(), value) {
            (Some(item), Json::Array(list)) if list.is_empty() => {
                table(&mut out, "# ", &format!("[[{key}]]"), item, &Json::Null);
            }
            (Some(item), Json::Array(list)) => {
                for value in list {
                    table(&mut out, "", &format!("[[{key}]]"), item, value);
                }
            }
            (_, Json::Null) => table(&mut out, "# ", &format!("[{key}]"), shape, value),
            _ => table(&mut out, "", &format!("[{key}]"), shape, value),
        }
    }
    out
}

/// One table. In one that is itself commented out, keys that need not be set are commented out twice.
fn table(out: &mut String, prefix: &str, header: &str, shape: Shape<'_>, values: &Json) {
    let _ = writeln!(out, "{prefix}{header}");
    for (key, shape) in shape.entries() {
        comment(out, prefix, shape);
        for (below, shape) in inline_entries(shape) {
            let text = format!("{below}: {}", description(shape));
            wrap(out, &format!("{prefix}#   "), &text);
        }
        let default = values.get(key).or_else(|| shape.annotation("default")).filter(|value| !value.is_null());
        // In a table that is an example itself, an example says more than an empty list.
        let empty = default.is_some_and(|value| value.as_array().is_some_and(Vec::is_empty));
        let default = default.filter(|_| !empty || !values.is_null() || example(shape).is_none());
        let instead = empty && default.is_none();
        let required = default.is_none() && values.is_null() && !takes_null(shape);
        let mark = if default.is_some() || required || instead { prefix.to_owned() } else { format!("{prefix}# ") };
        let value = default.cloned().or_else(|| example(shape)).unwrap_or(Json::Null);
        let _ = writeln!(out, "{mark}{key} = {}", toml_of(&value));
    }
}

/// The keys of a table that is written in one line, in so far as they have something to say.
fn inline_entries(shape: Shape<'_>) -> Vec<(&str, Shape<'_>)> {
    // A place that also takes a plain text explains its table itself.
    if shape.takes("string") { Vec::new() } else { shape.entries() }
}

fn takes_null(shape: Shape<'_>) -> bool {
    shape.annotation("default").is_some_and(Json::is_null)
}

/// The first example, or for a table one put together from those of its keys.
fn example(shape: Shape<'_>) -> Option<Json> {
    if let Some(example) = shape.annotation("examples").and_then(|examples| examples.get(0)) {
        return Some(example.clone());
    }
    let entries = shape.entries().into_iter().map(|(key, shape)| Some((key.to_owned(), example(shape)?)));
    let table = entries.collect::<Option<serde_json::Map<_, _>>>()?;
    (!table.is_empty()).then_some(Json::Object(table))
}

fn comment(out: &mut String, prefix: &str, shape: Shape<'_>) {
    let choices = shape.choices();
    let mut text = description(shape).to_owned();
    if !choices.is_empty() && !shape.takes("object") {
        let _ = write!(text, " One of {}.", choices.join(", "));
    }
    if shape.takes("object") && shape.takes("string") {
        let keys: Vec<&str> = shape.entries().into_iter().map(|(key, _)| key).collect();
        let _ = write!(text, " The keys of the table are {}.", keys.join(", "));
    }
    wrap(out, &format!("{prefix}# "), &text);
}

fn description(shape: Shape<'_>) -> &str {
    shape.annotation("description").and_then(Json::as_str).unwrap_or_default()
}

fn wrap(out: &mut String, prefix: &str, text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{prefix}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{prefix}{line}");
    }
}

/// In one line. JSON's escapes are also TOML's.
fn toml_of(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| shape::reading_order(key));
            let entries = entries.iter().map(|(key, value)| format!("{key} = {}", toml_of(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}
