//! Whether a chain has begun, and how a new one is begun on purpose where the key of the old one is lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use usher_auth::UnixTime;
use usher_store::{AuditStore, StoreError};

use super::sinks::STORE_CHAIN;
use super::trail::PAGE;
use super::{AuditSettings, SinkSetting};

/// Why the old records were not set aside.
#[derive(Debug, thiserror::Error)]
pub enum SetAsideError {
    /// The file cannot be written.
    #[error("the old records cannot be written: {0}")]
    File(#[from] io::Error),
    /// The store cannot be read or changed.
    #[error("{0}: {source}", source = .0.source)]
    Store(#[from] StoreError),
}

impl AuditSettings {
    /// Whether records were chained before: in the store, or in one of the files. The store's chain counts even if the settings do not
    /// list it any more.
    pub async fn have_begun(&self, store: &dyn AuditStore) -> Result<bool, StoreError> {
        if self.file_has_lines() || store.audit_head(STORE_CHAIN).await?.is_some() {
            return Ok(true);
        }
        for sink in &self.sinks {
            if let SinkSetting::File { name, .. } = sink
                && store.audit_head(name).await?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one of the files has something in it.
    pub fn file_has_lines(&self) -> bool {
        self.first_file_with_lines().is_some()
    }

    /// The first of the files that has something in it.
    pub fn first_file_with_lines(&self) -> Option<&Path> {
        let files = self.sinks.iter().filter_map(|sink| match sink {
            SinkSetting::File { path, .. } => Some(path.as_path()),
            _ => None,
        });
        let mut with_lines = files.filter(|path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0));
        with_lines.next()
    }

    /// Whether records are written to this file.
    pub fn has_file(&self, path: &Path) -> bool {
        let is = |own: &Path| std::path::absolute(own).ok() == std::path::absolute(path).ok();
        self.sinks.iter().any(|sink| matches!(sink, SinkSetting::File { path, .. } if is(path)))
    }
}

/// Writes the store's records to a new file at `path`, one a line, and then removes them from the store. Returns how many there were. The
/// number and code of the last one stay: the next chain goes on from there, so that it shows that it is not the first.
pub async fn set_aside(store: &dyn AuditStore, path: &Path) -> Result<u64, SetAsideError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut out = BufWriter::new(file);
    let mut after = 0;
    loop {
        let page = store.audit_entries(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for entry in &page {
            writeln!(out, "{}", entry.line)?;
        }
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(store.reap_audit(UnixTime::MAX, UnixTime::MAX).await?)
}
