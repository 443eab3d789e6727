//! Tables and times, for people to read.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use jiff::Timestamp;
use serde::Serialize;

use super::CommandError;
use usher_audit::hidden_text::is_hidden;

/// Prints a line to standard output.
pub(super) fn line(text: &str) -> Result<(), CommandError> {
    writeln!(io::stdout().lock(), "{text}").map_err(CommandError::Io)
}

/// Prints a line to standard error: what is said beside the result.
pub(super) fn note(text: &str) -> Result<(), CommandError> {
    writeln!(io::stderr().lock(), "{text}").map_err(CommandError::Io)
}

/// Prints rows as JSON, or as a table with `columns` over it. Where there are none, `nothing` says so beside the empty result.
pub(super) fn list<R: Serialize, const N: usize>(
    json: bool,
    nothing: &str,
    rows: &[R],
    columns: [&str; N],
    cells: impl Fn(&R) -> [String; N],
) -> Result<(), CommandError> {
    if json {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, rows).map_err(io::Error::from)?;
        return writeln!(out).map_err(CommandError::Io);
    }
    if rows.is_empty() {
        return note(nothing);
    }
    let cells: Vec<[String; N]> = rows.iter().map(cells).collect();
    io::stdout().lock().write_all(table(columns, &cells).as_bytes()).map_err(CommandError::Io)
}

/// Columns as wide as their widest cell. Nothing for no rows.
fn table<const N: usize>(columns: [&str; N], rows: &[[String; N]]) -> String {
    let mut out = String::new();
    if rows.is_empty() {
        return out;
    }
    let head = columns.map(str::to_owned);
    let rows: Vec<[String; N]> =
        std::iter::once(head).chain(rows.iter().map(|row| row.each_ref().map(|cell| printable(cell)))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// The text with everything escaped that a terminal would act upon, or that would make it look like another (req N4).
pub(super) fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

/// Unix seconds as RFC 3339 in UTC.
pub(super) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cannot_break_out() {
        // req N4
        let rows = [["alice".to_owned(), "Alice\u{1b}[31m".to_owned()], ["bob".to_owned(), "Bób\n\u{202e}".to_owned()]];
        assert_eq!(table(["id", "name"], &rows), "id     name\nalice  Alice\\u{1b}[31m\nbob    Bób\\u{a}\\u{202e}\n");
        assert_eq!(table(["id"], &[]), "");
        assert_eq!(time(1_760_000_000), "2025-10-09T08:53:20Z");
    }
}
