//! Every Rust file opens with `//!`: what it is for, before how.

use std::path::Path;

use super::Finding;

/// Looks at the first line, past blank ones.
pub(super) fn check(path: &Path, text: &str) -> Option<Finding> {
    let (number, first) = text.lines().enumerate().find(|(_, line)| !line.trim().is_empty()).unwrap_or((0, ""));
    let says_something = first.strip_prefix("//!").is_some_and(|said| !said.trim().is_empty());
    (!says_something).then(|| {
        Finding::new(path, number + 1, "a Rust file opens with `//!`; say in one sentence what this one is for")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_is_for_before_anything_else() {
        let broken = |text| check(Path::new("a.rs"), text).map(|finding| finding.line);
        assert_eq!(broken("//! Cookies.\nuse a::b;\n"), None);
        assert_eq!(broken("\n//! Cookies.\n"), None);
        assert_eq!(broken("use a::b;\n//! Cookies.\n"), Some(1));
        assert_eq!(broken("\n// Cookies.\n"), Some(2));
        assert_eq!(broken("//!\nuse a::b;\n"), Some(1));
        assert_eq!(broken(""), Some(1));
    }
}
