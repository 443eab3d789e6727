//! The text files that git sees: tracked, or new and not ignored.

use std::fs;
use std::path::PathBuf;

use crate::step::{Failure, run_quietly};
use crate::workspace::Workspace;

/// Every such file, as a path relative to the root and its content. What is not UTF-8 is no text.
pub(super) fn text_files(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut git = workspace.command("git");
    let listing = run_quietly(git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let listing = String::from_utf8_lossy(&listing.stdout);
    let mut files = Vec::new();
    for path in listing.split_terminator('\0') {
        match fs::read(workspace.root.join(path)) {
            Ok(bytes) => files.extend(String::from_utf8(bytes).ok().map(|text| (PathBuf::from(path), text))),
            // Deleted, and git has not been told yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Failure::file(format!("cannot read {path}"))(source)),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn sees_the_repository_and_not_what_is_ignored() {
        let files = text_files(&Workspace::find().unwrap()).unwrap();
        assert!(
            files
                .iter()
                .any(|(path, text)| path == Path::new("xtask/src/tidy/files.rs")
                    && text.starts_with("//! The text files"))
        );
        assert!(!files.iter().any(|(path, _)| path.starts_with("target") || path.starts_with("e2e/node_modules")));
    }
}
