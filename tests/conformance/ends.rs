//! Receivers, exporters and extensions: they come up without their counterpart, and end within their deadline.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use streamgauge::catalogue::{Entry, entries};
use streamgauge::distribution::DISTRIBUTION;
use streamgauge_component::testkit::{Sink, Source};
use streamgauge_component::{
    AnyConfig, Consumer as _, Create, Exporter, ExporterParts, Host, Kind, Outcome, Reason, Signal,
};
use streamgauge_config::Kind as Section;
use streamgauge_delivery::{Delivery, Elsewhere};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::{DEADLINE, input, read};

/// Where nobody listens.
pub const NOBODY: &str = "http://127.0.0.1:1";

/// A section that touches nothing outside of this machine: servers on free ports, an exporter's peer at this URL.
/// As little as possible, and what the README's first example says where that is not enough.
pub fn section(entry: &Entry, peer: &str) -> AnyConfig {
    if (entry.kind, entry.about.name) == (Section::Receiver, "otlp") {
        return read(entry, "protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}");
    }
    if (entry.kind, entry.about.name) == (Section::Extension, "file_storage") {
        let directory = std::env::temp_dir().join(format!("conformance-{}", std::process::id()));
        let section = serde_json::json!({"directory": directory, "create_directory": true});
        return read(entry, &section.to_string());
    }
    if (entry.kind, entry.about.name) == (Section::Exporter, "redis_stream") {
        let address = peer.trim_start_matches("http://");
        return read(entry, &format!("endpoint: '{address}'\nstream: s"));
    }
    if (entry.kind, entry.about.name) == (Section::Exporter, "prometheus") {
        return read(entry, "endpoint: '127.0.0.1:0'");
    }
    let endpoint = match entry.kind {
        Section::Exporter => peer,
        Section::Receiver => "127.0.0.1:1",
        _ => "127.0.0.1:0",
    };
    let has = |key: &str| (entry.config.schema)().pointer(&format!("/properties/{key}")).is_some();
    let local = |mut section: Value| {
        if has("endpoint") {
            section["endpoint"] = endpoint.into();
        }
        if entry.kind == Section::Exporter && has("tls") {
            section["tls"] = serde_json::json!({"insecure": true});
        }
        let section = streamgauge_config::Section::from_yaml("section", &section.to_string()).unwrap();
        (entry.config.read)(&section)
    };
    let first = || crate::examples(entry).swap_remove(0).0;
    local(serde_json::json!({}))
        .or_else(|_| local(first()))
        .unwrap_or_else(|e| panic!("{}: {e}", entry.about.name))
}

fn create(kind: Section, host: Kind, name: &str, signals: &[Signal]) -> Create {
    let entry = entries().into_iter().find(|e| e.kind == kind && e.about.name == name).unwrap();
    Create { host: Host::for_test(host, name), config: section(&entry, NOBODY), signals: signals.to_vec() }
}

pub async fn within<T>(name: &str, what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{name}: {what} took longer than {DEADLINE:?}"))
}

#[tokio::test]
async fn every_receiver_starts_without_its_source_and_ends_in_time() {
    for factory in DISTRIBUTION.receivers {
        let about = &factory.description;
        let create = create(Section::Receiver, Kind::Receiver, about.name, about.signals);
        let host = create.host.clone();
        let receiver = (factory.create)(create).unwrap();
        let sink = Sink::delivering();
        within(about.name, "start", receiver.start(host, sink.outlets())).await.unwrap();
        within(about.name, "stop_intake", receiver.stop_intake()).await;
        within(about.name, "shutdown", receiver.shutdown()).await;
        let end = sink.received().len();
        tokio::task::yield_now().await;
        assert_eq!(sink.received().len(), end, "{} sends after its end", about.name);
    }
}

#[tokio::test]
async fn every_extension_starts_and_ends_in_time() {
    for factory in DISTRIBUTION.extensions {
        let name = factory.description.name;
        let create = create(Section::Extension, Kind::Extension, name, &[]);
        let host = create.host.clone();
        let extension = (factory.create)(create).unwrap();
        within(name, "start", extension.start(host)).await.unwrap();
        within(name, "shutdown", extension.shutdown()).await;
        let stored = std::env::temp_dir().join(format!("conformance-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(stored);
    }
}

#[tokio::test]
async fn every_exporter_without_its_peer_settles_every_ack_by_the_deadline_of_a_stop() {
    for factory in DISTRIBUTION.exporters {
        let about = &factory.description;
        for signal in about.signals {
            let create = create(Section::Exporter, Kind::Exporter, about.name, &[*signal]);
            let host = create.host.clone();
            let ExporterParts { exporter, mut delivery } = (factory.create)(create).unwrap();
            within(about.name, "start", exporter.start(host.clone())).await.unwrap();

            delivery.retry.initial_interval = Duration::from_millis(10);
            let node = host.node(*signal);
            let panics: Arc<Mutex<Vec<String>>> = Arc::default();
            let heard = panics.clone();
            let instance: watch::Sender<Option<Arc<dyn Exporter>>> =
                watch::Sender::new(Some(exporter.clone()));
            let queue = Delivery::start(
                *signal,
                delivery,
                instance.subscribe(),
                Arc::new(move |message| heard.lock().unwrap().push(message.to_owned())),
                host,
                node.clone(),
                Elsewhere::default(),
            );
            let source = Source::new();
            let mut items = 0;
            for (bytes, count) in input::requests(*signal, &serde_json::Value::Null) {
                items += count as u64;
                within(about.name, "consume", queue.consume(source.batch(*signal, bytes, count))).await;
            }
            let deadline = Instant::now() + Duration::from_millis(300);
            within(about.name, "drain", queue.drain(deadline)).await;
            assert!(source.all_settled(), "{}, {signal}: {:?}", about.name, source.outcomes());
            let abandoned = Some(Outcome::retry(Reason::Abandoned));
            assert!(!source.outcomes().contains(&abandoned), "{}, {signal}: an ack was dropped", about.name);
            let ended = node.delivered.get() + node.dropped.total() + node.returned.total();
            assert_eq!((ended, node.held_items.get()), (items, 0), "{}, {signal}: {node:?}", about.name);
            assert_eq!(*panics.lock().unwrap(), Vec::<String>::new(), "{}, {signal}", about.name);
            within(about.name, "shutdown", exporter.shutdown()).await;
        }
    }
}
