//! `usher-auth/test-util` makes permits without verification: nothing that is released may enable it.

use cargo_metadata::DependencyKind;

use super::Finding;
use super::imports::Crate;

/// Features that are for tests: each enables `test-util` or is it.
const FOR_TESTS: [(&str, &str); 2] = [("usher-auth", "test-util"), ("usher-store", "conformance")];
/// Crates that are for tests as a whole.
const TEST_CRATES: [&str; 1] = ["usher-testkit"];

/// Looks at what each crate asks of others as a program, and at what its own features enable.
pub(super) fn check(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in crates.iter().filter(|member| !TEST_CRATES.contains(&member.name.as_str())) {
        for (of, feature) in FOR_TESTS {
            let asked = member.asks.iter().any(|(name, kind, features)| {
                name == of && *kind != DependencyKind::Development && features.iter().any(|one| one == feature)
            });
            let by_feature = member.features.iter().any(|(name, enables)| {
                !FOR_TESTS.contains(&(member.name.as_str(), name.as_str()))
                    && enables
                        .iter()
                        .any(|one| *one == format!("{of}/{feature}") || (member.name == of && one == feature))
            });
            if asked || by_feature {
                let text = format!(
                    "{} enables {of}/{feature}, which makes permits without verification; only dev-dependencies may",
                    member.name
                );
                findings.push(Finding::new(&member.path, 1, text));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, change: impl FnOnce(&mut Crate)) -> usize {
        let mut member = Crate::default();
        name.clone_into(&mut member.name);
        change(&mut member);
        check(&[member]).len()
    }

    fn asking(kind: DependencyKind, of: &str, feature: &str) -> impl FnOnce(&mut Crate) {
        let ask = (of.to_owned(), kind, vec![feature.to_owned()]);
        move |member| member.asks.push(ask)
    }

    #[test]
    fn only_tests_make_permits_without_verification() {
        let normal = DependencyKind::Normal;
        assert_eq!(told("usher-server", asking(normal, "usher-auth", "test-util")), 1);
        assert_eq!(told("usher-server", asking(DependencyKind::Build, "usher-auth", "test-util")), 1);
        assert_eq!(told("usher-sql", asking(normal, "usher-store", "conformance")), 1);
        assert_eq!(told("usher-server", asking(DependencyKind::Development, "usher-auth", "test-util")), 0);
        assert_eq!(told("usher-server", asking(normal, "usher-auth", "other")), 0);
        assert_eq!(told("usher-testkit", asking(normal, "usher-auth", "test-util")), 0, "it is for tests as a whole");
    }

    #[test]
    fn no_feature_of_another_name_leads_to_it() {
        let with = |of: &str, name: &str, enables: &str| {
            let feature = (name.to_owned(), vec![enables.to_owned()]);
            told(of, move |member| member.features.push(feature))
        };
        assert_eq!(with("usher-auth", "default", "test-util"), 1);
        assert_eq!(with("usher-axum", "extra", "usher-auth/test-util"), 1);
        assert_eq!(with("usher-store", "conformance", "usher-auth/test-util"), 0);
        assert_eq!(with("usher-auth", "test-util", "other"), 0);
    }
}
