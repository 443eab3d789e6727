//! The shape a configuration may have, taken from its JSON Schema, and the check of what is written against it.
//!
//! serde stops at the first unknown key and does not know its line; this finds all of them, each with the nearest known one.

use serde_json::Value as Json;

use super::Config;
use super::document::{Node, Value, join};
use super::problem::Problem;

/// Sections of the contract that this version does not have. A file that needs them must not seem to work.
const NOT_BUILT: [&str; 2] = ["cluster", "gateway"];
/// How alike a key must be to a known one to be taken for a slip of the pen, from 0 to 1.
const ALIKE: f64 = 0.7;

/// Every key, in the order in which a newcomer should read them. JSON Schema itself knows no order.
const READING_ORDER: [&str; 96] = [
    // The sections.
    "server",
    "admin",
    "store",
    "tokens",
    "sessions",
    "issuers",
    "routes",
    "sockjs",
    "rooms",
    "limits",
    "audit",
    "log",
    // [server], [admin], [store]
    "listen",
    "public_url",
    "tls",
    "cert",
    "key",
    "trusted_proxies",
    "client_address",
    "plaintext_behind_proxy",
    "drain",
    "url",
    // [[issuers]], [tokens]
    "name",
    "issuer",
    "audience",
    "algorithms",
    "subject",
    "roles_claim",
    "default_roles",
    "profile",
    "max_lifetime",
    "tokens_without_iat",
    "oidc_url",
    "jwks_hosts",
    "jwks_url",
    "jwks_file",
    "public_key_file",
    "hmac_secret_file",
    "access_ttl",
    "refresh_ttl",
    "ticket_ttl",
    "key_file",
    "leeway",
    // [sessions]
    "idle",
    "absolute",
    "cookie",
    "same_site",
    // [[routes]]
    "path",
    "carriers",
    "anonymous",
    "max_age",
    "reauth",
    "lead",
    "jitter",
    "origins",
    "first_message",
    "timeout",
    "max_bytes",
    "refuse",
    "close_codes",
    // [sockjs]
    "lenient",
    "octoprint",
    "enabled",
    "jsonp",
    "iframe",
    "htmlfile",
    "disconnect_delay",
    "response_limit",
    // [[rooms]]
    "pattern",
    "join",
    "publish",
    "typing",
    "presence",
    "on_forbidden",
    // [limits]
    "waiting",
    "total",
    "per_ip",
    "connections",
    "per_user",
    "per_session",
    "tickets",
    "api_keys",
    "message",
    "messages",
    "rooms_per_connection",
    "outbound",
    "heartbeat",
    "failures",
    "logins",
    "per_account",
    "per_source",
    // [audit]
    "sinks",
    "keep",
    "joins",
    // [log]
    "level",
    "format",
];

/// What may stand in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a>(&'a Json);

/// The JSON Schema of a configuration, without references.
pub(super) fn schema() -> Json {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
}

impl<'a> Shape<'a> {
    /// The shape that a schema describes.
    pub(super) fn of(schema: &'a Json) -> Self {
        Self(schema)
    }

    /// The alternatives of a place that takes several, else the shape itself. `null` is none: TOML has no such thing.
    fn alternatives(self) -> Vec<Self> {
        match self.0.get("anyOf").or_else(|| self.0.get("oneOf")).and_then(Json::as_array) {
            Some(list) => {
                list.iter().map(Self).flat_map(Self::alternatives).filter(|shape| !shape.is("null")).collect()
            }
            None => vec![self],
        }
    }

    fn is(self, kind: &str) -> bool {
        match self.0.get("type") {
            Some(Json::String(own)) => own == kind,
            Some(Json::Array(kinds)) => kinds.iter().any(|own| own == kind),
            _ => false,
        }
    }

    /// Whether something of that JSON type may stand here.
    pub(super) fn takes(self, kind: &str) -> bool {
        self.alternatives().into_iter().any(|shape| shape.is(kind))
    }

    /// The keys of the table that may stand here, with their shapes, in reading order.
    pub(super) fn entries(self) -> Vec<(&'a str, Shape<'a>)> {
        let tables = self.alternatives().into_iter().filter_map(|shape| shape.0.get("properties")?.as_object());
        let mut entries: Vec<_> = tables.flatten().map(|(key, schema)| (key.as_str(), Shape(schema))).collect();
        entries.sort_by_key(|(key, _)| reading_order(key));
        entries
    }

    /// The shape of `key` in the table that may stand here.
    pub(super) fn entry(self, key: &str) -> Option<Shape<'a>> {
        self.entries().into_iter().find(|(known, _)| *known == key).map(|(_, shape)| shape)
    }

    /// The shape of the items of the list that may stand here.
    pub(super) fn items(self) -> Option<Shape<'a>> {
        self.alternatives().into_iter().find_map(|shape| shape.0.get("items")).map(Shape)
    }

    /// The texts that may stand here, if only some may.
    pub(super) fn choices(self) -> Vec<&'a str> {
        let mut choices = Vec::new();
        for shape in self.alternatives() {
            choices.extend(shape.0.get("const").and_then(Json::as_str));
            choices.extend(shape.0.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str));
        }
        choices
    }

    /// The keys that the table that may stand here must have.
    pub(super) fn required(self) -> Vec<&'a str> {
        let lists = self.alternatives().into_iter().filter_map(|shape| shape.0.get("required")?.as_array());
        lists.flatten().filter_map(Json::as_str).collect()
    }

    /// A member of the schema, such as its description.
    pub(super) fn annotation(self, name: &str) -> Option<&'a Json> {
        self.0.get(name).or_else(|| self.alternatives().into_iter().find_map(|shape| shape.0.get(name)))
    }

    /// Every full path of a key that is not itself a table, outside lists.
    pub(super) fn paths(self) -> Vec<String> {
        let mut paths = Vec::new();
        for (key, shape) in self.entries() {
            let below = shape.paths();
            if below.is_empty() {
                paths.push(key.to_owned());
            } else {
                paths.extend(below.into_iter().map(|path| join(key, &path)));
            }
        }
        paths
    }

    /// Finds what does not belong, and takes it out of `node`.
    pub(super) fn prune(self, node: &mut Node, problems: &mut Vec<Problem>) {
        prune(self, self, node, "", problems);
    }

    /// What range `number` is out of, in words.
    fn out_of_range(self, number: i64) -> Option<String> {
        let bound = |name| self.annotation(name).and_then(Json::as_i64);
        match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) if !(least..=most).contains(&number) => Some(format!("write {least} to {most}")),
            (Some(least), None) if number < least => Some(format!("write at least {least}")),
            _ => None,
        }
    }

    fn expected(self) -> String {
        if let Some(items) = self.items() {
            return if items.takes("object") { "a list of tables" } else { "a list" }.to_owned();
        }
        let names = [
            ("object", "a table"),
            ("string", "a text in quotes"),
            ("integer", "a whole number"),
            ("boolean", "true or false"),
        ];
        let taken: Vec<_> = names.into_iter().filter(|(kind, _)| self.takes(kind)).map(|(_, name)| name).collect();
        taken.join(" or ")
    }
}

fn prune(root: Shape<'_>, shape: Shape<'_>, node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Table(entries) if shape.takes("object") => {
            for missing in shape.required().into_iter().filter(|key| !entries.contains_key(*key)) {
                let (location, key) = (node.at.clone(), join(path, missing));
                problems.push(Problem { location, key, reason: "is missing".to_owned(), advice: None });
            }
            entries.retain(|key, entry| {
                let path = join(path, key);
                let found = problems.len();
                match shape.entry(key) {
                    Some(shape) => check(root, shape, entry, &path, problems),
                    None => problems.push(unknown(root, shape, entry, &path, key)),
                }
                // A table or list stays, less what was taken out of it; anything else that is wrong goes.
                problems.len() == found || (shape.entry(key).is_some() && is_container(entry))
            });
        }
        Value::List(items) => {
            let Some(shape) = shape.items() else { return };
            for (index, item) in items.iter_mut().enumerate() {
                check(root, shape, item, &format!("{path}[{index}]"), problems);
            }
        }
        Value::Table(_) | Value::Scalar(_) | Value::Date => {}
    }
}

fn check(root: Shape<'_>, shape: Shape<'_>, node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let (kind, name) = match &node.value {
        Value::Table(_) => ("object", "a table"),
        Value::List(_) => ("array", "a list"),
        Value::Scalar(Json::String(_)) => ("string", "a text"),
        Value::Scalar(Json::Bool(_)) => ("boolean", "a boolean"),
        Value::Scalar(Json::Number(number)) if number.is_i64() => ("integer", "a number"),
        Value::Scalar(_) => ("number", "a number with a fraction"),
        Value::Date => ("date", "a date"),
    };
    let problem = |reason: String, advice: Option<String>| {
        let (location, key) = (node.at.clone(), path.to_owned());
        Problem { location, key, reason, advice }
    };
    // A number where a duration or size is expected gets an answer of its own, about its unit.
    let unitless = kind == "integer" && shape.annotation("pattern").is_some();
    if !shape.takes(kind) && !unitless {
        let advice = shape.items().filter(|items| kind == "object" && items.takes("object"));
        let advice = advice.map(|_| format!("write [[{path}]] with two brackets, once for each"));
        problems.push(problem(format!("expected {}, found {name}", shape.expected()), advice));
        return;
    }
    if let Value::Scalar(Json::Number(number)) = &node.value
        && let Some(range) = shape.out_of_range(number.as_i64().unwrap_or(0))
        && !unitless
    {
        problems.push(problem(format!("{number} is out of range: {range}"), None));
        return;
    }
    let choices = shape.choices();
    if let Value::Scalar(Json::String(text)) = &node.value
        && !choices.is_empty()
        && !choices.contains(&text.as_str())
        // What takes a choice or a table of its own also takes other forms.
        && !shape.alternatives().iter().any(|shape| shape.is("string") && shape.choices().is_empty())
    {
        let hint = nearest(text, choices.iter().copied()).map(|near| format!("; did you mean \"{near}\"?"));
        let list = choices.join(", ");
        problems.push(problem(format!("{text:?} is none of {list}{}", hint.unwrap_or_default()), None));
        return;
    }
    prune(root, shape, node, path, problems);
}

fn unknown(root: Shape<'_>, shape: Shape<'_>, node: &Node, path: &str, key: &str) -> Problem {
    let (location, path) = (node.at.clone(), path.to_owned());
    if path == key && NOT_BUILT.contains(&key) {
        let reason = "not built yet in this version".to_owned();
        let advice = Some("remove the section: what it asks for would not be done".to_owned());
        return Problem { location, key: path, reason, advice };
    }
    let known: Vec<&str> = shape.entries().into_iter().map(|(known, _)| known).collect();
    let elsewhere = root.paths().into_iter().find(|other| other.rsplit('.').next() == Some(key));
    let reason = match (nearest(key, known.iter().copied()), elsewhere) {
        (Some(near), _) => format!("unknown key; did you mean \"{near}\"?"),
        (None, Some(other)) => format!("unknown key here; did you mean {other}?"),
        (None, None) => format!("unknown key; the known ones here are {}", known.join(", ")),
    };
    Problem { location, key: path, reason, advice: None }
}

/// Whether the key has a place in the reading order.
#[cfg(test)]
pub(super) fn is_placed(key: &str) -> bool {
    reading_order(key) < READING_ORDER.len()
}

/// Close causes and whatever else is not listed come last.
pub(super) fn reading_order(key: &str) -> usize {
    READING_ORDER.iter().position(|known| *known == key).unwrap_or(READING_ORDER.len())
}

/// The known name that is most like `name`, if one is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness =
        |other: &str| strsim::jaro_winkler(name, other).max(strsim::normalized_damerau_levenshtein(name, other));
    let nearest = known.map(|other| (likeness(other), other)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (nearest.0 >= ALIKE).then_some(nearest.1)
}

fn is_container(node: &Node) -> bool {
    matches!(node.value, Value::Table(_) | Value::List(_))
}
