//! A token's claims with their types (RFC 7519 §4.1, RFC 9068 §2.2). What they say is judged elsewhere.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::ids::{IssuerSessionId, Role, TokenId};
use crate::time::UnixTime;

/// Longest `name` that is taken over, in bytes: it is shown to everybody in a room.
const MAX_NAME_BYTES: usize = 256;
/// Latest second a date may name: the end of the year 9999.
const MAX_SECONDS: f64 = 253_402_300_799.0;

/// A claim that is not as it must be. It names the claim and never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A claim that the issuer's profile requires is not there.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// Wrong type, out of range, or not of the form we take.
    #[error("the claim `{0}` is malformed")]
    Malformed(&'static str),
}

/// The claims of one token, read.
pub(super) struct Claims {
    /// `sub`, not empty.
    pub(super) subject: String,
    /// `aud`.
    pub(super) audiences: Vec<String>,
    /// `exp`.
    pub(super) expires_at: UnixTime,
    /// `nbf`.
    pub(super) not_before: Option<UnixTime>,
    /// `iat`.
    pub(super) issued_at: Option<UnixTime>,
    /// `jti`.
    pub(super) token_id: Option<TokenId>,
    /// Whether there is a `client_id`.
    pub(super) has_client_id: bool,
    members: Map<String, Value>,
}

/// `iss`, to choose the keys by.
pub(super) fn issuer(members: &Map<String, Value>) -> Result<&str, ClaimError> {
    text(members, "iss")?.ok_or(ClaimError::Missing("iss"))
}

impl Claims {
    /// Reads what every profile requires (`exp`, `sub`, `aud`) and checks the types of the rest.
    pub(super) fn read(members: Map<String, Value>) -> Result<Self, ClaimError> {
        Ok(Self {
            subject: text(&members, "sub")?.ok_or(ClaimError::Missing("sub"))?.to_owned(),
            audiences: audiences(&members)?,
            expires_at: date(&members, "exp")?.ok_or(ClaimError::Missing("exp"))?,
            not_before: date(&members, "nbf")?,
            issued_at: date(&members, "iat")?,
            token_id: text(&members, "jti")?
                .map(|id| TokenId::new(id).map_err(|_| ClaimError::Malformed("jti")))
                .transpose()?,
            has_client_id: text(&members, "client_id")?.is_some(),
            members,
        })
    }

    /// `sid`, as text.
    pub(super) fn session(&self) -> Result<Option<&str>, ClaimError> {
        text(&self.members, "sid")
    }

    /// `sid` of another issuer's token, whatever characters it has; `None` if there is none, or it is no text.
    pub(super) fn issuer_session(&self) -> Option<IssuerSessionId> {
        IssuerSessionId::new(self.members.get("sid")?.as_str()?).ok()
    }

    /// `name`, if it can be shown: text with something in it, no control characters, of bearable length.
    pub(super) fn name(&self) -> Option<&str> {
        let name = self.members.get("name")?.as_str()?.trim();
        let showable = !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control);
        showable.then_some(name)
    }

    /// The roles in the claim `name`: an array of strings or a text with spaces between them. What is no role is left out.
    pub(super) fn roles(&self, name: &str) -> Vec<Role> {
        match self.find(name) {
            Some(Value::String(text)) => text.split_whitespace().filter_map(|role| Role::new(role).ok()).collect(),
            Some(Value::Array(roles)) => roles.iter().filter_map(|role| Role::new(role.as_str()?).ok()).collect(),
            _ => Vec::new(),
        }
    }

    /// The values of the claim `name` as text: of a string, number or boolean, or an array of these.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        match self.find(name) {
            Some(Value::Array(values)) => values.iter().filter_map(scalar).collect(),
            Some(value) => scalar(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The claim of that very name, else the one at the end of a dotted path such as `realm_access.roles`. In this order because
    /// a namespaced claim (`https://example.com/roles`) has dots in its name.
    fn find(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.members.get(name) {
            return Some(value);
        }
        let mut steps = name.split('.');
        let first = self.members.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.as_object()?.get(step))
    }

    /// The member of that name, whatever it is.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, ClaimError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(ClaimError::Malformed(name)),
    }
}

fn audiences(members: &Map<String, Value>) -> Result<Vec<String>, ClaimError> {
    let malformed = ClaimError::Malformed("aud");
    match members.get("aud") {
        None => Err(ClaimError::Missing("aud")),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(several)) => {
            several.iter().map(|one| one.as_str().map(str::to_owned).ok_or(malformed)).collect()
        }
        Some(_) => Err(malformed),
    }
}

/// A NumericDate (RFC 7519 §2): a JSON number of seconds, not before the epoch and not after the year 9999; fractions are kept to
/// the millisecond. Anything else is refused, not skipped: a date that is ignored is a token that never ends (req F8).
fn date(members: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, ClaimError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| *seconds <= MAX_SECONDS);
    let since_epoch = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    since_epoch.map(|span| Some(UnixTime::EPOCH.plus(span))).ok_or(ClaimError::Malformed(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other} is no object"),
        }
    }

    fn with(name: &str, value: Value) -> Result<Claims, ClaimError> {
        let mut claims = members(json!({"sub": "a", "aud": "b", "exp": 1}));
        claims.insert(name.to_owned(), value);
        Claims::read(claims)
    }

    #[test]
    fn dates() {
        // req F8
        for (value, millis) in [
            (json!(0), 0),
            (json!(-0.0), 0),
            (json!(1_760_000_000), 1_760_000_000_000),
            (json!(1_760_000_000.5), 1_760_000_000_500),
            (json!(1.76e9), 1_760_000_000_000),
            (json!(253_402_300_799_u64), 253_402_300_799_000),
        ] {
            for name in ["exp", "nbf", "iat"] {
                let claims = with(name, value.clone()).unwrap_or_else(|error| panic!("{name} {value}: {error}"));
                let read = match name {
                    "exp" => Some(claims.expires_at),
                    "nbf" => claims.not_before,
                    _ => claims.issued_at,
                };
                assert_eq!(read, Some(UnixTime::from_millis(millis)), "{name} {value}");
            }
        }
        for value in [
            json!("1760000000"),
            json!("NaN"),
            json!(null),
            json!(true),
            json!([1_760_000_000]),
            json!({}),
            json!(-1),
            json!(-0.5),
            json!(i64::MIN),
            json!(1e308),
            json!(253_402_300_800_u64),
            json!(253_402_300_799.5),
            json!(u64::MAX),
        ] {
            for name in ["exp", "nbf", "iat"] {
                assert_eq!(with(name, value.clone()).err(), Some(ClaimError::Malformed(name)), "{name} {value}");
            }
        }
    }

    #[test]
    fn texts() {
        for name in ["sub", "jti", "client_id"] {
            for value in [json!(7), json!(null), json!(["a"]), json!({"a": "b"}), json!("")] {
                assert_eq!(with(name, value).err(), Some(ClaimError::Malformed(name)));
            }
        }
        assert_eq!(with("jti", json!("a b")).err(), Some(ClaimError::Malformed("jti")));
        assert_eq!(with("aud", json!(["a", "b"])).unwrap().audiences, ["a", "b"]);
        assert_eq!(with("aud", json!(["a", 1])).err(), Some(ClaimError::Malformed("aud")));
        assert_eq!(with("aud", json!({"a": 1})).err(), Some(ClaimError::Malformed("aud")));
        for name in ["sub", "aud", "exp"] {
            let mut claims = members(json!({"sub": "a", "aud": "b", "exp": 1}));
            claims.remove(name);
            assert_eq!(Claims::read(claims).err(), Some(ClaimError::Missing(name)));
        }
        assert_eq!(issuer(&members(json!({}))), Err(ClaimError::Missing("iss")));
        assert_eq!(issuer(&members(json!({"iss": ["a"]}))), Err(ClaimError::Malformed("iss")));
    }

    #[test]
    fn roles_are_found_by_name_or_path() {
        let roles = |value: Value, name: &str| -> Vec<String> {
            let mut claims = members(value);
            claims.extend(members(json!({"sub": "a", "aud": "b", "exp": 1})));
            Claims::read(claims).unwrap().roles(name).iter().map(ToString::to_string).collect()
        };
        assert_eq!(roles(json!({"scope": "read  write"}), "scope"), ["read", "write"]);
        assert_eq!(
            roles(json!({"realm_access": {"roles": ["user", 7, "", "a b", "x"]}}), "realm_access.roles"),
            ["user", "x"]
        );
        assert_eq!(roles(json!({"https://example.com/roles": ["user"]}), "https://example.com/roles"), ["user"]);
        assert_eq!(roles(json!({"a.b": ["exact"], "a": {"b": ["path"]}}), "a.b"), ["exact"]);
        for (value, name) in [
            (json!({"roles": {"user": true}}), "roles"),
            (json!({"roles": null}), "roles"),
            (json!({"roles": ["user"]}), "roles.0"),
            (json!({}), "roles"),
            (json!({}), ""),
        ] {
            assert!(roles(value, name).is_empty());
        }
    }

    #[test]
    fn values_become_text() {
        let claims = with("x", json!({"y": ["a", 1, 2.5, true, null, {}, []]})).unwrap();
        assert_eq!(claims.values("x.y"), ["a", "1", "2.5", "true"]);
        assert!(claims.values("x").is_empty());
        assert_eq!(with("x", json!(false)).unwrap().values("x"), ["false"]);
    }

    #[test]
    fn a_name_must_be_showable() {
        assert_eq!(with("name", json!(" Alice ")).unwrap().name(), Some("Alice"));
        for value in [json!(null), json!(7), json!(""), json!("  "), json!("a\u{1b}[2J"), json!("x".repeat(257))] {
            assert_eq!(with("name", value).unwrap().name(), None);
        }
    }
}
