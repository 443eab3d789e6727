//! No circles between the files of a crate: files that use each other can only be read, tested and moved together.
//!
//! A node is a file; an edge goes from a file to a file whose items it uses, tests left out. What counts as a use:
//!
//! - An import or a path (`use crate::a::B`, `super::a::B`, `a::B` after `use crate::a`) is followed through every re-export to the file that
//!   defines the item. A facade (`lib.rs`, or a `mod.rs` with `pub use`) is therefore no node of other files' circles.
//! - A re-export is no use by itself, only if the file names the item elsewhere, too. Importing a module is none either: what is taken from it is.
//! - `mod a;` is no use: it says where a file is.
//! - **What a file takes from a file that its own module lies in (its parent, or the parent's parent) is no use.** A child module sees its
//!   parent's private items, and `room.rs` with `room/presence.rs` is one module in two files: the child holds a part of the parent's own
//!   `impl`s. A reader who opens the child is in the parent's folder already. What siblings take from each other, and what files outside take from a
//!   child, counts. So does what the parent takes from a child: a circle through it, such as parent → child → another file → parent, is
//!   found.
//!
//! Paths that only a macro makes, and methods and traits that are reached without being named, are not seen.
//!
//! The circles that there were when the rule was made are listed in `xtask/circles.txt`. A circle that is not listed is an error, and so is a listed one
//! that has become smaller or is gone: the list only shrinks.

mod components;
mod crate_modules;
mod known;
mod module;
mod uses;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::components::Graph;
use super::Report;
use super::rust_source::RustSource;

/// Where the circles are listed that are allowed.
pub(super) const KNOWN: &str = "xtask/circles.txt";

/// Finds the circles of every crate and compares them with `known`, the text of [`KNOWN`].
pub(super) fn check(sources: &[RustSource], known: &str, report: &mut Report) {
    let circles = graphs(sources).iter().flat_map(Graph::circles).collect::<Vec<_>>();
    known::compare(&circles, known, report);
}

/// One graph for each crate.
fn graphs(sources: &[RustSource]) -> Vec<Graph> {
    let mut crates: BTreeMap<&Path, BTreeMap<PathBuf, &RustSource>> = BTreeMap::new();
    for source in sources {
        let Some(folder) = source_folder(&source.path) else { continue };
        let inside = source.path.strip_prefix(folder).unwrap_or(&source.path).to_owned();
        crates.entry(folder).or_default().insert(inside, source);
    }
    crates.values().map(crate_modules::graph).collect()
}

/// The folder `src` of a crate that a file lies in.
fn source_folder(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).filter(|folder| folder.ends_with("src")).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate with these files, the folder `src` left out.
    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let sources: Vec<RustSource> = files
            .iter()
            .map(|(path, text)| RustSource::parse(&Path::new("crates/a/src").join(path), text).unwrap())
            .collect();
        let found = graphs(&sources).iter().flat_map(Graph::circles).collect::<Vec<_>>();
        let name = |file: &PathBuf| file.strip_prefix("crates/a/src").unwrap().display().to_string();
        found.iter().map(|circle| circle.files.iter().map(name).collect()).collect()
    }

    const NONE: [Vec<String>; 0] = [];

    /// A crate with the modules a and b.
    fn two(a: &str, b: &str) -> Vec<Vec<String>> {
        circles(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)])
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        assert_eq!(two("use crate::b::B; pub struct A(B);", "use crate::a::A; pub struct B(A);"), [["a.rs", "b.rs"]]);
        assert_eq!(two("pub struct A;", "use crate::a::A; pub struct B(A);"), NONE);
        assert_eq!(two("fn f() { crate::b::g() }", "pub fn g() { super::a::f() }"), [["a.rs", "b.rs"]]);
        assert_eq!(
            two("use super::{b::{B as C}}; ", "use crate::{a as other}; fn g() { other::f() }"),
            [["a.rs", "b.rs"]]
        );
        assert_eq!(two("impl crate::b::B for u8 {}", "use crate::a::T as _;"), [["a.rs", "b.rs"]]);
        assert_eq!(two("use crate::b; type T = Vec<b::B>;", "use crate::a; type T = a::A;"), [["a.rs", "b.rs"]]);
    }

    #[test]
    fn longer_circles_are_found_whole_and_apart() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d; mod e; mod f;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A; use crate::d::D;"),
            ("d.rs", "use crate::e::E;"),
            ("e.rs", "use crate::d::D;"),
            ("f.rs", "use crate::a::A;"),
        ];
        assert_eq!(circles(&files), [vec!["a.rs", "b.rs", "c.rs"], vec!["d.rs", "e.rs"]]);
    }

    #[test]
    fn a_use_is_of_the_file_that_defines_the_item() {
        // Both go through the facade, which uses neither.
        let facade = "mod a; mod b; mod c; pub use a::A; pub use b::*; pub use self::c::C;";
        let a = "use crate::B; pub struct A(B);";
        let crate_of = |b, c| circles(&[("lib.rs", facade), ("a.rs", a), ("b.rs", b), ("c.rs", c)]);
        assert_eq!(crate_of("pub struct B;", "use crate::{A, B}; pub struct C(A, B);"), NONE);
        let b = "use crate::A; pub struct B(A);";
        assert_eq!(crate_of(b, "pub struct C;"), [["a.rs", "b.rs"]], "through a glob");
        let b = "use crate::C; pub struct B(C);";
        assert_eq!(crate_of(b, "use super::A; pub struct C(A);"), [["a.rs", "b.rs", "c.rs"]]);
        // A private import of the parent is a name for its children, too.
        let files = [
            ("lib.rs", "mod a; mod p;"),
            ("a.rs", "use crate::p::q::Q; pub struct A(Q);"),
            ("p.rs", "use crate::a::A; pub mod q;"),
            ("p/q.rs", "use super::A; pub struct Q(A);"),
        ];
        assert_eq!(circles(&files), [["a.rs", "p/q.rs"]]);
    }

    #[test]
    fn a_facade_that_names_what_it_re_exports_uses_it() {
        let a = "use crate::p::own; pub struct A;";
        let with = |parent| circles(&[("lib.rs", "mod a; mod p;"), ("a.rs", a), ("p/mod.rs", parent)]);
        assert_eq!(with("pub use crate::a::A; pub fn own() {}"), NONE);
        assert_eq!(with("pub use crate::a::A; pub fn own() -> A { A }"), [["a.rs", "p/mod.rs"]]);
    }

    #[test]
    fn a_child_may_use_its_parent_and_not_its_sibling_in_a_circle() {
        let parent = "mod x; mod y; use x::X; pub struct Room(X); fn f() { y::g() }";
        let with = |x, y| circles(&[("lib.rs", "mod room;"), ("room.rs", parent), ("room/x.rs", x), ("room/y.rs", y)]);
        assert_eq!(with("use super::Room; pub struct X;", "use crate::room::Room; pub fn g() {}"), NONE);
        assert_eq!(
            with("use super::y::g; pub struct X;", "use super::x::X; pub fn g() {}"),
            [["room/x.rs", "room/y.rs"]]
        );
        // Through a file outside the module.
        let files = [
            ("lib.rs", "mod room; mod other;"),
            ("room.rs", "mod x; use x::X; pub struct Room(X);"),
            ("room/x.rs", "use crate::other::Other; pub struct X(Other);"),
            ("other.rs", "use crate::room::Room; pub struct Other(Box<Room>);"),
        ];
        assert_eq!(circles(&files), [["other.rs", "room/x.rs", "room.rs"]]);
    }

    #[test]
    fn tests_and_comments_and_other_crates_make_no_circle() {
        assert_eq!(two("use crate::b::B;", "#[cfg(test)] mod tests { use crate::a::A; }"), NONE);
        assert_eq!(two("use crate::b::B;", "#[cfg(test)] mod tests;"), NONE);
        assert_eq!(two("use crate::b::B;", "/// [`crate::a::A`]\nfn f() { \"crate::a::A\"; } // crate::a::A"), NONE);
        assert_eq!(two("use crate::b::B;", "use a_crate::a::A; use ::a::A as C; fn f() { std::a::f() }"), NONE);
        // A file that is compiled for tests alone, under any name.
        let files =
            [("lib.rs", "mod a; #[cfg(test)] mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")];
        assert_eq!(circles(&files), NONE);
    }

    #[test]
    fn an_inline_module_belongs_to_its_file() {
        assert_eq!(
            two("pub mod deep { use crate::b::B; pub struct A; }", "use crate::a::deep::A;"),
            [["a.rs", "b.rs"]]
        );
        assert_eq!(two("pub mod deep { use super::super::b::B; }", "use crate::a::A;"), [["a.rs", "b.rs"]]);
        assert_eq!(two("pub mod deep { use super::B; } struct B;", "use crate::a::A;"), NONE);
    }
}
