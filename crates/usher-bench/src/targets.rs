//! What was promised, and whether it was kept.

use crate::measure::Measurement;
use crate::measure::figures::{
    AT_INFO, BARE, CONNECTS, COOKIE, DELIVERIES, FAILURES, FIRST_SEEN, GROWTH_CONNECT, MESSAGE, MOST, P99,
    PER_CONNECTION, PUBLISH, TICKET, TICKETS, TOKENS, UNTIL_ALL, VERIFICATION,
};
use crate::numbers::Spread;
use crate::record::{Figure, Metric, Results};
use crate::subject::Subject;

/// Connects per CPU-second, as a share of the floor's.
const CONNECT: f64 = 0.8;
/// The same where the session is looked up in the store.
const CONNECT_BY_COOKIE: f64 = 0.7;
/// Deliveries per CPU-second, as a share of the floor's.
const SINGLE: f64 = 0.8;
/// The same for what is published in one write.
const BURST: f64 = 0.6;
/// Most bytes of memory for an idle connection, in KiB.
const IDLE_KIB: f64 = 4.0;
/// Most that a cost may have grown from the fewest to the most connections.
const FLAT: f64 = 1.15;
/// From the answer to the close frame of one, in milliseconds.
const REVOKED_ONE_MS: f64 = 50.0;
/// And of all of one user.
const REVOKED_ALL_MS: f64 = 1000.0;
/// How much longer than the floor a storm may take.
const STORM: f64 = 1.3;

/// What a figure of ours is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// At least so much of the reference.
    AtLeast(f64),
    /// At most so much of the reference.
    AtMost(f64),
    /// At most so much, by itself.
    Absolute(f64),
}

/// What was measured, beside what it is held against, and the target if it has one.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) measurement: Measurement,
    pub(crate) case: String,
    pub(crate) unit: String,
    pub(crate) ours: Spread,
    /// What ours is held against.
    pub(crate) reference: Option<Spread>,
    pub(crate) ratio: Option<Spread>,
    /// The median of each peer, in the order of [`Subject::PEERS`].
    pub(crate) peers: [Option<f64>; 3],
    /// `None` for what is shown to be compared, and was promised nothing about.
    pub(crate) bound: Option<Bound>,
}

impl Verdict {
    /// Whether the target is met, by the median; `None` without a target.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio.map(|ratio| ratio.median);
        self.bound.map(|bound| match bound {
            Bound::AtLeast(share) => ratio.is_some_and(|ratio| ratio >= share),
            Bound::AtMost(share) => ratio.is_some_and(|ratio| ratio <= share),
            Bound::Absolute(most) => self.ours.median <= most,
        })
    }
}

/// Everything that can be judged by what was measured.
pub(crate) fn judge(all: &[Results]) -> Vec<Verdict> {
    all.iter().flat_map(of_one).collect()
}

fn of_one(results: &Results) -> Vec<Verdict> {
    match results.measurement {
        Measurement::Connect => connect(results),
        Measurement::Idle => idle(results),
        Measurement::FanOut => each(results, DELIVERIES, |case| {
            let burst = case.ends_with("burst");
            Some(Bound::AtLeast(if burst { BURST } else { SINGLE }))
        }),
        Measurement::Revoke => {
            let mut verdicts = each(results, P99, |_| Some(Bound::Absolute(REVOKED_ONE_MS)));
            let all = |case: &str| case.starts_with("all").then_some(Bound::Absolute(REVOKED_ALL_MS));
            verdicts.extend(each(results, MOST, all));
            verdicts
        }
        Measurement::Storm => storm(results),
        Measurement::Growth => growth(results),
        Measurement::Echo | Measurement::Expiry | Measurement::Waiting => Vec::new(),
    }
}

/// A verdict for each case of ours that has a bound, against the floor's figure of the same case.
fn each(results: &Results, metric: Metric, bound: impl Fn(&str) -> Option<Bound>) -> Vec<Verdict> {
    let ours = results.figures.iter().filter(|figure| figure.subject == "usher" && figure.metric == metric.name);
    let verdict = |ours: &Figure| {
        let floor = results.figure("floor", &ours.case, metric.name);
        verdict(results, ours, floor.map(|floor| floor.runs.clone()), Some(bound(&ours.case)?))
    };
    ours.filter_map(verdict).collect()
}

fn verdict(results: &Results, ours: &Figure, reference: Option<Vec<f64>>, bound: Option<Bound>) -> Option<Verdict> {
    let held_against = reference.as_deref();
    let ratio = held_against.and_then(|reference| Spread::of_ratio(&ours.runs, reference));
    if ratio.is_none() && matches!(bound, Some(Bound::AtLeast(_) | Bound::AtMost(_))) {
        return None;
    }
    let peers = Subject::PEERS.map(|peer| {
        let same = results.figure(peer.name(), &ours.case, &ours.metric);
        // The peers have one way in.
        let only = || results.figure(peer.name(), FIRST_SEEN, &ours.metric);
        same.or_else(only).map(|figure| figure.median)
    });
    Some(Verdict {
        measurement: results.measurement,
        case: ours.case.clone(),
        unit: ours.unit.clone(),
        ours: Spread::of(&ours.runs)?,
        reference: held_against.and_then(Spread::of),
        ratio,
        peers,
        bound,
    })
}

/// Against the floor; a first-seen signature of a public key may cost what its verification costs alone.
fn connect(results: &Results) -> Vec<Verdict> {
    let Some(floor) = results.figure("floor", BARE, CONNECTS.name) else { return Vec::new() };
    let ours = results.figures.iter().filter(|figure| figure.subject == "usher" && figure.metric == CONNECTS.name);
    let verdict = |ours: &Figure| {
        let public = ["ES256", "EdDSA"].into_iter().find(|name| ours.case == format!("header, {name}, first seen"));
        let reference = match public {
            Some(name) => plus_verification(&floor.runs, &results.figure("bare", name, VERIFICATION.name)?.runs),
            None => floor.runs.clone(),
        };
        verdict(results, ours, Some(reference), connect_bound(&ours.case))
    };
    ours.filter_map(verdict).collect()
}

/// The ways in that something was promised about: the others exchange more than the floor does before somebody is in, ask more of
/// whoever reads the request, or say more in the log. They are shown beside the floor all the same.
fn connect_bound(case: &str) -> Option<Bound> {
    match case {
        AT_INFO => None,
        case if case.starts_with(COOKIE) => Some(Bound::AtLeast(CONNECT_BY_COOKIE)),
        TICKET => Some(Bound::AtLeast(CONNECT)),
        case => case.starts_with("header, ").then_some(Bound::AtLeast(CONNECT)),
    }
}

/// Each size by itself, and the most connections against the fewest. A SockJS session is more than a WebSocket, and was promised
/// nothing about.
fn idle(results: &Results) -> Vec<Verdict> {
    let memory = |figure: &&Figure| figure.subject == "usher" && figure.metric == PER_CONNECTION.name;
    let of_one = |ours: &Figure| {
        let plain = !ours.case.contains("SockJS");
        let floor = results.figure("floor", &ours.case, PER_CONNECTION.name);
        let bound = plain.then_some(Bound::Absolute(IDLE_KIB));
        verdict(results, ours, floor.map(|floor| floor.runs.clone()), bound)
    };
    let mut verdicts: Vec<_> = results.figures.iter().filter(memory).filter_map(of_one).collect();
    verdicts.extend(slope(results, PER_CONNECTION));
    verdicts
}

/// Connects per CPU-second of a floor that also verifies, at so many microseconds each.
fn plus_verification(floor: &[f64], verification: &[f64]) -> Vec<f64> {
    floor.iter().zip(verification).map(|(rate, micros)| 1.0 / (1.0 / rate + micros / 1e6)).collect()
}

fn storm(results: &Results) -> Vec<Verdict> {
    let floor = results.figure("floor", BARE, UNTIL_ALL.name);
    let mut verdicts = Vec::new();
    for case in [TOKENS, TICKETS] {
        let ours = |metric: Metric| results.figure("usher", case, metric.name);
        let took = ours(UNTIL_ALL).zip(floor);
        verdicts.extend(
            took.and_then(|(ours, floor)| verdict(results, ours, Some(floor.runs.clone()), Some(Bound::AtMost(STORM)))),
        );
        let failures = ours(FAILURES).and_then(|ours| verdict(results, ours, None, Some(Bound::Absolute(0.0))));
        // No run may have one, whatever the median is.
        verdicts.extend(failures.map(|verdict| {
            let ours = Spread { median: verdict.ours.max, ..verdict.ours };
            Verdict { case: format!("{case}: most failures"), ours, ..verdict }
        }));
    }
    verdicts
}

fn growth(results: &Results) -> Vec<Verdict> {
    [GROWTH_CONNECT, MESSAGE, PUBLISH].into_iter().filter_map(|metric| slope(results, metric)).collect()
}

/// The most connections against the fewest.
fn slope(results: &Results, metric: Metric) -> Option<Verdict> {
    let of = |figure: &&Figure| {
        figure.subject == "usher" && figure.metric == metric.name && figure.case.ends_with(" connections")
    };
    let fewest = results.figures.iter().find(of)?;
    let most = results.figures.iter().rev().find(of)?;
    if fewest.case == most.case {
        return None;
    }
    let verdict = verdict(results, most, Some(fewest.runs.clone()), Some(Bound::AtMost(FLAT)))?;
    let size = |figure: &Figure| figure.case.trim_end_matches(" connections").to_owned();
    let case = format!("{}, {} connections against {}", metric.name, size(most), size(fewest));
    Some(Verdict { case, peers: [None; 3], ..verdict })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Circumstances, Record};

    fn judged(measurement: Measurement, figures: &[(&str, &str, Metric, &[f64])]) -> Vec<Verdict> {
        let mut record = Record::default();
        for (subject, case, metric, runs) in figures {
            runs.iter().for_each(|value| record.add(subject, case, *metric, *value));
        }
        judge(&[record.finish(measurement, Circumstances::default())])
    }

    #[test]
    fn a_ratio_is_met_at_the_target_and_missed_below_it() {
        let at = |ours: f64| {
            let verdicts = judged(
                Measurement::Connect,
                &[("floor", BARE, CONNECTS, &[10_000.0]), ("usher", "ticket", CONNECTS, &[ours])],
            );
            assert_eq!(verdicts.len(), 1);
            verdicts[0].is_met()
        };
        assert_eq!(at(8_000.0), Some(true));
        assert_eq!(at(7_999.0), Some(false));
    }

    #[test]
    fn a_first_seen_public_key_token_may_cost_its_verification() {
        // 100 µs a connect, and 100 µs for the verification: half the floor's rate is all that can be asked for.
        let verdicts = judged(
            Measurement::Connect,
            &[
                ("floor", BARE, CONNECTS, &[10_000.0]),
                ("bare", "ES256", VERIFICATION, &[100.0]),
                ("usher", "header, ES256, first seen", CONNECTS, &[4_500.0]),
                ("usher", "header, ES256, seen", CONNECTS, &[4_500.0]),
            ],
        );
        assert_eq!(verdicts.iter().map(Verdict::is_met).collect::<Vec<_>>(), [Some(true), Some(false)]);
        assert!((verdicts[0].ratio.unwrap().median - 0.9).abs() < 1e-9);
    }

    #[test]
    fn memory_failures_and_slopes_have_bounds_of_their_own() {
        let memory =
            |kib: f64| judged(Measurement::Idle, &[("usher", "1000 connections", PER_CONNECTION, &[kib])])[0].is_met();
        assert_eq!([memory(4.0), memory(4.1)], [Some(true), Some(false)]);
        let storm = judged(
            Measurement::Storm,
            &[
                ("floor", BARE, UNTIL_ALL, &[1000.0]),
                ("usher", TOKENS, UNTIL_ALL, &[1299.0]),
                ("usher", TOKENS, FAILURES, &[0.0, 1.0, 0.0]),
            ],
        );
        assert_eq!(storm.iter().map(Verdict::is_met).collect::<Vec<_>>(), [Some(true), Some(false)]);
        let slope = |most: f64| {
            let figures: [(&str, &str, Metric, &[f64]); 2] =
                [("usher", "1000 connections", MESSAGE, &[10.0]), ("usher", "18000 connections", MESSAGE, &[most])];
            judged(Measurement::Growth, &figures)[0].is_met()
        };
        assert_eq!([slope(11.5), slope(11.6)], [Some(true), Some(false)]);
    }

    #[test]
    fn what_nothing_was_promised_about_is_shown_without_a_target() {
        let connects = |case: &str| {
            let figures = [("floor", BARE, CONNECTS, &[10_000.0][..]), ("usher", case, CONNECTS, &[100.0][..])];
            judged(Measurement::Connect, &figures)[0].is_met()
        };
        for case in ["first message, HS256, first seen", "query, HS256, first seen", "API key", AT_INFO] {
            assert_eq!(connects(case), None, "{case}");
        }
        for case in [FIRST_SEEN, "header, EdDSA, seen", "session cookie, first seen", TICKET] {
            assert_eq!(connects(case), Some(false), "{case}");
        }
        let sockjs = [("usher", "5000 SockJS WebSockets", PER_CONNECTION, &[40.0][..])];
        assert_eq!(judged(Measurement::Idle, &sockjs)[0].is_met(), None);
    }

    #[test]
    fn without_a_floor_there_is_nothing_to_hold_against() {
        assert!(judged(Measurement::FanOut, &[("usher", "5 members, 128 B, single", DELIVERIES, &[1.0])]).is_empty());
    }
}
