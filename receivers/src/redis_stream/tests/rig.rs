//! A receiver, a server and a sink.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use streamgauge_component::testkit::{Behaviour, Sink};
use streamgauge_component::{
    Batch, Consumer, Create, Host, Instrument, Kind, Outcome, Outlet, Outlets, Receiver, Registry, Signal,
    State,
};
use streamgauge_config::Section;
use streamgauge_harness::{Redis, poll_until_async};
use streamgauge_streams::encoding::{ENTRY_ID, STREAM};

use crate::redis_stream::FACTORY;

pub const SOON: Duration = Duration::from_secs(20);

/// Quick rhythms, so that a test need not wait for what takes minutes.
const QUICK: &str = "group: {name: g}, consumer: {name: me, heartbeat: 200ms}, read: {block: 50ms}, \
                     ack: {interval: 10ms}, claim: {min_idle: 600ms, interval: 100ms}, \
                     retry: {backoff: {initial: 10ms, max: 50ms}}, discovery_interval: 200ms";

pub struct Rig {
    pub receiver: Arc<dyn Receiver>,
    pub sink: Arc<Sink>,
    pub host: Host,
}

/// Overrides in `yaml` go before the quick rhythms, by section.
pub fn section(endpoint: &str, yaml: &str) -> Section {
    let base =
        Section::from_yaml("quick", &format!("{{endpoint: '{endpoint}', streams: [s], {QUICK}}}")).unwrap();
    let over = Section::from_yaml("test", &format!("{{{yaml}}}")).unwrap();
    let mut merged = base.node().to_json();
    merge(&mut merged, over.node().to_json());
    Section::from_yaml("merged", &merged.to_string()).unwrap()
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

type Choose = dyn Fn(&[BTreeMap<String, String>]) -> Option<Outcome> + Send + Sync;

/// Does with each part as told, before the sink counts it: `None` is to deliver.
pub struct Picky {
    sink: Arc<Sink>,
    choose: Box<Choose>,
    each: Duration,
}

impl Consumer for Picky {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tokio::time::sleep(self.each).await;
            match (self.choose)(&records(&batch.parts[0].bytes)) {
                Some(outcome) => batch.settle(&outcome),
                None => self.sink.consume(batch).await,
            }
        })
    }
}

impl Rig {
    /// A sink that delivers what `choose` has no other outcome for, and takes its time for each part.
    pub async fn picky(
        redis: &Redis,
        yaml: &str,
        each: Duration,
        choose: impl Fn(&[BTreeMap<String, String>]) -> Option<Outcome> + Send + Sync + 'static,
    ) -> Rig {
        let sink = Sink::delivering();
        let picky = Arc::new(Picky { sink: sink.clone(), choose: Box::new(choose), each });
        let edge = Registry::default().edge("", "test", "picky", Signal::Logs);
        let outlets = Outlets::new(vec![(Signal::Logs, Outlet::new(edge, picky))]);
        let host = Host::for_test(Kind::Receiver, "redis_stream");
        Rig::into(host, &redis.addr(), yaml, sink, outlets).await
    }

    pub async fn start(redis: &Redis, yaml: &str) -> Rig {
        Rig::with(&redis.addr(), yaml, Behaviour::Settle(Outcome::Delivered)).await
    }

    pub async fn with(endpoint: &str, yaml: &str, behaviour: Behaviour) -> Rig {
        Rig::on(Host::for_test(Kind::Receiver, "redis_stream"), endpoint, yaml, Sink::new(behaviour)).await
    }

    pub async fn on(host: Host, endpoint: &str, yaml: &str, sink: Arc<Sink>) -> Rig {
        let outlets = sink.outlets();
        Rig::into(host, endpoint, yaml, sink, outlets).await
    }

    async fn into(host: Host, endpoint: &str, yaml: &str, sink: Arc<Sink>, outlets: Outlets) -> Rig {
        let config = (FACTORY.config.read)(&section(endpoint, yaml)).unwrap_or_else(|e| panic!("{e}"));
        let create = Create { host: host.clone(), config, signals: vec![Signal::Logs] };
        let receiver = (FACTORY.create)(create).unwrap();
        receiver.start(host.clone(), outlets).await.unwrap();
        Rig { receiver, sink, host }
    }

    pub async fn stop(&self) {
        self.receiver.stop_intake().await;
        self.receiver.shutdown().await;
    }

    /// Ids of the entries that have arrived, in their order.
    pub fn ids(&self) -> Vec<String> {
        self.records().into_iter().map(|record| record[ENTRY_ID].clone()).collect()
    }

    /// The records that have arrived, as their attributes.
    pub fn records(&self) -> Vec<BTreeMap<String, String>> {
        self.sink.received().iter().flat_map(|batch| &batch.parts).flat_map(|part| records(part)).collect()
    }

    /// Waits until so many entries have come, each counted once.
    pub async fn arrived(&self, count: usize) {
        let what = format!("{count} entries arrive");
        poll_until_async(&what, SOON, async || {
            let mut ids: Vec<_> =
                self.records().into_iter().map(|r| (r[STREAM].clone(), r[ENTRY_ID].clone())).collect();
            ids.sort();
            ids.dedup();
            (ids.len() >= count).then_some(())
        })
        .await;
    }

    /// A number of the receiver's own, of all attributes together.
    pub fn count(&self, name: &str) -> u64 {
        self.sum(name, |_| true)
    }

    /// The same, of those with an attribute of a value.
    pub fn count_of(&self, name: &str, value: &str) -> u64 {
        self.sum(name, |one| one.attributes.iter().any(|(_, v)| v == value))
    }

    fn sum(&self, name: &str, wanted: impl Fn(&Instrument) -> bool) -> u64 {
        let name = format!("streamgauge.redis_stream.{name}");
        let all = self.host.registry().instruments();
        all.iter().filter(|one| one.name == name && wanted(one)).map(|one| one.value.get()).sum()
    }

    pub async fn until(&self, what: &str, wanted: impl Fn(&Rig) -> bool) {
        poll_until_async(what, SOON, async || wanted(self).then_some(())).await;
    }

    /// What the receiver says is not well.
    pub fn trouble(&self) -> Option<String> {
        let all = self.host.board().components();
        let state = all.into_iter().find(|component| &*component.id == "redis_stream")?;
        (state.state != State::Ok).then(|| state.message.unwrap_or_default())
    }
}

/// Log records as their attributes, and those of their resource.
pub fn records(part: &[u8]) -> Vec<BTreeMap<String, String>> {
    let pair = |pair: KeyValue| {
        let value = match pair.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            other => format!("{other:?}"),
        };
        (pair.key, value)
    };
    let mut found = Vec::new();
    for resource in ExportLogsServiceRequest::decode(part).unwrap().resource_logs {
        let common: BTreeMap<_, _> = resource.resource.unwrap().attributes.into_iter().map(pair).collect();
        for record in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            let mut all = common.clone();
            all.extend(record.attributes.into_iter().map(pair));
            found.push(all);
        }
    }
    found
}

/// Entries of a group that are pending.
pub fn pending(redis: &Redis, stream: &str) -> i64 {
    let (count, ..): (i64, redis::Value, redis::Value, redis::Value) =
        redis.run(&format!("XPENDING {stream} g"));
    count
}

pub async fn settled(redis: &Redis, stream: &str) {
    poll_until_async("nothing is pending", SOON, async || (pending(redis, stream) == 0).then_some(())).await;
}
