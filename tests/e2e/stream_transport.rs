//! An agent writes OTLP to streams of a Redis Cluster, two gateways read them as one group: with a gateway and a master
//! killed on the way nothing is lost that Redis has kept.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message as _;
use streamgauge_harness::{Cluster, OtlpSink, Server, http, poll_until};

use crate::support::{Running, SOON, logs};

const SHARDS: usize = 6;
/// Time for a master to be missed, entries to be claimed from the dead gateway, and retries to go on.
const RECOVERED: Duration = Duration::from_secs(60);

fn agent(seed: &str) -> Running {
    Running::start(&format!(
        "receivers:
  otlp: {{wait_for: delivered, protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}
exporters:
  redis_stream:
    endpoint: {seed}
    stream: 'telemetry:{{signal}}'
    shards: {SHARDS}
    retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms}}
    circuit_breaker: {{enabled: false}}
service:
  pipelines:
    logs: {{receivers: [otlp], exporters: [redis_stream]}}
"
    ))
}

fn gateway(seed: &str, name: &str, sink: &OtlpSink) -> Running {
    Running::start(&format!(
        "receivers:
  redis_stream:
    endpoint: {seed}
    streams: ['telemetry:*']
    discovery_interval: 1s
    group: {{name: gateways}}
    consumer: {{name: {name}, heartbeat: 500ms}}
    encoding: otlp_proto
    claim: {{min_idle: 2s, interval: 500ms}}
exporters:
  otlp_http:
    endpoint: {}
    retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms}}
service:
  pipelines:
    logs: {{receivers: [redis_stream], exporters: [otlp_http]}}
",
        sink.url()
    ))
}

/// The numbers of the records that the sink has.
fn arrived(sink: &OtlpSink) -> BTreeSet<u64> {
    let body = |record: opentelemetry_proto::tonic::logs::v1::LogRecord| match record.body?.value? {
        any_value::Value::StringValue(text) => number(&text),
        _ => None,
    };
    sink.log_records().into_iter().filter_map(body).collect()
}

fn number(text: &str) -> Option<u64> {
    text.strip_prefix("number=")?.split(';').next()?.parse().ok()
}

/// The numbers of the records that the streams hold now.
fn kept(cluster: &Cluster) -> BTreeSet<u64> {
    let stream = |shard| format!("telemetry:logs:{{{shard}}}");
    let entries = |key: String| cluster.nodes[cluster.owner(&key)].cli(&["XRANGE", &key, "-", "+"]);
    let numbers = |text: String| -> Vec<u64> {
        text.match_indices("number=").filter_map(|(at, _)| number(&text[at..])).collect()
    };
    (0..SHARDS).map(stream).map(entries).flat_map(numbers).collect()
}

#[test]
fn with_a_gateway_and_a_master_killed_all_that_the_cluster_kept_arrives() {
    let mut cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let seeds: Vec<String> = cluster.nodes.iter().map(|node| node.url()).collect();
    let sink = OtlpSink::http();
    let agent = agent(&seeds[0]);
    let (mut first, _second) = (gateway(&seeds[1], "one", &sink), gateway(&seeds[2], "two", &sink));
    let url = format!("{}/v1/logs", agent.http_url());
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let acknowledged = std::sync::Mutex::new(BTreeSet::new());
    let send = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let body = logs(&[&format!("number={number};")]).encode_to_vec();
            let answer = http::post(&url, "application/x-protobuf", &body);
            if answer.is_ok_and(|answer| answer.status == 200) {
                acknowledged.lock().unwrap().insert(number);
            }
        }
    };
    let more = |than: usize, what: &str| {
        let now = arrived(&sink).len();
        poll_until(what, RECOVERED, || (arrived(&sink).len() >= now + than).then_some(()));
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(send);
        }
        // Also when something below fails: else the senders would go on for ever.
        let ending = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            more(200, "records arrive");
            first.collector.signal("KILL");
            assert_eq!(first.collector.exit_code(SOON), None);
            more(200, "the other gateway goes on");
            cluster.kill(cluster.owner("telemetry:logs:{0}"));
            more(200, "records arrive by way of the new master");
        }));
        stop.store(true, Ordering::Relaxed);
        ending.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    let kept = kept(&cluster);
    poll_until("all that the streams hold has arrived", RECOVERED, || {
        kept.is_subset(&arrived(&sink)).then_some(())
    });
    // A replica may not have had an entry that its master had confirmed: that is Redis' own promise, not ours.
    let here = arrived(&sink);
    let gone: Vec<&u64> = acknowledged.iter().filter(|number| !here.contains(number)).collect();
    assert!(gone.iter().all(|number| !kept.contains(number)), "{gone:?}");
    assert!(gone.len() <= 4, "{} of {} were lost with the master: {gone:?}", gone.len(), acknowledged.len());
    poll_until("nothing is left pending", RECOVERED, || {
        let pending = |shard| {
            let key = format!("telemetry:logs:{{{shard}}}");
            let summary = cluster.nodes[cluster.owner(&key)].cli(&["XPENDING", &key, "gateways"]);
            summary.lines().next() == Some("0")
        };
        (0..SHARDS).all(pending).then_some(())
    });
}
