//! What one file says: its modules, the items it defines, its imports, and the paths in its code.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{LineColumn, TokenTree};

use super::super::rust_source::{Place, RustSource, is_ident, is_punct};
use super::uses::{self, Import};

/// The path of a module from its crate's root.
pub(super) type ModulePath = Vec<String>;

/// Everything of a file that is not test code.
#[derive(Debug, Default)]
pub(super) struct FileContent {
    /// The file's own module and the modules written inside it.
    pub(super) modules: BTreeMap<ModulePath, Module>,
    /// Modules in files of their own that are declared here.
    pub(super) children: Vec<ModulePath>,
}

/// A module: what names mean in it, and what is used.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Used<Import>>,
    /// In code, of two segments or more.
    pub(super) paths: Vec<Used<Vec<String>>>,
    /// The names in code that stand alone or begin a path.
    pub(super) names: BTreeSet<String>,
}

/// Something that is used on a line, counted from 1.
#[derive(Debug)]
pub(super) struct Used<T> {
    pub(super) what: T,
    pub(super) line: usize,
    /// Whether it is a `pub use`.
    pub(super) re_export: bool,
}

/// Reads a file whose module is `module`.
pub(super) fn read(source: &RustSource, module: &[String]) -> FileContent {
    let mut reader = Reader { content: FileContent::default(), file: module.to_vec(), inline: Vec::new(), past: None };
    reader.content.modules.insert(module.to_vec(), Module::default());
    source.visit(|place| reader.read(place));
    reader.content
}

struct Reader {
    content: FileContent,
    file: ModulePath,
    /// The inline modules that the place is in, each with its end.
    inline: Vec<(String, LineColumn)>,
    /// What begins before this was read as a part of something before it.
    past: Option<LineColumn>,
}

/// The words before the name of an item.
const ITEMS: [&str; 9] = ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "macro_rules"];

impl Reader {
    fn read(&mut self, place: &Place<'_>) {
        let start = place.tokens[0].span().start();
        self.inline.retain(|(_, end)| start < *end);
        if place.in_test || self.past.is_some_and(|past| start < past) {
            return;
        }
        let public = uses::visibility(place.tokens);
        let tokens = &place.tokens[public..];
        match tokens {
            [word, rest @ ..] if is_ident(word, "use") => {
                let end = rest.iter().position(|token| is_punct(token, ';')).unwrap_or(rest.len());
                let imports = uses::imports(&rest[..end]);
                let line = place.line();
                let used = imports.into_iter().map(|what| Used { what, line, re_export: public > 0 });
                self.module().imports.extend(used);
                self.past = rest.get(end).map(|token| token.span().start());
            }
            [word, TokenTree::Ident(name), next, ..] if is_ident(word, "mod") => {
                let child = [self.path(), vec![name.to_string()]].concat();
                match next {
                    TokenTree::Group(body) => {
                        self.inline.push((name.to_string(), body.span_close().end()));
                        self.content.modules.insert(child, Module::default());
                    }
                    _ => self.content.children.push(child),
                }
                self.past = Some(next.span().start());
            }
            [TokenTree::Ident(word), TokenTree::Ident(name), ..] if ITEMS.contains(&word.to_string().as_str()) => {
                let name = name.to_string();
                self.module().items.insert(name);
            }
            _ => {
                if let Some((path, length)) = uses::path(place.tokens) {
                    let line = place.line();
                    self.past = Some(place.tokens[length - 1].span().end());
                    let module = self.module();
                    module.names.insert(path[0].clone());
                    if length > 1 {
                        module.paths.push(Used { what: path, line, re_export: false });
                    }
                }
            }
        }
    }

    fn path(&self) -> ModulePath {
        self.file.iter().chain(self.inline.iter().map(|(name, _)| name)).cloned().collect()
    }

    fn module(&mut self) -> &mut Module {
        let path = self.path();
        self.content.modules.entry(path).or_default()
    }
}
