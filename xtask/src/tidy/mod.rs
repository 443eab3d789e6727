//! `cargo xtask tidy`: the rules of the house that no lint knows, over cargo's metadata and the files that git sees.
//!
//! Each rule is a function from what it looks at to what is wrong with it, so that its tests show it failing on a small fixture.
//! The whole runs as a test, too.

mod circles;
mod doc_paths;
mod features;
mod files;
mod heads;
mod imports;
mod machine_paths;
mod manifests;
mod rust_source;
mod size;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use self::rust_source::RustSource;
use crate::step::Failure;
use crate::workspace::Workspace;

/// What a rule has against a line, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the root.
    path: PathBuf,
    /// From 1.
    line: usize,
    text: String,
}

impl Finding {
    fn new(path: impl Into<PathBuf>, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.into(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

/// What all rules together found.
#[derive(Debug, Default)]
struct Report {
    /// Break a rule.
    errors: Vec<Finding>,
    /// Worth a look; break none.
    notes: Vec<Finding>,
}

/// Prints what is wrong, and fails if anything is.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let report = look(workspace)?;
    for note in &report.notes {
        println!("note: {note}");
    }
    for error in &report.errors {
        println!("{error}");
    }
    if report.errors.is_empty() { Ok(()) } else { Err(Failure::Untidy(report.errors.len())) }
}

fn look(workspace: &Workspace) -> Result<Report, Failure> {
    let mut report = Report::default();
    let crates = imports::read(workspace)?;
    report.errors.extend(imports::check(&crates));
    report.errors.extend(features::check(&crates));
    report.errors.extend(crates.iter().filter_map(manifests::check));

    let (mut sources, mut known_circles) = (Vec::new(), String::new());
    for (path, text) in files::text_files(workspace)? {
        if path == Path::new(circles::KNOWN) {
            known_circles.clone_from(&text);
        }
        report.errors.extend(machine_paths::check(&path, &text));
        if doc_paths::DOCUMENTS.iter().any(|document| path == Path::new(document)) {
            report.errors.extend(doc_paths::check(&path, &text, |path| workspace.root.join(path).exists()));
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        report.errors.extend(heads::check(&path, &text));
        match RustSource::parse(&path, &text) {
            Ok(source) => {
                report.errors.extend(words::check(&source));
                size::check(&source, &mut report);
                sources.push(source);
            }
            Err(finding) => report.errors.push(finding),
        }
    }
    circles::check(&sources, &known_circles, &mut report);
    report.errors.sort();
    report.notes.sort();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let report = look(&Workspace::find().unwrap()).unwrap();
        let errors: Vec<String> = report.errors.iter().map(Finding::to_string).collect();
        assert!(errors.is_empty(), "\n{}", errors.join("\n"));
    }

    #[test]
    fn a_finding_can_be_clicked_on() {
        assert_eq!(Finding::new("crates/a/src/lib.rs", 7, "what").to_string(), "crates/a/src/lib.rs:7: what");
    }
}
