//! Every crate takes the workspace's lints.

use super::Finding;
use super::imports::Crate;

/// Looks for `[lints] workspace = true`.
pub(super) fn check(member: &Crate) -> Option<Finding> {
    let manifest = toml::from_str::<toml::Table>(&member.manifest).unwrap_or_default();
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    (inherits != Some(true)).then(|| {
        let line = member.manifest.lines().position(|line| line.trim() == "[lints]").unwrap_or(0) + 1;
        Finding::new(&member.path, line, "this crate has lints of its own; write `[lints]` and `workspace = true`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_are_inherited() {
        let line = |manifest: &str| {
            let mut member = Crate::default();
            manifest.clone_into(&mut member.manifest);
            check(&member).map(|finding| finding.line)
        };
        assert_eq!(line("[package]\nname = \"a\"\n[lints]\nworkspace = true\n"), None);
        assert_eq!(line("[package]\nname = \"a\"\nlints.workspace = true\n"), Some(1), "that is a key of the package");
        assert_eq!(line("[package]\nname = \"a\"\n"), Some(1));
        assert_eq!(line("[package]\nname = \"a\"\n[lints]\nworkspace = false\n"), Some(3));
        assert_eq!(line("[lints.rust]\nunsafe_code = \"allow\"\n"), Some(1));
    }
}
