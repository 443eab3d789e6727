//! Configurations as people write them, and what they are told.

mod reading;
mod sockjs;
mod template;
mod unsafe_settings;

use std::path::{Path, PathBuf};

use super::document::Node;
use super::{Config, ConfigErrors, ResolvedConfig, Warning};

/// A folder with files that configurations name, removed afterwards.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("a file in a temporary folder");
        path
    }
}

fn read(toml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    read_in(&PathBuf::new(), toml, environment)
}

fn read_in(folder: &Path, toml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let document =
        Node::parse(toml, "usher.toml").or_else(|problems| ConfigErrors::check(problems).map(|()| Node::empty()))?;
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_document(document, environment, folder.to_owned())
}

fn load(toml: &str) -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors> {
    read(toml, &[])?.resolve()
}

/// What somebody who wrote `toml` is told.
fn refusal(toml: &str) -> String {
    match load(toml) {
        Err(errors) => errors.to_string(),
        Ok(_) => panic!("accepted:\n{toml}"),
    }
}
