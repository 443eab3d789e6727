//! Durations, sizes and rates as people write them: with their units, because a bare number means seconds to one reader and
//! milliseconds to the next.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration such as `500ms`, `30s`, `10m`, `24h` or `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(pub Duration);

/// A size such as `512B`, `8KiB` or `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

/// How often: `10/min`, or with what may come at once, `100/s burst 200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many; at least 1.
    pub count: u32,
    /// In so long.
    pub per: Duration,
    /// What may come at once; the count itself unless told otherwise.
    pub burst: u32,
}

/// A text that is no duration, size or rate. The message says how to write one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUnit(String);

const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const RATE_UNITS: [(&str, u64); 3] = [("h", 3600), ("min", 60), ("s", 1)];

impl TimeSpan {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for TimeSpan {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        let wrong =
            || InvalidUnit(format!("{text:?} is not a duration: write a number and ms, s, m, h or d, such as \"10m\""));
        let (number, unit) = split(text).ok_or_else(wrong)?;
        if unit.is_empty() {
            return Err(InvalidUnit(format!("{number} has no unit: write \"{number}s\" for seconds, or ms, m, h, d")));
        }
        let (_, millis) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let millis = number.checked_mul(*millis).ok_or_else(wrong)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        // A single day is 24h to most who write of it.
        let fits = |unit: &str, size: u64| {
            millis.is_multiple_of(u128::from(size)) && (unit != "d" || millis > u128::from(size))
        };
        let (unit, size) =
            TIME_UNITS.iter().find(|(unit, size)| millis > 0 && fits(unit, *size)).unwrap_or(&("s", 1_000));
        write!(f, "{}{unit}", millis / u128::from(*size))
    }
}

impl FromStr for ByteSize {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        let wrong =
            || InvalidUnit(format!("{text:?} is not a size: write a number and B, KiB, MiB or GiB, such as \"64KiB\""));
        let (number, unit) = split(text).ok_or_else(wrong)?;
        if unit.is_empty() {
            return Err(InvalidUnit(format!("{number} has no unit: write \"{number}B\" for bytes, or KiB, MiB, GiB")));
        }
        let (_, size) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number = usize::try_from(number).map_err(|_| wrong())?;
        number.checked_mul(*size).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |size: usize| self.0 > 0 && self.0.is_multiple_of(size);
        let (unit, size) = SIZE_UNITS.iter().find(|(_, size)| divides(*size)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl FromStr for Rate {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        let wrong =
            || InvalidUnit(format!("{text:?} is not a rate: write \"10/min\" or \"100/s burst 200\", per s, min or h"));
        let mut words = text.split_ascii_whitespace();
        let (count, unit) = words.next().and_then(|rate| rate.split_once('/')).ok_or_else(wrong)?;
        let count: u32 = count.parse().map_err(|_| wrong())?;
        let (_, seconds) = RATE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, ..) => count,
            (Some("burst"), Some(burst), None) => burst.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        if count == 0 || burst == 0 {
            return Err(InvalidUnit("a rate of 0 lets nothing through: write at least 1".to_owned()));
        }
        Ok(Self { count, per: Duration::from_secs(*seconds), burst })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, _) = RATE_UNITS.iter().find(|(_, seconds)| *seconds == self.per.as_secs()).unwrap_or(&("s", 1));
        write!(f, "{}/{unit}", self.count)?;
        if self.burst == self.count { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

/// A number and what follows it; `None` if it does not begin with a number.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

macro_rules! written_as_text {
    ($name:ident, $schema_name:literal, $expecting:literal, $pattern:literal, [$($example:literal),+]) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    // A bare number gets the same answer as a text without a unit.
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $schema_name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$($example),+] })
            }
        }
    };
}

written_as_text!(
    TimeSpan,
    "TimeSpan",
    "a duration such as \"10m\"",
    r"^[0-9]+ *(ms|s|m|h|d)$",
    ["500ms", "30s", "10m", "24h", "30d"]
);
written_as_text!(ByteSize, "ByteSize", "a size such as \"64KiB\"", r"^[0-9]+ *(B|KiB|MiB|GiB)$", ["8KiB", "1MiB"]);
written_as_text!(
    Rate,
    "Rate",
    "a rate such as \"10/min\"",
    r"^[0-9]+/(s|min|h)( +burst +[0-9]+)?$",
    ["10/min", "100/s burst 200"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("24h", 86_400_000), ("30d", 2_592_000_000)]
        {
            let span: TimeSpan = text.parse().expect("a duration");
            assert_eq!(span.0, Duration::from_millis(millis), "{text}");
        }
        assert_eq!(TimeSpan::seconds(86_400).to_string(), "24h");
        assert_eq!(TimeSpan::seconds(30 * 86_400).to_string(), "30d");
        assert_eq!(TimeSpan::seconds(90).to_string(), "90s");
        for (text, bytes) in [("512B", 512), ("8KiB", 8192), ("64KiB", 65536), ("1MiB", 1 << 20)] {
            let size: ByteSize = text.parse().expect("a size");
            assert_eq!(size, ByteSize(bytes));
            assert_eq!(size.to_string(), text);
        }
        for text in ["100/s burst 200", "10/min", "5/h"] {
            assert_eq!(text.parse::<Rate>().expect("a rate").to_string(), text);
        }
        let rate: Rate = "100/s burst 200".parse().expect("a rate");
        assert_eq!(rate, Rate { count: 100, per: Duration::from_secs(1), burst: 200 });
    }

    #[test]
    fn a_bare_number_is_told_to_write_its_unit() {
        let message = |json: &str| serde_json::from_str::<TimeSpan>(json).expect_err("no unit").to_string();
        assert!(message("600").starts_with("600 has no unit: write \"600s\""), "{}", message("600"));
        assert!(message("\"600\"").starts_with("600 has no unit"));
        assert_eq!(
            "8192".parse::<ByteSize>().expect_err("no unit").to_string(),
            "8192 has no unit: write \"8192B\" for bytes, or KiB, MiB, GiB"
        );
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in ["", "m", "-1s", "1.5h", "10 minutes", "1w", "99999999999999999999d", "999999999999999999d"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
        for text in ["64KB", "64k", "KiB", "99999999999999GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["10", "10/m", "0/s", "10/min burst", "10/min burst 0", "10/s burst 2 3", "/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
