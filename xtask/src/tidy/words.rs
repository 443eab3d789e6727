//! Words that have no place in the code, or in this part of it.

use std::path::Path;

use proc_macro2::{Delimiter, TokenTree};

use super::Finding;
use super::rust_source::{Place, RustSource, attribute, is_ident, is_punct};

/// What a rule looks at.
struct Here<'a> {
    path: &'a Path,
    place: &'a Place<'a>,
}

/// Says what is wrong with a place, and what to do.
type Rule = fn(&Here<'_>) -> Option<&'static str>;

const RULES: [Rule; 7] = [unwrap, unfinished, ignored_test, sleeping_test, clock, randomness, backend];

/// Applies all rules to every place.
pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    let mut findings = Vec::new();
    source.visit(|place| {
        let here = Here { path: &source.path, place };
        let texts = RULES.iter().filter_map(|rule| rule(&here));
        findings.extend(texts.map(|text| Finding::new(&source.path, place.line(), text)));
    });
    findings
}

fn unwrap(here: &Here<'_>) -> Option<&'static str> {
    let found = match here.place.tokens {
        [dot, name, TokenTree::Group(arguments), ..] => {
            is_punct(dot, '.') && is_ident(name, "unwrap") && arguments.stream().is_empty()
        }
        _ => false,
    };
    (found && !here.place.in_test)
        .then_some("`.unwrap()` outside tests; return an error, or state with `.expect(…)` why it cannot fail")
}

fn unfinished(here: &Here<'_>) -> Option<&'static str> {
    let found = match here.place.tokens {
        [name, bang, ..] => (is_ident(name, "todo") || is_ident(name, "unimplemented")) && is_punct(bang, '!'),
        _ => false,
    };
    found.then_some("unfinished code; finish it, or leave it out")
}

fn ignored_test(here: &Here<'_>) -> Option<&'static str> {
    let first = attribute(here.place.tokens)?.group.stream().into_iter().next()?;
    is_ident(&first, "ignore").then_some("a test that nobody runs; make it pass, or delete it")
}

/// The test kit is for tests alone, although cargo compiles it as a library.
fn sleeping_test(here: &Here<'_>) -> Option<&'static str> {
    let found = match here.place.tokens {
        [name, TokenTree::Group(arguments), ..] => {
            (is_ident(name, "sleep") || is_ident(name, "sleep_until"))
                && arguments.delimiter() == Delimiter::Parenthesis
        }
        _ => false,
    };
    (found && (here.place.in_test || here.path.starts_with("crates/usher-testkit"))).then_some(
        "a test that sleeps is slow or wrong; wait for what must happen (ping and pong), or move simulated time",
    )
}

fn clock(here: &Here<'_>) -> Option<&'static str> {
    let found = match here.place.tokens {
        [name, colon, colon2, now, ..] => {
            is_punct(colon, ':') && is_punct(colon2, ':') && is_ident(now, "now") && is_clock(name)
        }
        _ => false,
    };
    (found && is_pure(here.path)).then_some("usher-auth asks no clock; take `Now` as an argument")
}

fn is_clock(name: &TokenTree) -> bool {
    ["SystemTime", "Instant", "Timestamp", "Zoned", "Utc", "Local"].iter().any(|clock| is_ident(name, clock))
}

fn randomness(here: &Here<'_>) -> Option<&'static str> {
    let sources = ["SystemRandom", "OsRng", "thread_rng", "getrandom"];
    let found = sources.iter().any(|source| is_ident(&here.place.tokens[0], source));
    (found && !here.place.in_test && is_pure(here.path))
        .then_some("usher-auth has no randomness of its own; take random bytes as an argument")
}

/// Which backend runs is decided in one place (invariant 2).
fn backend(here: &Here<'_>) -> Option<&'static str> {
    let server = Path::new("crates/usher-server/src");
    let elsewhere = here.path.starts_with(server) && here.path != server.join("backends.rs");
    let found = ["usher_sql", "usher_redis"].iter().any(|name| is_ident(&here.place.tokens[0], name));
    (found && elsewhere && !here.place.in_test)
        .then_some("only backends.rs names a backend's crate; take the trait from `Backends`")
}

/// The crate whose time and randomness are arguments.
fn is_pure(path: &Path) -> bool {
    path.starts_with("crates/usher-auth/src")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURE: &str = "crates/usher-auth/src/a.rs";
    const OTHER: &str = "crates/usher-axum/src/a.rs";
    const TESTS: &str = "crates/usher-axum/tests/a.rs";
    const KIT: &str = "crates/usher-testkit/src/a.rs";

    /// The lines on which some rule finds something.
    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = RustSource::parse(Path::new(path), text).unwrap();
        check(&source).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn unwrap_is_for_tests() {
        assert_eq!(lines(OTHER, "fn a() {\n b.unwrap();\n}"), [2]);
        assert_eq!(lines(OTHER, "fn a() { b\n .unwrap()\n .c() }"), [2]);
        assert_eq!(lines(OTHER, "#[cfg(test)]\nmod tests { fn a() { b.unwrap(); } }"), [0; 0]);
        assert_eq!(lines(TESTS, "fn a() { b.unwrap(); }"), [0; 0]);
        assert_eq!(lines(OTHER, "fn a() { b.unwrap_or_default(); c(\".unwrap()\") } // .unwrap()"), [0; 0]);
    }

    #[test]
    fn nothing_is_unfinished_anywhere() {
        assert_eq!(lines(OTHER, "fn a() { todo!() }"), [1]);
        assert_eq!(lines(TESTS, "fn a() {\n unimplemented!(\"later\") }"), [2]);
        assert_eq!(lines(OTHER, "fn todo() {}"), [0; 0]);
    }

    #[test]
    fn no_test_is_ignored() {
        assert_eq!(lines(TESTS, "#[test]\n#[ignore]\nfn a() {}"), [2]);
        assert_eq!(lines(OTHER, "#[cfg(test)] mod t {\n #[test]\n #[ignore = \"slow\"]\n fn a() {} }"), [3]);
        assert_eq!(lines(TESTS, "#[test] fn ignore() {}"), [0; 0]);
    }

    #[test]
    fn no_test_sleeps() {
        assert_eq!(lines(TESTS, "fn a() {\n std::thread::sleep(b); }"), [2]);
        assert_eq!(lines(OTHER, "#[cfg(test)] mod t { async fn a() { tokio::time::sleep(b).await } }"), [1]);
        assert_eq!(lines(KIT, "fn a() { sleep_until(b) }"), [1]);
        assert_eq!(lines(OTHER, "async fn a() { tokio::time::sleep(b).await }"), [0; 0]);
        assert_eq!(lines(TESTS, "use tokio::time::sleep;"), [0; 0]);
    }

    #[test]
    fn the_library_asks_no_clock_not_even_in_its_tests() {
        assert_eq!(lines(PURE, "fn a() {\n SystemTime::now() }"), [2]);
        assert_eq!(lines(PURE, "#[cfg(test)] mod t { fn a() { std::time::Instant::now() } }"), [1]);
        assert_eq!(lines(OTHER, "fn a() { Instant::now() }"), [0; 0]);
        assert_eq!(lines(PURE, "fn a(now: Now) { Self::now(now) }"), [0; 0]);
    }

    #[test]
    fn one_file_names_the_backends() {
        let text = "use a::B;\nuse usher_sql::SqlStore;";
        assert_eq!(lines("crates/usher-server/src/run.rs", text), [2]);
        assert_eq!(lines("crates/usher-server/src/cli/hand.rs", "fn a() { usher_sql::b() }"), [1]);
        assert_eq!(lines("crates/usher-server/src/backends.rs", text), [0; 0]);
        assert_eq!(lines("crates/usher-testkit/src/server.rs", text), [0; 0]);
        assert_eq!(lines("crates/usher-server/src/log/filter.rs", "const A: &str = \"usher_sql\";"), [0; 0]);
    }

    #[test]
    fn the_library_has_no_randomness_of_its_own() {
        assert_eq!(lines(PURE, "fn a() {\n rand::thread_rng() }"), [2]);
        assert_eq!(lines(PURE, "use aws_lc_rs::rand::SystemRandom;"), [1]);
        assert_eq!(lines(PURE, "#[cfg(test)] mod t { fn a() { SystemRandom::new() } }"), [0; 0]);
        assert_eq!(lines(OTHER, "fn a() { getrandom::fill(b) }"), [0; 0]);
    }
}
