//! `streamgauge queue export`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use streamgauge_component::restored;
use streamgauge_component::storage::snapshot::Snapshot;

use super::PlaceArgs;
use super::find::{Places, Queue};
use super::letters;
use crate::cli::{Failure, print};
use crate::human;

#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// The queue's name, as `ls` shows it.
    queue: String,
    /// A file to make, which must not exist. Without it, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// `json` is a line of OTLP/JSON for each request, `protobuf` all requests in a row, which is one valid OTLP request.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Protobuf,
}

/// What was written.
#[derive(Default)]
struct Exported {
    records: u64,
    requests: u64,
    items: u64,
    unreadable: u64,
}

/// Writes what waits. The summary goes where the data does not.
pub(super) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let places = Places::of(&args.place)?;
    let queue = places.queue(&args.queue)?;
    let exported = match &args.output {
        Some(path) => write(&queue, args.format, &mut BufWriter::new(new_file(path)?))?,
        None if args.format == Format::Protobuf && std::io::stdout().is_terminal() => {
            return Err(Failure::runtime("protobuf is nothing for a terminal: name a file with --output"));
        }
        None => write(&queue, args.format, &mut std::io::stdout().lock())?,
    };
    let Exported { records, requests, items, unreadable } = exported;
    let text = if args.place.json {
        let queue = queue.name();
        let all = json!({"queue": queue, "records": records, "requests": requests, "items": items, "unreadable": unreadable});
        format!("{all:#}")
    } else {
        let left = if unreadable == 0 { String::new() } else { format!("; {unreadable} cannot be read") };
        let (records, items) = (human::count(records, "record"), human::count(items, "item"));
        format!("exported {records} ({items}) of {}{left}", queue.name())
    };
    match args.output {
        Some(_) => print(&text)?,
        None => writeln!(std::io::stderr(), "{text}").map_err(Failure::runtime)?,
    }
    if unreadable > 0 { Err(Failure::runtime("not all records could be read")) } else { Ok(()) }
}

fn new_file(path: &Path) -> Result<File, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = File::options().write(true).create_new(true).mode(0o600).open(path); // it holds users' data
    made.map_err(|error| Failure::runtime(format!("{}: {error}", path.display())))
}

fn write(queue: &Queue, format: Format, to: &mut dyn Write) -> Result<Exported, Failure> {
    let mut snapshot = Snapshot::open(&queue.directory, &queue.log()).map_err(Failure::runtime)?;
    let mut exported = Exported::default();
    while let Some(record) = snapshot.next().transpose().map_err(Failure::runtime)? {
        let Ok(batch) = restored(&record.payload) else {
            exported.unreadable += 1;
            continue;
        };
        for part in &batch.parts {
            let written = match format {
                Format::Protobuf => to.write_all(&part.bytes),
                Format::Json => {
                    let mut line = letters::line(batch.signal, &part.bytes, &queue.exporter);
                    line.push(b'\n');
                    to.write_all(&line)
                }
            };
            match written {
                // Whoever read has read enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(exported),
                other => other.map_err(Failure::runtime)?,
            }
            exported.requests += 1;
        }
        exported.records += 1;
        exported.items += batch.items() as u64;
    }
    exported.unreadable += snapshot.damaged();
    to.flush().map_err(Failure::runtime)?;
    Ok(exported)
}
