//! `usher check` and `usher config`.

use std::fmt::Write as _;
use std::path::Path;

use usher_auth::Clock as _;
use usher_axum::ambient::SystemClock;

use super::args::{ConfigArgs, ConfigCommand, ConfigFile};
use super::runtime::block_on;
use super::{CommandError, Outcome, output};
use crate::config::{Config, ConfigErrors, Problem, ResolvedConfig, Warning, default_toml};
use crate::open_files::OpenFiles;
use crate::preflight::{Finding, Severity, inspect};

/// Reads the configuration with the process's environment over it.
pub(super) fn load(file: &ConfigFile) -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors> {
    Config::load(file.config.as_deref(), environment())
}

/// The process's environment. A variable that is not Unicode can be one of ours by mistake only, and is refused for what is left
/// of it.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

pub(super) fn check(file: &ConfigFile) -> Result<Outcome, CommandError> {
    let read = Config::read(file.config.as_deref(), environment());
    match read.and_then(|written| written.resolve().map(|(config, warnings)| (written, config, warnings))) {
        Ok((written, config, mut warnings)) => {
            let findings = block_on(async { Ok(inspect(&config, SystemClock::new().now().unix).await) })?;
            let (minor, problems): (Vec<Finding>, Vec<Finding>) =
                findings.into_iter().partition(|finding| finding.severity == Severity::Warning);
            if problems.is_empty() {
                warnings.extend(minor.into_iter().map(|finding| Warning {
                    location: written.place_of(finding.key),
                    key: finding.key.to_owned(),
                    message: finding.text,
                }));
                output::line(summary(file.config.as_deref(), &written, &config, &warnings).trim_end())?;
                return Ok(Outcome::Yes);
            }
            let problems: Vec<Problem> = problems.into_iter().map(|finding| problem(&written, finding)).collect();
            report(problems.iter())
        }
        Err(errors) => report(errors.iter()),
    }
}

fn problem(written: &Config, finding: Finding) -> Problem {
    let Finding { key, text, .. } = finding;
    Problem { location: written.place_of(key), key: key.to_owned(), reason: text, advice: None }
}

fn report<'a>(problems: impl Iterator<Item = &'a Problem>) -> Result<Outcome, CommandError> {
    let mut count = 0;
    for problem in problems {
        count += 1;
        output::line(&problem.to_string())?;
    }
    output::note(&format!("usher: {count} problem{}", if count == 1 { "" } else { "s" }))?;
    Ok(Outcome::No)
}

pub(super) fn print(args: &ConfigArgs) -> Result<Outcome, CommandError> {
    let text = match args.command {
        ConfigCommand::Default => default_toml(),
        ConfigCommand::Schema => format!("{:#}", Config::schema()),
    };
    output::line(text.trim_end())?;
    Ok(Outcome::Yes)
}

/// What is on, in a few lines.
fn summary(file: Option<&Path>, written: &Config, config: &ResolvedConfig, warnings: &[Warning]) -> String {
    let mut out = String::new();
    let name = file.map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
    let public_url = config.server.public_url.origin().ascii_serialization();
    let tls = if config.server.tls.is_some() { " with TLS" } else { "" };
    let _ = writeln!(out, "{name}: ok");
    let _ = writeln!(out, "  server   {}{tls}, reached by {public_url}", config.server.listen);
    if let Some(admin) = &config.admin {
        let _ = writeln!(out, "  admin    {}{tls}", admin.listen);
    }
    let _ = writeln!(out, "  store    {}", config.store);
    let _ = writeln!(out, "  audit    {}", written.audit.sinks.join(", "));
    let sockjs = config.sockjs.as_ref().map(|sockjs| {
        let spoken = if sockjs.dialect.octoprint { "SockJS with OctoPrint's conventions: " } else { "SockJS: " };
        (&sockjs.rules, spoken)
    });
    let routes = || config.routes.iter().map(|route| (route, "")).chain(sockjs);
    let width = routes().map(|(route, _)| route.path.len()).max().unwrap_or(0);
    for (route, spoken) in routes() {
        let mut ways: Vec<&str> = route.carriers.iter().map(usher_auth::carriers::Carrier::as_str).collect();
        ways.extend(route.anonymous.then_some("anonymous"));
        let _ = writeln!(out, "  route    {:width$}  {spoken}{}", route.path, ways.join(", "));
    }
    for issuer in &config.issuers {
        let _ = writeln!(out, "  issuer   {}  {}", issuer.name, issuer.rules.issuer);
    }
    for room in &written.rooms {
        let list = |rights: &[String]| if rights.is_empty() { "nobody".to_owned() } else { rights.join(", ") };
        let _ =
            writeln!(out, "  rooms    {}  join: {}; publish: {}", room.pattern, list(&room.join), list(&room.publish));
    }
    if written.rooms.is_empty() {
        let _ = writeln!(out, "  rooms    no rule: nobody may join any");
    }
    for warning in warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    // A server raises its limit to what this process could raise its own to, if it is started in the same way.
    if let Some(warning) = OpenFiles::attainable().ok().and_then(|files| files.fit(&config.limits).warning) {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}
