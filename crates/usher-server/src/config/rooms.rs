//! `[[rooms]]`: who may do what in which room.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_auth::room::{OnForbidden, Presence, Right, RoomPattern, RoomPolicy, RoomRule};

use super::resolver::Resolver;

/// A rule for rooms. The first rule whose pattern matches a room's name decides; a room that no rule matches is nobody's.
///
/// A right is any one of: any (every authenticated user), anonymous, role:R, user:ID, claim:NAME=VALUE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// The rooms it is about. A * stands for one or more characters other than /.
    #[schemars(example = &"board-*")]
    pub pattern: String,
    /// Who may join and listen: whoever any one of these holds for. A right is any (every authenticated user), anonymous, role:R,
    /// user:ID or claim:NAME=VALUE. Empty: nobody.
    #[serde(default)]
    #[schemars(extend("examples" = [["role:user"]]))]
    pub join: Vec<String>,
    /// Who may publish to the others. Empty: nobody.
    #[serde(default)]
    #[schemars(extend("examples" = [["role:user"]]))]
    pub publish: Vec<String>,
    /// Who may show that they are typing. Absent, whoever may publish.
    #[serde(default)]
    #[schemars(extend("examples" = [["role:user"]]))]
    pub typing: Option<Vec<String>>,
    /// How much of their coming and going the members see.
    #[serde(default)]
    pub presence: Presence,
    /// What follows when somebody tries what they may not.
    #[serde(default)]
    pub on_forbidden: OnForbidden,
}

impl Room {
    /// A rule that lets `rights` join, publish and type.
    pub fn open_to(pattern: &str, rights: &[&str]) -> Self {
        let rights: Vec<String> = rights.iter().map(|right| (*right).to_owned()).collect();
        Self {
            pattern: pattern.to_owned(),
            join: rights.clone(),
            publish: rights,
            typing: None,
            presence: Presence::default(),
            on_forbidden: OnForbidden::default(),
        }
    }
}

/// Resolves all rules, and the names of the claims that they ask for.
pub(super) fn resolve(rooms: &[Room], resolver: &mut Resolver<'_>) -> (RoomPolicy, BTreeSet<String>) {
    let mut rules: Vec<RoomRule> = Vec::new();
    let mut numbers = Vec::new();
    let mut claims = BTreeSet::new();
    for (index, room) in rooms.iter().enumerate() {
        let key = format!("rooms[{index}]");
        let join = rights(&room.join, &format!("{key}.join"), resolver);
        let publish = rights(&room.publish, &format!("{key}.publish"), resolver);
        let typing = room.typing.as_ref().map(|list| rights(list, &format!("{key}.typing"), resolver));
        let typing = typing.unwrap_or_else(|| publish.clone());
        for right in join.iter().chain(&publish).chain(&typing) {
            if let Right::Claim { name, .. } = right {
                claims.insert(name.clone());
            }
        }
        match RoomPattern::parse(&room.pattern) {
            Ok(pattern) => {
                let (presence, on_forbidden) = (room.presence, room.on_forbidden);
                let key = format!("{key}.pattern");
                if looks_like_regex(&room.pattern) {
                    let message = format!(
                        "{:?} looks like a regular expression: only * has a meaning, one or more characters other than /, and everything \
                         else stands for itself",
                        room.pattern
                    );
                    resolver.warn(&key, message);
                }
                if let Some(before) = rules.iter().position(|before| before.pattern.covers(&pattern)) {
                    let message = format!(
                        "this rule never decides: rooms[{}] ({:?}) comes before it and matches all of its rooms",
                        numbers[before],
                        rules[before].pattern.as_str()
                    );
                    resolver.warn(&key, message);
                }
                numbers.push(index);
                rules.push(RoomRule { pattern, join, publish, typing, presence, on_forbidden });
            }
            Err(error) => resolver.problem(format!("{key}.pattern"), error.to_string(), "for example \"board-*\""),
        }
    }
    (RoomPolicy::new(rules), claims)
}

/// Whether a pattern has something in it that means something in a regular expression, and hardly stands in a room's name.
fn looks_like_regex(pattern: &str) -> bool {
    let class = pattern.find('[').is_some_and(|open| pattern[open..].contains(']'));
    let group = pattern.find('(').is_some_and(|open| pattern[open..].contains(')'));
    pattern.starts_with('^')
        || pattern.ends_with('$')
        || [".*", ".+", "\\d", "\\w", "\\.", "\\s"].iter().any(|part| pattern.contains(part))
        || class
        || (group && pattern.contains('|'))
}

fn rights(list: &[String], key: &str, resolver: &mut Resolver<'_>) -> Vec<Right> {
    let mut rights = Vec::new();
    for (index, text) in list.iter().enumerate() {
        rights.extend(resolver.checked(&format!("{key}[{index}]"), text.parse::<Right>()));
    }
    rights
}
