//! The modules of a crate, and which file an item named in one of them is defined in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::rust_source::RustSource;
use super::components::Graph;
use super::module::{self, Module, ModulePath};
use super::uses::ImportName;

/// Longest chain of re-exports that is followed: a chain that leads back to itself has an end then.
const MOST_STEPS: usize = 32;

/// A crate's modules, tests left out.
struct CrateModules {
    modules: BTreeMap<ModulePath, Module>,
    /// The module whose file each module is written in.
    files: BTreeMap<ModulePath, ModulePath>,
    paths: BTreeMap<ModulePath, PathBuf>,
}

/// What a path leads to.
enum Target {
    Module(ModulePath),
    /// An item, defined in that module.
    Item(ModulePath),
}

/// Which file uses which, of the crate whose files these are, named from its folder `src`.
pub(super) fn graph(sources: &BTreeMap<PathBuf, &RustSource>) -> Graph {
    let mut graph = Graph::default();
    let Some(root) = ["lib.rs", "main.rs"].map(Path::new).into_iter().find(|root| sources.contains_key(*root)) else {
        return graph;
    };
    let crate_modules = CrateModules::read(root, sources);
    for (path, module) in &crate_modules.modules {
        let from = &crate_modules.files[path];
        for (to, line) in crate_modules.used_by(path, module) {
            let to = &crate_modules.files[&to];
            // A file's own items, and those of the modules that it lies in.
            if !from.starts_with(to) {
                graph.add(&crate_modules.paths[from], line, &crate_modules.paths[to]);
            }
        }
    }
    graph
}

impl CrateModules {
    /// Begins at the root and follows `mod` declarations, so that what is compiled for tests alone is not in it.
    fn read(root: &Path, sources: &BTreeMap<PathBuf, &RustSource>) -> Self {
        let mut this = Self { modules: BTreeMap::new(), files: BTreeMap::new(), paths: BTreeMap::new() };
        let mut next = vec![(ModulePath::new(), root.to_owned())];
        while let Some((module, file)) = next.pop() {
            let source = sources[&file];
            let content = module::read(source, &module);
            this.paths.insert(module.clone(), source.path.clone());
            this.files.extend(content.modules.keys().map(|inside| (inside.clone(), module.clone())));
            this.modules.extend(content.modules);
            for child in content.children {
                let folder: PathBuf = child.iter().collect();
                let candidates = [folder.with_extension("rs"), folder.join("mod.rs")];
                next.extend(candidates.into_iter().find(|file| sources.contains_key(file)).map(|file| (child, file)));
            }
        }
        this
    }

    /// The modules that define what `module` uses, each with the line.
    fn used_by(&self, path: &[String], module: &Module) -> Vec<(ModulePath, usize)> {
        let mut used = Vec::new();
        for import in &module.imports {
            let named = match &import.what.name {
                ImportName::Given(name) => module.names.contains(name),
                ImportName::Nameless | ImportName::Glob => false,
            };
            if import.re_export && !named {
                continue;
            }
            match (self.resolve(path, &import.what.path, 0), &import.what.name) {
                (Some(Target::Item(module)), _) | (Some(Target::Module(module)), ImportName::Glob) => {
                    used.push((module, import.line));
                }
                _ => {}
            }
        }
        for written in &module.paths {
            if let Some(Target::Item(module)) = self.resolve(path, &written.what, 0) {
                used.push((module, written.line));
            }
        }
        used
    }

    /// What `path` means in the module `from`; `None` if it leads out of the crate.
    fn resolve(&self, from: &[String], path: &[String], steps: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(Vec::new(), rest, steps),
            "self" => self.descend(from.to_vec(), rest, steps),
            "super" => self.resolve_above(from, rest, steps),
            // Anything else is a name of this module, or of another crate.
            name => {
                let here = self.modules.get(from)?;
                let known = here.items.contains(name)
                    || self.child(from, name).is_some()
                    || self.imported(from, name, steps).is_some();
                if known { self.descend(from.to_vec(), path, steps) } else { None }
            }
        }
    }

    fn resolve_above(&self, from: &[String], rest: &[String], steps: usize) -> Option<Target> {
        let (_, above) = from.split_last()?;
        match rest.split_first() {
            Some((first, rest)) if first == "super" => self.resolve_above(above, rest, steps),
            _ => self.descend(above.to_vec(), rest, steps),
        }
    }

    /// Follows `path` from `module` down to an item.
    fn descend(&self, module: ModulePath, path: &[String], steps: usize) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else { return Some(Target::Module(module)) };
        if let Some(child) = self.child(&module, first) {
            return self.descend(child, rest, steps);
        }
        if self.modules.get(&module)?.items.contains(first) {
            return Some(Target::Item(module));
        }
        match self.imported(&module, first, steps) {
            Some(Target::Module(found)) => self.descend(found, rest, steps + 1),
            Some(item) => Some(item),
            // Made by a macro of this module; or of another crate, and only re-exported here, which is no use of a file of ours.
            None => {
                let re_exported = self.modules[&module]
                    .imports
                    .iter()
                    .any(|import| import.what.name == ImportName::Given(first.clone()));
                (!re_exported).then_some(Target::Item(module))
            }
        }
    }

    fn child(&self, module: &[String], name: &str) -> Option<ModulePath> {
        let child = [module, &[name.to_owned()]].concat();
        self.modules.contains_key(&child).then_some(child)
    }

    /// What an import of `module` called `name` leads to.
    fn imported(&self, module: &[String], name: &str, steps: usize) -> Option<Target> {
        if steps > MOST_STEPS {
            return None;
        }
        let imports = &self.modules.get(module)?.imports;
        let by_name = imports.iter().filter(|import| import.what.name == ImportName::Given(name.to_owned()));
        // An import that names itself (`use tokio::time; use time::sleep`) is of another crate.
        let mut by_name = by_name.filter(|import| import.what.path.first().is_none_or(|first| first != name));
        if let Some(found) = by_name.find_map(|import| self.resolve(module, &import.what.path, steps + 1)) {
            return Some(found);
        }
        // A glob gives a name if its module has it.
        imports.iter().filter(|import| import.what.name == ImportName::Glob).find_map(|import| {
            let Target::Module(glob) = self.resolve(module, &import.what.path, steps + 1)? else { return None };
            if glob == module {
                return None;
            }
            if let Some(child) = self.child(&glob, name) {
                return Some(Target::Module(child));
            }
            if self.modules.get(&glob)?.items.contains(name) {
                return Some(Target::Item(glob));
            }
            self.imported(&glob, name, steps + 1)
        })
    }
}
