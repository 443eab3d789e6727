//! How long a file may be, in lines of code: neither blank nor comment nor, beside code, its unit tests.

use super::rust_source::RustSource;
use super::{Finding, Report};

/// Above this a file is listed: see whether it holds two things.
const AIM: usize = 300;
/// Above this a file gives its reason, in a line `//! Size: …` of its head.
const EXPLAIN: usize = 500;
/// Above this no reason is good enough.
const STOP: usize = 800;

/// Counts.
pub(super) fn check(source: &RustSource, report: &mut Report) {
    let lines = source.code_lines();
    let finding = |text: String| Finding::new(&source.path, 1, text);
    if lines > STOP {
        report.errors.push(finding(format!("{lines} lines of code, and {STOP} is the most; split it by what it does")));
    } else if lines > EXPLAIN && !gives_its_reason(source) {
        let advice = "split it by what it does, or say why not in a line `//! Size: …` of its head";
        report.errors.push(finding(format!("{lines} lines of code are more than {EXPLAIN}; {advice}")));
    } else if lines > AIM {
        report.notes.push(finding(format!("{lines} lines of code; aim under {AIM}")));
    }
}

fn gives_its_reason(source: &RustSource) -> bool {
    let mut head = source.text.lines().take_while(|line| line.starts_with("//!"));
    head.any(|line| line.strip_prefix("//! Size: ").is_some_and(|reason| !reason.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// How many errors and notes a file with that head and that many lines of code has.
    fn counted(head: &str, lines: usize) -> (usize, usize) {
        let text = format!("{head}\n\n{}// a comment\n", "const A: u8 = 1;\n".repeat(lines));
        let mut report = Report::default();
        check(&RustSource::parse(Path::new("src/a.rs"), &text).unwrap(), &mut report);
        (report.errors.len(), report.notes.len())
    }

    #[test]
    fn long_files_are_listed_then_explained_then_refused() {
        assert_eq!(counted("//! Cookies.", AIM), (0, 0));
        assert_eq!(counted("//! Cookies.", AIM + 1), (0, 1));
        assert_eq!(counted("//! Cookies.", EXPLAIN), (0, 1));
        assert_eq!(counted("//! Cookies.", EXPLAIN + 1), (1, 0));
        assert_eq!(counted("//! Cookies.\n//! Size: one table.", EXPLAIN + 1), (0, 1));
        assert_eq!(counted("//! Cookies.\n//! Size: ", EXPLAIN + 1), (1, 0));
        assert_eq!(counted("//! Cookies.\n\n//! Size: not in the head.", EXPLAIN + 1), (1, 0));
        assert_eq!(counted("//! Cookies.\n//! Size: one table.", STOP + 1), (1, 0));
    }
}
