//! Another configuration while the collector runs: nothing accepted is lost, and what is wrong changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use streamgauge_harness::{Collector, OtlpSink, Reply, free_port, http, poll_until};

use crate::support::{SOON, binary, logs};

/// A collector with one configuration file that tests write anew, and its `api`.
struct Reloading {
    collector: Collector,
    api: u16,
}

impl Reloading {
    fn start(yaml: impl Fn(u16) -> String) -> Self {
        let api = free_port();
        let mut collector = binary().config(&yaml(api)).start();
        collector.wait_for_log("Everything is ready", SOON);
        Reloading { collector, api }
    }

    fn write(&self, yaml: &str) {
        std::fs::write(self.collector.dir().join("config-0.yaml"), yaml).unwrap();
    }

    fn reload(&self, yaml: &str) -> http::Answer {
        self.write(yaml);
        http::post(&format!("http://127.0.0.1:{}/api/v1/reload", self.api), "text/plain", b"").unwrap()
    }

    #[track_caller]
    fn reload_well(&self, yaml: &str) -> serde_json::Value {
        let answer = self.reload(yaml);
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), self.collector.log());
        answer.json()["changes"].clone()
    }

    fn ledger(&self) -> serde_json::Value {
        http::get(&format!("http://127.0.0.1:{}/api/v1/ledger", self.api)).unwrap().json()
    }
}

/// A configuration of one way from OTLP by HTTP to a sink.
fn yaml(api: u16, port: u16, sink: &OtlpSink, exporter: &str, more: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}
processors: {{batch: {{timeout: 10ms}}}}
exporters: {{otlp_http: {{endpoint: '{}', compression: none, {exporter}}}}}
extensions: {{api: {{endpoint: '127.0.0.1:{api}'}}}}
service:
  extensions: [api]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], processors: [batch], exporters: [otlp_http]}}}}
{more}",
        sink.url()
    )
}

/// Sends numbered records until it is stopped, again and again until each one is accepted.
struct Load {
    stop: Arc<AtomicBool>,
    port: Arc<AtomicU64>,
    task: JoinHandle<u64>,
}

impl Load {
    fn start(port: u16) -> Self {
        let (stop, port) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(port.into())));
        let (stopped, to) = (stop.clone(), port.clone());
        let task = std::thread::spawn(move || {
            let mut accepted = 0;
            while !stopped.load(Ordering::Relaxed) {
                let body = logs(&[&accepted.to_string()]).encode_to_vec();
                let url = format!("http://127.0.0.1:{}/v1/logs", to.load(Ordering::Relaxed));
                match http::post(&url, "application/x-protobuf", &body) {
                    Ok(answer) if answer.status == 200 => accepted += 1,
                    _ => {} // the same again
                }
                std::thread::sleep(Duration::from_millis(1)); // a thousand a second are enough to be in the way
            }
            accepted
        });
        Load { stop, port, task }
    }

    fn accepted(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().unwrap()
    }
}

fn received(sinks: &[&OtlpSink]) -> BTreeSet<u64> {
    let records = sinks.iter().flat_map(|sink| sink.log_records());
    let number = |record: opentelemetry_proto::tonic::logs::v1::LogRecord| match record.body?.value? {
        Value::StringValue(text) => text.parse().ok(),
        _ => None,
    };
    records.filter_map(number).collect()
}

#[track_caller]
fn assert_all_arrive(accepted: u64, sinks: &[&OtlpSink]) {
    poll_until("every accepted record at a sink", SOON, || {
        let there = received(sinks);
        (0..accepted).all(|n| there.contains(&n)).then_some(())
    });
}

#[test]
fn under_load_valid_and_invalid_files_another_port_and_another_target_lose_nothing_that_was_accepted() {
    let (first, second) = (OtlpSink::http(), OtlpSink::http());
    let (old_port, new_port) = (free_port(), free_port());
    let running = Reloading::start(|api| yaml(api, old_port, &first, "", ""));
    let (api, load) = (running.api, Load::start(old_port));
    let some_more = || {
        let before = received(&[&first, &second]).len();
        poll_until("more records", SOON, || (received(&[&first, &second]).len() > before + 20).then_some(()));
    };
    some_more();

    let broken = yaml(api, old_port, &first, "no_such_setting: 1", "");
    let refused = running.reload(&broken);
    assert_eq!(refused.status, 422, "{}", refused.text());
    let why = refused.json()["errors"][0].as_str().unwrap().to_owned();
    assert!(why.contains("no_such_setting") && why.contains("config-0.yaml:3"), "{why}");
    some_more();

    // The target: the receiver and its socket stay.
    let changes = running.reload_well(&yaml(api, old_port, &second, "", ""));
    assert_eq!(changes["replaced"], serde_json::json!(["exporter/otlp_http"]));
    some_more();

    // The receiver on the same port: the new one takes the socket over.
    let changed = yaml(api, old_port, &second, "", "")
        .replace("protocols: {http: {endpoint", "protocols: {http: {include_metadata: true, endpoint");
    assert_eq!(running.reload_well(&changed)["replaced"], serde_json::json!(["receiver/otlp"]));
    some_more();

    // The port.
    load.port.store(new_port.into(), Ordering::Relaxed);
    running.reload_well(&yaml(api, new_port, &second, "", ""));
    some_more();
    poll_until("the old port is free", SOON, || std::net::TcpListener::bind(("127.0.0.1", old_port)).ok());

    // A port that somebody else has: nothing changes.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = running.reload(&yaml(api, taken.local_addr().unwrap().port(), &first, "", ""));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("bind: address already in use"), "{}", refused.text());
    some_more();

    // By signal, with a pipeline more.
    let more = "  telemetry: {logs: {level: debug}, metrics: {level: none}}\n";
    let pipelines = "{logs: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}, traces: {receivers: [otlp], exporters: [otlp_http]}}";
    let with_traces = yaml(api, new_port, &second, "", "")
        .replace("{logs: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}}", pipelines)
        .replace("  telemetry: {metrics: {level: none}}\n", more);
    running.write(&with_traces);
    running.collector.signal("HUP");
    let mut running = running;
    running.collector.wait_for_log("added pipeline/traces", SOON);
    some_more();

    let accepted = load.accepted();
    assert_all_arrive(accepted, &[&first, &second]);
    let components = running.ledger()["components"].as_array().unwrap().clone();
    let dropped: Vec<_> = components.iter().filter(|c| c["dropped"] != serde_json::json!({})).collect();
    assert!(dropped.is_empty(), "{dropped:?}");
    let (code, log) = running.collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("Ledger: received"), "{log}");
}

#[test]
fn data_that_waits_goes_out_through_the_exporter_that_replaces_the_one_it_waited_for() {
    let (stuck, well) = (OtlpSink::http(), OtlpSink::http());
    stuck.always(Reply::Status { code: 503, retry_after: None });
    let port = free_port();
    let running = Reloading::start(|api| yaml(api, port, &stuck, "", ""));
    let load = Load::start(port);
    poll_until("refused attempts", SOON, || (stuck.received().len() > 5).then_some(()));
    let accepted = load.accepted();
    // Another queue besides: what waits moves to it, also what waits for its next attempt.
    running.reload_well(&yaml(running.api, port, &well, "sending_queue: {queue_size: 2000}", ""));
    assert_all_arrive(accepted, &[&well]);
}

#[test]
fn a_watched_file_is_read_again_by_itself() {
    let (first, second) = (OtlpSink::http(), OtlpSink::http());
    let port = free_port();
    let watch = "  reload: {watch: true}\n";
    let mut running = Reloading::start(|api| yaml(api, port, &first, "", watch));
    running.write(&yaml(running.api, port, &second, "", watch));
    running.collector.wait_for_log("Runs the new configuration: kept", SOON);
    running.write("receivers: [");
    running.collector.wait_for_log("The new configuration is refused, the old one runs on", SOON);
}

/// What `/proc` says: resident memory in KiB, and open files.
fn usage(id: u32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let rss = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (rss, std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count())
}

#[test]
fn two_hundred_reloads_leave_no_memory_and_no_sockets_behind() {
    let sink = OtlpSink::http();
    let port = free_port();
    // Everything but the api is replaced each time.
    let version = |api: u16, n: usize| {
        let exporter = format!("sending_queue: {{queue_size: {}}}", 1000 + n % 2);
        yaml(api, port, &sink, &exporter, "")
            .replace("timeout: 10ms", &format!("timeout: {}ms", 10 + n % 2))
            .replace(
                "protocols: {http: {endpoint",
                &format!("protocols: {{http: {{include_metadata: {}, endpoint", n.is_multiple_of(2)),
            )
    };
    let running = Reloading::start(|api| version(api, 0));
    let load = Load::start(port);
    let reload = |n: usize| {
        let changes = running.reload_well(&version(running.api, n));
        assert_eq!(changes["replaced"].as_array().unwrap().len(), 3, "{changes}");
    };
    (1..=50).for_each(reload);
    let before = usage(running.collector.id());
    (51..=200).for_each(reload);
    let accepted = load.accepted();
    assert_all_arrive(accepted, &[&sink]);
    let at_rest = poll_until("as many open files as before", SOON, || {
        let now = usage(running.collector.id());
        (now.1 <= before.1 + 2).then_some(now)
    });
    assert!(at_rest.0 < before.0 + 8 * 1024, "{before:?} became {at_rest:?} (KiB resident, open files)");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", running.collector.id())).unwrap().count();
    assert!(tasks < 64, "{tasks} threads");
}

#[test]
fn a_stop_says_what_nobody_sends_again() {
    let stuck = OtlpSink::http();
    stuck.always(Reply::Status { code: 503, retry_after: None });
    let port = free_port();
    let running = Reloading::start(|api| yaml(api, port, &stuck, "", "  shutdown_timeout: 1s\n"));
    let load = Load::start(port);
    poll_until("refused attempts", SOON, || (stuck.received().len() > 5).then_some(()));
    let accepted = load.accepted();
    let (code, log) = running.collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("lost at the stop: not delivered in time") && log.contains(&format!("{accepted}")),
        "{log}"
    );
    assert!(log.contains("returned stopping"), "the ledger's table has the reason: {log}");
}
