//! The tree of a `use` declaration, taken apart into its paths.

use proc_macro2::{Delimiter, TokenTree};

use super::super::rust_source::{is_ident, is_punct};

/// One path of a `use` declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// As it is written: `crate`, `super` and `self` are segments. A glob is the path of its module.
    pub(super) path: Vec<String>,
    pub(super) name: ImportName,
}

/// The name that an import gives to what its path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ImportName {
    /// The last segment, or what stands behind `as`.
    Given(String),
    /// `as _`: a trait's methods.
    Nameless,
    /// `*`: every name.
    Glob,
}

/// The paths of the tree that the tokens begin with, up to a semicolon.
pub(super) fn imports(tokens: &[TokenTree]) -> Vec<Import> {
    let mut found = Vec::new();
    // Another crate's path begins with `::`.
    if !tokens.first().is_some_and(|first| is_punct(first, ':')) {
        tree(&[], tokens, &mut found);
    }
    found
}

/// One tree; `before` is the path that leads to it.
fn tree(before: &[String], tokens: &[TokenTree], found: &mut Vec<Import>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(ident) if ident == "as" => {
                let Some(TokenTree::Ident(alias)) = tokens.get(at + 1) else { return };
                let name = if alias == "_" { ImportName::Nameless } else { ImportName::Given(alias.to_string()) };
                found.push(Import { path, name });
                return;
            }
            // `a::{self}` is `a`.
            TokenTree::Ident(ident) if ident == "self" && !path.is_empty() => {}
            TokenTree::Ident(ident) => path.push(ident.to_string()),
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                inner.split(|token| is_punct(token, ',')).for_each(|branch| tree(&path, branch, found));
                return;
            }
            TokenTree::Punct(punct) if punct.as_char() == '*' => {
                found.push(Import { path, name: ImportName::Glob });
                return;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {}
            _ => break,
        }
        at += 1;
    }
    if let Some(last) = path.last().cloned()
        && !tokens.is_empty()
    {
        found.push(Import { path, name: ImportName::Given(last) });
    }
}

/// The path that the tokens begin with, and how many tokens it has: `a`, `a::b`.
pub(super) fn path(tokens: &[TokenTree]) -> Option<(Vec<String>, usize)> {
    let TokenTree::Ident(first) = tokens.first()? else { return None };
    let mut path = vec![first.to_string()];
    let mut length = 1;
    while let [colon, colon2, TokenTree::Ident(next), ..] = &tokens[length..]
        && is_punct(colon, ':')
        && is_punct(colon2, ':')
    {
        path.push(next.to_string());
        length += 3;
    }
    Some((path, length))
}

/// Whether the tokens are the visibility of an item, and how many they are.
pub(super) fn visibility(tokens: &[TokenTree]) -> usize {
    match tokens {
        [public, TokenTree::Group(scope), ..]
            if is_ident(public, "pub") && scope.delimiter() == Delimiter::Parenthesis =>
        {
            2
        }
        [public, ..] if is_ident(public, "pub") => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use proc_macro2::TokenStream;

    use super::*;

    fn tokens(text: &str) -> Vec<TokenTree> {
        TokenStream::from_str(text).unwrap().into_iter().collect()
    }

    /// Each as `path = name`.
    fn shown(text: &str) -> Vec<String> {
        let name = |name| match name {
            ImportName::Given(name) => name,
            ImportName::Nameless => "_".to_owned(),
            ImportName::Glob => "*".to_owned(),
        };
        imports(&tokens(text)).into_iter().map(|one| format!("{} = {}", one.path.join("::"), name(one.name))).collect()
    }

    #[test]
    fn a_tree_is_taken_apart() {
        assert_eq!(shown("crate::a::B;"), ["crate::a::B = B"]);
        assert_eq!(shown("a as b;"), ["a = b"]);
        assert_eq!(shown("super::a::*;"), ["super::a = *"]);
        let nested = shown("crate::{self as this, a::{self, B, c::D as E}, T as _,};");
        assert_eq!(nested, ["crate = this", "crate::a = a", "crate::a::B = B", "crate::a::c::D = E", "crate::T = _"]);
        assert_eq!(shown("::a::B;"), [""; 0]);
        assert_eq!(shown("self::a::B;"), ["self::a::B = B"]);
    }

    #[test]
    fn a_path_ends_where_something_else_begins() {
        let of = |text: &str| path(&tokens(text)).map(|(path, length)| (path.join("::"), length));
        assert_eq!(of("a::b::c(d)"), Some(("a::b::c".to_owned(), 7)));
        assert_eq!(of("a::<b>::c"), Some(("a".to_owned(), 1)));
        assert_eq!(of("a: b"), Some(("a".to_owned(), 1)));
        assert_eq!(of("::a"), None);
    }
}
