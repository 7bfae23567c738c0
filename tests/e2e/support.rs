//! Starting the binary, sending it OTLP, reading its own numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use streamgauge_harness::{Collector, CollectorBuilder, free_port, http};

/// How long anything on this machine may take before it counts as not happening.
pub const SOON: Duration = Duration::from_secs(30);

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test, with nothing configured.
pub fn binary() -> CollectorBuilder {
    Collector::builder(env!("CARGO_BIN_EXE_streamgauge"))
}

/// A collector with ports of its own for whatever the configuration opens.
pub struct Running {
    pub collector: Collector,
    health: u16,
    own: u16,
    http: u16,
    grpc: u16,
}

impl Running {
    /// Starts `yaml` and waits until its pipelines are ready. `{grpc}` and `{http}` in it stand for free ports.
    #[track_caller]
    pub fn start(yaml: &str) -> Running {
        Running::start_with(yaml, binary())
    }

    /// [`Running::start`] with files, arguments or environment already given to the builder.
    #[track_caller]
    pub fn start_with(yaml: &str, builder: CollectorBuilder) -> Running {
        let (health, own, http, grpc) = (free_port(), free_port(), free_port(), free_port());
        let yaml = yaml.replace("{grpc}", &grpc.to_string()).replace("{http}", &http.to_string());
        let around = format!(
            "extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}
service:
  extensions: [health_check]
  telemetry:
    metrics:
      level: detailed
      readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]
"
        );
        let mut collector = builder.config(&yaml).config(&around).start();
        collector.wait_for_ok(&format!("http://127.0.0.1:{health}/"), SOON);
        Running { collector, health, own, http, grpc }
    }

    /// Where OTLP by HTTP goes, when the configuration listens on `{http}`.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Where OTLP by gRPC goes, when the configuration listens on `{grpc}`.
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// The health check's address.
    pub fn health(&self) -> String {
        format!("127.0.0.1:{}", self.health)
    }

    /// The collector's own metrics now.
    #[track_caller]
    pub fn numbers(&self) -> Numbers {
        let answer =
            http::get(&format!("http://127.0.0.1:{}/metrics", self.own)).expect("own metrics answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        Numbers::parse(&answer.text())
    }
}

/// Samples of the Prometheus text format.
#[derive(Debug)]
pub struct Numbers(Vec<(String, BTreeMap<String, String>, f64)>);

impl Numbers {
    fn parse(text: &str) -> Numbers {
        Numbers(text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(sample).collect())
    }

    /// The sum over all samples with this name (with or without `_total`) and these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let named = |found: &str| found.strip_suffix("_total").unwrap_or(found) == name;
        let has = |found: &BTreeMap<String, String>| {
            labels.iter().all(|(k, v)| found.get(*k).is_some_and(|f| f == v))
        };
        self.0.iter().filter(|(n, l, _)| named(n) && has(l)).map(|(_, _, value)| value).sum()
    }
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    // Good for values without escaped quotes, which is all that these tests ask for.
    let labels = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
    let labels = labels.map(|(k, v)| (k.to_owned(), v.trim_end_matches('"').to_owned())).collect();
    (name.to_owned(), labels, value.parse().unwrap_or(f64::NAN))
}

/// A logs request with one record for each text.
pub fn logs(texts: &[&str]) -> ExportLogsServiceRequest {
    let record = |text: &&str| LogRecord {
        body: Some(AnyValue { value: Some(any_value::Value::StringValue((*text).to_owned())) }),
        ..LogRecord::default()
    };
    let scope_logs =
        vec![ScopeLogs { log_records: texts.iter().map(record).collect(), ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

/// The ```yaml blocks of a Markdown file.
pub fn yaml_blocks(markdown: &str) -> Vec<&str> {
    markdown
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .collect()
}

/// A file of the repository.
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
