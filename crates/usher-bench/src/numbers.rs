//! Medians, rates and ratios.

use std::time::Duration;

/// A count as a number to calculate with: none here comes near 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts here stay far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// The same for a length.
pub(crate) fn float_of(count: usize) -> f64 {
    float(count as u64)
}

/// Whole nanoseconds of a span.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds of a span.
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// The middle, and how far the rest is spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, min, max })
    }

    /// One over another, run by run where both were measured in the same runs, so that what slowed a whole run does not count.
    pub(crate) fn of_ratio(one: &[f64], other: &[f64]) -> Option<Self> {
        if one.len() == other.len() {
            let ratios: Vec<f64> = one.iter().zip(other).map(|(one, other)| one / other).collect();
            return Self::of(&ratios);
        }
        let (one, other) = (Self::of(one)?, Self::of(other)?);
        Some(Self { median: one.median / other.median, min: one.min / other.max, max: one.max / other.min })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_odd_and_an_even_number_of_values() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_is_taken_run_by_run() {
        // The second run was three times slower for both.
        let ratio = Spread::of_ratio(&[8.0, 2.5, 9.0], &[10.0, 3.0, 10.0]).unwrap();
        assert!((ratio.median - 2.5 / 3.0).abs() < 1e-9, "{ratio:?}");
        let unpaired = Spread::of_ratio(&[8.0], &[10.0, 12.0, 16.0]).unwrap();
        assert!((unpaired.median - 8.0 / 12.0).abs() < 1e-9 && unpaired.max > unpaired.min, "{unpaired:?}");
    }
}
