//! `streamgauge dlq export`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::letter::{self, Filter};
use crate::cli::Failure;
use crate::human;
use crate::streams::server::Server;

#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// The dead letter stream.
    stream: String,
    #[command(flatten)]
    filter: Filter,
    /// A file to make, which must not exist. Without it, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A line of JSON for each letter; the letters stay. The summary goes where the data does not.
pub(super) async fn export(server: &mut Server, args: &ExportArgs, _json: bool) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut to: Box<dyn Write> = match &args.output {
        Some(path) => {
            let made = File::options().write(true).create_new(true).mode(0o600).open(path); // it holds users' data
            let file = made.map_err(|error| Failure::runtime(format!("{}: {error}", path.display())))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(std::io::stdout()),
    };
    let walked = args.filter.walk(server, args.stream.as_bytes(), None, async |_, letter| {
        writeln!(to, "{}", letter::json(&letter)).map_err(Failure::runtime)
    });
    let written = walked.await?;
    to.flush().map_err(Failure::runtime)?;
    let text = format!("exported {} of {}", human::count(written, "letter"), args.stream);
    writeln!(std::io::stderr(), "{text}").map_err(Failure::runtime)
}
