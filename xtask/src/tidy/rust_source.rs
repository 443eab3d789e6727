//! A Rust file as tokens, so that the rules see code and never a comment or a string; and which of it is test code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};

use super::Finding;

/// A Rust file.
pub(super) struct RustSource {
    /// Relative to the root.
    pub(super) path: PathBuf,
    pub(super) text: String,
    tokens: TokenStream,
}

/// A place in the code: the token there, those after it in the same brackets, and where it is.
pub(super) struct Place<'a> {
    pub(super) tokens: &'a [TokenTree],
    /// Whether this is compiled for tests alone.
    pub(super) in_test: bool,
}

impl Place<'_> {
    /// From 1.
    pub(super) fn line(&self) -> usize {
        self.tokens[0].span().start().line
    }
}

impl RustSource {
    /// Splits it into tokens; what cannot be is no Rust.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Finding> {
        let tokens = TokenStream::from_str(text)
            .map_err(|error| Finding::new(path, error.span().start().line, format!("no Rust: {error}; mend it")))?;
        Ok(Self { path: path.to_owned(), text: text.to_owned(), tokens })
    }

    /// Whether the whole file is for tests: it lies in a folder `tests`, or is an out-of-line `mod tests`.
    pub(super) fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests") || self.path.ends_with("tests.rs")
    }

    /// Calls `visit` with every place in the code, doc comments left out.
    pub(super) fn visit<'a>(&'a self, mut visit: impl FnMut(&Place<'_>) + 'a) {
        walk(self.tokens.clone(), self.is_test(), &mut visit);
    }

    /// The lines with code on them. Unit tests beside code do not count; a file of tests counts in full.
    pub(super) fn code_lines(&self) -> usize {
        let whole_file_is_test = self.is_test();
        let mut lines = BTreeSet::new();
        walk(self.tokens.clone(), whole_file_is_test, &mut |place| {
            if place.in_test && !whole_file_is_test {
                return;
            }
            match &place.tokens[0] {
                TokenTree::Group(group) => lines.extend([group.span_open(), group.span_close()].map(first_line)),
                token => lines.extend(token.span().start().line..=token.span().end().line),
            }
        });
        lines.len()
    }
}

fn first_line(span: Span) -> usize {
    span.start().line
}

fn walk(stream: TokenStream, in_test: bool, visit: &mut dyn FnMut(&Place<'_>)) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut in_test = in_test;
    // Set by an attribute, until the end of the item that it stands before.
    let mut item_in_test = false;
    let mut at = 0;
    while at < tokens.len() {
        if let Some(attribute) = attribute(&tokens[at..]) {
            if is_doc(attribute.group) {
                at += attribute.length;
                continue;
            }
            if is_for_tests(attribute.group) {
                item_in_test |= !attribute.inner;
                in_test |= attribute.inner;
            }
        }
        let here = in_test || item_in_test;
        visit(&Place { tokens: &tokens[at..], in_test: here });
        match &tokens[at] {
            TokenTree::Group(group) => {
                walk(group.stream(), here, visit);
                // An item ends with its braces, unless a semicolon follows as after `use a::{b};`.
                let goes_on = tokens.get(at + 1).is_some_and(|next| is_punct(next, ';'));
                item_in_test &= group.delimiter() != Delimiter::Brace || goes_on;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => item_in_test = false,
            _ => {}
        }
        at += 1;
    }
}

/// `#[…]` or `#![…]`.
pub(super) struct Attribute<'a> {
    pub(super) group: &'a Group,
    inner: bool,
    length: usize,
}

/// The attribute that begins at the first token.
pub(super) fn attribute(tokens: &[TokenTree]) -> Option<Attribute<'_>> {
    if !is_punct(tokens.first()?, '#') {
        return None;
    }
    let inner = is_punct(tokens.get(1)?, '!');
    let length = if inner { 3 } else { 2 };
    match tokens.get(length - 1)? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some(Attribute { group, inner, length }),
        _ => None,
    }
}

pub(super) fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

pub(super) fn is_ident(token: &TokenTree, wanted: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == wanted)
}

/// A doc comment is one of these, too.
fn is_doc(attribute: &Group) -> bool {
    attribute.stream().into_iter().next().is_some_and(|first| is_ident(&first, "doc"))
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[test]`, `#[tokio::test(…)]`, `#[rstest]`.
fn is_for_tests(attribute: &Group) -> bool {
    let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
    if tokens.first().is_some_and(|first| is_ident(first, "cfg")) {
        return matches!(tokens.get(1), Some(TokenTree::Group(condition)) if demands_test(condition.stream()));
    }
    let path = tokens.iter().take_while(|token| !matches!(token, TokenTree::Group(_)));
    path.last().is_some_and(|last| is_ident(last, "test") || is_ident(last, "rstest"))
}

/// Whether a condition holds in tests alone. `not(…)` and `any(…)` never do here.
fn demands_test(condition: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = condition.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match tokens.get(at + 1) {
        Some(TokenTree::Group(inner)) => is_ident(token, "all") && demands_test(inner.stream()),
        _ => is_ident(token, "test"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> RustSource {
        RustSource::parse(Path::new(path), text).unwrap()
    }

    #[test]
    fn comments_blank_lines_and_unit_tests_are_no_code() {
        let text = "//! Head.\n\n/// Doc.\nfn a() {\n    // why\n    b(\n        \"two\n         lines\",\n    );\n}\n\n\
                    #[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
        assert_eq!(source("src/a.rs", text).code_lines(), 6);
        assert_eq!(source("src/tests.rs", text).code_lines(), 10, "in a file of tests, tests count");
        assert_eq!(source("src/a.rs", "/* one\n two */\nfn a() {}\n").code_lines(), 1);
    }

    #[test]
    fn code_after_a_test_item_counts_again() {
        assert_eq!(source("src/a.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n").code_lines(), 1);
        assert_eq!(source("src/a.rs", "#[cfg(test)]\nuse a::{\n  b};\nfn a() {}\n").code_lines(), 1);
    }

    /// For each use of the name `mark`: whether it is test code.
    fn marks(path: &str, text: &str) -> Vec<bool> {
        let mut marks = Vec::new();
        let source = source(path, text);
        walk(source.tokens.clone(), source.is_test(), &mut |place| {
            if is_ident(&place.tokens[0], "mark") {
                marks.push(place.in_test);
            }
        });
        marks
    }

    #[test]
    fn test_code_is_told_by_its_attributes_and_its_folder() {
        let one = |text| marks("src/a.rs", text);
        assert_eq!(one("fn a() { mark }"), [false]);
        assert_eq!(one("#[cfg(test)] mod t { fn a() { mark } } fn b() { mark }"), [true, false]);
        assert_eq!(one("#[cfg(all(test, unix))] fn a() { mark }"), [true]);
        assert_eq!(one("#[cfg(not(test))] fn a() { mark }"), [false]);
        assert_eq!(one("#[cfg(any(test, feature = \"x\"))] fn a() { mark }"), [false]);
        assert_eq!(one("#[test] #[should_panic] fn a() -> [u8; 2] { mark }"), [true]);
        assert_eq!(one("#[tokio::test(start_paused = true)] async fn a() { mark }"), [true]);
        assert_eq!(one("#![cfg(test)] fn a() { mark } fn b() { mark }"), [true, true]);
        assert_eq!(one("#[cfg(test)] const A: u8 = 1; fn b() { mark }"), [false]);
        assert_eq!(one("proptest! { #[test] fn a(x in 0..1) { mark } }"), [true]);
        assert_eq!(one("/// mark\nfn a() { \"mark\"; } // mark"), [false; 0]);
        assert_eq!(marks("crates/a/tests/door.rs", "fn a() { mark }"), [true]);
        assert_eq!(marks("crates/a/src/tests.rs", "fn a() { mark }"), [true]);
    }

    #[test]
    fn what_is_no_rust_is_a_finding() {
        let finding = RustSource::parse(Path::new("a.rs"), "//! Head.\nfn a() {\n").err().unwrap();
        assert!(finding.text.starts_with("no Rust: "), "{finding}");
    }
}
