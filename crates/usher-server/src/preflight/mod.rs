//! What `usher serve` looks at before it starts, and `usher check` without starting: files, and whether they go together.
//!
//! Nothing is changed but for a probe file that is made and removed again. The settings themselves are checked when they are read.

mod certificate;

use std::fmt;

use usher_auth::UnixTime;

use crate::address_key_file;
use crate::backends;
use crate::config::ResolvedConfig;
use crate::error_text::with_sources;
use crate::signing_key_file;
use crate::usable_file::{usable, usable_folder};
use usher_audit::{AuditKeyError, AuditKeys, SinkSetting};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The server does not start.
    Fatal,
    /// The server starts, because that may help some clients, but it is wrong: `usher check` fails.
    Wrong,
    /// The operator should know.
    Warning,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The setting that it is about.
    pub key: &'static str,
    /// What it is, and what to do.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// Looks at everything that the server needs to start, as it is at `now`.
pub async fn inspect(config: &ResolvedConfig, now: UnixTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fatal = |key, text: String| findings.push(Finding { severity: Severity::Fatal, key, text });
    let backends = backends::look(config).await;
    for problem in backends.problems {
        fatal("store.url", problem);
    }
    if let Some(begun) = backends.audit_begun {
        let path = config.store.audit_key_file();
        match AuditKeys::load(&path) {
            Ok(None) if begun || config.audit.file_has_lines() => {
                fatal("audit", AuditKeyError::Missing { path }.to_string());
            }
            Err(error) => fatal("audit", error.to_string()),
            Ok(_) => {}
        }
    }
    if let Err(error) = signing_key_file::load(&config.tokens.key_file) {
        fatal("tokens.key_file", with_sources(&error));
    } else if let Err(error) = usable_folder(&config.tokens.key_file) {
        fatal("tokens.key_file", format!("its folder cannot be used: {error}"));
    }
    if let Err(error) = address_key_file::load(&config.store.address_key_file()) {
        fatal("store.url", error.to_string());
    }
    for sink in &config.audit.sinks {
        if let SinkSetting::File { path, .. } = sink
            && let Err(error) = usable(path)
        {
            // A sink that fails is no reason not to serve: its records wait.
            let text = format!("{} cannot be written: {error}", path.display());
            findings.push(Finding { severity: Severity::Wrong, key: "audit.sinks", text });
        }
    }
    if let Some(files) = &config.server.tls {
        match files.certificates() {
            Ok(chain) => findings.extend(certificate::look_at(&chain, &files.cert, now)),
            Err(error) => {
                findings.push(Finding { severity: Severity::Fatal, key: "server.tls", text: error.to_string() });
            }
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// For a server: logs what does not keep it from starting, and otherwise names everything that does, one a line.
pub(crate) async fn look_before_starting(config: &ResolvedConfig, now: UnixTime) -> Result<(), String> {
    let mut fatal = Vec::new();
    for finding in inspect(config, now).await {
        match finding.severity {
            Severity::Fatal => fatal.push(finding.to_string()),
            Severity::Wrong => tracing::error!("{finding}"),
            Severity::Warning => tracing::warn!("{finding}"),
        }
    }
    if fatal.is_empty() { Ok(()) } else { Err(fatal.join("\n")) }
}
