//! `streamgauge health`: asks a running collector's `health_check`. For containers without a shell, and for people.

use std::time::Duration;

use clap::Args;

use crate::ask::ask;
use crate::cli::{Failure, print};

/// A probe has to be quicker than the patience of whoever runs it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whom to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct HealthArgs {
    /// Address of the health check, `host:port`.
    #[arg(long, value_name = "ADDRESS", default_value = "localhost:13133")]
    endpoint: String,
    /// Its path.
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
}

/// Prints the answer. Ready is success; anything else is a failure at run time.
pub(crate) fn health(args: &HealthArgs) -> Result<(), Failure> {
    let failed = |error| Failure::runtime(format!("no health check at {}: {error}", args.endpoint));
    let (status, body) = ask("GET", &args.endpoint, &args.path, &[], PATIENCE).map_err(failed)?;
    if status == 200 { print(&body) } else { Err(Failure::runtime(body)) }
}
