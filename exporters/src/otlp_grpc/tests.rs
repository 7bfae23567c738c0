//! The exporter against tonic.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use streamgauge_component::{
    About, Accepted, ComponentConfig as _, ConfigType, Context, ExportError, Exporter as _, Reason, Request,
    Signal,
};
use streamgauge_config::Section;
use streamgauge_harness::{OtlpSink, Reply, Telemetry};

use super::config::OtlpGrpcConfig;
use super::export::OtlpGrpc;

fn read(yaml: &str) -> Result<OtlpGrpcConfig, String> {
    let section = Section::from_yaml("exporters::otlp_grpc", yaml).unwrap();
    let config = (ConfigType::of::<OtlpGrpcConfig>().read)(&section).map_err(|e| e.to_string())?;
    Ok(config.downcast_ref::<OtlpGrpcConfig>().unwrap().clone())
}

fn exporter(address: &str, more: &str) -> OtlpGrpc {
    OtlpGrpc::new(&read(&format!("endpoint: {address}\ntls: {{insecure: true}}\n{more}")).unwrap()).unwrap()
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
    for packing in ["none", "gzip", "zstd"] {
        let sink = OtlpSink::grpc();
        let exporter = exporter(&sink.addr(), &format!("compression: {packing}\nheaders: {{X-Key: secret}}"));
        let mut two = logs(2);
        two.parts.extend(logs(300).parts);
        assert_eq!(exporter.export(&two).await, Ok(Accepted::default()));
        let metrics = request(Signal::Metrics, vec![Bytes::new()], 0);
        assert_eq!(exporter.export(&metrics).await, Ok(Accepted::default()));
        assert_eq!(exporter.export(&request(Signal::Traces, vec![], 0)).await, Ok(Accepted::default()));
        assert_eq!(sink.log_records().len(), 302, "{packing}");
        let received = sink.received();
        assert_eq!(received[1].body, Telemetry::Metrics(ExportMetricsServiceRequest::default()));
        assert!(matches!(received[2].body, Telemetry::Traces(_)));
        assert_eq!(received[0].headers["x-key"], "secret");
        let named = |at: usize| received[at].headers.get("grpc-encoding").map(String::as_str);
        assert_eq!(named(0), Some(packing).filter(|packing| *packing != "none"));
        assert_eq!(named(1), None, "small bodies are not packed");
    }
}

#[tokio::test]
async fn every_code_is_retried_or_not_as_otlp_says() {
    let sink = OtlpSink::grpc();
    let exporter = exporter(&sink.addr(), "");
    for code in [1, 4, 10, 11, 14, 15] {
        sink.next(Reply::status(code));
        let error = exporter.export(&logs(1)).await.unwrap_err();
        let retried = matches!(error, ExportError::Retryable { after: None, answered: true, .. });
        assert!(retried, "{code}: {error:?}");
    }
    for (code, expected) in [
        (2, About::Peer),
        (3, About::Content),
        (7, About::Peer),
        (8, About::Content),
        (12, About::Peer),
        (13, About::Content),
        (16, About::Peer),
    ] {
        sink.next(Reply::status(code));
        let error = exporter.export(&logs(1)).await.unwrap_err();
        let ExportError::Permanent { about, message } = error else { panic!("{code}: {error:?}") };
        assert_eq!(about, expected, "{code}");
        assert!(message.starts_with("rpc error: code = "), "{message}");
    }
    sink.next(Reply::retry_after(8, Duration::from_millis(2500)));
    let error = exporter.export(&logs(1)).await.unwrap_err();
    let ExportError::Retryable { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_millis(2500)));
}

#[tokio::test]
async fn items_of_a_partial_success_are_dropped_with_the_servers_words() {
    let sink = OtlpSink::grpc();
    let exporter = exporter(&sink.addr(), "");
    sink.next(Reply::Partial { rejected: 2, message: "too old".into() });
    sink.next(Reply::Partial { rejected: 0, message: "slow down".into() });
    sink.next(Reply::Partial { rejected: 99, message: String::new() });
    let two = Accepted { dropped: vec![(Reason::PeerRefused, 2)], message: Some("too old".into()) };
    assert_eq!(exporter.export(&logs(5)).await, Ok(two));
    let warned = Accepted { dropped: vec![], message: Some("slow down".into()) };
    assert_eq!(exporter.export(&logs(5)).await, Ok(warned));
    let all = Accepted { dropped: vec![(Reason::PeerRefused, 5)], message: None };
    assert_eq!(exporter.export(&logs(5)).await, Ok(all), "never more than were sent");
}

#[tokio::test]
async fn without_a_server_or_an_answer_it_is_retryable_and_unanswered() {
    let address = format!("127.0.0.1:{}", streamgauge_harness::free_port());
    let error = exporter(&address, "").export(&logs(1)).await.unwrap_err();
    assert!(matches!(error, ExportError::Retryable { answered: false, .. }), "{error:?}");
    assert!(error.to_string().contains(&address), "{error}");

    let sink = OtlpSink::grpc();
    sink.always(Reply::Stall(Duration::from_secs(60)));
    let error = exporter(&sink.addr(), "timeout: 50ms").export(&logs(1)).await.unwrap_err();
    assert!(matches!(error, ExportError::Retryable { .. }), "{error:?}");
}

#[tokio::test]
async fn tls_against_a_plain_server_says_what_to_set() {
    let sink = OtlpSink::grpc();
    let config = read(&format!("endpoint: {}\ntls: {{insecure_skip_verify: true}}", sink.addr())).unwrap();
    let error = OtlpGrpc::new(&config).unwrap().export(&logs(1)).await.unwrap_err().to_string();
    assert!(error.contains("set tls.insecure: true"), "{error}");
}

#[tokio::test]
async fn the_user_agent_is_the_configured_one() {
    let sink = OtlpSink::grpc();
    let exporter = exporter(&sink.addr(), "user_agent: me/1");
    exporter.export(&logs(1)).await.unwrap();
    assert_eq!(sink.received()[0].headers["user-agent"], "me/1");
}

#[test]
fn the_section_has_the_collectors_defaults_and_hides_its_headers() {
    let config = read("endpoint: a:1\nheaders: {k: hunter2}").unwrap();
    assert_eq!(config.timeout, Duration::from_secs(5));
    assert!(config.sending_queue.enabled && config.retry_on_failure.enabled && !config.tls.insecure);
    assert_eq!(config.delivery().queue.queue_size, 1000);
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (yaml, expected) in [
        ("", "requires a non-empty \"endpoint\""),
        ("endpoint: localhost", "missing port"),
        ("endpoint: ftp://a:1", "unknown scheme"),
        ("endpoint: a:1\nendpont: b", "endpont"),
        ("endpoint: a:1\ncompression: brotli", "brotli"),
        ("endpoint: a:1\ncompression: zlib", "unsupported compression type \"zlib\""),
        ("endpoint: a:1\nheaders: {'a b': c}", "not a header name"),
        ("endpoint: a:1\ntls: {key_file: x}", "belong together"),
        (
            "endpoint: a:1\ntls: {insecure: true}\nauth: {authenticator: b}",
            "require transport level security",
        ),
        ("endpoint: a:1\nsending_queue: {queue_size: 0}", "`queue_size` must be positive"),
        ("endpoint: a:1\nretry_on_failure: {multiplier: -1}", "'multiplier' must be non-negative"),
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
