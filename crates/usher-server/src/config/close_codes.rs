//! `close_codes`: the name of a profile, or a table of a profile and single codes in its place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, json};
use usher_auth::close_code::{CloseCause, CloseCodes, CloseProfile};

use super::resolver::Resolver;

/// A profile, and single codes put in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseCodeSetting {
    /// The profile.
    pub profile: CloseProfile,
    /// The codes that differ from it.
    pub codes: BTreeMap<CloseCause, u16>,
}

impl CloseCodeSetting {
    pub(super) fn resolve(&self, key: &str, resolver: &mut Resolver<'_>) -> CloseCodes {
        for (cause, code) in &self.codes {
            if let Err(error) = CloseCodes::new(self.profile, BTreeMap::from([(*cause, *code)])) {
                resolver.problem(
                    format!("{key}.{}", cause.as_str()),
                    error.to_string(),
                    "4000 to 4999 are free for applications",
                );
            }
        }
        CloseCodes::new(self.profile, self.codes.clone()).unwrap_or_default()
    }
}

impl From<CloseProfile> for CloseCodeSetting {
    fn from(profile: CloseProfile) -> Self {
        Self { profile, codes: BTreeMap::new() }
    }
}

impl Serialize for CloseCodeSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.codes.is_empty() {
            return self.profile.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1 + self.codes.len()))?;
        map.serialize_entry("profile", &self.profile)?;
        for (cause, code) in &self.codes {
            map.serialize_entry(cause, code)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for CloseCodeSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = CloseCodeSetting;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a profile, or a table of a profile and codes")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<CloseCodeSetting, E> {
                CloseProfile::deserialize(StrDeserializer::new(name)).map(CloseCodeSetting::from)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CloseCodeSetting, A::Error> {
                #[derive(Deserialize)]
                struct Table {
                    #[serde(default)]
                    profile: CloseProfile,
                    // An unknown cause is refused here: every other key must be one.
                    #[serde(flatten)]
                    codes: BTreeMap<CloseCause, u16>,
                }
                let Table { profile, codes } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(CloseCodeSetting { profile, codes })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for CloseCodeSetting {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CloseCodes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let profile = generator.subschema_for::<CloseProfile>();
        let mut properties = Map::new();
        properties.insert("profile".to_owned(), profile.clone().to_value());
        for cause in CloseCause::ALL {
            let code = json!({ "type": "integer", "minimum": 1000, "maximum": 4999, "description": cause.reason() });
            properties.insert(cause.as_str().to_owned(), code);
        }
        let table = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        json_schema!({ "anyOf": [profile, table] })
    }
}
