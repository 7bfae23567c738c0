//! `streamgauge health`: asks a running collector's `health_check`. For containers without a shell, and for people.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use clap::Args;

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
    let (ready, body) =
        ask(args).map_err(|e| Failure::runtime(format!("no health check at {}: {e}", args.endpoint)))?;
    if ready { print(&body) } else { Err(Failure::runtime(body)) }
}

/// Whether the answer was 200, and its body. HTTP/1.0: the answer ends where the connection ends.
fn ask(args: &HealthArgs) -> std::io::Result<(bool, String)> {
    let mut stream = TcpStream::connect(&args.endpoint)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {} HTTP/1.0\r\nhost: {}\r\n\r\n", args.path, args.endpoint)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok((status == "200", body.to_owned()))
}
