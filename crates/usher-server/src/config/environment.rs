//! Settings from the environment: `USHER_SECTION__KEY`, over what the file says.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::document::{Node, Value};
use super::problem::{Location, Problem};
use super::shape::{Shape, nearest};

const PREFIX: &str = "USHER_";
/// Variables of ours that are no settings.
const NOT_SETTINGS: [&str; 2] = ["USHER_CONFIG", "USHER_LOG"];
/// Variables of our own tests.
const TEST_PREFIX: &str = "USHER_E2E_";

/// Puts the settings of `environment` into `document`.
pub(super) fn overlay(
    document: &mut Node,
    shape: Shape<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
    problems: &mut Vec<Problem>,
) {
    // Only what the environment can set is worth a suggestion.
    let variables = shape.paths().iter().map(|path| variable(path)).collect::<Vec<_>>();
    let known: Vec<String> = variables.into_iter().filter(|name| place(shape, name, &[]).is_ok()).collect();
    // In a fixed order, so that the same environment always gives the same answer.
    let settings: BTreeMap<String, String> =
        environment.into_iter().filter(|(name, value)| is_setting(name, value)).collect();
    for (name, value) in settings {
        match place(shape, &name, &known) {
            Ok((path, shape)) => insert(document, &path, value_of(shape, &value), Location::Environment(name)),
            Err(reason) => {
                let location = Location::Environment(name);
                problems.push(Problem { location, key: String::new(), reason, advice: None });
            }
        }
    }
}

/// The variable that sets the key at `path`.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

fn is_setting(name: &str, value: &str) -> bool {
    name.starts_with(PREFIX)
        && !NOT_SETTINGS.contains(&name)
        && !name.starts_with(TEST_PREFIX)
        && !is_service_link(name, value)
}

/// Whether this is one of the variables that Kubernetes and Docker put into every container beside a service called `usher`, such
/// as `USHER_SERVICE_HOST` and `USHER_PORT=tcp://…`. Nobody wrote them, so nobody can be told that they are wrong.
fn is_service_link(name: &str, value: &str) -> bool {
    let by_name = ["_SERVICE_HOST", "_SERVICE_PORT", "_SERVICE_PORT_", "_PORT_"].iter().any(|part| name.contains(part));
    let by_value = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    !name.contains("__") && (by_name || by_value)
}

fn place<'a>(root: Shape<'a>, name: &str, known: &[String]) -> Result<(Vec<String>, Shape<'a>), String> {
    let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
    let mut shape = root;
    for (depth, key) in path.iter().enumerate() {
        let Some(next) = shape.entry(key) else {
            return Err(match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("sets nothing; did you mean {near}?"),
                None => "sets nothing: a key of a section is set by USHER_SECTION__KEY, as in USHER_SERVER__LISTEN"
                    .to_owned(),
            });
        };
        if next.items().is_some_and(|items| items.takes("object")) {
            let table = path[..=depth].join(".");
            return Err(format!(
                "environment variables do not reach the tables of [[{table}]]: write them in the file"
            ));
        }
        shape = next;
    }
    if let Some((key, _)) = shape.entries().first().filter(|_| !shape.takes("string")) {
        return Err(format!("is a table: set its keys one by one, as in {name}__{}", key.to_uppercase()));
    }
    Ok((path, shape))
}

/// The text as what the setting takes. What cannot be read as that stays a text, and is refused for its type later.
fn value_of(shape: Shape<'_>, text: &str) -> Value {
    if shape.takes("string") {
        return Value::Scalar(Json::String(text.to_owned()));
    }
    if shape.takes("array") {
        let items = text
            .trim()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .split(',')
            .map(|item| item.trim().trim_matches('"'));
        let items = items.filter(|item| !item.is_empty());
        let node = |item: &str| Node { value: Value::Scalar(Json::String(item.to_owned())), at: Location::Default };
        return Value::List(items.map(node).collect());
    }
    let parsed = match text.trim() {
        "true" => Some(Json::Bool(true)),
        "false" => Some(Json::Bool(false)),
        number => number.parse::<i64>().ok().map(Json::from),
    };
    Value::Scalar(parsed.unwrap_or_else(|| Json::String(text.to_owned())))
}

fn insert(document: &mut Node, path: &[String], value: Value, at: Location) {
    let Some((last, tables)) = path.split_last() else { return };
    let mut node = document;
    for key in tables {
        let Value::Table(entries) = &mut node.value else { return };
        node = entries.entry(key.clone()).or_insert_with(Node::empty);
    }
    let Value::Table(entries) = &mut node.value else { return };
    let mut node = Node { value, at };
    if let Value::List(items) = &mut node.value {
        for item in items {
            item.at = node.at.clone();
        }
    }
    entries.insert(last.clone(), node);
}
