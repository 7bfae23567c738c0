use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use streamgauge_component::storage::{Settings, Storage};
use streamgauge_component::testkit::{Behaviour, Disk, Sink};
use streamgauge_component::{Create, Extension, Host, Kind, Outcome, Outlets, Reason, Receiver, Signal};
use streamgauge_config::Section;
use streamgauge_harness::{Redis, poll_until_async};

use crate::redis::FACTORY;

mod commands;
mod events;
mod flight;

const SOON: Duration = Duration::from_secs(20);
const FAST: &str = "collection_interval: 30ms\ninitial_delay: 0s\nmax_server_time: unlimited\n";

/// A storage extension, and the process that has it.
struct Process {
    host: Host,
    _disk: Arc<dyn Extension>,
}

impl Process {
    /// A process that stores in a directory of the server.
    async fn on(redis: &Redis) -> Process {
        let host = Host::for_test(Kind::Receiver, "test");
        let directory = redis.dir().join("storage");
        std::fs::create_dir_all(&directory).unwrap();
        let settings = Settings { quota: 1 << 20, ..Settings::new(directory) };
        let disk: Arc<dyn Extension> = Arc::new(Disk::new(Storage::open(settings).await.unwrap()));
        host.for_component(Kind::Extension, "disk").offer(&disk);
        Process { host, _disk: disk }
    }

    async fn start(&self, endpoint: &str, more: &str) -> Telling {
        self.start_into(&Sink::delivering(), endpoint, more).await
    }

    async fn start_into(&self, sink: &Arc<Sink>, endpoint: &str, more: &str) -> Telling {
        let yaml = format!("endpoint: {endpoint}\n{FAST}{more}");
        let host = self.host.for_component(Kind::Receiver, "redis");
        let config = (FACTORY.config.read)(&Section::from_yaml("test", &yaml).unwrap())
            .unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
        let create = Create { host: host.clone(), config, signals: vec![Signal::Logs] };
        let receiver = (FACTORY.create)(create).unwrap();
        let outlets = Outlets::new(vec![(Signal::Logs, sink.outlet(Signal::Logs))]);
        receiver.start(host, outlets).await.unwrap();
        Telling { receiver, sink: sink.clone() }
    }
}

/// A receiver with a logs pipeline.
struct Telling {
    receiver: Arc<dyn Receiver>,
    sink: Arc<Sink>,
}

impl Telling {
    /// All records so far.
    fn records(&self) -> Vec<Record> {
        self.sink.received().iter().flat_map(|batch| records(&batch.parts.concat())).collect()
    }

    /// All records of an event so far.
    fn named(&self, event: &str) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.event == event).collect()
    }

    /// Waits until there are so many records of an event, and gives them.
    async fn until(&self, event: &str, count: usize) -> Vec<Record> {
        poll_until_async(event, SOON, async || Some(self.named(event)).filter(|all| all.len() >= count)).await
    }

    async fn stop(self) {
        self.receiver.stop_intake().await;
        self.receiver.shutdown().await;
    }
}

/// A record in the clear.
#[derive(Clone, Debug)]
struct Record {
    event: String,
    severity: String,
    body: String,
    whole: Option<AnyValue>,
    time: u64,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
}

impl Record {
    #[track_caller]
    fn get(&self, key: &str) -> &str {
        self.attributes.get(key).unwrap_or_else(|| panic!("{key} in {self:?}"))
    }

    #[track_caller]
    fn number(&self, key: &str) -> f64 {
        self.get(key).parse().unwrap()
    }
}

fn records(bytes: &[u8]) -> Vec<Record> {
    let mut all = Vec::new();
    for of_resource in ExportLogsServiceRequest::decode(bytes).unwrap().resource_logs {
        let resource = texts(of_resource.resource.unwrap_or_default().attributes);
        for record in of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            let LogRecord { event_name, severity_text, body, time_unix_nano, attributes, .. } = record;
            all.push(Record {
                event: event_name,
                severity: severity_text,
                body: text(body.clone()),
                whole: body,
                time: time_unix_nano,
                attributes: texts(attributes),
                resource: resource.clone(),
            });
        }
    }
    all
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

/// Texts as they are, anything else as JSON.
fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        None => String::new(),
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
    }
}
