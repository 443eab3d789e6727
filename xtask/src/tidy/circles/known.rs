//! The circles that are allowed, because they were there before the rule: a list that only becomes shorter.
//!
//! One file a line, an empty line between two circles; `#` begins a comment.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::{Finding, Report};
use super::KNOWN;
use super::components::Circle;

/// A circle of the list.
struct Listed {
    /// Where it begins in the list.
    line: usize,
    files: BTreeSet<PathBuf>,
}

/// A found circle must be in the list as it is, and a listed one must be found.
pub(super) fn compare(circles: &[Circle], known: &str, report: &mut Report) {
    let listed = parse(known);
    for circle in circles {
        let whole = listed.iter().any(|one| one.files == circle.files);
        let within = listed.iter().find(|one| one.files.is_superset(&circle.files));
        let Some(first) = circle.shortest.first() else { continue };
        let way = circle.shortest.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let finding = |text: String| Finding::new(&first.from, first.line, text);
        if whole {
            report.notes.push(finding(format!("a circle of {} files, known: {way}", circle.files.len())));
        } else if let Some(listed) = within {
            let files = circle.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ");
            let text = format!("this circle has become smaller: list only {files}");
            report.errors.push(Finding::new(KNOWN, listed.line, text));
        } else {
            let files = circle.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ");
            let advice = "move what both need to a file of its own that uses neither, or pass it as an argument";
            report.errors.push(finding(format!("a circle of files: {way}; {advice} (all of it: {files})")));
        }
    }
    for one in &listed {
        if !circles.iter().any(|circle| one.files.is_superset(&circle.files)) {
            report.errors.push(Finding::new(KNOWN, one.line, "this circle is no more; delete it here"));
        }
    }
}

fn parse(known: &str) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    let mut goes_on = false;
    for (number, line) in known.lines().enumerate() {
        let file = line.split('#').next().unwrap_or_default().trim();
        if file.is_empty() {
            goes_on &= line.trim_start().starts_with('#');
            continue;
        }
        match listed.last_mut() {
            Some(last) if goes_on => drop(last.files.insert(PathBuf::from(file))),
            _ => listed.push(Listed { line: number + 1, files: [PathBuf::from(file)].into() }),
        }
        goes_on = true;
    }
    listed
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::components::Graph;
    use super::*;

    /// Circles, each of the files that are the letters of a word; what is said about them, and how often something is noted.
    fn told(circles: &[&str], known: &str) -> (Vec<String>, usize) {
        let mut graph = Graph::default();
        for files in circles.iter().map(|word| word.split("").filter(|letter| !letter.is_empty()).collect::<Vec<_>>()) {
            for (from, to) in files.iter().zip(files.iter().cycle().skip(1)) {
                graph.add(Path::new(from), 1, Path::new(to));
            }
        }
        let mut report = Report::default();
        compare(&graph.circles(), known, &mut report);
        (report.errors.iter().map(ToString::to_string).collect(), report.notes.len())
    }

    #[test]
    fn a_circle_is_new_or_known() {
        assert_eq!(told(&["ab", "cde"], "# Why.\na\nb\n\nc\n# that one\nd  # here\ne\n"), (vec![], 2));
        let (errors, _) = told(&["ab", "cd"], "a\nb\n");
        assert!(errors[0].starts_with("c:1: a circle of files: c:1 uses d, d:1 uses c; "), "{errors:?}");
        let (errors, _) = told(&["abc"], "a\nb\n");
        assert_eq!(errors.len(), 2, "it has grown: {errors:?}");
    }

    #[test]
    fn the_list_must_shrink_with_the_circles() {
        let (errors, _) = told(&["ab"], "a\nb\n\nc\nd\n");
        assert_eq!(errors, ["xtask/circles.txt:4: this circle is no more; delete it here"]);
        let (errors, _) = told(&["ab"], "a\nb\nc\n");
        assert_eq!(errors, ["xtask/circles.txt:1: this circle has become smaller: list only a b"]);
        let (errors, _) = told(&["ab", "cd"], "a\nb\nc\nd\n");
        assert_eq!(errors.len(), 2, "it has come apart: {errors:?}");
    }
}
