//! Files that the documents name are there: in the glossary, and in the tables of ARCHITECTURE.md (req O9).

use std::path::Path;

use super::Finding;

/// Documents whose backticked paths are checked: relative to the root or to `crates/`, or, in a row of a table, to the folder of the path before.
pub(super) const DOCUMENTS: [&str; 2] = ["docs/ARCHITECTURE.md", "docs/reference/glossary.md"];

/// The paths in `text` that `exists` does not find.
pub(super) fn check(document: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut folder = None;
        for name in backticked(line).filter(|name| is_path(name)) {
            let candidates = candidates(name, folder.as_deref());
            match candidates.iter().find(|path| exists(Path::new(path))) {
                Some(found) => folder = Some(folder_of(found)),
                None => findings.push(Finding::new(document, number + 1, format!("there is no file {name}"))),
            }
        }
    }
    findings
}

/// What stands between backticks.
fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A Rust file, or a folder.
fn is_path(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.'));
    let folder = name.ends_with('/') && !name.starts_with('/') && !name.contains("//");
    plain && (is_rust(name) || folder)
}

fn is_rust(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "rs")
}

fn candidates(name: &str, folder: Option<&str>) -> Vec<String> {
    let mut candidates = vec![name.to_owned(), format!("crates/{name}")];
    // A file beside the one before, or beside the folder that it is in.
    let mut folder = folder;
    while let Some(at) = folder {
        candidates.push(format!("{at}/{name}"));
        folder = at.rsplit_once('/').map(|(parent, _)| parent);
    }
    candidates
}

fn folder_of(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if is_rust(path) { path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned() } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> Vec<(usize, String)> {
        let there = [
            "crates/a/src/one.rs",
            "crates/a/src/two.rs",
            "crates/a/src/three/",
            "crates/a/src/three/x.rs",
            "xtask/src/",
        ];
        let exists = |path: &Path| {
            let path = path.to_string_lossy();
            there.iter().any(|there| there.trim_end_matches('/') == path.trim_end_matches('/'))
        };
        check(Path::new("d.md"), text, exists).into_iter().map(|finding| (finding.line, finding.text)).collect()
    }

    #[test]
    fn paths_are_found_from_the_root_from_crates_and_beside_the_one_before() {
        assert_eq!(
            missing(
                "| x | `crates/a/src/one.rs`, `two.rs`; `three/` and `x.rs`, then `two.rs` |\n| y | `a/src/three/` |"
            ),
            []
        );
        assert_eq!(missing("`xtask/src/`, `GET /path/`, `https://a/b/`, `one.rs::name`, `.rs file`"), []);
        assert_eq!(missing("`a/src/one.rs`\n`a/src/gone.rs`"), [(2, "there is no file a/src/gone.rs".to_owned())]);
        assert_eq!(missing("`one.rs`"), [(1, "there is no file one.rs".to_owned())], "beside nothing");
    }
}
