//! `usher serve`.

use super::args::ServeArgs;
use super::{CommandError, Outcome, config, logging, runtime};

pub(super) fn run(args: &ServeArgs) -> Result<Outcome, CommandError> {
    let (config, warnings) = config::load(&args.file)?;
    logging::start(&args.log, &config.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    runtime::of_a_server()?.block_on(crate::run::run(config, false, || config::load(&args.file), |_| {}))?;
    Ok(Outcome::Yes)
}
