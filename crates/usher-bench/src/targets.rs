//! What was promised, and whether it was kept.

use crate::measure::Measurement;
use crate::measure::figures::{
    BARE, CONNECTS, DELIVERIES, FAILURES, GROWTH_CONNECT, MESSAGE, MOST, P99, PER_CONNECTION, PUBLISH, TICKETS, TOKENS,
    UNTIL_ALL, VERIFICATION,
};
use crate::numbers::Spread;
use crate::record::{Figure, Metric, Results};
use crate::subject::Subject;

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

/// A target, and what was measured.
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
    pub(crate) bound: Bound,
}

impl Verdict {
    /// Whether the target is met, by the median.
    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(share) => self.ratio.is_some_and(|ratio| ratio.median >= share),
            Bound::AtMost(share) => self.ratio.is_some_and(|ratio| ratio.median <= share),
            Bound::Absolute(most) => self.ours.median <= most,
        }
    }
}

/// Everything that can be judged by what was measured.
pub(crate) fn judge(all: &[Results]) -> Vec<Verdict> {
    all.iter().flat_map(of_one).collect()
}

fn of_one(results: &Results) -> Vec<Verdict> {
    match results.measurement {
        Measurement::Connect => connect(results),
        Measurement::Idle => each(results, PER_CONNECTION, |_| Some(Bound::Absolute(IDLE_KIB))),
        Measurement::FanOut => each(results, DELIVERIES, |case| {
            let burst = case.ends_with("burst");
            Some(Bound::AtLeast(if burst { 0.6 } else { 0.8 }))
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
        verdict(results, ours, floor.map(|floor| floor.runs.clone()), bound(&ours.case)?)
    };
    ours.filter_map(verdict).collect()
}

fn verdict(results: &Results, ours: &Figure, reference: Option<Vec<f64>>, bound: Bound) -> Option<Verdict> {
    let held_against = reference.as_deref();
    let ratio = held_against.and_then(|reference| Spread::of_ratio(&ours.runs, reference));
    if ratio.is_none() && !matches!(bound, Bound::Absolute(_)) {
        return None;
    }
    let peers = Subject::PEERS.map(|peer| {
        let same = results.figure(peer.name(), &ours.case, &ours.metric);
        // The peers have one way in.
        let only = || results.figure(peer.name(), "header, HS256, first seen", &ours.metric);
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
        let share = match ours.case.as_str() {
            "cookie" => 0.7,
            case if case.ends_with("log at info") => return None,
            _ => 0.8,
        };
        verdict(results, ours, Some(reference), Bound::AtLeast(share))
    };
    ours.filter_map(verdict).collect()
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
            took.and_then(|(ours, floor)| verdict(results, ours, Some(floor.runs.clone()), Bound::AtMost(STORM))),
        );
        let failures = ours(FAILURES).and_then(|ours| verdict(results, ours, None, Bound::Absolute(0.0)));
        verdicts.extend(failures.map(|verdict| Verdict { case: format!("{case}: failures"), ..verdict }));
    }
    verdicts
}

/// The most connections against the fewest.
fn growth(results: &Results) -> Vec<Verdict> {
    let metrics = [PER_CONNECTION, GROWTH_CONNECT, MESSAGE, PUBLISH];
    let verdict = |metric: Metric| {
        let of = |figure: &&Figure| figure.subject == "usher" && figure.metric == metric.name;
        let fewest = results.figures.iter().find(of)?;
        let most = results.figures.iter().rev().find(of)?;
        let verdict = verdict(results, most, Some(fewest.runs.clone()), Bound::AtMost(FLAT))?;
        let case = format!("{}: {} against {}", metric.name, most.case, fewest.case);
        Some(Verdict { case, ..verdict })
    };
    metrics.into_iter().filter_map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::Record;

    fn judged(measurement: Measurement, figures: &[(&str, &str, Metric, &[f64])]) -> Vec<Verdict> {
        let mut record = Record::default();
        for (subject, case, metric, runs) in figures {
            runs.iter().for_each(|value| record.add(subject, case, *metric, *value));
        }
        judge(&[record.finish(measurement, false, String::new(), BTreeMap::new())])
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
        assert!(at(8_000.0));
        assert!(!at(7_999.0));
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
        assert_eq!(verdicts.iter().map(Verdict::is_met).collect::<Vec<_>>(), [true, false]);
        assert!((verdicts[0].ratio.unwrap().median - 0.9).abs() < 1e-9);
    }

    #[test]
    fn memory_failures_and_slopes_have_bounds_of_their_own() {
        let memory =
            |kib: f64| judged(Measurement::Idle, &[("usher", "1000 connections", PER_CONNECTION, &[kib])])[0].is_met();
        assert!(memory(4.0) && !memory(4.1));
        let storm = judged(
            Measurement::Storm,
            &[
                ("floor", BARE, UNTIL_ALL, &[1000.0]),
                ("usher", TOKENS, UNTIL_ALL, &[1299.0]),
                ("usher", TOKENS, FAILURES, &[1.0]),
            ],
        );
        assert_eq!(storm.iter().map(Verdict::is_met).collect::<Vec<_>>(), [true, false]);
        let slope = |most: f64| {
            let figures: [(&str, &str, Metric, &[f64]); 2] =
                [("usher", "1000 connections", MESSAGE, &[10.0]), ("usher", "18000 connections", MESSAGE, &[most])];
            judged(Measurement::Growth, &figures)[0].is_met()
        };
        assert!(slope(11.5) && !slope(11.6));
    }

    #[test]
    fn without_a_floor_there_is_nothing_to_hold_against() {
        assert!(judged(Measurement::FanOut, &[("usher", "5 members, 128 B, single", DELIVERIES, &[1.0])]).is_empty());
    }
}
