//! Which crate may import which: the table of docs/ARCHITECTURE.md, over cargo's metadata.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::PathBuf;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

use super::Finding;
use crate::step::Failure;
use crate::workspace::Workspace;

/// What a crate of ours may import.
struct Row {
    name: &'static str,
    /// Of ours.
    may: &'static [&'static str],
    /// Of others', with what belongs to them (`axum` means `axum-extra`, too); nor may anything that it imports.
    never: &'static [&'static str],
    /// Of others', by itself; what it imports may.
    not_itself: &'static [&'static str],
    /// Of ours, for its tests alone.
    tests_may: Tests,
}

#[derive(Clone, Copy)]
enum Tests {
    /// Everything but xtask.
    All,
    /// The test kit, so that nothing creeps into a crate that is to stay pure.
    Testkit,
}

const TESTKIT: &str = "usher-testkit";

/// The server and what it is made of.
const ALL: [&str; 8] = [
    "usher-auth",
    "usher-store",
    "usher-sql",
    "usher-rooms",
    "usher-audit",
    "usher-accounts",
    "usher-axum",
    "usher-server",
];

const TABLE: [Row; 14] = [
    Row {
        name: "axum-chat",
        may: &["usher-auth", "usher-axum", "usher-rooms"],
        never: &["sqlx", "redis"],
        not_itself: &[],
        tests_may: Tests::All,
    },
    Row { name: "axum-echo", may: &["usher-axum"], never: &["sqlx", "redis"], not_itself: &[], tests_may: Tests::All },
    Row { name: "axum-sockjs", may: &[], never: &["sqlx", "redis"], not_itself: &[], tests_may: Tests::Testkit },
    Row {
        name: "usher-auth",
        may: &[],
        never: &["tokio", "axum", "hyper", "sqlx", "redis"],
        not_itself: &["rand", "getrandom"],
        tests_may: Tests::Testkit,
    },
    Row {
        name: "usher-store",
        may: &["usher-auth"],
        never: &["sqlx", "redis", "axum"],
        not_itself: &[],
        tests_may: Tests::All,
    },
    Row {
        name: "usher-sql",
        may: &["usher-auth", "usher-store"],
        never: &["axum", "redis"],
        not_itself: &[],
        tests_may: Tests::All,
    },
    Row {
        name: "usher-audit",
        may: &["usher-auth", "usher-store"],
        never: &["axum", "hyper", "sqlx", "redis"],
        not_itself: &[],
        tests_may: Tests::All,
    },
    Row {
        name: "usher-accounts",
        may: &["usher-auth", "usher-store", "usher-audit", "usher-axum"],
        never: &["sqlx", "redis"],
        not_itself: &["axum", "hyper"],
        tests_may: Tests::All,
    },
    Row {
        name: "usher-rooms",
        may: &["usher-auth"],
        never: &["sqlx", "redis", "axum"],
        not_itself: &[],
        tests_may: Tests::All,
    },
    Row {
        name: "usher-axum",
        may: &["usher-auth", "usher-store", "usher-rooms", "axum-sockjs"],
        never: &["sqlx", "redis"],
        not_itself: &[],
        tests_may: Tests::All,
    },
    Row {
        name: "usher-server",
        may: &["usher-auth", "usher-store", "usher-sql", "usher-rooms", "usher-audit", "usher-accounts", "usher-axum"],
        never: &[],
        not_itself: &[],
        tests_may: Tests::All,
    },
    Row { name: TESTKIT, may: &ALL, never: &[], not_itself: &[], tests_may: Tests::All },
    Row { name: "usher-bench", may: &ALL, never: &[], not_itself: &[], tests_may: Tests::All },
    Row { name: "xtask", may: &[], never: &[], not_itself: &[], tests_may: Tests::Testkit },
];

/// A crate of ours: its manifest, and what it imports.
#[derive(Clone, Debug, Default)]
pub(super) struct Crate {
    pub(super) name: String,
    /// Of its manifest, relative to the root.
    pub(super) path: PathBuf,
    /// The manifest's text.
    pub(super) manifest: String,
    /// Ours and others', as the program or its build script needs them.
    imports: BTreeSet<String>,
    /// The same for its tests.
    test_imports: BTreeSet<String>,
    /// Each import, for what, and the features of it that are asked for.
    pub(super) asks: Vec<(String, DependencyKind, Vec<String>)>,
    /// Its own features, and what each enables.
    pub(super) features: Vec<(String, Vec<String>)>,
    /// Everything that comes along with `imports`, each with the way to it.
    reaches: BTreeMap<String, Vec<String>>,
}

/// Asks cargo.
pub(super) fn read(workspace: &Workspace) -> Result<Vec<Crate>, Failure> {
    let metadata = MetadataCommand::new().manifest_path(workspace.root.join("Cargo.toml")).exec()?;
    let mut crates = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path)
            .map_err(Failure::file(format!("cannot read {}", package.manifest_path)))?;
        let named = |for_tests: bool| {
            let wanted = package.dependencies.iter();
            let wanted = wanted.filter(move |found| (found.kind == DependencyKind::Development) == for_tests);
            wanted.map(|found| found.name.clone()).collect()
        };
        let asks = package.dependencies.iter().map(|found| (found.name.clone(), found.kind, found.features.clone()));
        let path = package.manifest_path.as_std_path();
        crates.push(Crate {
            name: package.name.to_string(),
            path: path.strip_prefix(&workspace.root).unwrap_or(path).to_owned(),
            manifest,
            imports: named(false),
            test_imports: named(true),
            asks: asks.collect(),
            features: package.features.iter().map(|(name, enables)| (name.clone(), enables.clone())).collect(),
            reaches: reached_from(&metadata, &package.id),
        });
    }
    Ok(crates)
}

/// Breadth first, so that the way shown is the shortest.
fn reached_from(metadata: &Metadata, start: &PackageId) -> BTreeMap<String, Vec<String>> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: BTreeMap<&PackageId, _> = nodes.map(|node| (&node.id, node)).collect();
    let mut ways: BTreeMap<&PackageId, Vec<String>> = BTreeMap::from([(start, Vec::new())]);
    let mut next = VecDeque::from([start]);
    while let Some(id) = next.pop_front() {
        let way = ways[id].clone();
        for found in nodes.get(id).iter().flat_map(|node| &node.deps) {
            let for_more_than_tests = found.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if for_more_than_tests && !ways.contains_key(&found.pkg) {
                ways.insert(&found.pkg, [way.as_slice(), &[metadata[&found.pkg].name.to_string()]].concat());
                next.push_back(&found.pkg);
            }
        }
    }
    ways.into_values().filter_map(|way| Some((way.last()?.clone(), way))).collect()
}

/// Holds every crate against its row.
pub(super) fn check(crates: &[Crate]) -> Vec<Finding> {
    let ours: BTreeSet<&str> = crates.iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in crates {
        match TABLE.iter().find(|row| row.name == member.name) {
            Some(row) => findings.extend(check_crate(member, row, &ours)),
            None => findings.push(Finding::new(
                &member.path,
                1,
                format!("no row for {} in the import table; add one to xtask/src/tidy/imports.rs", member.name),
            )),
        }
    }
    for row in TABLE.iter().filter(|row| !ours.contains(row.name)) {
        let text = format!("the import table has a row for {}, which does not exist; delete it", row.name);
        findings.push(Finding::new("xtask/src/tidy/imports.rs", 1, text));
    }
    findings
}

fn check_crate(member: &Crate, row: &Row, ours: &BTreeSet<&str>) -> Vec<Finding> {
    let finding = |import: &str, text: String| Finding::new(&member.path, line_of(import, &member.manifest), text);
    let our =
        |imports: &BTreeSet<String>| imports.iter().filter(|import| ours.contains(import.as_str())).cloned().collect();
    let mut findings = Vec::new();

    let imports: Vec<String> = our(&member.imports);
    for import in imports.iter().filter(|import| !row.may.contains(&import.as_str())) {
        let text = format!("{} may not import {import}; see the import table in docs/ARCHITECTURE.md", row.name);
        findings.push(finding(import, text));
    }

    for import in row.not_itself.iter().filter(|import| member.imports.contains(**import)) {
        findings
            .push(finding(import, format!("{} may not import {import}; take what it gives as an argument", row.name)));
    }

    let mut test_imports: Vec<String> = our(&member.test_imports);
    // Its own tests may ask it for a feature.
    test_imports.retain(|import| import != row.name);
    for import in test_imports.iter().filter(|import| !row.may.contains(&import.as_str())) {
        let allowed = match row.tests_may {
            Tests::All => import != "xtask",
            Tests::Testkit => import == TESTKIT,
        };
        if !allowed {
            let text = format!("the tests of {} may not import {import}, only {TESTKIT}; move the test up", row.name);
            findings.push(finding(import, text));
        }
    }

    for (import, way) in member.reaches.iter().filter(|(import, _)| !ours.contains(import.as_str())) {
        let belongs_to =
            |banned: &&str| import.strip_prefix(*banned).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        // What nothing of ours named came in through something that was; that is the one to tell.
        let told_already = way.iter().rev().skip(1).any(|before| row.never.contains(&before.as_str()));
        if row.never.iter().any(belongs_to) && !told_already {
            let text = format!("{} never imports {import}, here by way of {}", row.name, way.join(" → "));
            let first = way.first().map_or("", String::as_str);
            findings.push(finding(first, format!("{text}; keep it out, or move the code to a crate that may")));
        }
    }
    findings
}

/// Where a manifest names it.
fn line_of(import: &str, manifest: &str) -> usize {
    let names_it = |line: &str| line.strip_prefix(import).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(names_it).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All crates of the table, importing nothing; then `change` to the one of that name.
    fn findings(name: &str, change: impl FnOnce(&mut Crate)) -> Vec<String> {
        let mut crates: Vec<Crate> =
            TABLE.iter().map(|row| Crate { name: row.name.to_owned(), ..Crate::default() }).collect();
        change(crates.iter_mut().find(|member| member.name == name).unwrap());
        check(&crates).into_iter().map(|finding| format!("{}: {}", finding.line, finding.text)).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn reaching(name: &str, way: &[&str]) -> Vec<String> {
        let way: Vec<String> = way.iter().map(|step| (*step).to_owned()).collect();
        findings(name, |member| {
            member.reaches.insert(way.last().unwrap().clone(), way);
        })
    }

    #[test]
    fn a_crate_imports_of_ours_what_its_row_says() {
        let import = |name, imports| findings(name, |member| member.imports = set(imports)).len();
        assert_eq!(import("usher-axum", &["usher-auth", "usher-store", "serde"]), 0);
        assert_eq!(import("usher-axum", &["usher-rooms"]), 0, "with a feature: decision 0017");
        assert_eq!(import("usher-axum", &["usher-sql"]), 1);
        assert_eq!(import("usher-auth", &["usher-store"]), 1);
        assert_eq!(import("usher-rooms", &["usher-store"]), 1);
        assert_eq!(import("usher-server", &["usher-sql", "usher-rooms", "usher-axum"]), 0);
        assert_eq!(import("usher-server", &["usher-testkit"]), 1, "the test kit is for tests alone");
        assert_eq!(import("xtask", &["usher-auth"]), 1);
        assert_eq!(import("usher-auth", &["getrandom"]), 1, "randomness is an argument");
    }

    #[test]
    fn tests_may_import_more_but_not_in_the_pure_crate() {
        let import = |name, imports| findings(name, |member| member.test_imports = set(imports)).len();
        assert_eq!(import("usher-rooms", &["usher-testkit", "usher-server", "proptest"]), 0);
        assert_eq!(import("usher-rooms", &["xtask"]), 1);
        assert_eq!(import("usher-auth", &["usher-testkit", "proptest"]), 0);
        assert_eq!(import("usher-auth", &["usher-store"]), 1);
    }

    #[test]
    fn what_is_never_imported_does_not_come_in_by_another_way() {
        assert_eq!(reaching("usher-auth", &["serde"]), [""; 0]);
        assert_eq!(reaching("usher-auth", &["tokio"]).len(), 1);
        assert_eq!(reaching("usher-store", &["axum-extra"]).len(), 1);
        assert_eq!(reaching("usher-store", &["axumite"]), [""; 0]);
        assert_eq!(reaching("usher-axum", &["tokio"]), [""; 0]);
        let told = reaching("usher-axum", &["usher-store", "moka", "redis"]);
        assert!(told[0].contains("usher-store → moka → redis"), "{told:?}");
        assert_eq!(reaching("usher-auth", &["tokio", "hyper"]), [""; 0], "tokio itself is told, not what it brings");
    }

    #[test]
    fn a_new_crate_needs_a_row_and_a_row_needs_a_crate() {
        let told = findings("usher-store", |member| member.name = "usher-new".to_owned());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("no row for usher-new"), "{told:?}");
        assert!(told[1].contains("a row for usher-store, which does not exist"), "{told:?}");
    }

    #[test]
    fn the_line_is_the_dependency() {
        let told = findings("usher-auth", |member| {
            member.imports = set(&["usher-rooms"]);
            member.manifest = "[dependencies]\nusher-rooms-more = \"1\"\nusher-rooms.workspace = true\n".to_owned();
        });
        assert!(told[0].starts_with("3: "), "{told:?}");
    }
}
