//! What was measured: every run's numbers, and what is needed to read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::machine::Machine;
use crate::measure::Measurement;
use crate::numbers::Spread;

/// One figure: a number for each run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) subject: String,
    pub(crate) case: String,
    pub(crate) metric: String,
    pub(crate) unit: String,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: Vec<f64>,
}

/// Everything that one measurement gave: a file in `bench/results`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) measurement: Measurement,
    /// The day, as 2026-11-21.
    pub(crate) day: String,
    /// What all that was measured in one go has in common: when that began, in UTC.
    #[serde(default)]
    pub(crate) run: String,
    /// How long this measurement took.
    #[serde(default)]
    pub(crate) seconds: u64,
    /// Fewer runs of fewer connections.
    pub(crate) quick: bool,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    /// What could not be measured, and why.
    pub(crate) missing: Vec<String>,
    /// What a reader of the figures should know.
    #[serde(default)]
    pub(crate) remarks: Vec<String>,
    pub(crate) figures: Vec<Figure>,
}

/// Collects numbers, run by run.
#[derive(Debug, Default)]
pub(crate) struct Record {
    figures: IndexMap<[String; 4], Vec<f64>>,
    missing: Vec<String>,
    remarks: Vec<String>,
}

/// When something was measured, and with what. The fields are those of [`Results`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Circumstances {
    pub(crate) quick: bool,
    pub(crate) day: String,
    pub(crate) run: String,
    pub(crate) seconds: u64,
    pub(crate) versions: BTreeMap<String, String>,
}

/// What a number is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

impl Record {
    /// Another run's number.
    pub(crate) fn add(&mut self, subject: &str, case: &str, metric: Metric, value: f64) {
        let key = [subject, case, metric.name, metric.unit].map(str::to_owned);
        self.figures.entry(key).or_default().push(value);
    }

    /// Something could not be measured.
    pub(crate) fn missing(&mut self, what: String) {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }

    /// Something to know about the figures.
    pub(crate) fn remark(&mut self, what: String) {
        self.remarks.push(what);
    }

    /// With medians.
    pub(crate) fn finish(self, measurement: Measurement, circumstances: Circumstances) -> Results {
        let figures = self.figures.into_iter().filter_map(|([subject, case, metric, unit], runs)| {
            let Spread { median, min, max } = Spread::of(&runs)?;
            Some(Figure { subject, case, metric, unit, median, min, max, runs })
        });
        let figures = figures.collect();
        let Circumstances { quick, day, run, seconds, versions } = circumstances;
        let machine = Machine::this();
        let Self { missing, remarks, .. } = self;
        Results { measurement, day, run, seconds, quick, machine, versions, missing, remarks, figures }
    }
}

impl Results {
    /// The figure of that name.
    pub(crate) fn figure(&self, subject: &str, case: &str, metric: &str) -> Option<&Figure> {
        let mut figures = self.figures.iter();
        figures.find(|figure| figure.subject == subject && figure.case == case && figure.metric == metric)
    }

    /// Writes `<name>.json`, all of it or none.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), BenchError> {
        fs::create_dir_all(folder).map_err(BenchError::io("cannot make the folder of results"))?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let path = folder.join(format!("{}.json", self.measurement.name()));
        let unfinished = path.with_extension("json.new");
        fs::write(&unfinished, text).map_err(BenchError::io("cannot write results"))?;
        fs::rename(&unfinished, &path).map_err(BenchError::io("cannot write results"))
    }

    /// Reads what is there, in the order of the measurements.
    pub(crate) fn read_all(folder: &Path) -> Result<Vec<Self>, BenchError> {
        let mut all = Vec::new();
        for measurement in Measurement::ALL {
            match fs::read_to_string(folder.join(format!("{}.json", measurement.name()))) {
                Ok(text) => all.push(serde_json::from_str(&text)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(BenchError::io("cannot read results")(error)),
            }
        }
        Ok(all)
    }
}
