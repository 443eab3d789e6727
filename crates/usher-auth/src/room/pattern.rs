//! Patterns over room names: text with `*`, anchored at both ends.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// A pattern such as `board-*`. A `*` stands for one or more characters other than `/`; everything else stands for itself, and
/// the whole name must match.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomPattern(String);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing there.
    #[error("a room pattern must not be empty")]
    Empty,
    /// `**` would mean the same as `*`.
    #[error("write one `*`: it already stands for any number of characters but '/'")]
    DoubleStar,
}

impl RoomPattern {
    /// Reads a pattern and normalises it as room names are.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.contains("**") {
            return Err(InvalidPattern::DoubleStar);
        }
        Ok(Self(text.nfc().collect()))
    }

    /// Whether the whole of `name` matches. Time is at most the product of both lengths.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where to go back to: after the last star, and the longest stretch of the name it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            if p < pattern.len() && pattern[p] == b'*' && name[n] != b'/' {
                star = Some((p + 1, n + 1));
                (p, n) = (p + 1, n + 1);
            } else if p < pattern.len() && pattern[p] != b'*' && pattern[p] == name[n] {
                (p, n) = (p + 1, n + 1);
            } else if let Some((after, taken)) = star.filter(|(_, taken)| name[*taken] != b'/') {
                star = Some((after, taken + 1));
                (p, n) = (after, taken + 1);
            } else {
                return false;
            }
        }
        p == pattern.len()
    }

    /// Whether every name that `other` matches is matched by this pattern, too.
    pub fn covers(&self, other: &Self) -> bool {
        // A character that is in neither stands for whatever a `*` of `other` stands for: only a `*` of this one can match it.
        let fresh = ('\u{e000}'..='\u{f8ff}').find(|c| !self.0.contains(*c) && !other.0.contains(*c));
        fresh.is_some_and(|fresh| self.matches(&other.0.replace('*', fresh.encode_utf8(&mut [0; 4]))))
    }

    /// As configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomPattern({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        RoomPattern::parse(pattern).expect("a pattern").matches(name)
    }

    #[test]
    fn patterns_are_anchored() {
        // req I2
        assert!(matches("board-*", "board-1"));
        assert!(matches("board-*", "board-1-2"));
        assert!(matches("*", "x"));
        assert!(matches("a*c*e", "abcde"));
        assert!(matches("a*c*e", "acccce"));
        assert!(matches("org/*/room", "org/7/room"));
        for (pattern, name) in [
            ("board-*", "board-"),
            ("board-*", "xboard-1"),
            ("board-1", "board-12"),
            ("board-*", "board-1/../admin"),
            ("board-*", "BOARD-1"),
            ("a*c*e", "abde"),
            ("*", "a/b"),
            ("a.c", "abc"),
            ("[ab]", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_covers_those_that_match_less() {
        let covers = |one: &str, other: &str| {
            RoomPattern::parse(one).expect("a pattern").covers(&RoomPattern::parse(other).expect("a pattern"))
        };
        for (one, other) in [
            ("board-*", "board-1"),
            ("board-*", "board-*"),
            ("*", "board-*"),
            ("b*", "board-*-x"),
            ("*a*", "*aa*"),
            ("org/*/room", "org/7/room"),
            ("lobby", "lobby"),
        ] {
            assert!(covers(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("board-1", "board-*"),
            ("board-*", "*"),
            ("*", "org/*"),
            ("a*b", "a*"),
            ("*aa*", "*a*"),
            ("lobby", "lobbies"),
        ] {
            assert!(!covers(one, other), "{one} {other}");
        }
    }

    /// The definition, written for clarity and not for speed.
    fn reference(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => {
                (1..=name.len()).take_while(|taken| name[taken - 1] != '/').any(|taken| reference(rest, &name[taken..]))
            }
            Some((c, rest)) => name.split_first().is_some_and(|(n, name)| n == c && reference(rest, name)),
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_the_definition_says(pattern in "[ab/]{0,3}(\\*[ab/]{1,2}){0,3}\\*?", name in "[ab/]{0,9}") {
            prop_assume!(!pattern.is_empty());
            let expected = reference(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>());
            prop_assert_eq!(matches(&pattern, &name), expected);
        }

        #[test]
        fn what_is_covered_is_matched(one in "[ab]{0,2}(\\*[ab]{1,2}){0,2}\\*?", other in "[ab]{0,2}(\\*[ab]{1,2}){0,2}\\*?", name in "[ab]{1,6}") {
            prop_assume!(!one.is_empty() && !other.is_empty());
            let [one, other] = [one, other].map(|text| RoomPattern::parse(&text).expect("a pattern"));
            if one.covers(&other) && other.matches(&name) {
                prop_assert!(one.matches(&name), "{} {} {}", one, other, name);
            }
        }
    }
}
