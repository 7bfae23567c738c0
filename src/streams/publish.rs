//! `streamgauge streams publish`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use streamgauge_streams::Request;
use streamgauge_streams::encoding::Fields;
use streamgauge_streams::encoding::opsconductor::{known, short_name, stream_key};

use super::server::{Server, cell, show, value};
use crate::cli::Failure;

#[derive(Debug, Clone, Args)]
pub(super) struct PublishArgs {
    /// The stream's key. May be left out when a service says which it is.
    #[arg(value_name = "STREAM", required_unless_present = "service")]
    stream: Option<String>,
    /// Fields of the entry: `name=value`.
    #[arg(value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    /// Publish OpsConductor's message of this type, instead of fields.
    #[arg(long, value_name = "TYPE", conflicts_with = "fields")]
    event_type: Option<String>,
    /// Who publishes the message. Without a stream it goes to the service's own, `opsconductor:SERVICE:events`.
    #[arg(long, value_name = "NAME", requires = "event_type")]
    service: Option<String>,
    /// The message's data: a JSON object.
    #[arg(long, value_name = "JSON", requires = "event_type", default_value = "{}")]
    data: String,
    /// How urgent the message is.
    #[arg(long, value_name = "PRIORITY", requires = "event_type", default_value = "NORMAL", ignore_case = true,
        value_parser = ["LOW", "NORMAL", "HIGH", "CRITICAL"])]
    priority: String,
    /// On whose behalf.
    #[arg(long, value_name = "ID", requires = "event_type", default_value = "")]
    user_id: String,
    /// What the message belongs to.
    #[arg(long, value_name = "ID", requires = "event_type", default_value = "")]
    correlation_id: String,
    /// How often the message is tried again.
    #[arg(long, value_name = "N", requires = "event_type", default_value_t = 3)]
    max_retries: u32,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Adds the entry and prints its id.
pub(super) async fn publish(server: &mut Server, args: &PublishArgs, json: bool) -> Result<(), Failure> {
    let key = match (&args.stream, &args.service) {
        (Some(stream), _) if args.event_type.is_some() => stream_key(stream),
        (Some(stream), _) => stream.clone(),
        (None, Some(service)) => stream_key(short_name(service)),
        (None, None) => return Err(Failure::runtime("a stream or a service must be given")),
    };
    let fields = match &args.event_type {
        Some(event_type) => message(args, event_type, &key)?,
        None => {
            let mut fields = Fields::default();
            args.fields.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
            fields
        }
    };
    if fields.is_empty() {
        return Err(Failure::runtime("an entry needs a field: add NAME=VALUE, or --event-type"));
    }
    let mut request = Request::new();
    request.begin(3 + 2 * fields.len()).word(b"XADD").word(key.as_bytes()).word(b"*");
    for (name, value) in fields.iter() {
        request.word(name).word(value);
    }
    server.audit.write("streams publish", &json!({"stream": key, "fields": fields.len()}))?;
    let replies = server.ask(key.as_bytes(), &request).await?;
    let words: [&[u8]; 2] = [b"XADD", key.as_bytes()];
    let id = replies.last().ok().map_err(|refusal| super::server::explained(&refusal, &words))?;
    let id = cell(&value(&id));
    show(json, &json!({"id": id, "stream": key}), || id.clone())
}

/// The ten fields of a message.
fn message(args: &PublishArgs, event_type: &str, key: &str) -> Result<Fields, Failure> {
    let data: serde_json::Value =
        serde_json::from_str(&args.data).map_err(|error| Failure::runtime(format!("--data: {error}")))?;
    if !data.is_object() {
        return Err(Failure::runtime("--data: a JSON object is expected"));
    }
    if known(event_type.as_bytes()).is_none() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("{event_type} is none of the types that are known; it is published all the same\n")
                .as_bytes(),
        );
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as f64 / 1e6;
    let short =
        key.strip_prefix("opsconductor:").and_then(|rest| rest.strip_suffix(":events")).unwrap_or(key);
    let mut fields = Fields::default();
    let mut add = |name: &str, value: &str| fields.push(name.as_bytes(), value.as_bytes());
    add("stream", short);
    add("event_type", event_type);
    add("service", args.service.as_deref().unwrap_or(short));
    add("data", &data.to_string());
    add("priority", &args.priority.to_ascii_uppercase());
    add("timestamp", &format!("{seconds:?}"));
    add("retry_count", "0");
    add("max_retries", &args.max_retries.to_string());
    add("correlation_id", &args.correlation_id);
    add("user_id", &args.user_id);
    Ok(fields)
}
