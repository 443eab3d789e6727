//! `[audit]`: where it is recorded who was let in, who was not, and what was ended.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resolver::Resolver;
use super::store::StoreSettings;
use super::units::TimeSpan;
use usher_audit::{AuditSettings, SinkSetting};

/// Where it is recorded who was let in, who was not, and what was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Any of "store", "file:PATH" (JSON lines; a relative path starts from the folder of the configuration file) and "stdout". What the
    /// store and files keep is chained, so that `usher audit verify` finds what was tampered with.
    pub sinks: Vec<String>,
    /// How long the store keeps a record. Files are for whoever rotates them.
    pub keep: TimeSpan,
    /// Whether each room that a user joins is recorded, as room_joined. Refused attempts always are.
    pub joins: bool,
}

impl Default for Audit {
    fn default() -> Self {
        Self { sinks: vec!["store".to_owned()], keep: TimeSpan::seconds(90 * 24 * 3600), joins: false }
    }
}

impl Audit {
    pub(super) fn resolve(&self, store: Option<&StoreSettings>, resolver: &mut Resolver<'_>) -> AuditSettings {
        let mut sinks: Vec<SinkSetting> = Vec::new();
        for (index, written) in self.sinks.iter().enumerate() {
            let key = format!("audit.sinks[{index}]");
            let Some(sink) = sink(&key, written, store, resolver) else { continue };
            if sinks.iter().any(|other| same_place(other, &sink)) {
                let reason = format!("{written:?} is there already: each record would be written there twice");
                resolver.problem(key, reason, "remove one of the two");
                continue;
            }
            sinks.push(sink);
        }
        if self.sinks.is_empty() {
            resolver.warn("audit.sinks", "nothing is recorded: nobody will know who was let in");
        }
        AuditSettings { sinks, keep: resolver.span("audit.keep", self.keep, None), joins: self.joins }
    }
}

fn sink(key: &str, written: &str, store: Option<&StoreSettings>, resolver: &mut Resolver<'_>) -> Option<SinkSetting> {
    match written.split_once(':') {
        None if written == "store" => return Some(SinkSetting::Store),
        None if written == "stdout" => return Some(SinkSetting::Stdout),
        Some(("file", name)) if !name.is_empty() && !name.ends_with('/') => {
            let path = resolver.path(Path::new(name));
            if let Some((reason, advice)) = unsafe_file(&path, store) {
                resolver.problem(key, reason, advice);
                return None;
            }
            return Some(SinkSetting::File { path, name: written.to_owned() });
        }
        _ => {}
    }
    let reason = format!("{written:?} is no sink");
    resolver.problem(key, reason, "write \"store\", \"stdout\" or a file such as \"file:audit.jsonl\"");
    None
}

/// Why records should not be written to that file, and what to do.
fn unsafe_file(path: &Path, store: Option<&StoreSettings>) -> Option<(String, &'static str)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let reason = format!("the folder {} does not exist", folder.display());
        return Some((reason, "make it, and let the server's user write to it"));
    }
    if store.is_some_and(|store| store.has_file(path)) {
        return Some((format!("{} is a file of the store", path.display()), "choose another name"));
    }
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() {
        return Some((format!("{} is no regular file", path.display()), "name a file, or one that is not there yet"));
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        let reason = format!("others may write to {}: they could remove what they did", path.display());
        return Some((reason, "run `chmod 600` on it, or 640 for those who collect it"));
    }
    None
}

fn same_place(one: &SinkSetting, other: &SinkSetting) -> bool {
    match (one, other) {
        (SinkSetting::File { path: one, .. }, SinkSetting::File { path: other, .. }) => {
            std::path::absolute(one).ok() == std::path::absolute(other).ok()
        }
        _ => one == other,
    }
}
