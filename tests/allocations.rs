//! What a request costs in allocations does not grow with its records: from the OTLP door through `batch`, `resource`
//! and `project` to the exporter's request, nothing is allocated for a record.
//!
//! The collector runs on this thread, whose allocations are counted; clients and sink have threads of their own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers; its figures are what it is about"
)]

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::AllocationInfo;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use streamgauge::distribution::DISTRIBUTION;
use streamgauge_component::{Clock, Host};
use streamgauge_config::Loader;
use streamgauge_engine::{Plan, Running};
use streamgauge_harness::{OtlpSink, free_port};
use streamgauge_pdata::Signal;
use streamgauge_transport::{ClientOptions, Code, Endpoint, GrpcClient, HeaderMap, grpc_path};
use tokio::sync::oneshot;

const FEW: usize = 1_000;
const MANY: usize = 10_000;
/// Requests that are counted, all under way at once.
const REQUESTS: usize = 8;
/// Allocations for each further record that are put down to the bytes: reads, frames and flow control of a body that is
/// ten times as long. One for each record would be 1.
const FOR_BYTES: f64 = 0.02;
const SOON: Duration = Duration::from_secs(60);

#[test]
fn passing_on_allocates_nothing_for_a_record() {
    Signal::ALL.into_iter().for_each(|signal| assert_per_request("", signal));
}

#[test]
fn batch_allocates_nothing_for_a_record() {
    Signal::ALL.into_iter().for_each(|signal| assert_per_request("batch: {timeout: 20ms}", signal));
}

#[test]
fn a_resource_attribute_allocates_nothing_for_a_record() {
    let upsert = "resource: {attributes: [{key: team, value: shop, action: upsert}]}";
    Signal::ALL.into_iter().for_each(|signal| assert_per_request(upsert, signal));
}

#[test]
fn a_project_by_resource_or_by_record_allocates_nothing_for_a_record() {
    for rule in ["value: p-7", "resource: service.name", "attribute: tenant"] {
        let project = format!("project: {{rules: [{{{rule}}}]}}");
        Signal::ALL.into_iter().for_each(|signal| assert_per_request(&project, signal));
    }
}

/// One after another, so that no request lies in a buffer with the next one.
#[test]
fn a_request_of_many_resources_is_edited_where_it_lies() {
    let one = request(Signal::Logs, 100);
    // In one frame, and in several, which are copied together.
    for size in [800_000, 2_000_000] {
        let many = Bytes::from(one.repeat(size / one.len()));
        assert_edited_in_place(&many);
    }
}

#[track_caller]
fn assert_edited_in_place(many: &Bytes) {
    let bytes = |processor| measure(processor, Signal::Logs, many, false).bytes_total;
    let pass = bytes("");
    for edit in [
        "resource: {attributes: [{key: team, value: shop, action: upsert}]}",
        "project: {rules: [{value: p}]}",
    ] {
        let more = bytes(edit).saturating_sub(pass) / REQUESTS as u64;
        println!("{edit}: {more} bytes more for a request of {}", many.len());
        // A copy would be all of it; how a large body comes in pieces is never twice the same.
        assert!(more < many.len() as u64 / 2, "{edit}: {more} bytes more for a request of {}", many.len());
    }
}

#[track_caller]
fn assert_per_request(processor: &str, signal: Signal) {
    let allocations = |records| measure(processor, signal, &request(signal, records), true).count_total;
    let (few, many) = (allocations(FEW), allocations(MANY));
    let each = (many as f64 - few as f64) / (REQUESTS * (MANY - FEW)) as f64;
    let what =
        format!("{processor:?}, {}: {few} allocations with {FEW} records, {many} with {MANY}", signal.name());
    println!("{what}: {each:.4} a record");
    assert!(few > 0, "nothing was counted: {what}");
    assert!(each < FOR_BYTES, "{what}");
}

/// What the collector allocates for [`REQUESTS`] such requests, `at_once` or in turn, from their first byte to their last
/// answer.
fn measure(processor: &str, signal: Signal, request: &Bytes, at_once: bool) -> AllocationInfo {
    let sink = OtlpSink::grpc();
    let endpoint = format!("127.0.0.1:{}", free_port());
    let chain = processor.split(':').next().unwrap_or_default();
    let yaml = format!(
        "receivers: {{otlp: {{wait_for: delivered, protocols: {{grpc: {{endpoint: '{endpoint}'}}}}}}}}\n\
         processors: {{{processor}}}\n\
         exporters: {{otlp: {{endpoint: '{}', compression: none, tls: {{insecure: true}}}}}}\n\
         service: {{pipelines: {{{}: {{receivers: [otlp], processors: [{chain}], exporters: [otlp]}}}}}}\n",
        sink.addr(),
        signal.name(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let running = runtime.block_on(start(&yaml));
    let (first, again) = clients(&endpoint, signal, request.clone(), at_once);
    runtime.block_on(first).unwrap();
    let counted = allocation_counter::measure(|| {
        let done = again();
        runtime.block_on(done).unwrap();
    });
    let report = runtime.block_on(running.stop(SOON));
    assert_eq!(report.undelivered, 0);
    counted
}

async fn start(yaml: &str) -> Running {
    let loaded = Loader::new().source(format!("yaml:{yaml}")).load(&DISTRIBUTION.known());
    let (config, _, _) = loaded.into_result().unwrap();
    let plan = Plan::read(&config, &DISTRIBUTION).unwrap();
    Running::start(&plan, Host::new(Clock::system(), Arc::default(), Arc::default())).await.unwrap()
}

/// A thread that sends all requests twice: now, and when it is told to. Both ends come when all were delivered.
fn clients(
    endpoint: &str,
    signal: Signal,
    body: Bytes,
    at_once: bool,
) -> (oneshot::Receiver<()>, impl FnOnce() -> oneshot::Receiver<()>) {
    let client = Arc::new(GrpcClient::new(Endpoint::parse(endpoint).unwrap(), ClientOptions::default()));
    let (warm, warmed) = oneshot::channel();
    let (done, all_done) = oneshot::channel();
    let (go, gone) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            send(&client, signal, &body, at_once).await;
            warm.send(()).unwrap();
            gone.await.unwrap();
            send(&client, signal, &body, at_once).await;
            done.send(()).unwrap();
        });
    });
    (warmed, move || {
        go.send(()).unwrap();
        all_done
    })
}

async fn send(client: &Arc<GrpcClient>, signal: Signal, body: &Bytes, at_once: bool) {
    let calls = (0..REQUESTS).map(|_| {
        let (client, body) = (client.clone(), body.clone());
        async move { client.unary(grpc_path(signal), &HeaderMap::new(), body.into(), None, Some(SOON)).await }
    });
    let calls = stream::iter(calls).buffered(if at_once { REQUESTS } else { 1 });
    let all_ok = calls.all(|answer| ready(answer.unwrap().status.code == Code::Ok)).await;
    assert!(all_ok);
}

/// Records of one resource, all of one tenant.
fn request(signal: Signal, records: usize) -> Bytes {
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    };
    let attributes = vec![text("tenant", "t-1"), text("http.route", "/cart/items")];
    let resource =
        Some(Resource { attributes: vec![text("service.name", "checkout")], ..Resource::default() });
    let body = match signal {
        Signal::Logs => {
            let record = LogRecord { severity_number: 9, attributes, ..LogRecord::default() };
            let scope = ScopeLogs { log_records: vec![record; records], ..ScopeLogs::default() };
            let logs = ResourceLogs { resource, scope_logs: vec![scope], ..ResourceLogs::default() };
            ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec()
        }
        Signal::Traces => {
            let span = Span { name: "POST /cart/items".to_owned(), attributes, ..Span::default() };
            let scope = ScopeSpans { spans: vec![span; records], ..ScopeSpans::default() };
            let spans = ResourceSpans { resource, scope_spans: vec![scope], ..ResourceSpans::default() };
            ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
        }
        Signal::Metrics => {
            let value = Some(number_data_point::Value::AsInt(7));
            let point = NumberDataPoint { attributes, value, ..NumberDataPoint::default() };
            let data = Some(Data::Gauge(Gauge { data_points: vec![point; records] }));
            let metric = Metric { name: "cart.size".to_owned(), data, ..Metric::default() };
            let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
            let metrics =
                ResourceMetrics { resource, scope_metrics: vec![scope], ..ResourceMetrics::default() };
            ExportMetricsServiceRequest { resource_metrics: vec![metrics] }.encode_to_vec()
        }
    };
    body.into()
}
