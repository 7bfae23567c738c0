//! The logs of the receiver `redis`, over stops and kills of the collector.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use streamgauge_harness::{OtlpSink, Redis, Server, poll_until};

use crate::support::{Running, SOON, binary};

fn start(redis: &Redis, sink: &OtlpSink) -> Running {
    let yaml = format!(
        "
extensions:
  file_storage: {{directory: {directory}, create_directory: true}}
receivers:
  redis: {{endpoint: '{endpoint}', collection_interval: 100ms, initial_delay: 0s, logs: {{storage: file_storage}}}}
exporters:
  otlp_http: {{endpoint: '{url}', compression: none}}
service:
  pipelines:
    metrics: {{receivers: [redis], exporters: [otlp_http]}}
    logs: {{receivers: [redis], exporters: [otlp_http]}}
",
        directory = redis.dir().join("cursors").display(),
        endpoint = redis.addr(),
        url = sink.url()
    );
    Running::start_with(&yaml, binary().arg("--set").arg("service.extensions=[file_storage, health_check]"))
}

fn attribute(record: &LogRecord, key: &str) -> Option<Value> {
    record.attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value
}

/// How often each entry of the slow log was told, by run id and id.
fn told(sink: &OtlpSink) -> BTreeMap<(String, i64), usize> {
    let mut told = BTreeMap::new();
    for record in sink.log_records().iter().filter(|record| record.event_name == "redis.slowlog.entry") {
        let (Some(Value::IntValue(id)), Some(Value::StringValue(run_id))) =
            (attribute(record, "redis.log.entry.id"), attribute(record, "redis.run_id"))
        else {
            panic!("{record:?}")
        };
        *told.entry((run_id, id)).or_default() += 1;
    }
    told
}

/// What the server has.
fn kept(redis: &Redis) -> BTreeSet<(String, i64)> {
    let run_id = redis.info("run_id").unwrap();
    let entries: Vec<Vec<redis::Value>> = redis.run("SLOWLOG GET 100000");
    let id = |entry: &Vec<redis::Value>| redis::from_redis_value(entry[0].clone()).unwrap();
    entries.iter().map(|entry| (run_id.clone(), id(entry))).collect()
}

fn write(redis: &Redis) {
    for n in 0..20 {
        redis.run::<()>(&format!("SET user:{n} hunter2"));
    }
}

fn stop(running: Running) {
    let (code, log) = running.collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_stopped_collector_tells_each_slow_command_once_and_a_killed_one_skips_none() {
    for server in Server::matrix() {
        let (redis, sink) = (
            server.builder().config("slowlog-log-slower-than 0").config("slowlog-max-len 100000").start(),
            OtlpSink::http(),
        );
        let go_on = || {
            let before = told(&sink).len();
            write(&redis);
            poll_until("more is told", SOON, || (told(&sink).len() >= before + 20).then_some(()));
            write(&redis);
        };
        for _ in 0..3 {
            let running = start(&redis, &sink);
            go_on();
            stop(running);
            write(&redis);
        }
        assert!(told(&sink).values().all(|times| *times == 1), "{}: {:?}", server.name, told(&sink));
        for _ in 0..3 {
            let mut running = start(&redis, &sink);
            go_on();
            running.collector.signal("KILL");
            assert_eq!(running.collector.exit_code(SOON), None, "killed");
            write(&redis);
        }
        let running = start(&redis, &sink);
        redis.run::<()>("CONFIG SET slowlog-log-slower-than -1");
        let kept = kept(&redis);
        poll_until("the last is told", SOON, || {
            let told = told(&sink);
            kept.last().filter(|last| told.contains_key(last)).cloned()
        });
        stop(running);
        let told: BTreeSet<_> = told(&sink).into_keys().collect();
        let skipped: Vec<_> = kept.difference(&told).collect();
        let invented: Vec<_> = told.difference(&kept).collect();
        assert!(skipped.is_empty() && invented.is_empty(), "{}: {skipped:?} {invented:?}", server.name);
    }
}

#[test]
fn a_sleeping_server_is_a_slow_record_and_no_value_is_told() {
    let (redis, sink) = (Redis::start(), OtlpSink::http());
    let running = start(&redis, &sink);
    redis.run::<()>("DEBUG SLEEP 0.2");
    let record = poll_until("a slow record", SOON, || {
        sink.log_records().into_iter().find(|record| record.event_name == "redis.slowlog.entry")
    });
    stop(running);
    let Some(Value::DoubleValue(took)) = attribute(&record, "redis.command.duration") else { panic!() };
    assert!((0.2..2.0).contains(&took), "{took}");
    let text = attribute(&record, "db.query.text");
    assert_eq!(text, Some(Value::StringValue("DEBUG SLEEP ?".to_owned())));
    assert!(!sink.points("redis.up").is_empty(), "the metrics pipeline goes on beside");
}
