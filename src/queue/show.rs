//! `streamgauge queue show`.

use clap::Args;
use serde_json::{Value, json};
use streamgauge_component::restored;
use streamgauge_component::storage::snapshot::{Sighting, Snapshot};

use super::PlaceArgs;
use super::find::Places;
use super::look::{Look, age};
use crate::cli::{Failure, print};
use crate::human;

#[derive(Debug, Clone, Args)]
pub(super) struct ShowArgs {
    /// The queue's name, as `ls` shows it.
    queue: String,
    /// How many records to show, the oldest first.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    records: usize,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Its numbers, then its first records: what they are and where they came from, not what is in them.
pub(super) fn show(args: &ShowArgs) -> Result<(), Failure> {
    let places = Places::of(&args.place)?;
    let queue = places.queue(&args.queue)?;
    let snapshot = Snapshot::open(&queue.directory, &queue.log()).map_err(Failure::runtime)?;
    let first: Vec<Sighting> =
        snapshot.take(args.records).collect::<Result<_, _>>().map_err(Failure::runtime)?;
    let look = Look::at(&places, queue)?;
    let first: Vec<Value> = first.iter().map(describe).collect();
    if args.place.json {
        let mut json = look.json();
        json["first"] = first.into();
        return print(&format!("{json:#}"));
    }
    let under_way = look.under_way.map_or(String::new(), |n| format!(", {n} being sent"));
    let mut text = format!(
        "queue        {}\ndirectory    {}\ncollector    {}\nrecords      {}{under_way}\nitems        {}\nbytes        {}\n\
         oldest       {}\nquarantined  {} ({})\nunreadable   {}\n",
        look.queue.name(),
        look.queue.directory.display(),
        look.collector(),
        look.records,
        look.items,
        human::size(look.bytes),
        look.oldest.map_or("-".to_owned(), human::age),
        human::count(look.quarantined.0, "file"),
        human::size(look.quarantined.1),
        look.unreadable,
    );
    if !first.is_empty() {
        let heads = ["RECORD", "AGE", "ITEMS", "BYTES", "RECEIVER", "PEER", "IDENTITY", "HEADERS", "WHERE"];
        let heads = heads.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(heads).chain(first.iter().map(row)).collect();
        text.push('\n');
        text.push_str(&human::table(&rows, &[0, 1, 2, 3]));
    }
    print(&text)
}

/// Of headers only the names: values may be secrets.
fn describe(record: &Sighting) -> Value {
    let mut json = json!({
        "record": record.number,
        "appended_unix": record.at,
        "age_seconds": age(record.at),
        "bytes": record.bytes,
        "file": *record.file,
        "offset": record.offset,
    });
    match restored(&record.payload) {
        Ok(batch) => {
            let context = &batch.context;
            json["items"] = batch.items().into();
            json["requests"] = batch.parts.len().into();
            json["receiver"] = (*context.receiver).into();
            json["peer"] = context.peer.as_deref().into();
            json["identity"] = context.identity.as_deref().into();
            json["headers"] = context.headers.iter().map(|(name, _)| &**name).collect();
        }
        Err(error) => json["error"] = error.to_string().into(),
    }
    json
}

fn row(record: &Value) -> Vec<String> {
    let text = |key: &str| match &record[key] {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(names) if !names.is_empty() => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        _ => "-".to_owned(),
    };
    let number = |key: &str| record[key].as_u64().unwrap_or_default();
    let file = record["file"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    vec![
        text("record"),
        human::age(number("age_seconds")),
        text("items"),
        human::size(number("bytes")),
        text("receiver"),
        text("peer"),
        text("identity"),
        text("headers"),
        match record["error"].as_str() {
            Some(error) => format!("{file}:{} {error}", text("offset")),
            None => format!("{file}:{}", text("offset")),
        },
    ]
}
