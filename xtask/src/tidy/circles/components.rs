//! Files and who uses whom, as a graph; its strongly connected components are the circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

/// Which file uses which.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// For each file, the files that it uses, each with the first line that does.
    edges: BTreeMap<PathBuf, BTreeMap<PathBuf, usize>>,
}

/// Files each of which uses each other one, directly or through others of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Circle {
    pub(super) files: BTreeSet<PathBuf>,
    /// The shortest way from the first file back to it.
    pub(super) shortest: Vec<Step>,
}

/// A file uses another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: PathBuf,
    pub(super) line: usize,
    pub(super) to: PathBuf,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} uses {}", self.from.display(), self.line, self.to.display())
    }
}

impl Graph {
    pub(super) fn add(&mut self, from: &Path, line: usize, to: &Path) {
        let first = self.edges.entry(from.to_owned()).or_default().entry(to.to_owned()).or_insert(line);
        *first = line.min(*first);
    }

    /// The components of two files or more, by their first file. Two files are in one component if each is reached from the other.
    pub(super) fn circles(&self) -> Vec<Circle> {
        let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
            self.edges.keys().map(|file| (file, self.reached_from(file))).collect();
        let mut circles = Vec::new();
        let mut placed = BTreeSet::new();
        for file in self.edges.keys() {
            if !reached[file].contains(file) || placed.contains(file) {
                continue;
            }
            let back = |other: &&PathBuf| reached.get(*other).is_some_and(|from_there| from_there.contains(file));
            let files: BTreeSet<PathBuf> = reached[file].iter().copied().filter(back).cloned().collect();
            placed.extend(files.iter().cloned());
            circles.push(Circle { shortest: self.shortest(file), files });
        }
        circles
    }

    fn uses(&self, file: &Path) -> impl Iterator<Item = (&PathBuf, usize)> {
        self.edges.get(file).into_iter().flatten().map(|(to, line)| (to, *line))
    }

    fn reached_from<'a>(&'a self, file: &'a Path) -> BTreeSet<&'a PathBuf> {
        let mut reached = BTreeSet::new();
        let mut next = vec![file];
        while let Some(file) = next.pop() {
            next.extend(self.uses(file).filter(|(to, _)| reached.insert(*to)).map(|(to, _)| to.as_path()));
        }
        reached
    }

    /// Breadth first from `file` back to it.
    fn shortest(&self, file: &Path) -> Vec<Step> {
        let mut seen = BTreeSet::new();
        let mut next = VecDeque::from([(file, Vec::new())]);
        while let Some((from, way)) = next.pop_front() {
            for (to, line) in self.uses(from) {
                let mut way: Vec<Step> = way.clone();
                way.push(Step { from: from.to_owned(), line, to: to.clone() });
                if to == file {
                    return way;
                }
                if seen.insert(to) {
                    next.push_back((to, way));
                }
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (line, (from, to)) in edges.iter().enumerate() {
            graph.add(Path::new(from), line + 1, Path::new(to));
        }
        graph
    }

    #[test]
    fn a_circle_is_shown_by_its_shortest_way() {
        let circles = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("a", "x"), ("a", "b")]).circles();
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].files, ["a", "b", "c"].map(PathBuf::from).into());
        let shown: Vec<String> = circles[0].shortest.iter().map(Step::to_string).collect();
        assert_eq!(shown, ["a:1 uses b", "b:4 uses a"]);
    }

    #[test]
    fn a_way_that_does_not_come_back_is_none() {
        assert_eq!(graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]).circles(), []);
        assert_eq!(graph(&[]).circles(), []);
    }

    #[test]
    fn two_circles_that_share_a_file_are_one() {
        let circles = graph(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "a")]).circles();
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].files, ["a", "b", "c"].map(PathBuf::from).into());
    }
}
