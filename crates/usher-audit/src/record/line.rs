//! How a record is written: one JSON object on one line.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;
use usher_auth::UnixTime;
use usher_auth::ids::UserId;

use super::folded::{Claimed, Groups};
use super::{AuditKeys, Extra, Record, capped};
use crate::hidden_text::escape_in_json;

/// Most users, sources and claimed names that a record names which stands for others.
const MAX_NAMED: usize = 10;

/// The record's form. The first twelve are always there, `null` where there is nothing to say (req N2).
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    event: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    connection: Option<String>,
    session: Option<String>,
    subject: Option<Cow<'a, str>>,
    carrier: Option<&'static str>,
    ip: Option<IpAddr>,
    origin: Option<Cow<'a, str>>,
    route: Option<Cow<'a, str>>,
    detail: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<String>,
    #[serde(flatten)]
    extra: &'a Extra,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(flatten)]
    groups: Option<GroupsLine>,
}

/// Lists of the most frequent, and how many more there were.
#[derive(Serialize)]
struct GroupsLine {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<Frequent>,
    #[serde(skip_serializing_if = "is_zero")]
    subjects_more: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<Frequent>,
    #[serde(skip_serializing_if = "is_zero")]
    sources_more: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    claimed_names: Vec<Frequent>,
    #[serde(skip_serializing_if = "is_zero")]
    claimed_names_more: usize,
}

/// One of a list, with how often it occurred at least.
#[derive(Serialize)]
#[serde(untagged)]
enum Frequent {
    Subject { subject: String, count: u64 },
    Source { ip: IpAddr, count: u64 },
    Claimed { claimed: String, count: u64 },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl GroupsLine {
    fn of(groups: &Groups, keys: &AuditKeys) -> Self {
        let (subjects, subjects_more) = groups.subjects.top(MAX_NAMED);
        let (sources, sources_more) = groups.sources.top(MAX_NAMED);
        let (claimed, claimed_names_more) = groups.claimed.top(MAX_NAMED);
        let subject =
            |(user, count): (UserId, u64)| Frequent::Subject { subject: capped(user.as_str()).into_owned(), count };
        let name = |(name, count): (Claimed, u64)| Frequent::Claimed { claimed: name.reference(keys), count };
        Self {
            subjects: subjects.into_iter().map(subject).collect(),
            subjects_more,
            sources: sources.into_iter().map(|(ip, count)| Frequent::Source { ip, count }).collect(),
            sources_more,
            claimed_names: claimed.into_iter().map(name).collect(),
            claimed_names_more,
        }
    }
}

impl Record {
    /// One JSON object on one line, without what chains it to others. Ids of sessions and names that were merely claimed are hashed
    /// with a key here (req N3).
    pub(in super::super) fn to_json(&self, at: UnixTime, keys: &AuditKeys) -> String {
        let folded = self.folded.as_ref();
        let line = Line {
            time: rfc3339(at),
            event: self.event.as_str(),
            outcome: self.outcome.as_str(),
            reason: self.reason,
            connection: self.connection.map(|id| id.to_string()),
            session: self.session.as_ref().map(|id| keys.reference("session", id.as_str())),
            subject: self.subject.as_ref().map(|user| capped(user.as_str())),
            carrier: self.carrier,
            ip: self.ip,
            origin: self.origin.as_deref().map(capped),
            route: self.route.as_deref().map(capped),
            detail: self.detail.as_deref().map(capped),
            claimed: self.claimed.as_ref().map(|claimed| claimed.reference(keys)),
            extra: &self.extra,
            count: folded.map(|folded| folded.count),
            first: folded.map(|folded| rfc3339(folded.first)),
            last: folded.map(|folded| rfc3339(folded.last)),
            groups: folded.and_then(|folded| folded.groups.as_deref()).map(|groups| GroupsLine::of(groups, keys)),
        };
        escape_in_json(serde_json::to_string(&line).expect("plain data"))
    }
}

/// RFC 3339 in UTC, to the millisecond.
fn rfc3339(at: UnixTime) -> String {
    let time = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use usher_auth::client_address::ClientAddress;

    use super::super::{AuditEvent, Outcome};
    use super::*;

    #[test]
    fn nothing_that_is_sent_can_break_out_of_its_field() {
        // req N4
        let keys = AuditKeys::from_secret(&[7; 32]);
        let hostile = "a\r\n{\"event\":\"authn_login_success\"}\u{1b}[2J\u{2028}\u{202e}\u{7f}";
        let client = ClientAddress(IpAddr::from([192, 0, 2, 1]));
        let record = Record::new(AuditEvent::LoginFail, Outcome::Failure)
            .from(client, Some(&format!("{hostile}{}", "x".repeat(1 << 20))), "/ws")
            .detail(hostile)
            .room(hostile)
            .claimed(hostile);
        let line = record.to_json(UnixTime::from_millis(1_760_000_000_007), &keys);
        assert!(!line.contains(['\n', '\r', '\u{1b}', '\u{2028}', '\u{202e}', '\u{7f}']), "{line}");
        assert!(line.len() < 2048, "{}", line.len());
        let value: serde_json::Value = serde_json::from_str(&line).expect("one object");
        assert_eq!(value["time"], "2025-10-09T08:53:20.007Z");
        assert_eq!(value["event"], "authn_login_fail");
        assert_eq!(value["detail"], hostile);
        assert!(value["origin"].as_str().expect("text").ends_with('…'));
        assert_eq!(value["claimed"].as_str().expect("text").len(), 22);
    }
}
