//! The connector `routing` between real ends: each tenant's sink gets its tenant's data and no other's.

use prost::Message as _;
use streamgauge_harness::{OtlpSink, http};

use crate::support::{Running, logs};

const CONFIG: &str = r#"receivers:
  otlp: {wait_for: delivered, protocols: {http: {endpoint: '127.0.0.1:{http}', include_metadata: true}}}
processors:
  batch: {timeout: 100ms, metadata_keys: [x-tenant]}
connectors:
  routing:
    default_pipelines: [logs/other]
    table:
      - {context: request, condition: 'request["X-Tenant"] == "acme"', pipelines: [logs/acme]}
exporters:
  otlp_grpc/acme: {endpoint: ACME, tls: {insecure: true}}
  otlp_grpc/other: {endpoint: OTHER, tls: {insecure: true}}
service:
  pipelines:
    logs/in: {receivers: [otlp], processors: [batch], exporters: [routing]}
    logs/acme: {receivers: [routing], exporters: [otlp_grpc/acme]}
    logs/other: {receivers: [routing], exporters: [otlp_grpc/other]}
"#;

#[test]
fn each_tenants_sink_gets_its_own_data_behind_a_batch() {
    let (acme, other) = (OtlpSink::grpc(), OtlpSink::grpc());
    let running = Running::start(&CONFIG.replace("ACME", &acme.addr()).replace("OTHER", &other.addr()));
    let url = format!("{}/v1/logs", running.http_url());
    let send = |tenant: &str, text: &str| {
        let headers = [("content-type", "application/x-protobuf"), ("x-tenant", tenant)];
        http::request("POST", &url, &headers, &logs(&[text]).encode_to_vec()).unwrap().status
    };
    assert_eq!(send("acme", "a"), 200);
    assert_eq!(send("small", "b"), 200);
    assert_eq!((acme.log_records().len(), other.log_records().len()), (1, 1));
}
