//! The one table: ours, the floor, the peers, the ratio, the target, met or missed.

use super::figures::short;
use crate::subject::Subject;
use crate::targets::{Bound, Verdict};

/// The table in Markdown, which a terminal shows just as well.
pub(crate) fn table(verdicts: &[Verdict]) -> String {
    let mut rows = vec![header()];
    rows.extend(verdicts.iter().map(row));
    aligned(&rows)
}

fn header() -> Vec<String> {
    let peers = Subject::PEERS.map(Subject::name);
    let columns = ["what", "case", "unit", "ours", "held against"].into_iter().chain(peers);
    columns.chain(["ratio (min–max)", "target", ""]).map(str::to_owned).collect()
}

fn row(verdict: &Verdict) -> Vec<String> {
    let reference = verdict.reference.map_or_else(|| "–".to_owned(), |reference| short(reference.median));
    let mut row = vec![
        verdict.measurement.name().to_owned(),
        verdict.case.clone(),
        verdict.unit.clone(),
        short(verdict.ours.median),
        reference,
    ];
    row.extend(verdict.peers.map(|peer| peer.map_or_else(|| "–".to_owned(), short)));
    row.push(
        verdict
            .ratio
            .map_or_else(|| "–".to_owned(), |ratio| format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max)),
    );
    row.push(match verdict.bound {
        Bound::AtLeast(share) => format!("≥ {share} ×"),
        Bound::AtMost(share) => format!("≤ {share} ×"),
        Bound::Absolute(most) => format!("≤ {} {}", short(most), verdict.unit).trim_end().to_owned(),
    });
    row.push(if verdict.is_met() { "met" } else { "**missed**" }.to_owned());
    row
}

/// A Markdown table whose columns line up. The first row is its head.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = widths.iter().enumerate().map(|(column, width)| {
            let cell = row.get(column).map_or("", String::as_str);
            format!(" {cell:<width$} ")
        });
        text.push_str(&format!("|{}|\n", cells.collect::<Vec<_>>().join("|")));
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            text.push_str(&format!("|{}|\n", rules.join("|")));
        }
    }
    text
}
