//! `streamgauge streams inspect`.

use clap::Args;
use serde_json::{Value, json};

use super::server::{Server, cell, object, pairs, show};
use crate::cli::Failure;
use crate::human;

#[derive(Debug, Clone, Args)]
pub(super) struct InspectArgs {
    /// The stream's key.
    stream: String,
    /// Only this group.
    #[arg(short, long, value_name = "NAME")]
    group: Option<String>,
}

/// What XINFO STREAM, GROUPS and CONSUMERS and XPENDING say, under their names.
pub(super) async fn inspect(server: &mut Server, args: &InspectArgs, json: bool) -> Result<(), Failure> {
    let key = args.stream.as_bytes();
    let stream = server.one(key, &[b"XINFO", b"STREAM", key]).await?;
    let groups = server.one(key, &[b"XINFO", b"GROUPS", key]).await?;
    let named = |group: &&Value| args.group.as_ref().is_none_or(|name| object(group)["name"] == **name);
    let groups: Vec<Value> = groups.as_array().into_iter().flatten().filter(named).cloned().collect();
    if let (Some(name), true) = (&args.group, groups.is_empty()) {
        return Err(Failure::runtime(format!("{} has no group {name:?}", args.stream)));
    }
    let mut found = Vec::new();
    for group in groups {
        let name = cell(&object(&group)["name"]);
        let consumers = server.one(key, &[b"XINFO", b"CONSUMERS", key, name.as_bytes()]).await?;
        let pending = server.one(key, &[b"XPENDING", key, name.as_bytes()]).await?;
        found.push(Group { name, group, consumers, pending });
    }
    // A server without it, or a user who may not ask, has no number there.
    let memory = server.one(key, &[b"MEMORY", b"USAGE", key]).await.unwrap_or(Value::Null);
    let all = json!({
        "stream": args.stream,
        "info": object(&stream),
        "memory_bytes": memory,
        "groups": found.iter().map(Group::json).collect::<Vec<_>>(),
    });
    show(json, &all, || text(&args.stream, &stream, &memory, &found))
}

struct Group {
    name: String,
    group: Value,
    consumers: Value,
    pending: Value,
}

impl Group {
    fn json(&self) -> Value {
        let mut group = object(&self.group);
        group["consumers_list"] = self.consumers.as_array().into_iter().flatten().map(object).collect();
        let pending = &self.pending;
        group["pending_range"] = json!({"lowest": pending[1], "highest": pending[2]});
        group
    }
}

/// Under each command, which can be typed as it stands, what it answers.
fn text(stream: &str, info: &Value, memory: &Value, groups: &[Group]) -> String {
    let mut text = format!("XINFO STREAM {stream}\n{}", list(&pairs(info)));
    text.push_str(&format!("\n\nMEMORY USAGE {stream}\n{}", cell(memory)));
    let all: Vec<&Value> = groups.iter().map(|group| &group.group).collect();
    text.push_str(&format!("\n\nXINFO GROUPS {stream}\n{}", rows(&all)));
    for group in groups {
        let consumers: Vec<&Value> = group.consumers.as_array().into_iter().flatten().collect();
        text.push_str(&format!("\n\nXINFO CONSUMERS {stream} {}\n{}", group.name, rows(&consumers)));
        let pending = &group.pending;
        text.push_str(&format!("\n\nXPENDING {stream} {}\n", group.name));
        let range = format!("{} from {} to {}", cell(&pending[0]), cell(&pending[1]), cell(&pending[2]));
        text.push_str(if pending[0] == 0 { "0" } else { &range });
    }
    text
}

/// A line for each pair; an entry as its id and fields.
fn list(pairs: &[(String, Value)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(String, Value)| {
        let shown = match value.as_array() {
            Some(entry) => match (entry.first(), entry.get(1).and_then(Value::as_array)) {
                (Some(id), Some(fields)) => {
                    format!("{}  {}", cell(id), fields.iter().map(cell).collect::<Vec<_>>().join(" "))
                }
                _ => cell(value),
            },
            None => cell(value),
        };
        format!("{name:<width$}  {shown}").trim_end().to_owned()
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A table with the names that the server gives.
fn rows(all: &[&Value]) -> String {
    let Some(first) = all.first() else { return "(none)".to_owned() };
    let heads: Vec<String> = pairs(first).into_iter().map(|(name, _)| name).collect();
    let line = |row: &&Value| pairs(row).iter().map(|(_, value)| cell(value)).collect();
    let numbers: Vec<usize> = pairs(first)
        .iter()
        .enumerate()
        .filter(|(_, (_, value))| value.is_number())
        .map(|(at, _)| at)
        .collect();
    let table: Vec<Vec<String>> = std::iter::once(heads).chain(all.iter().map(line)).collect();
    human::table(&table, &numbers)
}
