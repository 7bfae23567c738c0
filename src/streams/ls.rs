//! `streamgauge streams ls`.

use clap::Args;
use serde_json::{Value, json};
use streamgauge_streams::Request;

use super::server::{Server, cell, object, show, value};
use super::when;
use crate::cli::Failure;
use crate::human;

#[derive(Debug, Clone, Args)]
pub(super) struct LsArgs {
    /// A glob that the names match.
    #[arg(default_value = "*")]
    glob: String,
}

const HEADS: [&str; 7] = ["STREAM", "LENGTH", "GROUPS", "PENDING", "LAG", "LAST", "LAST-GENERATED-ID"];

/// One line a stream.
pub(super) async fn ls(server: &mut Server, args: &LsArgs, json: bool) -> Result<(), Failure> {
    let mut all = Vec::new();
    for key in server.streams(&args.glob).await? {
        let mut request = Request::of(&[b"XINFO", b"STREAM", &key]);
        request.command(&[b"XINFO", b"GROUPS", &key]);
        let replies = server.ask(&key, &request).await?;
        let mut replies = replies.iter();
        // One that is gone since, or may not be looked at, is left out.
        let (Some(Ok(stream)), Some(Ok(groups))) =
            (replies.next().map(|r| r.ok()), replies.next().map(|r| r.ok()))
        else {
            continue;
        };
        all.push(row(&key, &value(&stream), &value(&groups)));
    }
    show(json, &Value::Array(all.clone()), || match all.is_empty() {
        true => format!("No stream matches {}.", args.glob),
        false => table(&all),
    })
}

fn row(key: &[u8], stream: &Value, groups: &Value) -> Value {
    let stream = object(stream);
    let groups: Vec<Value> = groups.as_array().into_iter().flatten().map(object).collect();
    let pending: u64 = groups.iter().filter_map(|group| group["pending"].as_u64()).sum();
    // The lag of a group may not be known: then the worst is not.
    let lags = groups.iter().map(|group| group.get("lag").and_then(Value::as_u64));
    let lag: Option<Option<u64>> = lags.reduce(|a, b| Some(a?.max(b?)));
    json!({
        "stream": String::from_utf8_lossy(key),
        "length": stream["length"],
        "groups": stream["groups"],
        "pending": pending,
        "lag": lag.flatten(),
        "lag_known": lag.is_none_or(|lag| lag.is_some()),
        "last-generated-id": stream["last-generated-id"],
    })
}

fn table(all: &[Value]) -> String {
    let line = |row: &Value| {
        let lag = match (&row["lag"], row["lag_known"].as_bool()) {
            (Value::Null, Some(false)) => "?".to_owned(),
            (lag, _) => cell(lag),
        };
        let id = cell(&row["last-generated-id"]);
        let age = when::age(&id).map_or("-".to_owned(), human::age);
        let of = |key: &str| cell(&row[key]);
        vec![of("stream"), of("length"), of("groups"), of("pending"), lag, age, id]
    };
    let heads = HEADS.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(all.iter().map(line)).collect();
    human::table(&rows, &[1, 2, 3, 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_lag_counts_and_one_that_is_not_known_is_no_number() {
        let stream = json!(["length", 3, "groups", 2, "last-generated-id", "1-1"]);
        let group = |lag: Value| json!(["name", "g", "pending", 2, "lag", lag]);
        let known = row(b"a", &stream, &json!([group(json!(4)), group(json!(9))]));
        let unknown = row(b"longer", &stream, &json!([group(json!(4)), group(Value::Null)]));
        let none = row(b"c", &stream, &json!([]));
        insta::assert_snapshot!(table(&[known, unknown, none]), @"
        STREAM  LENGTH  GROUPS  PENDING  LAG  LAST  LAST-GENERATED-ID
        a            3       2        4    9  -     1-1
        longer       3       2        4    ?  -     1-1
        c            3       2        0    -  -     1-1
        ");
    }
}
