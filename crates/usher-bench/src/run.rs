//! Runs measurements one after the other and writes down what they gave.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::clock::now;
use crate::measure::{Bench, Measurement};
use crate::mint::Mint;
use crate::plan::Plan;
use crate::record::{Circumstances, Record};
use crate::{BenchError, Programs, preflight};

/// Measures, and writes a file for each measurement into `bench/results`.
pub(crate) async fn run(
    programs: Programs,
    plan: Plan,
    wanted: &[Measurement],
    mut announce: impl FnMut(&str),
) -> Result<(), BenchError> {
    preflight::check(plan.most_connections())?;
    let folder = programs.bench.join("results");
    let moment = jiff::Timestamp::now();
    let circumstances = Circumstances {
        quick: plan.quick,
        day: moment.strftime("%Y-%m-%d").to_string(),
        run: moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        seconds: 0,
        versions: versions(&programs),
    };
    let all = now();
    let bench = Bench { programs, plan, mint: Arc::new(Mint::new()?) };
    let mut failed = Vec::new();
    for &measurement in wanted {
        let start = now();
        announce(&format!("{} …", measurement.name()));
        let mut record = Record::default();
        // One that fails does not take the others with it, and leaves its last results alone.
        if let Err(error) = measurement.run(&bench, &mut record).await {
            announce(&format!("{}: {error}", measurement.name()));
            failed.push(measurement.name());
            continue;
        }
        let seconds = now().saturating_sub(start).as_secs();
        record.finish(measurement, Circumstances { seconds, ..circumstances.clone() }).write(&folder)?;
        announce(&format!("{} took {seconds} s", measurement.name()));
    }
    announce(&format!("measuring took {} s in all", now().saturating_sub(all).as_secs()));
    if failed.is_empty() { Ok(()) } else { Err(BenchError::Usage(format!("not measured: {}", failed.join(", ")))) }
}

/// Measures as little as can be, for a test: how many figures each measurement gave.
pub async fn smoke(programs: Programs, names: &[&str]) -> Result<Vec<usize>, BenchError> {
    let bench = Bench { programs, plan: Plan::smoke(), mint: Arc::new(Mint::new()?) };
    let mut counts = Vec::new();
    for measurement in Measurement::ALL.into_iter().filter(|measurement| names.contains(&measurement.name())) {
        let mut record = Record::default();
        measurement.run(&bench, &mut record).await?;
        counts.push(record.finish(measurement, Circumstances::default()).figures.len());
    }
    Ok(counts)
}

/// Of ours, and of what the lock files of `bench` pin.
fn versions(programs: &Programs) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::from([("usher".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    let mut ask = |name: &str, program: &Option<std::path::PathBuf>| {
        let said = program.as_ref().and_then(|program| Command::new(program).arg("--version").output().ok());
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        if let Some(said) = said {
            versions.insert(name.to_owned(), said.trim_start_matches("Python ").trim_start_matches('v').to_owned());
        }
    };
    ask("Node.js", &programs.node);
    ask("Python", &programs.python);
    if programs.node.is_some() {
        versions.extend(npm_versions(&programs.bench).unwrap_or_default());
    }
    if programs.python.is_some() {
        versions.extend(python_versions(&programs.bench));
    }
    versions
}

fn npm_versions(bench: &Path) -> Option<BTreeMap<String, String>> {
    let manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(bench.join("package.json")).ok()?).ok()?;
    let packages = manifest["dependencies"].as_object()?.iter();
    Some(packages.filter_map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned()))).collect())
}

fn python_versions(bench: &Path) -> BTreeMap<String, String> {
    const SHOWN: [&str; 5] = ["fastapi", "pyjwt", "uvicorn", "uvloop", "websockets"];
    let requirements = fs::read_to_string(bench.join("requirements.txt")).unwrap_or_default();
    let pinned = requirements.lines().filter_map(|line| line.trim_end_matches([' ', '\\']).split_once("=="));
    let shown = pinned.filter(|(name, _)| SHOWN.contains(name));
    shown.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}
