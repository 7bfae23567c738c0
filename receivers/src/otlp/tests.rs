//! The receiver with real clients before it and the test kit's sink behind it.

mod json;
mod odd;
mod sockets;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use streamgauge_component::testkit::{Behaviour, Sink};
use streamgauge_component::{
    Authenticator, BoxFuture, ComponentConfig as _, ComponentError, ConfigType, Extension, Host, Kind,
    MemoryBounds, Outcome, Outlets, Reason, Receiver as _, Signal, Unauthenticated,
};
use streamgauge_config::{Secret, Section};
use streamgauge_harness::{http, poll_until_async};
use streamgauge_transport::{
    ClientOptions, Code, Endpoint, GRPC_ALPN, GrpcClient, HeaderMap, Protocol, Status, TlsClient, grpc_path,
};
use tonic::transport::Channel;

use super::config::OtlpConfig;
use super::server::OtlpReceiver;

const SOON: Duration = Duration::from_secs(20);

struct Running {
    receiver: OtlpReceiver,
    host: Host,
    sink: Arc<Sink>,
}

fn read(yaml: &str) -> Result<OtlpConfig, String> {
    let section = Section::from_yaml("receivers::otlp", yaml).unwrap();
    let config = (ConfigType::of::<OtlpConfig>().read)(&section).map_err(|e| e.to_string())?;
    Ok(config.downcast_ref::<OtlpConfig>().unwrap().clone())
}

async fn start(yaml: &str) -> Running {
    let sink = Sink::delivering();
    let receiver = OtlpReceiver::new(Arc::new(read(yaml).unwrap()));
    let host = Host::for_test(Kind::Receiver, "otlp");
    receiver.start(host.clone(), sink.outlets()).await.unwrap();
    Running { receiver, host, sink }
}

const BOTH: &str = "
protocols:
  grpc: {endpoint: 'localhost:0'}
  http: {endpoint: 'localhost:0'}
";

impl Running {
    async fn grpc(&self) -> LogsServiceClient<Channel> {
        let url = format!("http://{}", self.receiver.address(Protocol::Grpc).unwrap());
        LogsServiceClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.receiver.address(Protocol::Http).unwrap())
    }

    async fn post(&self, path: &str, body: &[u8]) -> http::Answer {
        self.post_with(path, body, &[]).await
    }

    async fn post_with(&self, path: &str, body: &[u8], headers: &'static [(&str, &str)]) -> http::Answer {
        self.send(path, body, [&[("content-type", "application/x-protobuf")], headers].concat()).await
    }

    async fn post_json(&self, path: &str, body: &str) -> http::Answer {
        self.send(path, body.as_bytes(), vec![("content-type", "application/json")]).await
    }

    async fn send(
        &self,
        path: &str,
        body: &[u8],
        headers: Vec<(&'static str, &'static str)>,
    ) -> http::Answer {
        let (url, body) = (self.url(path), body.to_vec());
        tokio::task::spawn_blocking(move || http::request("POST", &url, &headers, &body).unwrap())
            .await
            .unwrap()
    }

    /// Items that came back, by reason and answer.
    fn came_back(&self) -> Vec<(String, String, u64)> {
        let found = self.host.registry().instruments().into_iter();
        let of = |i: &streamgauge_component::Instrument, key: &str| {
            i.attributes.iter().find(|(k, _)| *k == key).unwrap().1.clone()
        };
        found
            .filter(|i| i.name == "streamgauge.receiver.came_back.items")
            .map(|i| (of(&i, "reason"), of(&i, "answer"), i.value.get()))
            .collect()
    }
}

fn logs(records: usize) -> ExportLogsServiceRequest {
    let scope = ScopeLogs { log_records: vec![LogRecord::default(); records], ..Default::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }
}

#[tokio::test]
async fn both_protocols_hand_on_the_bytes_that_came_with_items_and_context() {
    let running = start(BOTH).await;
    let bytes = Bytes::from(logs(3).encode_to_vec());
    running.grpc().await.export(logs(3)).await.unwrap();
    assert_eq!(running.post("/v1/logs", &bytes).await.status, 200);
    let received = running.sink.received();
    assert_eq!(received.len(), 2);
    for batch in received {
        assert_eq!((batch.signal, batch.items, &batch.parts[0]), (Signal::Logs, 3, &bytes));
        assert_eq!(&*batch.context.receiver, "otlp");
        assert!(batch.context.peer.as_ref().unwrap().starts_with("127.0.0.1:"));
        assert!(batch.context.headers.is_empty(), "metadata only when asked for");
    }
}

#[tokio::test]
async fn each_signal_has_its_path_and_a_signal_without_a_pipeline_has_none() {
    let running = start(BOTH).await;
    // An empty ResourceX with an empty ScopeX is valid for every signal, and there is nothing to hand on.
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        assert_eq!(running.post(path, &[0x0a, 2, 0x12, 0]).await.status, 200);
    }
    assert!(running.sink.received().is_empty());
    // A span, a gauge with a point: each under its own path only.
    let span = [0x0a, 4, 0x12, 2, 0x12, 0];
    assert_eq!(running.post("/v1/traces", &span).await.status, 200);
    let gauge = [0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 0];
    assert_eq!(running.post("/v1/metrics", &gauge).await.status, 200);
    let signals: Vec<Signal> = running.sink.received().iter().map(|batch| batch.signal).collect();
    assert_eq!(signals, [Signal::Traces, Signal::Metrics]);

    let sink = Sink::delivering();
    let outlets = Outlets::new(vec![(Signal::Metrics, sink.outlet(Signal::Metrics))]);
    let receiver = OtlpReceiver::new(Arc::new(read(BOTH).unwrap()));
    let host = Host::for_test(Kind::Receiver, "otlp");
    receiver.start(host.clone(), outlets).await.unwrap();
    let running = Running { receiver, host, sink };
    assert_eq!(running.post("/v1/logs", b"").await.status, 404);
    let error = running.grpc().await.export(logs(1)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn configured_paths_and_metadata_are_used() {
    let running = start(
        "
protocols:
  http:
    endpoint: localhost:0
    logs_url_path: in/logs
    include_metadata: true
",
    )
    .await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = logs(1).encode_to_vec();
    static HEADERS: [(&str, &str); 2] =
        [("X-Project-Id", "p-7"), ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    assert_eq!(running.post_with("/in/logs", &body, &HEADERS).await.status, 200);
    assert_eq!(running.post("/v1/logs", &body).await.status, 404);
    let context = running.sink.received()[0].context.clone();
    assert_eq!(context.header("x-project-id"), Some("p-7"));
    assert_eq!(context.traceparent.as_deref(), Some(trace));
}

#[tokio::test]
async fn a_full_queue_is_resource_exhausted_or_429_with_a_delay() {
    let running = start(BOTH).await;
    running.sink.behave(Behaviour::Settle(Outcome::retry(Reason::QueueFull)));
    let error = running.grpc().await.export(logs(2)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    assert_eq!(Status::decode(error.details()).retry_after, Some(Duration::from_secs(1)));
    let answer = running.post("/v1/logs", &logs(2).encode_to_vec()).await;
    assert_eq!((answer.status, &*answer.headers["retry-after"]), (429, "1"));

    let later = Outcome::retry_after(Reason::ComponentDown, Duration::from_secs(9));
    running.sink.behave(Behaviour::Settle(later));
    let answer = running.post("/v1/logs", &logs(2).encode_to_vec()).await;
    assert_eq!((answer.status, &*answer.headers["retry-after"]), (503, "9"));
    let expected = [("queue_full", "error", 4), ("component_down", "error", 2)];
    let expected = expected.map(|(reason, answer, items)| (reason.to_owned(), answer.to_owned(), items));
    assert_eq!(running.came_back(), expected);
}

#[tokio::test]
async fn a_rejection_about_content_is_400_and_a_panic_behind_the_door_500() {
    let running = start(BOTH).await;
    running.sink.behave(Behaviour::Settle(Outcome::rejected_with(Reason::PeerRefused, "bad name")));
    let answer = running.post("/v1/logs", &logs(1).encode_to_vec()).await;
    assert_eq!((answer.status, &*Status::decode(&answer.body).message), (400, "peer_refused: bad name"));
    running.sink.behave(Behaviour::Panic);
    let answer = running.post("/v1/logs", &logs(1).encode_to_vec()).await;
    assert_eq!(answer.status, 500);
    assert_eq!(running.grpc().await.export(logs(1)).await.unwrap_err().code(), tonic::Code::Internal);
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_its_place_and_counted() {
    let running = start(BOTH).await;
    let mut body = logs(2).encode_to_vec();
    body.truncate(body.len() - 1);
    let answer = running.post("/v1/logs", &body).await;
    let message = Status::decode(&answer.body).message;
    assert_eq!(answer.status, 400);
    assert!(message.contains("malformed OTLP at byte 1 "), "{message}");
    assert!(running.sink.received().is_empty());
    let refused: Vec<_> = running.host.node(Signal::Logs).refused.counts().collect();
    assert_eq!(refused, [(Reason::Malformed, 1)]);
}

#[tokio::test]
async fn a_message_above_max_recv_msg_size_mib_is_refused_and_counted() {
    let running = start("protocols: {grpc: {endpoint: 'localhost:0', max_recv_msg_size_mib: 1}}").await;
    let error = running.grpc().await.export(logs(600_000)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    assert!(error.message().contains("max_recv_msg_size_mib"), "{error}");
    let refused: Vec<_> = running.host.node(Signal::Logs).refused.counts().collect();
    assert_eq!(refused, [(Reason::TooLarge, 1)]);
}

#[tokio::test]
async fn above_the_memory_limit_requests_are_refused_with_a_delay_until_what_is_held_has_gone() {
    let running = start(BOTH).await;
    let budget = running.host.budget().clone();
    running.sink.behave(Behaviour::Hold);
    let body = logs(1000).encode_to_vec();
    budget.set_limit(body.len() as u64 + 100);
    assert_eq!(running.post("/v1/logs", &body).await.status, 200);
    assert_eq!(budget.charged(), body.len() as u64);

    let refused = running.post("/v1/logs", &body).await;
    assert_eq!((refused.status, &*refused.headers["retry-after"]), (429, "1"));
    assert!(Status::decode(&refused.body).message.starts_with("memory_limit: "));
    let error = running.grpc().await.export(logs(1000)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    assert_eq!(Status::decode(error.details()).retry_after, Some(Duration::from_secs(1)));
    let counted: Vec<_> = running.host.node(Signal::Logs).refused.counts().collect();
    assert_eq!(counted, [(Reason::MemoryLimit, 2)]);

    // With a soft limit not even a small body is read above it.
    let bounds = MemoryBounds { hard: 1 << 40, soft: 100, check_interval: SOON };
    let bound = budget.bind(bounds);
    let refused = running.post("/v1/logs", &logs(1).encode_to_vec()).await;
    assert_eq!(refused.status, 429);
    let message = Status::decode(&refused.body).message;
    assert!(message.starts_with("memory_limit: data refused due to high memory usage: "), "{message}");
    drop(bound);

    running.sink.release(&Outcome::Delivered);
    drop(running.sink.take());
    let free = || (budget.charged() == 0).then_some(());
    poll_until_async("the memory given back", SOON, async || free()).await;
    running.sink.behave(Behaviour::Settle(Outcome::Delivered));
    assert_eq!(running.post("/v1/logs", &body).await.status, 200);
}

/// Lets in who shows `key` in `x-key`.
struct OneKey;

#[async_trait::async_trait]
impl Extension for OneKey {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    async fn shutdown(&self) {}

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        Some(Arc::new(OneKey))
    }
}

impl Authenticator for OneKey {
    fn header(&self) -> &str {
        "x-key"
    }

    fn authenticate<'a>(
        &'a self,
        shown: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Arc<str>, Unauthenticated>> {
        let known = shown == Some(b"key");
        Box::pin(
            async move { if known { Ok("ann".into()) } else { Err(Unauthenticated("who are you".into())) } },
        )
    }

    fn credentials(&self) -> Result<Secret, ComponentError> {
        Err("none".into())
    }

    fn challenge(&self) -> String {
        "Key".to_owned()
    }
}

const LOCKED: &str = "
protocols:
  grpc: {endpoint: 'localhost:0', auth: {authenticator: onekey}}
  http: {endpoint: 'localhost:0', auth: {authenticator: onekey}}
";

#[tokio::test]
async fn only_who_is_known_gets_in_and_the_context_says_who_it_is() {
    let sink = Sink::delivering();
    let receiver = OtlpReceiver::new(Arc::new(read(LOCKED).unwrap()));
    let host = Host::for_test(Kind::Receiver, "otlp");
    let error = receiver.start(host.clone(), sink.outlets()).await.unwrap_err();
    assert!(
        error.0.starts_with("failed to resolve authenticator \"onekey\": authenticator not found"),
        "{error}"
    );
    let extension: Arc<dyn Extension> = Arc::new(OneKey);
    host.for_component(Kind::Extension, "onekey").offer(&extension);
    let receiver = OtlpReceiver::new(Arc::new(read(LOCKED).unwrap()));
    receiver.start(host.clone(), sink.outlets()).await.unwrap();
    let running = Running { receiver, host, sink };

    let body = logs(1).encode_to_vec();
    let refused = running.post("/v1/logs", &body).await;
    assert_eq!((refused.status, &*refused.headers["www-authenticate"]), (401, "Key"));
    assert_eq!(Status::decode(&refused.body).message, "who are you");
    assert_eq!(running.post_with("/v1/logs", &body, &[("x-key", "other")]).await.status, 401);
    let error = running.grpc().await.export(logs(1)).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (tonic::Code::Unauthenticated, "who are you"));
    assert!(running.sink.received().is_empty());
    let counted: Vec<_> = running.host.node(Signal::Logs).refused.counts().collect();
    assert_eq!(counted, [(Reason::Unauthenticated, 3)]);

    assert_eq!(running.post_with("/v1/logs", &body, &[("x-key", "key")]).await.status, 200);
    let mut known = tonic::Request::new(logs(1));
    known.metadata_mut().insert("x-key", "key".parse().unwrap());
    running.grpc().await.export(known).await.unwrap();
    let identities: Vec<_> = running.sink.received().iter().map(|b| b.context.identity.clone()).collect();
    assert_eq!(identities, [Some("ann".into()), Some("ann".into())]);
}

#[tokio::test]
async fn with_tls_clients_that_trust_the_authority_get_through() {
    let dir = std::env::temp_dir().join(format!("streamgauge-otlp-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let certs = streamgauge_harness::Certs::generate(&dir);
    let yaml = format!(
        "protocols: {{grpc: {{endpoint: 'localhost:0', tls: {{cert_file: '{}', key_file: '{}', min_version: 1.2}}}}}}",
        certs.server_cert.display(),
        certs.server_key.display()
    );
    let running = start(&yaml).await;
    let tls = TlsClient { ca_file: Some(certs.ca.display().to_string()), ..TlsClient::default() };
    let tls = Some(tls.load(&GRPC_ALPN).unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
    let port = running.receiver.address(Protocol::Grpc).unwrap().port();
    let endpoint = Endpoint::parse(&format!("https://localhost:{port}")).unwrap();
    let client = GrpcClient::new(endpoint, ClientOptions { tls, ..ClientOptions::default() });
    let body = Bytes::from(logs(1).encode_to_vec());
    let none = HeaderMap::new();
    let answer = client.unary(grpc_path(Signal::Logs), &none, body.into(), None, Some(SOON)).await;
    assert_eq!(answer.unwrap().status.code, Code::Ok);
    assert_eq!(running.sink.items(), 1);
}

#[tokio::test]
async fn an_address_in_use_fails_the_start_with_the_collectors_words() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = read(&format!("protocols: {{grpc: {{endpoint: '{address}'}}}}")).unwrap();
    let host = Host::for_test(Kind::Receiver, "otlp");
    let receiver = OtlpReceiver::new(Arc::new(config));
    let error = receiver.start(host, Outlets::default()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("listen tcp {address}: bind: address already in use"));
}

#[test]
fn the_section_has_the_collectors_defaults() {
    let config = read("protocols: {grpc: , http: }").unwrap();
    let (grpc, http) = (config.protocols.grpc.as_ref().unwrap(), config.protocols.http.as_ref().unwrap());
    assert_eq!((&*grpc.endpoint, &*http.endpoint), ("localhost:4317", "localhost:4318"));
    assert!(read("protocols: {http: }").unwrap().protocols.grpc.as_ref().is_none());
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (yaml, expected) in [
        ("", "must specify at least one protocol when using the OTLP receiver"),
        ("protocols:", "must specify at least one protocol when using the OTLP receiver"),
        ("protocols: {grpc: {endpont: x}}", "endpont"),
        ("protocol: {grpc: }", "protocol"),
        ("protocols: {grpc: {endpoint: localhost}}", "host:port is expected"),
        ("protocols: {grpc: {tls: {cert_file: a}}}", "cert_file and key_file"),
        ("protocols: {grpc: {tls: }}", "a server needs cert_file and key_file"),
        ("protocols: {grpc: {max_recv_msg_size_mib: 3000}}", "at most 2047 MiB"),
        (
            "protocols: {grpc: {endpoint: 'a:1'}, http: {endpoint: 'a:1', include_metadata: true}}",
            "the same include_metadata",
        ),
        ("protocols: {http: {response_headers: {'a b': c}}}", "not a header name"),
        ("protocols: {grpc: {transport: unix, endpoint: ''}}", "needs the path of its file"),
        ("{protocols: {grpc: }, wait_for: ever}", "ever"),
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
