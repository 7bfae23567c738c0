//! The exporter against a foreign HTTP server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use streamgauge_component::{
    About, Accepted, ComponentConfig as _, ConfigType, Context, ExportError, Exporter as _, Reason, Request,
    Signal,
};
use streamgauge_config::Section;
use streamgauge_harness::{OtlpSink, Reply, Telemetry};

use super::config::OtlpHttpConfig;
use super::export::OtlpHttp;

fn read(yaml: &str) -> Result<OtlpHttpConfig, String> {
    let section = Section::from_yaml("exporters::otlp_http", yaml).unwrap();
    let config = (ConfigType::of::<OtlpHttpConfig>().read)(&section).map_err(|e| e.to_string())?;
    Ok(config.downcast_ref::<OtlpHttpConfig>().unwrap().clone())
}

fn exporter(yaml: &str) -> OtlpHttp {
    OtlpHttp::new(&read(yaml).unwrap()).unwrap()
}

fn request(signal: Signal, parts: Vec<Bytes>, items: usize) -> Request {
    let context = Arc::new(Context::new("test", std::time::SystemTime::UNIX_EPOCH));
    Request { signal, context, parts, items }
}

fn logs(records: usize) -> Request {
    let scope = ScopeLogs { log_records: vec![LogRecord::default(); records], ..Default::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
    let bytes = ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec();
    request(Signal::Logs, vec![bytes.into()], records)
}

#[tokio::test]
async fn the_parts_of_every_signal_arrive_as_one_request_in_every_packing() {
    for packing in ["none", "gzip", "zstd", "{level: 6}"] {
        let sink = OtlpSink::http();
        let packing = match packing.strip_prefix('{') {
            Some(_) => format!("compression_params: {packing}"),
            None => format!("compression: {packing}"),
        };
        let exporter = exporter(&format!("endpoint: {}/\nheaders: {{X-Key: secret}}\n{packing}", sink.url()));
        let mut two = logs(2);
        two.parts.extend(logs(300).parts);
        assert_eq!(exporter.export(&two).await, Ok(Accepted::default()));
        for signal in [Signal::Metrics, Signal::Traces] {
            assert_eq!(exporter.export(&request(signal, vec![], 0)).await, Ok(Accepted::default()));
        }
        assert_eq!(sink.log_records().len(), 302, "{packing}");
        let received = sink.received();
        assert!(matches!(received[1].body, Telemetry::Metrics(_)));
        assert!(matches!(received[2].body, Telemetry::Traces(_)));
        assert_eq!(received[0].headers["x-key"], "secret");
        assert_eq!(received[0].headers["content-type"], "application/x-protobuf");
        assert_eq!(received[0].headers.contains_key("content-encoding"), !packing.ends_with("none"));
        assert!(!received[1].headers.contains_key("content-encoding"), "small bodies are not packed");
    }
}

#[tokio::test]
async fn a_signals_own_endpoint_is_used_as_it_is_and_a_signal_without_one_is_refused() {
    let (own, base) = (OtlpSink::http(), OtlpSink::http());
    let yaml = format!("logs_endpoint: {}/v1/logs?team=a\nendpoint: {}", own.url(), base.url());
    let both = exporter(&yaml);
    both.export(&logs(1)).await.unwrap();
    both.export(&request(Signal::Traces, vec![], 0)).await.unwrap();
    assert_eq!((own.received().len(), base.received().len()), (1, 1));

    let alone = exporter(&format!("logs_endpoint: {}/v1/logs", own.url()));
    let error = alone.export(&request(Signal::Traces, vec![], 0)).await.unwrap_err();
    assert!(error.to_string().contains("traces_endpoint"), "{error}");
}

#[tokio::test]
async fn every_status_is_retried_or_not_as_otlp_says() {
    let sink = OtlpSink::http();
    let exporter = exporter(&format!("endpoint: {}", sink.url()));
    for code in [429, 502, 503, 504] {
        sink.next(Reply::status(code));
        let error = exporter.export(&logs(1)).await.unwrap_err();
        let retried = matches!(error, ExportError::Retryable { after: None, answered: true, .. });
        assert!(retried, "{code}: {error:?}");
    }
    for (code, expected) in [
        (400, About::Content),
        (413, About::Content),
        (401, About::Peer),
        (404, About::Peer),
        (500, About::Peer),
    ] {
        sink.next(Reply::status(code));
        let error = exporter.export(&logs(1)).await.unwrap_err();
        let ExportError::Permanent { about, message } = error else { panic!("{code}: {error:?}") };
        assert_eq!(about, expected, "{code}");
        let words = format!("request to {}/v1/logs responded with HTTP Status Code {code}", sink.url());
        assert!(message.contains(&words), "{message}");
    }
    sink.next(Reply::retry_after(503, Duration::from_secs(7)));
    let error = exporter.export(&logs(1)).await.unwrap_err();
    let ExportError::Retryable { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn items_of_a_partial_success_are_dropped_with_the_servers_words() {
    let sink = OtlpSink::http();
    let exporter = exporter(&format!("endpoint: {}", sink.url()));
    sink.next(Reply::Partial { rejected: 2, message: "too old".into() });
    let two = Accepted { dropped: vec![(Reason::PeerRefused, 2)], message: Some("too old".into()) };
    assert_eq!(exporter.export(&logs(5)).await, Ok(two));
}

#[tokio::test]
async fn json_is_sent_and_the_answers_are_read_in_it() {
    let sink = OtlpSink::http();
    let exporter = exporter(&format!("endpoint: {}\nencoding: json", sink.url()));
    let mut two = logs(2);
    two.parts.extend(logs(3).parts);
    two.items = 5;
    sink.next(Reply::Partial { rejected: 2, message: "too old".into() });
    let partial = Accepted { dropped: vec![(Reason::PeerRefused, 2)], message: Some("too old".into()) };
    assert_eq!(exporter.export(&two).await, Ok(partial));
    assert_eq!(sink.received()[0].headers["content-type"], "application/json");
    assert_eq!(sink.log_records().len(), 5, "the parts are one request");
    sink.next(Reply::status(400));
    let error = exporter.export(&two).await.unwrap_err().to_string();
    assert!(error.contains("Message=told to refuse"), "{error}");
}

#[tokio::test]
async fn a_record_that_json_cannot_carry_is_dropped_alone_and_counted() {
    let sink = OtlpSink::http();
    let exporter = exporter(&format!("endpoint: {}\nencoding: json", sink.url()));
    let mut mixed = logs(2);
    // A record whose severity_text (field 3) is longer than the record.
    mixed.parts.push(Bytes::from_static(&[0x0a, 6, 0x12, 4, 0x12, 2, 0x1a, 9]));
    mixed.items = 3;
    let dropped = Accepted { dropped: vec![(Reason::Malformed, 1)], message: None };
    assert_eq!(exporter.export(&mixed).await, Ok(dropped));
    assert_eq!(sink.log_records().len(), 2);
}

#[tokio::test]
async fn without_a_server_it_is_retryable_and_unanswered_and_no_query_is_shown() {
    let port = streamgauge_harness::free_port();
    let down = exporter(&format!("logs_endpoint: http://127.0.0.1:{port}/x?key=hunter2"));
    let error = down.export(&logs(1)).await.unwrap_err();
    assert!(matches!(error, ExportError::Retryable { answered: false, .. }), "{error:?}");
    let sink = OtlpSink::http();
    sink.always(Reply::status(404));
    let refusing = exporter(&format!("logs_endpoint: {}/v1/logs?key=hunter2", sink.url()));
    for text in [error.to_string(), refusing.export(&logs(1)).await.unwrap_err().to_string()] {
        assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_section_has_the_collectors_defaults_and_hides_its_headers() {
    let config = read("endpoint: http://a\nheaders: {k: hunter2}").unwrap();
    assert_eq!(config.delivery().timeout, Duration::from_secs(30));
    assert_eq!((config.idle_conn_timeout, config.max_idle_conns), (Duration::from_secs(90), 100));
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_newer_keepalive_counts_before_what_it_replaces() {
    let options = |more: &str| read(&format!("endpoint: http://a\n{more}")).unwrap().client_options();
    let kept = |more: &str| (options(more).max_idle, options(more).idle_timeout);
    let minute = Duration::from_secs(60);
    assert_eq!(kept(""), (100, Duration::from_secs(90)));
    assert_eq!(kept("max_idle_conns: 0\nidle_conn_timeout: 0s"), (usize::MAX, Duration::MAX));
    assert_eq!(kept("max_idle_conns: 9\nkeepalive: {max_idle_conns: 7, idle_conn_timeout: 1m}"), (7, minute));
    assert_eq!(kept("disable_keep_alives: true").0, 0);
    assert_eq!(kept("keepalive: {enabled: false}").0, 0);
    let (off, on) = (options("cookies: {enabled: false}"), options("cookies:"));
    assert!(off.cookies.is_none() && on.cookies.is_some());
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (yaml, expected) in [
        ("", "at least one endpoint must be specified"),
        ("endpoint: ''", "at least one endpoint must be specified"),
        ("endpoint: localhost:4318", "endpoint must be a valid URL"),
        ("endpoint: http://a\nendpont: b", "endpont"),
        ("endpoint: http://a\nencoding: xml", "xml"),
        ("endpoint: http://a\nheaders: {'a b': c}", "not a header name"),
        ("endpoint: http://a\nsending_queue: {num_consumers: 0}", "`num_consumers` must be positive"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}

#[test]
fn the_examples_of_the_readme_are_whole_sections() {
    let readme = super::FACTORY.description.readme;
    let examples: Vec<&str> =
        readme.split("```yaml\n").skip(1).map(|e| e.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        assert_eq!(read(example).unwrap().problems(), []);
    }
}
