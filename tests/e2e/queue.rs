//! `streamgauge queue` on what real runs left behind, and while a collector runs.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use prost::Message as _;
use serde_json::Value;
use streamgauge_harness::{Collector, OtlpSink, Reply, free_port, http, poll_until};
use tempfile::TempDir;

use crate::support::{SOON, binary, logs};

/// A configuration with a queue on the disk, and where it is.
pub struct Rig {
    pub dir: TempDir,
    pub sink: OtlpSink,
    port: u16,
    pub api: Option<u16>,
}

impl Rig {
    pub fn new(api: bool) -> Rig {
        let (dir, sink) = (tempfile::tempdir().unwrap(), OtlpSink::http());
        sink.always(Reply::Status { code: 503, retry_after: None });
        let rig = Rig { dir, sink, port: free_port(), api: api.then(free_port) };
        std::fs::write(rig.config(), rig.yaml()).unwrap();
        rig
    }

    fn config(&self) -> String {
        self.dir.path().join("collector.yaml").display().to_string()
    }

    pub fn storage(&self) -> String {
        self.dir.path().join("storage").display().to_string()
    }

    fn dead(&self) -> String {
        self.dir.path().join("dead.jsonl").display().to_string()
    }

    fn yaml(&self) -> String {
        let api = self.api.map_or(String::new(), |port| {
            format!("  api: {{endpoint: '127.0.0.1:{port}', token: hunter2}}\n")
        });
        let in_service = if api.is_empty() { "" } else { ", api" };
        format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}', include_metadata: true}}}}}}}}
exporters:
  otlp_http/eu:
    endpoint: '{sink}'
    headers: {{x-key: hunter2}}
    compression: none
    retry_on_failure: {{initial_interval: 50ms, max_interval: 100ms}}
    circuit_breaker: {{enabled: false}}
    sending_queue: {{storage: file_storage, num_consumers: 1}}
    dead_letter: {{file: '{dead}'}}
extensions:
  file_storage: {{directory: '{storage}', create_directory: true}}
{api}service:
  shutdown_timeout: 100ms
  extensions: [file_storage{in_service}]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], exporters: [otlp_http/eu]}}}}
",
            port = self.port,
            sink = self.sink.url(),
            dead = self.dead(),
            storage = self.storage(),
        )
    }

    pub fn start(&self) -> Collector {
        let mut collector = binary().config_file(self.config()).start();
        collector.wait_for_log("Everything is ready", SOON);
        collector
    }

    pub fn send(&self, text: &str) {
        let headers = [("content-type", "application/x-protobuf"), ("x-secret", "hunter2")];
        let url = format!("http://127.0.0.1:{}/v1/logs", self.port);
        let answer = http::request("POST", &url, &headers, &logs(&[text, "more"]).encode_to_vec()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// A collector ran, could not deliver, and was stopped.
    fn leave_behind(&self, texts: &[&str]) {
        let collector = self.start();
        texts.iter().for_each(|text| self.send(text));
        let (code, log) = collector.terminate(SOON);
        assert_eq!(code, Some(0), "{log}");
    }

    /// `streamgauge queue ARGS --config ...`
    pub fn queue(&self, args: &[&str]) -> Output {
        queue(&[args, &["--config", &self.config()]].concat())
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.queue(&[args, &["--json"]].concat());
        let (out, err) = said(&output);
        assert!(output.status.success(), "{out}\n{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    pub fn received(&self) -> usize {
        self.sink.log_records().len()
    }
}

fn queue(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.arg("queue").args(args).stdin(Stdio::null()).output().unwrap()
}

/// Standard output and error. Nothing of either ever holds a secret.
#[track_caller]
fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{out}\n{err}");
    (out, err)
}

#[test]
fn a_stopped_collectors_queue_is_listed_shown_and_exported_and_stays_as_it_is() {
    let rig = Rig::new(false);
    let nothing = rig.queue(&["ls"]);
    assert_eq!((nothing.status.code(), said(&nothing).0.as_str()), (Some(0), "No queues.\n"));
    rig.leave_behind(&["one", "two", "three"]);

    let all = rig.json(&["ls"]);
    let only = &all[0];
    assert_eq!(all.as_array().unwrap().len(), 1);
    for (key, value) in [
        ("queue", Value::from("otlp_http/eu/logs")),
        ("directory", rig.storage().into()),
        ("running", false.into()),
        ("records", 3.into()),
        ("items", 6.into()),
        ("unreadable", 0.into()),
    ] {
        assert_eq!(only[key], value, "{key} of {only}");
    }
    let (table, _) = said(&rig.queue(&["ls"]));
    let columns: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(columns[0][..3], ["QUEUE", "RECORDS", "ITEMS"]);
    assert_eq!(columns[1][..3], ["otlp_http/eu/logs", "3", "6"]);
    assert!(!table.contains('\x1b'), "colour is for terminals: {table:?}");
    let by_directory = queue(&["ls", "--directory", &rig.storage(), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said(&by_directory).0).unwrap()[0]["records"], 3);

    let shown = rig.json(&["show", "otlp_http/eu", "-n", "2"]);
    let first = shown["first"].as_array().unwrap();
    assert_eq!((shown["records"].as_u64(), first.len()), (Some(3), 2));
    assert_eq!((&first[0]["items"], &first[0]["receiver"]), (&2.into(), &"otlp".into()));
    assert!(first[0]["headers"].as_array().unwrap().contains(&"x-secret".into()), "{first:?}");
    assert!(Path::new(first[0]["file"].as_str().unwrap()).is_file(), "{first:?}");
    let (text, _) = said(&rig.queue(&["show", "otlp_http/eu/logs"]));
    assert!(text.contains("records      3") && text.lines().count() == 14, "{text}");

    let (lines, _) = said(&rig.queue(&["export", "otlp_http/eu/logs"]));
    let bodies = ["one", "two", "three"].map(|text| format!("\"{text}\""));
    assert_eq!(lines.lines().count(), 3);
    assert!(lines.lines().zip(&bodies).all(|(line, body)| line.contains(body)), "in order: {lines}");
    let file = rig.dir.path().join("all.pb");
    let to = ["export", "otlp_http/eu/logs", "--format", "protobuf", "-o", file.to_str().unwrap()];
    assert_eq!(rig.json(&to)["items"], 6);
    let all: opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest =
        opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest::decode(
            &std::fs::read(&file).unwrap()[..],
        )
        .unwrap();
    assert_eq!(all.resource_logs.len(), 3);
    let again = rig.queue(&to);
    assert_eq!(
        (again.status.code(), said(&again).1.contains("exists")),
        (Some(1), true),
        "never overwritten"
    );

    let unknown = rig.queue(&["show", "nope"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).1.contains("there are otlp_http/eu/logs"), "{}", said(&unknown).1);
    assert_eq!(rig.json(&["ls"])[0]["records"], 3, "nothing has changed");
}

#[test]
fn a_purge_wants_the_name_twice_and_counts_what_it_dropped() {
    let rig = Rig::new(false);
    rig.leave_behind(&["one", "two"]);
    for wrong in [&["purge", "otlp_http/eu", "--yes", "otlp_http/eu"][..], &["purge", "otlp_http/eu/logs"]] {
        let refused = rig.queue(wrong);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).1.contains("nothing was purged"), "{}", said(&refused).1);
    }
    let mut typed = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(["queue", "purge", "otlp_http/eu", "--config", &rig.config()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    typed.stdin.take().unwrap().write_all(b"otlp_http/eu/logs\n").unwrap();
    let output = typed.wait_with_output().unwrap();
    let (out, err) = said(&output);
    assert!(err.contains("drops 2 records (4 items"), "{err}");
    assert!(output.status.success() && out.contains("purged 2 records (4 items"), "{out}\n{err}");
    let purged = rig.json(&["purge", "otlp_http/eu/logs", "--yes", "otlp_http/eu/logs"]);
    assert_eq!(purged["purged"]["records"], 0);
    // The collector goes on with the empty queue.
    rig.sink.always(Reply::Ok);
    let collector = rig.start();
    rig.send("three");
    poll_until("the new one", SOON, || (rig.received() == 2).then_some(()));
    collector.terminate(SOON);
}

#[test]
fn a_stopped_queue_is_replayed_to_its_exporter_and_what_is_refused_stays() {
    let rig = Rig::new(false);
    rig.leave_behind(&["one", "poison", "three"]);
    let down = rig.queue(&["replay", "otlp_http/eu/logs", "--patience", "0"]);
    assert_eq!(down.status.code(), Some(1));
    assert!(said(&down).1.contains("stays in otlp_http/eu/logs"), "{}", said(&down).1);
    assert_eq!(rig.json(&["ls"])[0]["records"], 3);

    rig.sink.always(Reply::Ok);
    rig.sink.marked("poison", Reply::status(400));
    let output = rig.queue(&["replay", "otlp_http/eu/logs", "--json"]);
    let (out, err) = said(&output);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (output.status.code(), &told["acknowledged"]["requests"]),
        (Some(1), &2.into()),
        "{out}\n{err}"
    );
    assert_eq!((&told["refused"]["items"], rig.received()), (&2.into(), 4), "{out}");
    assert_eq!(rig.json(&["ls"])[0]["records"], 1, "what was acknowledged is gone");

    let other = OtlpSink::grpc();
    let to = format!("http://{}", other.addr());
    let told = rig.json(&["replay", "otlp_http/eu/logs", "--to", &to, "--grpc"]);
    assert_eq!((&told["acknowledged"]["items"], other.log_records().len()), (&2.into(), 2));
    assert_eq!(rig.json(&["ls"])[0]["records"], 0);
}

#[test]
fn a_running_collectors_queue_is_looked_at_and_purged_through_its_api() {
    let rig = Rig::new(true);
    let collector = rig.start();
    ["one", "two", "three"].iter().for_each(|text| rig.send(text));
    let look = poll_until("one under way", SOON, || {
        Some(rig.json(&["ls"])[0].clone()).filter(|look| look["under_way"] == 1)
    });
    assert_eq!((&look["running"], &look["records"], &look["items"]), (&true.into(), &3.into(), &6.into()));
    assert_eq!(look["pid"], collector.id());
    assert_eq!(rig.json(&["show", "otlp_http/eu/logs"])["first"].as_array().unwrap().len(), 3);
    assert_eq!(said(&rig.queue(&["export", "otlp_http/eu/logs"])).0.lines().count(), 3);

    let replay = rig.queue(&["replay", "otlp_http/eu/logs"]);
    assert!(said(&replay).1.contains("stop it first"), "{}", said(&replay).1);
    let blind =
        queue(&["purge", "otlp_http/eu/logs", "--yes", "otlp_http/eu/logs", "--directory", &rig.storage()]);
    assert_eq!(blind.status.code(), Some(1));
    assert!(said(&blind).1.contains("give --config instead"), "{}", said(&blind).1);

    let purged = &rig.json(&["purge", "otlp_http/eu/logs", "--yes", "otlp_http/eu/logs"])["purged"];
    assert_eq!(
        (&purged["records"], &purged["items"], &purged["under_way"]),
        (&2.into(), &4.into(), &1.into())
    );
    rig.sink.always(Reply::Ok);
    rig.send("four");
    poll_until("the one that was under way, and the new one", SOON, || (rig.received() == 4).then_some(()));
    let (_, log) = collector.terminate(SOON);
    assert!(log.contains("dropped purged 4"), "{log}");
}

#[test]
fn without_an_api_a_running_collectors_queue_is_read_and_not_touched() {
    let rig = Rig::new(false);
    let collector = rig.start();
    rig.send("one");
    let look = &rig.json(&["ls"])[0];
    assert_eq!((&look["running"], &look["records"], &look["items"]), (&true.into(), &1.into(), &2.into()));
    let purge = rig.queue(&["purge", "otlp_http/eu/logs", "--yes", "otlp_http/eu/logs"]);
    assert_eq!(purge.status.code(), Some(1));
    assert!(said(&purge).1.contains("add the extension `api`"), "{}", said(&purge).1);
    collector.terminate(SOON);
}

#[test]
fn what_a_queue_on_disk_could_not_deliver_is_in_the_dead_letter_and_is_replayed_from_there() {
    let rig = Rig::new(false);
    rig.sink.always(Reply::Ok);
    rig.sink.marked("bad", Reply::status(400));
    let collector = rig.start();
    ["good", "bad poison", "bad venom", "good too"].iter().for_each(|text| rig.send(text));
    poll_until("two lines", SOON, || {
        std::fs::read_to_string(rig.dead()).ok().filter(|text| text.matches('\n').count() == 2)
    });
    poll_until("the good ones", SOON, || (rig.received() == 4).then_some(()));
    poll_until("an empty queue", SOON, || (rig.json(&["ls"])[0]["records"] == 0).then_some(()));

    // The peer learns one of them.
    rig.sink.marked("venom", Reply::status(400));
    let output = rig.queue(&["replay", "--file", &rig.dead(), "--json"]);
    let (out, err) = said(&output);
    let told: Value = serde_json::from_str(&out).unwrap();
    let requests = |what: &str| told[what]["requests"].as_u64();
    assert_eq!((requests("acknowledged"), requests("refused")), (Some(1), Some(1)), "{out}\n{err}");
    assert_eq!((output.status.code(), rig.received()), (Some(1), 6));
    let left = std::fs::read_to_string(rig.dead()).unwrap();
    assert!(left.lines().count() == 1 && left.contains("venom"), "{left}");
    let taken = format!("{:?}", rig.sink.taken());
    assert!(taken.contains("bad poison") && !taken.contains("dead_letter"), "as it was before: {taken}");

    // A new letter goes to the same file; what is replayed through the collector is its data again.
    rig.send("venom");
    poll_until("another line", SOON, || {
        std::fs::read_to_string(rig.dead()).ok().filter(|text| text.matches('\n').count() == 2)
    });
    rig.sink.marked("nothing", Reply::status(400));
    let told = rig.json(&["replay", "--file", &rig.dead(), "--through"]);
    assert_eq!(told["acknowledged"]["requests"], 2);
    poll_until("all of it", SOON, || (rig.received() == 10).then_some(()));
    assert!(!Path::new(&rig.dead()).exists(), "nothing is left of it");
    collector.terminate(SOON);
}
