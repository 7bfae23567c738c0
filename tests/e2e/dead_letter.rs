//! What a backend refuses for good is kept: in a file, and by another exporter.

use prost::Message as _;
use streamgauge_harness::{OtlpSink, Reply, http, poll_until};

use crate::support::{Running, SOON, logs};

fn post(url: &str, text: &str) -> u16 {
    let body = logs(&[text]).encode_to_vec();
    http::post(&format!("{url}/v1/logs"), "application/x-protobuf", &body).expect("an answer").status
}

#[test]
fn a_refused_request_ends_in_the_file_or_with_the_other_exporter_and_no_other_does() {
    let (sink, grave) = (OtlpSink::http(), OtlpSink::grpc());
    sink.marked("poison", Reply::status(400));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dead.jsonl");
    let running = Running::start(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}}}
exporters:
  otlp_http/a: {{endpoint: '{url}', dead_letter: {{file: '{file}'}}}}
  otlp_http/b: {{endpoint: '{url}', dead_letter: {{exporter: otlp_grpc/grave}}}}
  otlp_grpc/grave: {{endpoint: '{grave}', tls: {{insecure: true}}}}
service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [otlp_http/a, otlp_http/b]}}}}}}
",
        url = sink.url(),
        file = file.display(),
        grave = grave.addr(),
    ));
    for text in ["good", "poison", "good too"] {
        assert_eq!(post(&running.http_url(), text), 200, "{text}");
    }
    let line = poll_until("a line in the file", SOON, || {
        std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))
    });
    assert_eq!(line.lines().count(), 1);
    for part in ["resourceLogs", "poison", "streamgauge.dead_letter.reason", "peer_refused", "otlp_http/a"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let buried = poll_until("a record at the other exporter", SOON, || grave.log_records().pop());
    assert!(format!("{buried:?}").contains("poison"), "{buried:?}");
    poll_until("the good ones", SOON, || (sink.log_records().len() == 4).then_some(()));
    assert_eq!(grave.log_records().len(), 1);
}
