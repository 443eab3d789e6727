//! No file names a place that exists on one machine only.

use std::path::Path;

use super::Finding;

/// Folders in which a person's or a machine's own things lie: the first word, and what may come after it. An empty list is
/// anything.
const PRIVATE: [(&str, &[&str]); 5] =
    [("home", &[]), ("root", &[]), ("Users", &[]), ("work", &["main", "shared"]), ("tmp", &["bash", "target"])];

/// Looks for absolute paths into [`PRIVATE`] places.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(number, line)| {
            let private = private_path(line)?;
            let advice =
                "is a path of one machine; use a relative one, env!(\"CARGO_MANIFEST_DIR\"), or a temporary folder";
            Some(Finding::new(path, number + 1, format!("`{private}…` {advice}")))
        })
        .collect()
}

fn private_path(line: &str) -> Option<String> {
    PRIVATE.iter().find_map(|(word, inside)| {
        let start = format!("/{word}/");
        let mut places = line.match_indices(&start).filter(|(at, _)| is_absolute(&line[..*at]));
        places.any(|(at, _)| goes_on(&line[at + start.len()..], inside)).then_some(start)
    })
}

/// Not the middle of a longer path or of a URL: `src/root/mod.rs`, `https://example.com/home/`.
fn is_absolute(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || "/._-~*}>".contains(c)) || before.ends_with("file://")
}

fn goes_on(after: &str, inside: &[&str]) -> bool {
    if inside.is_empty() {
        after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_')
    } else {
        inside.iter().any(|folder| after.starts_with(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written in two parts so that this file does not break the rule.
    fn findings(first: &str, rest: &str) -> usize {
        check(Path::new("a.md"), &format!("\n{first}/{rest}\n")).len()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        assert_eq!(findings("see ", "home/alice/usher"), 1);
        assert_eq!(findings("\"", "root/.cargo\""), 1);
        assert_eq!(findings("open(", "Users/alice)"), 1);
        assert_eq!(findings("file://", "home/alice"), 1);
        assert_eq!(findings("cd ", "work/main"), 1);
        assert_eq!(findings("TARGET=", "tmp/target-x"), 1);
        let found = check(Path::new("a.md"), &format!("one\ntwo /{}\n", "home/alice"));
        assert_eq!(found[0].line, 2);
    }

    #[test]
    fn paths_of_every_machine_are_not() {
        assert_eq!(findings("", "etc/usher/usher.toml"), 0);
        assert_eq!(findings("", "usr/bin/chromium"), 0);
        assert_eq!(findings("https://example.com", "home/alice"), 0);
        assert_eq!(findings("crates", "root/mod.rs"), 0);
        assert_eq!(findings("everything under ", "home/ is private"), 0);
        assert_eq!(findings("", "tmp/usher.sock"), 0);
        assert_eq!(findings("", "work/flow"), 0);
    }
}
