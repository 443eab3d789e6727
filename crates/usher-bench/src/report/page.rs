//! docs/reference/benchmarks.md and its charts.

use std::fs;
use std::path::{Path, PathBuf};

use super::chart::bars;
use super::figures::short;
use super::table::{aligned, summary, table};
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
    let mut written = Vec::new();
    for results in all {
        text.push_str(&format!("\n## {}\n\n{}\n\n", results.measurement.name(), results.measurement.about()));
        text.push_str(&origin(results));
        for (number, (metric, ending)) in drawn(results.measurement).iter().enumerate() {
            let Some(svg) = bars(results, metric, ending) else { continue };
            let file = match number {
                0 => format!("{}.svg", results.measurement.name()),
                _ => format!("{}-{number}.svg", results.measurement.name()),
            };
            let path = charts.join(&file);
            fs::write(&path, svg).map_err(BenchError::io("cannot write a chart"))?;
            written.push(path);
            text.push_str(&format!("![{}: {metric}{ending}]({name}/{file})\n\n", results.measurement.name()));
        }
        text.push_str(&figures(results));
        for missing in &results.missing {
            text.push_str(&format!("\nNot measured: {}.\n", missing.lines().next().unwrap_or_default()));
        }
        for remark in &results.remarks {
            text.push_str(&format!("\n{}.\n", remark.lines().next().unwrap_or_default()));
        }
    }
    remove_others(&charts, &written)?;
    if let Ok(notes) = fs::read_to_string(bench.join(NOTES)) {
        text.push('\n');
        text.push_str(&notes);
    }
    fs::write(page, text).map_err(BenchError::io("cannot write the page"))
}

/// Removes charts that are on no page any more.
fn remove_others(charts: &Path, written: &[PathBuf]) -> Result<(), BenchError> {
    let failed = || BenchError::io("cannot tidy the folder of charts");
    for entry in fs::read_dir(charts).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.extension().is_some_and(|extension| extension == "svg") && !written.contains(&path) {
            fs::remove_file(path).map_err(failed())?;
        }
    }
    Ok(())
}

fn beginning(all: &[Results], verdicts: &[Verdict]) -> String {
    let mut text = "# Benchmarks\n\n<!-- Written by `cargo xtask bench` from bench/results; edit bench/notes.md instead. -->\n\n\
        What a WebSocket costs on Usher, beside\n\n\
        - the **floor**: the same web framework (axum), without authentication, rooms or an audit trail. Nothing that is built on it can\n  \
        cost less. It is [one small program](../../crates/usher-bench/examples/floor.rs);\n\
        - **peers**: what people write in place of an authentication server, with Node.js (`ws` and `jsonwebtoken`), FastAPI on uvicorn\n  \
        (PyJWT), and Socket.IO; [a page of code each](../../bench/peers), and each on one core, as these run by themselves.\n\n\
        `cargo xtask bench` measures again, builds included in half an hour on two cores. `--quick` measures less: five minutes, and what\n\
        the build takes if nothing is built yet (6 to 10 minutes). `--only NAME` measures one of the sections below.\n\n\
        ## How\n\n"
        .to_owned();
    text.push_str(&one_run(all));
    if let Some(results) = all.first() {
        let machine = &results.machine;
        text.push_str(&format!(
            "- **Machine**: {} cores ({}), {} GiB, Linux {}. The load generator runs beside the server on the same cores, over loopback.\n",
            machine.cores, machine.processor, machine.memory_gib, machine.kernel
        ));
    }
    text.push_str(
        "- **Units**: `1/CPU-s` is per second of CPU time that the server's process used, user and system, on all cores: what the\n  \
         generator uses does not count. `k` is a thousand, `M` a million.\n\
         - **Runs** of different servers take turns. A figure is the median of its runs, with the least and the most in brackets; one run where there are none:\n  \
         in a full run that is the peers' where there are thousands of clients, which takes them minutes.\n\
         - **Usher** has its default settings, an audit trail in a file and a store in SQLite included, except: it logs at `warn` (its default\n  \
         is `info`, which is measured in one row of *connect*); limits on connections a user, waiting sockets and messages a second are\n  \
         raised, because the generator is thousands of clients at once from few addresses; clients have longer to authenticate and to use a\n  \
         ticket; tokens have no leeway, so that *expiry* has a moment; SockJS is on, and every carrier is allowed on one route.\n",
    );
    if let Some(results) = all.first() {
        let versions: Vec<String> =
            results.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        text.push_str(&format!("- **Versions**: {}.\n", versions.join(", ")));
    }
    text.push_str(&format!("\n## {}\n\n", summary(verdicts)));
    text.push_str(
        "*Held against* is the floor's figure of the same run; for a first-seen ES256 or EdDSA token the floor plus one bare verification;\n\
         for growth the same figure with the fewest connections. The *ratio* is taken run by run, so that a run in which the machine was\n\
         slow for both counts the same. Rows without a target are there to be compared. The peers have one way in, a header with an HS256\n\
         token, which stands in every row of *connect*.\n\n",
    );
    text.push_str(&table(verdicts));
    text
}

/// Whether all was measured in one go.
fn one_run(all: &[Results]) -> String {
    let Some(first) = all.first() else { return "- Nothing has been measured yet.\n".to_owned() };
    let same = !first.run.is_empty() && all.iter().all(|results| results.run == first.run);
    if same && all.len() == Measurement::ALL.len() {
        let seconds = all.iter().map(|results| results.seconds).sum::<u64>();
        let took = format!("{} min {} s", seconds / 60, seconds % 60);
        let how = how(first);
        return format!("- **All of this page is from one {how} run**, begun {}; measuring took {took}.\n", first.run);
    }
    "- **This page is put together from several runs**; each section says from which.\n".to_owned()
}

fn how(results: &Results) -> &'static str {
    if results.quick { "quick" } else { "full" }
}

fn origin(results: &Results) -> String {
    match results.run.as_str() {
        "" => format!("Measured on {} in a {} run.\n\n", results.day, how(results)),
        run => format!("Measured in the {} run begun {run}; took {} s.\n\n", how(results), results.seconds),
    }
}

/// What is worth a chart: a metric, and how the cases end that are in it.
fn drawn(measurement: Measurement) -> &'static [(&'static str, &'static str)] {
    match measurement {
        Measurement::Connect => &[("connects", ""), ("p99", "")],
        Measurement::Idle | Measurement::Waiting => &[("memory a connection", "")],
        // A burst is so much cheaper that nothing could be seen of the others beside it.
        Measurement::FanOut => &[("deliveries", ", single"), ("deliveries", ", burst"), ("p99", ", latency")],
        Measurement::Echo => &[("messages", "")],
        Measurement::Revoke => &[("p99", ""), ("most", "")],
        Measurement::Storm => &[("until all are let in", ""), ("p99", ""), ("memory peak", "")],
        Measurement::Expiry => &[("last close", "")],
        Measurement::Growth => &[("connect", ""), ("message", ""), ("publish to ten", "")],
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
