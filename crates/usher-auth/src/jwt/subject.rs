//! From an issuer's `sub` to a user of ours. What a token says is its issuer's word: it must not name another issuer's users, nor
//! local ones unless the operator says so (RFC 8725 §3.10, req F15).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{InvalidId, IssuerName, UserId};

/// Whose ids begin with this word and a colon: visitors without a credential.
const RESERVED_NAMESPACE: &str = "anonymous";

/// How an issuer's subjects are named here: a text with `{sub}` once and perhaps `{name}`, the issuer's name. What stands before the
/// first colon is the issuer's namespace; a template without a colon makes local ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectTemplate {
    before: String,
    after: String,
}

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubjectTemplate {
    /// Without it all subjects would be one user.
    #[error("a subject template must have `{{sub}}` exactly once")]
    NoSubject,
    /// A brace that belongs to neither placeholder.
    #[error("a subject template may have the placeholders `{{sub}}` and `{{name}}` only")]
    Placeholder,
    /// The namespace would be the subject's choice.
    #[error("a colon in a subject template must stand before `{{sub}}`")]
    LateColon,
    /// The ids would not be ids.
    #[error("a subject template makes no valid ids: {0}")]
    Id(#[from] InvalidId),
    /// Nothing before the first colon.
    #[error("a subject template must have something before its colon")]
    EmptyNamespace,
    /// `anonymous:`.
    #[error("the namespace `anonymous:` is for visitors without a credential")]
    Reserved,
}

/// A subject that makes no id of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subject makes no user id: {0}")]
pub struct SubjectError(#[from] InvalidId);

/// A template with the issuer's name put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SubjectMapping {
    before: String,
    after: String,
    namespace: Option<String>,
}

impl SubjectTemplate {
    /// `{sub}`: the subjects are local users. For our own tokens, and for an issuer whose word the operator takes for that.
    pub fn local() -> Self {
        Self { before: String::new(), after: String::new() }
    }

    /// The mapping for the issuer of that name.
    pub(super) fn of(&self, name: &IssuerName) -> Result<SubjectMapping, InvalidSubjectTemplate> {
        let before = self.before.replace("{name}", name.as_str());
        let after = self.after.replace("{name}", name.as_str());
        let namespace = before.split_once(':').map(|(namespace, _)| namespace.to_owned());
        match namespace.as_deref() {
            Some("") => return Err(InvalidSubjectTemplate::EmptyNamespace),
            Some(RESERVED_NAMESPACE) => return Err(InvalidSubjectTemplate::Reserved),
            _ => {}
        }
        let mapping = SubjectMapping { before, after, namespace };
        mapping.user("x").map_err(|SubjectError(error)| error)?;
        Ok(mapping)
    }
}

impl SubjectMapping {
    /// What stands before the colon of every id this makes; `None` is the local users.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The user that `subject` names.
    pub(super) fn user(&self, subject: &str) -> Result<UserId, SubjectError> {
        let id = format!("{}{subject}{}", self.before, self.after);
        // A local id has no colon, so that a subject cannot reach into a namespace.
        let user = if self.namespace.is_some() { UserId::new(id) } else { UserId::local(id) };
        Ok(user?)
    }
}

impl Default for SubjectTemplate {
    /// `{name}:{sub}`.
    fn default() -> Self {
        Self { before: "{name}:".to_owned(), after: String::new() }
    }
}

impl FromStr for SubjectTemplate {
    type Err = InvalidSubjectTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidSubjectTemplate> {
        let (before, after) = text.split_once("{sub}").ok_or(InvalidSubjectTemplate::NoSubject)?;
        if after.contains("{sub}") {
            return Err(InvalidSubjectTemplate::NoSubject);
        }
        if [before, after].iter().any(|part| part.replace("{name}", "").contains(['{', '}'])) {
            return Err(InvalidSubjectTemplate::Placeholder);
        }
        if after.contains(':') {
            return Err(InvalidSubjectTemplate::LateColon);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }
}

impl TryFrom<String> for SubjectTemplate {
    type Error = InvalidSubjectTemplate;

    fn try_from(text: String) -> Result<Self, InvalidSubjectTemplate> {
        text.parse()
    }
}

impl From<SubjectTemplate> for String {
    fn from(template: SubjectTemplate) -> Self {
        template.to_string()
    }
}

impl fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{sub}}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(template: &str) -> Result<SubjectMapping, InvalidSubjectTemplate> {
        template.parse::<SubjectTemplate>()?.of(&IssuerName::new("idp").unwrap())
    }

    #[test]
    fn subjects_stay_in_their_issuers_namespace() {
        // req F15
        for (template, subject, user) in [
            ("{name}:{sub}", "alice", "idp:alice"),
            ("{name}:{sub}", "other:alice", "idp:other:alice"),
            ("{name}:{sub}", "a@b@c.example", "idp:a@b@c.example"),
            ("corp:{name}:{sub}", "alice", "corp:idp:alice"),
            ("{sub}", "alice", "alice"),
            ("{sub}@{name}", "alice", "alice@idp"),
        ] {
            assert_eq!(mapping(template).unwrap().user(subject).unwrap().as_str(), user);
        }
        assert_eq!(SubjectTemplate::default().to_string(), "{name}:{sub}");
        for subject in ["other:alice", "anonymous:abc", ":", "a:b:c"] {
            assert_eq!(mapping("{sub}").unwrap().user(subject), Err(SubjectError(InvalidId::Colon)), "{subject}");
        }
    }

    #[test]
    fn subjects_that_make_no_id_are_refused() {
        let default = mapping("{name}:{sub}").unwrap();
        for subject in ["a b", "a\u{0}", "a\nb", "a\u{2028}b", "\u{7f}"] {
            assert_eq!(default.user(subject), Err(SubjectError(InvalidId::Control)), "{subject:?}");
        }
        assert_eq!(default.user(&"x".repeat(300)), Err(SubjectError(InvalidId::TooLong)));
    }

    #[test]
    fn templates_are_checked() {
        for (template, error) in [
            ("", InvalidSubjectTemplate::NoSubject),
            ("{name}", InvalidSubjectTemplate::NoSubject),
            ("{sub}{sub}", InvalidSubjectTemplate::NoSubject),
            ("{email}:{sub}", InvalidSubjectTemplate::Placeholder),
            ("{sub}}", InvalidSubjectTemplate::Placeholder),
            ("{sub}:{name}", InvalidSubjectTemplate::LateColon),
            (":{sub}", InvalidSubjectTemplate::EmptyNamespace),
            ("anonymous:{sub}", InvalidSubjectTemplate::Reserved),
            ("a b:{sub}", InvalidSubjectTemplate::Id(InvalidId::Control)),
        ] {
            assert_eq!(mapping(template), Err(error), "{template}");
        }
    }

    #[test]
    fn a_template_is_a_string_in_configuration() {
        let template: SubjectTemplate = serde_json::from_str("\"x-{sub}\"").unwrap();
        assert_eq!(serde_json::to_string(&template).unwrap(), "\"x-{sub}\"");
        assert!(serde_json::from_str::<SubjectTemplate>("\"x\"").is_err());
        let schema = serde_json::to_value(schemars::schema_for!(SubjectTemplate)).unwrap();
        assert_eq!(schema["type"], "string");
    }
}
