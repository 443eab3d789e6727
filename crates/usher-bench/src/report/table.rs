//! The one table: ours, the floor, the peers, the ratio, the target, met or missed.

use super::figures::short;
use crate::subject::Subject;
use crate::targets::{Bound, Verdict};

/// The table in Markdown.
pub(crate) fn table(verdicts: &[Verdict]) -> String {
    let rows = verdicts.iter().map(|verdict| row(verdict, "**missed**"));
    aligned(&[vec![header()], rows.collect()].concat())
}

/// The same for a terminal, which is narrower, and what it comes to.
pub(crate) fn terminal_table(verdicts: &[Verdict]) -> String {
    let mut rows = vec![header()];
    rows.extend(verdicts.iter().map(|verdict| row(verdict, "MISSED")));
    for row in &mut rows {
        // How far the runs were apart is on the page.
        if let Some(end) = row[RATIO].find(" (") {
            row[RATIO].truncate(end);
        }
    }
    let widths = widths(&rows);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text.push_str(&format!("\n{}. Medians; the ratio is the median of each run's.\n", summary(verdicts)));
    text
}

/// How many targets were met.
pub(super) fn summary(verdicts: &[Verdict]) -> String {
    let judged = verdicts.iter().filter_map(Verdict::is_met);
    let (met, all) = judged.fold((0, 0), |(met, all), is_met| (met + usize::from(is_met), all + 1));
    format!("Targets: {met} of {all} met")
}

/// The column of the ratio.
const RATIO: usize = 8;

fn header() -> Vec<String> {
    let peers = Subject::PEERS.map(Subject::name);
    let columns = ["what", "case", "unit", "ours", "held against"].into_iter().chain(peers);
    columns.chain(["ratio (min–max)", "target", ""]).map(str::to_owned).collect()
}

fn row(verdict: &Verdict, missed: &str) -> Vec<String> {
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
        Some(Bound::AtLeast(share)) => format!("≥ {share} ×"),
        Some(Bound::AtMost(share)) => format!("≤ {share} ×"),
        Some(Bound::Absolute(most)) => format!("≤ {} {}", short(most), verdict.unit).trim_end().to_owned(),
        None => "–".to_owned(),
    });
    row.push(match verdict.is_met() {
        Some(true) => "met".to_owned(),
        Some(false) => missed.to_owned(),
        None => String::new(),
    });
    row
}

/// A Markdown table whose columns line up. The first row is its head.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
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

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    (0..columns).map(width).collect()
}
