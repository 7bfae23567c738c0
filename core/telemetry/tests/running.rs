//! The section at work: scrapes over HTTP, pushes to a foreign OTLP server, spans, and the section as YAML.

#![allow(clippy::unwrap_used)] // a test that fails is what it is for
use std::time::Duration;

use streamgauge_component::{Host, Kind, Signal};
use streamgauge_config::Section;
use streamgauge_harness::{OtlpSink, http, poll_until_async};
use streamgauge_telemetry::{Logs, Telemetry, TelemetryConfig};

const SOON: Duration = Duration::from_secs(20);

fn section(yaml: &str) -> TelemetryConfig {
    let config: TelemetryConfig = Section::from_yaml("service::telemetry", yaml).unwrap().read().unwrap();
    assert_eq!(config.problems(), []);
    config
}

async fn get(url: String) -> http::Answer {
    tokio::task::spawn_blocking(move || http::get(&url)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_pushes_and_spans_leave_and_the_port_is_free_again() {
    let (metrics, traces) = (OtlpSink::grpc(), OtlpSink::http());
    let config = section(&format!(
        "
logs: {{level: debug, encoding: json, output_paths: [stderr], initial_fields: {{shard: 3}}}}
metrics:
  level: detailed
  readers:
    - pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 0}}}}}}
    - periodic: {{interval: 100, exporter: {{otlp: {{protocol: grpc, endpoint: 'http://{}'}}}}}}
traces:
  processors: [{{batch: {{schedule_delay: 50, exporter: {{otlp: {{protocol: http/protobuf, endpoint: 'http://{}', headers: [{{name: x-key, value: k}}]}}}}}}}}]
resource: {{service.name: gauge-1, service.instance.id: null}}
",
        metrics.addr(),
        traces.addr()
    ));
    let logs = Logs::install().unwrap();
    assert!(Logs::install().is_err(), "a process has one log");
    logs.apply(&config.logs).unwrap();
    let host = Host::for_test(Kind::Exporter, "x");
    let exporter = host.node(Signal::Logs);
    exporter.delivered.add(41);
    let telemetry = Telemetry::start(&config, &host, &logs).await.unwrap();
    telemetry.trace().unwrap();
    let url = format!("http://{}", telemetry.addresses()[0]);

    let answer = get(format!("{url}/metrics")).await;
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        answer.text().contains("otelcol_exporter_sent_log_records{exporter=\"x\"} 41\n"),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("target_info{service_name=\"gauge-1\",service_version="));
    assert_eq!(get(format!("{url}/other")).await.status, 404);

    exporter.delivered.add(1);
    let sent = |value: f64| {
        let points = metrics.points("otelcol_exporter_sent_log_records");
        points.into_iter().find(|p| p.value == Some(value))
    };
    let point = poll_until_async("the push of the new value", SOON, async || sent(42.0)).await;
    assert_eq!((point.attribute("exporter"), point.resource["service.name"].as_str()), ("x", "gauge-1"));

    tracing::info_span!("a span of ours", items = 5).in_scope(|| {});
    let span = poll_until_async("the span", SOON, async || traces.spans().into_iter().next()).await;
    assert_eq!(span.name, "a span of ours");
    assert_eq!(traces.received()[0].headers["x-key"], "k");

    a_taken_port_is_told_with_what_to_do(&logs).await;
    telemetry.shutdown().await;
    assert!(tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.is_err());
}

async fn a_taken_port_is_told_with_what_to_do(logs: &Logs) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let yaml = format!(
        "metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {port}}}}}}}}}]}}"
    );
    let error =
        Telemetry::start(&section(&yaml), &Host::for_test(Kind::Extension, ""), logs).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("set another port"), "{text}");
}
