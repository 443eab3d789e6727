//! The rules over rooms, and the permit that a join returns.

use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Right, RoomName, RoomPattern};
use crate::permit::{Permit, Principal};

/// What somebody may do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomAction {
    /// Enter and listen.
    Join,
    /// Send to the others.
    Publish,
    /// Show that one is typing.
    Typing,
}

/// How much of its members' coming and going a room shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Who comes and goes, one by one.
    #[default]
    Full,
    /// Only how many there are.
    Count,
    /// Nothing.
    Off,
}

/// What follows a refused action in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnForbidden {
    /// An `error` frame; the connection goes on.
    #[default]
    Error,
    /// The connection ends as Forbidden.
    Close,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RoomRule {
    /// The rooms it is about.
    pub pattern: RoomPattern,
    /// Who may join: any one of these.
    pub join: Vec<Right>,
    /// Who may publish.
    pub publish: Vec<Right>,
    /// Who may show that they are typing.
    pub typing: Vec<Right>,
    /// What the members see of each other.
    pub presence: Presence,
    /// What follows a refusal.
    pub on_forbidden: OnForbidden,
}

impl RoomRule {
    /// Whoever has one of `rights` may join, publish and type in the rooms of `pattern`, and the members see each other come and go.
    pub fn new(pattern: RoomPattern, rights: Vec<Right>) -> Self {
        Self {
            pattern,
            join: rights.clone(),
            publish: rights.clone(),
            typing: rights,
            presence: Presence::default(),
            on_forbidden: OnForbidden::default(),
        }
    }
}

/// All rules, in the order they are asked.
#[derive(Clone, Debug, Default)]
pub struct RoomPolicy(Arc<[RoomRule]>);

/// The right to be in one room, with the further rights that were decided at the same time. Only [`RoomPolicy::permit_join`]
/// makes one.
#[derive(Clone, Debug)]
pub struct RoomPermit {
    room: RoomName,
    may_publish: bool,
    may_type: bool,
    presence: Presence,
    on_forbidden: OnForbidden,
}

/// Not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomDenied {
    /// What follows.
    pub on_forbidden: OnForbidden,
}

/// Why a decision is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub allowed: bool,
    /// One line a rule that was looked at, in order, then the conclusion.
    pub lines: Vec<String>,
}

impl RoomRule {
    fn rights(&self, action: RoomAction) -> &[Right] {
        match action {
            RoomAction::Join => &self.join,
            RoomAction::Publish => &self.publish,
            RoomAction::Typing => &self.typing,
        }
    }

    fn allows(&self, principal: &Principal, action: RoomAction) -> bool {
        self.rights(action).iter().any(|right| right.holds(principal))
    }
}

impl RoomPolicy {
    /// These rules, in this order.
    pub fn new(rules: Vec<RoomRule>) -> Self {
        Self(rules.into())
    }

    /// May the holder of `permit` join `room`, and what else may they do there?
    pub fn permit_join(&self, permit: &Permit, room: &RoomName) -> Result<RoomPermit, RoomDenied> {
        let Some(rule) = self.rule(room) else {
            return Err(RoomDenied { on_forbidden: OnForbidden::Error });
        };
        let principal = permit.principal();
        if !rule.allows(principal, RoomAction::Join) {
            return Err(RoomDenied { on_forbidden: rule.on_forbidden });
        }
        Ok(RoomPermit {
            room: room.clone(),
            may_publish: rule.allows(principal, RoomAction::Publish),
            may_type: rule.allows(principal, RoomAction::Typing),
            presence: rule.presence,
            on_forbidden: rule.on_forbidden,
        })
    }

    /// Why `principal` may or may not do `action` in `room`, rule by rule.
    pub fn explain(&self, principal: &Principal, room: &RoomName, action: RoomAction) -> Explanation {
        let mut lines = Vec::new();
        for (number, rule) in self.0.iter().enumerate().map(|(index, rule)| (index + 1, rule)) {
            if !rule.pattern.matches(room.as_str()) {
                lines.push(format!("rule {number} (\"{}\"): does not match the room", rule.pattern));
                continue;
            }
            // Publishing and typing happen in a room one has joined.
            let allowed = rule.allows(principal, RoomAction::Join) && rule.allows(principal, action);
            let mut line = format!("rule {number} (\"{}\"): matches", rule.pattern);
            let asked = if action == RoomAction::Join { &[RoomAction::Join][..] } else { &[RoomAction::Join, action] };
            for action in asked {
                let name = match action {
                    RoomAction::Join => "join",
                    RoomAction::Publish => "publish",
                    RoomAction::Typing => "typing",
                };
                let rights = rule.rights(*action);
                let listed = rights.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let _ = match rights.iter().find(|right| right.holds(principal)) {
                    Some(right) => write!(line, "; {name} is given by {right}"),
                    None => write!(line, "; {name} needs one of [{listed}], and none holds"),
                };
            }
            lines.push(line);
            return Explanation { allowed, lines };
        }
        lines.push("no rule matches the room: denied by default".to_owned());
        Explanation { allowed: false, lines }
    }

    fn rule(&self, room: &RoomName) -> Option<&RoomRule> {
        self.0.iter().find(|rule| rule.pattern.matches(room.as_str()))
    }
}

impl RoomPermit {
    /// The room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// Whether its holder may publish there.
    pub fn may_publish(&self) -> bool {
        self.may_publish
    }

    /// Whether its holder may show that they are typing.
    pub fn may_type(&self) -> bool {
        self.may_type
    }

    /// What the members see of each other.
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// What follows a refused action there.
    pub fn on_forbidden(&self) -> OnForbidden {
        self.on_forbidden
    }
}
