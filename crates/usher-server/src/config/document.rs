//! A configuration as written: a tree in which every value remembers the line or the environment variable it comes from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::problem::{Location, Problem};

/// Largest configuration file, in bytes. A file over it is no configuration.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most syntax errors that are shown: those that follow are mostly echoes of the first ones.
const MAX_SYNTAX_ERRORS: usize = 5;

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Location,
}

/// What is written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    /// A string, number or boolean.
    Scalar(Json),
    /// A date or time, which no setting is.
    Date,
}

impl Node {
    /// Nothing is written.
    pub(super) fn empty() -> Self {
        Self { value: Value::Table(BTreeMap::new()), at: Location::Default }
    }

    /// Reads a file. All problems are of syntax; whether the keys are known is asked later.
    pub(super) fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let name = path.display().to_string();
        let unreadable = |reason: String| {
            vec![Problem { location: Location::File(name.clone()), key: String::new(), reason, advice: None }]
        };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
        match read {
            Ok(size) if size as u64 > MAX_FILE_BYTES => {
                return Err(unreadable(format!("has more than {MAX_FILE_BYTES} bytes, which no configuration has")));
            }
            Ok(_) => {}
            Err(error) => return Err(unreadable(format!("cannot be read: {error}"))),
        }
        Self::parse(&text, &name)
    }

    /// Reads the text of the file called `name`.
    pub(super) fn parse(text: &str, name: &str) -> Result<Self, Vec<Problem>> {
        let lines = Lines { name, starts: line_starts(text) };
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { value: table_of(table.into_inner(), &lines), at: Location::File(name.to_owned()) });
        }
        let mut problems: Vec<Problem> = Vec::new();
        for error in errors {
            let location = error.span().map_or(Location::File(name.to_owned()), |span| lines.at(span.start));
            if problems.len() < MAX_SYNTAX_ERRORS && problems.iter().all(|known| known.location != location) {
                let reason = format!("not TOML: {}", error.message());
                let advice = (!error.message().contains("duplicate"))
                    .then(|| "texts, addresses, durations and sizes are written in quotes".to_owned());
                problems.push(Problem { location, key: String::new(), reason, advice });
            }
        }
        Err(problems)
    }

    /// As serde reads it.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Table(entries) => {
                Json::Object(entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Scalar(scalar) => scalar.clone(),
            Value::Date => Json::Null,
        }
    }

    /// Where each key is written, by its full path.
    pub(super) fn locations(&self) -> BTreeMap<String, Location> {
        let mut locations = BTreeMap::new();
        self.collect_locations(String::new(), &mut locations);
        locations
    }

    /// Removes the key that `path` names, or the key of the list that it names an item of, so that the rest can be read without it.
    pub(super) fn remove(&mut self, path: &str) {
        let key = path.strip_suffix(']').and_then(|item| item.rsplit_once('[')).map_or(path, |(list, _)| list);
        let mut node = self;
        let mut steps = key.split(['.', '[']).map(|step| step.trim_end_matches(']')).peekable();
        while let Some(step) = steps.next() {
            let next = match &mut node.value {
                Value::Table(entries) if steps.peek().is_none() => {
                    entries.remove(step);
                    None
                }
                Value::Table(entries) => entries.get_mut(step),
                Value::List(items) => step.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
                Value::Scalar(_) | Value::Date => None,
            };
            let Some(next) = next else { return };
            node = next;
        }
    }

    fn collect_locations(&self, path: String, locations: &mut BTreeMap<String, Location>) {
        match &self.value {
            Value::Table(entries) => {
                for (key, node) in entries {
                    node.collect_locations(join(&path, key), locations);
                }
            }
            Value::List(items) => {
                for (index, node) in items.iter().enumerate() {
                    node.collect_locations(format!("{path}[{index}]"), locations);
                }
            }
            Value::Scalar(_) | Value::Date => {}
        }
        locations.insert(path, self.at.clone());
    }
}

/// The path of `key` in the table at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

struct Lines<'a> {
    name: &'a str,
    starts: Vec<usize>,
}

impl Lines<'_> {
    fn at(&self, offset: usize) -> Location {
        Location::Line(self.name.to_owned(), self.starts.partition_point(|start| *start <= offset))
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect()
}

fn table_of(table: DeTable<'_>, lines: &Lines<'_>) -> Value {
    let entries = table.into_iter().map(|(key, value)| {
        let at = lines.at(key.span().start);
        (key.into_inner().into_owned(), Node { value: value_of(value.into_inner(), lines), at })
    });
    Value::Table(entries.collect())
}

fn value_of(value: DeValue<'_>, lines: &Lines<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Scalar(Json::String(text.into_owned())),
        DeValue::Boolean(value) => Value::Scalar(Json::Bool(value)),
        // A number too large for 64 bits is out of every setting's range; as text it is refused for its type.
        DeValue::Integer(number) => Value::Scalar(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Json::String(number.to_string()), Json::from),
        ),
        DeValue::Float(number) => {
            Value::Scalar(number.as_str().parse::<f64>().map_or_else(|_| Json::String(number.to_string()), Json::from))
        }
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| Node { at: lines.at(item.span().start), value: value_of(item.into_inner(), lines) })
                .collect(),
        ),
        DeValue::Table(table) => table_of(table, lines),
    }
}
