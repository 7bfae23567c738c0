//! `streamgauge queue purge`.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use streamgauge_component::storage::snapshot::Holder;
use streamgauge_component::storage::{Settings, Storage, StorageError};
use streamgauge_component::{Reason, restored};
use streamgauge_engine::Saved;

use super::PlaceArgs;
use super::find::{Places, Queue};
use super::look::Look;
use crate::cli::{Failure, print};
use crate::{human, run};

#[derive(Debug, Clone, Args)]
pub(super) struct PurgeArgs {
    /// The queue's name, as `ls` shows it.
    queue: String,
    /// The queue's whole name again, instead of typing it when asked.
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Drops what waits, once its name was said twice.
pub(super) fn purge(args: &PurgeArgs) -> Result<(), Failure> {
    let places = Places::of(&args.place)?;
    let look = Look::at(&places, places.queue(&args.queue)?)?;
    let api = match (look.holder, &places.api) {
        (None, _) => None,
        (Some(_), Some(api)) => Some(api),
        (Some(holder), None) => return Err(in_use(&look.queue, holder, args.place.directory.is_some())),
    };
    confirm(args, &look)?;
    let purged = match api {
        Some(api) => api.purge(&look.queue).map_err(Failure::runtime)?,
        None => run::runtime().map_err(Failure::runtime)?.block_on(drop_all(&look.queue))?,
    };
    if args.place.json {
        return print(&format!("{:#}", json!({"queue": look.queue.name(), "purged": purged})));
    }
    let number = |key: &str| purged[key].as_u64().unwrap_or_default();
    let (records, items) = (human::count(number("records"), "record"), human::count(number("items"), "item"));
    let left = match number("under_way") {
        0 => String::new(),
        n => format!("; {n} being sent go when they come back"),
    };
    let (name, size) = (look.queue.name(), human::size(number("bytes")));
    print(&format!("purged {records} ({items}, {size}) of {name}{left}"))
}

fn in_use(queue: &Queue, holder: Holder, by_directory: bool) -> Failure {
    let who = holder.pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
    let what = if by_directory {
        "give --config instead of --directory, so that its extension `api` can be asked, or stop it"
    } else {
        "add the extension `api` to its configuration and reload it, or stop it"
    };
    Failure::runtime(format!("{} is in use by {who}: {what}", queue.directory.display()))
}

fn confirm(args: &PurgeArgs, look: &Look) -> Result<(), Failure> {
    let name = look.queue.name();
    let typed = match &args.yes {
        Some(yes) => yes.clone(),
        None => {
            let (records, items) = (human::count(look.records, "record"), human::count(look.items, "item"));
            let size = human::size(look.bytes);
            let asked = format!(
                "This drops {records} ({items}, {size}) of {name} in {} for good.\nType the queue's name to go on: ",
                look.queue.directory.display()
            );
            let mut stderr = std::io::stderr();
            stderr.write_all(asked.as_bytes()).and_then(|()| stderr.flush()).map_err(Failure::runtime)?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map_err(Failure::runtime)?;
            line.trim().to_owned()
        }
    };
    if typed == name {
        Ok(())
    } else {
        Err(Failure::runtime(format!("nothing was purged: {typed:?} is not the queue's name, {name:?}")))
    }
}

/// Of a stopped collector, under the directory's lock.
async fn drop_all(queue: &Queue) -> Result<Value, Failure> {
    let failed = |error: StorageError| Failure::runtime(error);
    let (storage, log) = open(queue).await.map_err(failed)?;
    let (mut records, mut items, mut bytes) = (0, 0, 0);
    let mut reader = log.reader();
    while let Some(record) = reader.try_next().await.map_err(failed)? {
        if log.settle(record.id) {
            records += 1;
            items += restored(&record.payload).map_or(0, |batch| batch.items() as u64);
            bytes += record.id.bytes();
        }
    }
    log.close().await;
    amend(&storage, queue, items, Some(Reason::Purged)).await;
    Ok(json!({"records": records, "items": items, "bytes": bytes, "under_way": 0}))
}

/// The ledger that the collector goes on with has these items in the queue no more.
pub(super) async fn amend(storage: &Storage, queue: &Queue, items: u64, dropped: Option<Reason>) {
    let cell = storage.cell(Saved::CELL);
    let Ok(Some(stored)) = cell.read().await else { return };
    if let Ok(amended) = Saved::amended(&stored, &queue.name(), items, dropped)
        && let Err(error) = cell.write(amended).await
    {
        let _ = writeln!(std::io::stderr(), "the stored ledger still has what is gone: {error}");
    }
}

/// A stopped collector's queue, as if this were the collector.
pub(super) async fn open(
    queue: &Queue,
) -> Result<(Storage, streamgauge_component::storage::Log), StorageError> {
    let settings = Settings { timeout: Duration::from_millis(500), ..Settings::new(&queue.directory) };
    let storage = Storage::open(settings).await?;
    let log = storage.log(&queue.log(), None).await?;
    Ok((storage, log))
}
