//! Against real servers.

mod cluster;
mod faults;
mod sections;
mod trimming;
mod writing;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use redis::Value;
use streamgauge_component::{ConfigType, Context, Host, Kind, Request, Signal};
use streamgauge_config::Section;
use streamgauge_harness::{Redis, Server};
use streamgauge_pdata::build::LogsBuilder;

use super::config::RedisStreamConfig;
use super::export::RedisStream;

fn read(yaml: &str) -> Result<RedisStreamConfig, String> {
    let section = Section::from_yaml("exporters::redis_stream", yaml).unwrap();
    let config = (ConfigType::of::<RedisStreamConfig>().read)(&section).map_err(|e| e.to_string())?;
    Ok(config.downcast_ref::<RedisStreamConfig>().unwrap().clone())
}

/// An exporter to a server; the section's other keys follow.
fn to(redis: &Redis, yaml: &str) -> RedisStream {
    let config = read(&format!("endpoint: {}\n{yaml}", redis.addr())).unwrap();
    RedisStream::new(&config, &Host::for_test(Kind::Exporter, "redis_stream")).unwrap()
}

/// Log records with the bodies 0, 1, ... and an attribute `k` of the same text.
fn part(records: std::ops::Range<usize>) -> Bytes {
    let mut logs = LogsBuilder::new();
    let mut resource = logs.resource([("service.name", "shop")]);
    let mut scope = resource.scope("", "");
    for number in records {
        let text = number.to_string();
        scope.record(1).body(text.as_str()).attribute("k", text.as_str());
    }
    drop(scope);
    drop(resource);
    logs.finish()
}

fn request(signal: Signal, parts: Vec<Bytes>) -> Request {
    let context = Arc::new(Context::new("test", SystemTime::UNIX_EPOCH));
    let items = parts.iter().map(|part| streamgauge_pdata::count(signal, part)).sum();
    Request { signal, context, parts, items }
}

fn logs(records: std::ops::Range<usize>) -> Request {
    request(Signal::Logs, vec![part(records)])
}

/// The entries of a stream: their fields in order.
fn entries(redis: &Redis, stream: &str) -> Vec<Vec<(String, Vec<u8>)>> {
    let all: Vec<(String, Vec<Value>)> = redis.run(&format!("XRANGE {stream} - +"));
    let bytes = |value: &Value| redis::from_redis_value_ref::<Vec<u8>>(value).unwrap();
    let fields = |values: Vec<Value>| {
        let pairs = values.chunks_exact(2);
        pairs.map(|pair| (String::from_utf8(bytes(&pair[0])).unwrap(), bytes(&pair[1]))).collect()
    };
    all.into_iter().map(|(_, values)| fields(values)).collect()
}

/// The values of one field of a stream's entries.
fn values(redis: &Redis, stream: &str, field: &str) -> Vec<String> {
    let of = |entry: Vec<(String, Vec<u8>)>| {
        let (_, value) = entry.into_iter().find(|(name, _)| name == field).unwrap();
        String::from_utf8(value).unwrap()
    };
    entries(redis, stream).into_iter().map(of).collect()
}

/// The server whose commands are the newest.
fn newest() -> Server {
    Server::find("redis-8").unwrap()
}
