//! Verification of a chain: what was changed, inserted, taken out, put elsewhere or cut off.

use serde::{Deserialize, Serialize};
use usher_store::ChainHead;

use super::Chain;

/// Most problems that are listed; more are counted.
const MAX_PROBLEMS: usize = 100;
/// Most gaps that are remembered, in case what belongs there comes later.
const MAX_GAPS: usize = 1_000;

/// What was found in one chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReport {
    /// The chain's name.
    pub chain: String,
    /// How many records hold.
    pub records: u64,
    /// What is wrong, in words; empty if nothing is.
    pub problems: Vec<String>,
    /// How many more problems there are.
    pub unlisted: u64,
    /// What should be known and is not wrong.
    pub notes: Vec<String>,
}

/// Reads the lines of a chain from its beginning.
pub(super) struct Checker {
    chain: Chain,
    report: ChainReport,
    lines: u64,
    last: Option<ChainHead>,
    /// Lines since the last good one that do not hold.
    broken: Vec<u64>,
    /// Records that are missing so far, and the line before which they are.
    gaps: Vec<(u64, u64, String)>,
}

impl Checker {
    pub(super) fn new(chain: Chain) -> Self {
        Self { chain, report: ChainReport::default(), lines: 0, last: None, broken: Vec::new(), gaps: Vec::new() }
    }

    /// The next line.
    pub(super) fn line(&mut self, line: &str) {
        self.lines += 1;
        let Some(link) = self.chain.read(line) else {
            self.broken.push(self.lines);
            return;
        };
        let number = link.head.number;
        match self.last {
            None => self.first(number),
            Some(last) if number > last.number => {
                let before = format!("before line {}", self.lines);
                let follows = self.broken.is_empty() && number == last.number + 1;
                self.settle(last.number, number, before);
                if follows && link.prev != last.mac {
                    self.problem(format!(
                        "line {} (record {number}) does not follow from the line before it",
                        self.lines
                    ));
                }
            }
            Some(_) => {
                self.flush_broken();
                self.out_of_order(number);
                return;
            }
        }
        self.report.records += 1;
        self.last = Some(link.head);
    }

    /// A line that is not even complete, at the end.
    pub(super) fn unfinished(&mut self) {
        self.report.notes.push("the last line is being written or was never finished".to_owned());
    }

    /// No more lines. `head` is how far the chain has got according to the store.
    pub(super) fn finish(mut self, name: &str, head: Option<ChainHead>) -> ChainReport {
        let end = head.map_or(0, |head| head.number);
        // Where nothing holds, what is there is taken for the end.
        let last = self.last.map_or(end.saturating_sub(self.broken.len() as u64), |last| last.number);
        if self.lines == 0 || end > last {
            if self.lines == 0 && end > 0 {
                self.problem(format!(
                    "there are no records, and the store knows of {end}: give the rotated files, too, or they are gone"
                ));
            } else {
                self.settle(last, end + 1, "at the end: they were cut off".to_owned());
            }
        } else {
            self.flush_broken();
            if let (Some(head), Some(last)) = (head, self.last)
                && head.number == last.number
                && head.mac != last.mac
            {
                self.problem(format!("record {end} is not the one that the store knows"));
            }
            if last > end {
                self.report.notes.push(format!("records {} to {last} are newer than what the store knows of", end + 1));
            }
        }
        for (from, to, place) in std::mem::take(&mut self.gaps) {
            let what = if from == to { format!("record {from} is") } else { format!("records {from} to {to} are") };
            self.problem(format!("{what} missing {place}"));
        }
        ChainReport { chain: name.to_owned(), ..self.report }
    }

    fn first(&mut self, number: u64) {
        if number > 1 {
            // Lines before it that do not hold are at most what is missing before it.
            let broken = self.broken.len() as u64;
            self.settle((number - 1).saturating_sub(broken), number, String::new());
            let begins = number - broken.min(number - 1);
            if begins > 1 {
                self.report
                    .notes
                    .push(format!("begins with record {begins}; what came before was rotated or removed by age"));
            }
        } else {
            self.flush_broken();
        }
    }

    /// Between the good records `last` and `next` stand the broken lines: they are in place of what is missing, or were inserted.
    fn settle(&mut self, last: u64, next: u64, place: String) {
        let mut missing = last + 1;
        for line in std::mem::take(&mut self.broken) {
            if missing < next {
                self.problem(format!("line {line} (record {missing}) was changed"));
                missing += 1;
            } else {
                self.problem(format!("line {line} was inserted"));
            }
        }
        if missing < next {
            if self.gaps.len() < MAX_GAPS {
                self.gaps.push((missing, next - 1, place));
            } else {
                self.problem(format!("records {missing} to {} are missing {place}", next - 1));
            }
        }
    }

    fn flush_broken(&mut self) {
        for line in std::mem::take(&mut self.broken) {
            self.problem(format!("line {line} was inserted"));
        }
    }

    /// A good record that is not after the last one: it belongs into a gap, or is there twice.
    fn out_of_order(&mut self, number: u64) {
        let line = self.lines;
        let gap = self.gaps.iter().position(|(from, to, _)| (*from..=*to).contains(&number));
        let Some(at) = gap else {
            self.problem(format!("line {line} repeats record {number}"));
            return;
        };
        self.report.records += 1;
        self.problem(format!("line {line} (record {number}) is in the wrong place"));
        let (from, to, place) = self.gaps.remove(at);
        if from < number {
            self.gaps.push((from, number - 1, place.clone()));
        }
        if number < to {
            self.gaps.push((number + 1, to, place));
        }
    }

    fn problem(&mut self, text: String) {
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(text);
        } else {
            self.report.unlisted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::AuditKeys;
    use super::*;

    fn keys() -> AuditKeys {
        AuditKeys::from_secret(&[1; 32])
    }

    /// Six lines, and the head that the store would know.
    fn written() -> (Vec<String>, ChainHead) {
        let mut chain = Chain::new("file:a", &keys(), None);
        let lines = (1..=6).map(|n| chain.append(&format!("{{\"event\":\"e{n}\"}}"))).collect();
        (lines, chain.head())
    }

    fn check(lines: &[String], head: ChainHead) -> ChainReport {
        let mut checker = Checker::new(Chain::new("file:a", &keys(), None));
        for line in lines {
            checker.line(line);
        }
        checker.finish("file:a", Some(head))
    }

    #[test]
    fn what_was_not_touched_holds() {
        let (lines, head) = written();
        let report = check(&lines, head);
        assert_eq!((report.records, report.problems, report.notes), (6, vec![], vec![]));
        // A crash between the line and the head.
        let report = check(&lines, ChainHead { number: 5, mac: [0; 32] });
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(report.notes, ["records 6 to 6 are newer than what the store knows of"]);
    }

    #[test]
    fn each_way_of_tampering_is_named() {
        // req N5
        let (lines, head) = written();
        let tampered = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            check(&lines, head).problems
        };
        assert_eq!(tampered(&|lines| lines[2] = lines[2].replace("e3", "e4")), ["line 3 (record 3) was changed"]);
        assert_eq!(tampered(&|lines| lines[5] = lines[5].replace("e6", "e4")), ["line 6 (record 6) was changed"]);
        assert_eq!(tampered(&|lines| lines[0] = lines[0].replace("e1", "e4")), ["line 1 (record 1) was changed"]);
        assert_eq!(tampered(&|lines| drop(lines.remove(2))), ["record 3 is missing before line 3"]);
        assert_eq!(tampered(&|lines| drop(lines.drain(1..4))), ["records 2 to 4 are missing before line 2"]);
        assert_eq!(tampered(&|lines| lines.insert(2, "{\"event\":\"e\"}".to_owned())), ["line 3 was inserted"]);
        assert_eq!(tampered(&|lines| lines.insert(0, String::new())), ["line 1 was inserted"]);
        assert_eq!(tampered(&|lines| lines.push("x".repeat(100))), ["line 7 was inserted"]);
        assert_eq!(tampered(&|lines| lines.insert(4, lines[1].clone())), ["line 5 repeats record 2"]);
        assert_eq!(tampered(&|lines| lines.swap(2, 3)), ["line 4 (record 3) is in the wrong place"]);
        assert_eq!(tampered(&|lines| lines.truncate(4)), ["records 5 to 6 are missing at the end: they were cut off"]);
        assert_eq!(
            tampered(&Vec::clear),
            ["there are no records, and the store knows of 6: give the rotated files, too, or they are gone"]
        );
        // A line cut in two, as a torn write would leave it.
        assert_eq!(tampered(&|lines| lines[5].truncate(20)), ["line 6 (record 6) was changed"]);
    }

    #[test]
    fn a_line_of_another_key_or_chain_does_not_hold() {
        // req N5
        let (mut lines, head) = written();
        lines[2] = Chain::new("file:a", &AuditKeys::from_secret(&[2; 32]), None).append("{\"event\":\"e3\"}");
        assert_eq!(check(&lines, head).problems, ["line 3 (record 3) was changed"]);
        lines[2] = Chain::new("file:b", &keys(), None).append("{\"event\":\"e3\"}");
        assert_eq!(check(&lines, head).problems, ["line 3 (record 3) was changed"]);
        // The owner of the key wrote this one, but not here: a copy of the store that went on by itself.
        let mut other = Chain::new("file:a", &keys(), None);
        let forked: Vec<String> = (1..=6).map(|n| other.append(&format!("{{\"event\":\"f{n}\"}}"))).collect();
        let (mut lines, head) = written();
        lines[3..].clone_from_slice(&forked[3..]);
        let problems = check(&lines, head).problems;
        assert_eq!(
            problems,
            [
                "line 4 (record 4) does not follow from the line before it",
                "record 6 is not the one that the store knows"
            ]
        );
    }

    #[test]
    fn what_was_rotated_away_is_said() {
        let (lines, head) = written();
        let report = check(&lines[3..], head);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(report.notes, ["begins with record 4; what came before was rotated or removed by age"]);
    }
}
