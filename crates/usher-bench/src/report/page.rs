//! docs/reference/benchmarks.md and its charts.

use std::fs;
use std::path::Path;

use super::chart::bars;
use super::figures::short;
use super::table::{aligned, table};
use crate::BenchError;
use crate::measure::Measurement;
use crate::record::{Figure, Results};
use crate::targets::{Verdict, judge};

/// What people wrote about where the time and the memory go, in the folder `bench`.
const NOTES: &str = "notes.md";

/// Writes the page, and beside it the charts in a folder of the page's name.
pub(crate) fn write_page(page: &Path, bench: &Path, all: &[Results]) -> Result<(), BenchError> {
    let charts = page.with_extension("");
    fs::create_dir_all(&charts).map_err(BenchError::io("cannot make the folder of charts"))?;
    let name = charts.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let verdicts = judge(all);
    let mut text = beginning(all, &verdicts);
    for results in all {
        text.push_str(&format!("\n## {}\n\n{}\n\n", results.measurement.name(), results.measurement.about()));
        text.push_str(&origin(results));
        for (number, metric) in drawn(results.measurement).iter().enumerate() {
            let Some(svg) = bars(results, metric) else { continue };
            let file = match number {
                0 => format!("{}.svg", results.measurement.name()),
                _ => format!("{}-{number}.svg", results.measurement.name()),
            };
            fs::write(charts.join(&file), svg).map_err(BenchError::io("cannot write a chart"))?;
            text.push_str(&format!("![{}: {metric}]({name}/{file})\n\n", results.measurement.name()));
        }
        text.push_str(&figures(results));
        for missing in &results.missing {
            text.push_str(&format!("\nNot measured: {}.\n", missing.lines().next().unwrap_or_default()));
        }
    }
    if let Ok(notes) = fs::read_to_string(bench.join(NOTES)) {
        text.push('\n');
        text.push_str(&notes);
    }
    fs::write(page, text).map_err(BenchError::io("cannot write the page"))
}

fn beginning(all: &[Results], verdicts: &[Verdict]) -> String {
    let met = verdicts.iter().filter(|verdict| verdict.is_met()).count();
    let mut text = "# Benchmarks\n\n<!-- Written by `cargo xtask bench` from bench/results; edit bench/notes.md instead. -->\n\n\
        What a connection costs, beside a floor that is a bare axum upgrade without authentication, and beside what people use in\n\
        its place. `cargo xtask bench` measures again; `--quick` measures less, `--only NAME` one thing.\n\n"
        .to_owned();
    if let Some(results) = all.first() {
        let machine = &results.machine;
        text.push_str(&format!(
            "Measured on {} cores ({}), {} GiB, Linux {}, with the generator beside the server on the same cores: rates are per CPU-second\n\
             of the server, so that this distorts them little. Runs of different servers take turns. Medians, with the least and the\n\
             most of the runs.\n\n",
            machine.cores, machine.processor, machine.memory_gib, machine.kernel
        ));
        let versions: Vec<String> =
            results.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        text.push_str(&format!("Versions: {}.\n", versions.join(", ")));
    }
    text.push_str(&format!("\n## Targets: {met} of {} met\n\n", verdicts.len()));
    text.push_str(
        "*Held against* is the floor's figure of the same run; for a first-seen ES256 or EdDSA token the floor plus one bare verification;\n\
         for growth the same figure with the fewest connections.\n\n",
    );
    text.push_str(&table(verdicts));
    text
}

fn origin(results: &Results) -> String {
    let how = if results.quick { "a quick run" } else { "a full run" };
    format!("Measured on {} in {how}.\n\n", results.day)
}

/// The metrics that are worth a chart.
fn drawn(measurement: Measurement) -> &'static [&'static str] {
    match measurement {
        Measurement::Connect => &["connects"],
        Measurement::Idle | Measurement::Waiting => &["memory a connection"],
        Measurement::FanOut => &["deliveries", "p99"],
        Measurement::Echo => &["messages"],
        Measurement::Revoke => &["p99", "most"],
        Measurement::Storm => &["until all are let in", "memory peak"],
        Measurement::Expiry => &["last close"],
        Measurement::Growth => &["memory a connection", "connect", "message", "publish to ten"],
    }
}

/// Every figure: a row for each case and metric, a column for each subject.
fn figures(results: &Results) -> String {
    let mut subjects: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    for Figure { subject, case, metric, unit, .. } in &results.figures {
        if !subjects.contains(&subject.as_str()) {
            subjects.push(subject);
        }
        if !rows.contains(&(case, metric, unit)) {
            rows.push((case, metric, unit));
        }
    }
    let head = ["case", "metric", "unit"].into_iter().chain(subjects.iter().copied());
    let mut cells = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    for (case, metric, unit) in rows {
        let mut row = [case, metric, unit].map(str::to_owned).to_vec();
        row.extend(subjects.iter().map(|subject| results.figure(subject, case, metric).map_or_else(String::new, cell)));
        cells.push(row);
    }
    aligned(&cells)
}

fn cell(figure: &Figure) -> String {
    if figure.runs.len() == 1 {
        return short(figure.median);
    }
    format!("{} ({}–{})", short(figure.median), short(figure.min), short(figure.max))
}
