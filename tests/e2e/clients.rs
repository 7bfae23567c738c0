//! The OpenTelemetry SDKs for Python, Go and JavaScript before the door. Their programs in `tests/clients` all send the
//! same telemetry, `tests/clients/expected.txt`; the sink behind must have seen every attribute of it.

mod seen;

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use streamgauge_harness::{OtlpSink, poll_until};

use crate::support::{Running, SOON, read, root};

/// A client may have to start an interpreter on a machine that is busy with other tests.
const CLIENT: Duration = Duration::from_secs(120);

#[test]
fn python_by_grpc_and_http() {
    let program = [".cache/clients/python/bin/python", "tests/clients/python/client.py"];
    arrives_whole(&program, "grpc", "none");
    arrives_whole(&program, "http/protobuf", "gzip");
}

#[test]
fn go_by_grpc_and_http() {
    let program = [".cache/clients/go"];
    arrives_whole(&program, "grpc", "gzip");
    arrives_whole(&program, "http/protobuf", "none");
}

#[test]
fn javascript_by_grpc_and_http_and_json() {
    let program = ["node", "tests/clients/javascript/client.js"];
    arrives_whole(&program, "grpc", "none");
    arrives_whole(&program, "http/protobuf", "none");
    arrives_whole(&program, "http/json", "none");
    arrives_whole(&program, "http/json", "gzip");
}

/// Runs a client against a collector of its own.
#[track_caller]
fn arrives_whole(program: &[&str], protocol: &str, compression: &str) {
    let sink = OtlpSink::grpc();
    let running = Running::start(&format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{{grpc}}'}}, http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}
exporters: {{otlp_grpc: {{endpoint: {}, tls: {{insecure: true}}}}}}
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlp_grpc]}}
    metrics: {{receivers: [otlp], exporters: [otlp_grpc]}}
    logs: {{receivers: [otlp], exporters: [otlp_grpc]}}
",
        sink.addr()
    ));
    let endpoint = if protocol == "grpc" { running.grpc_url() } else { running.http_url() };
    let before = SystemTime::now();
    run(program, protocol, &endpoint, compression);
    let what = format!("{program:?} {protocol} {compression}");
    // Each client waits for its answers, but the answers do not wait for the exporter.
    let complete = || Some(sink.taken()).filter(|taken| seen::records(taken) == seen::EXPECTED_RECORDS);
    let taken = poll_until(&format!("all of {what}"), SOON, complete);
    assert_eq!(seen::text(&taken), read("tests/clients/expected.txt"), "{what}");
    seen::metrics_are_of_now(&taken, before);
}

fn run(program: &[&str], protocol: &str, endpoint: &str, compression: &str) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = || Stdio::from(File::options().append(true).open(log.path()).unwrap());
    let mut command = Command::new(program[0]);
    if compression != "none" {
        command.env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
    }
    let child = command
        .args(&program[1..])
        .arg(protocol)
        .current_dir(root())
        .env("NODE_PATH", root().join(".cache/clients/javascript/node_modules"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        .spawn();
    let mut child = child.unwrap_or_else(|e| {
        panic!(
            "cannot start {program:?}: {e}: run scripts/setup, which wants Python 3, Go 1.26 and Node.js 20"
        )
    });
    let ended = poll_until(&format!("{program:?} {protocol} ends"), CLIENT, || child.try_wait().unwrap());
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(ended.success() && log.is_empty(), "{program:?} {protocol}: {ended}\n{log}");
}
