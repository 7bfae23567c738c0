//! `streamgauge queue ls`.

use std::io::Write as _;

use clap::Args;
use serde_json::Value;

use super::PlaceArgs;
use super::find::Places;
use super::look::Look;
use crate::cli::{Failure, print};
use crate::human;

#[derive(Debug, Clone, Args)]
pub(super) struct LsArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

const HEADS: [&str; 8] =
    ["QUEUE", "RECORDS", "ITEMS", "BYTES", "OLDEST", "QUARANTINED", "COLLECTOR", "DIRECTORY"];

/// One line a queue.
pub(super) fn ls(args: &LsArgs) -> Result<(), Failure> {
    let places = Places::of(&args.place)?;
    let (queues, missing) = places.queues()?;
    let looks = queues.into_iter().map(|queue| Look::at(&places, queue)).collect::<Result<Vec<_>, _>>()?;
    for directory in missing {
        let _ =
            writeln!(std::io::stderr(), "{} does not exist: no queue was stored there", directory.display());
    }
    if args.place.json {
        return print(&format!("{:#}", looks.iter().map(Look::json).collect::<Value>()));
    }
    if looks.is_empty() {
        return print("No queues.");
    }
    let heads = HEADS.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(looks.iter().map(row)).collect();
    print(&human::table(&rows, &[1, 2, 3, 4, 5]))
}

fn row(look: &Look) -> Vec<String> {
    let (files, bytes) = look.quarantined;
    vec![
        look.queue.name(),
        look.records.to_string(),
        look.items.to_string(),
        human::size(look.bytes),
        look.oldest.map_or("-".to_owned(), human::age),
        if files == 0 { "0".to_owned() } else { format!("{files} ({})", human::size(bytes)) },
        look.collector(),
        look.queue.directory.display().to_string(),
    ]
}
