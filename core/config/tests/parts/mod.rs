//! A small distribution for the tests: the Collector's names, as few settings as show a point.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use streamgauge_config::{Component, Diagnostics, Kind, Known, KnownType, Secret, Signal};

pub fn known() -> Known {
    use Signal::{Logs, Metrics, Traces};
    let same = [(Traces, Traces), (Metrics, Metrics), (Logs, Logs)];
    Known::new([
        KnownType::new(Kind::Receiver, "redis", &[Metrics]),
        KnownType::new(Kind::Receiver, "otlp", &Signal::ALL),
        KnownType::new(Kind::Processor, "batch", &Signal::ALL),
        KnownType::new(Kind::Processor, "rate", &[Metrics]),
        KnownType::new(Kind::Exporter, "otlp_grpc", &Signal::ALL).aliases(&["otlp"]),
        KnownType::new(Kind::Exporter, "prometheus_remote_write", &[Metrics])
            .aliases(&["prometheusremotewrite"]),
        KnownType::new(Kind::Exporter, "debug", &Signal::ALL),
        KnownType::new(Kind::Exporter, "nop", &Signal::ALL),
        KnownType::connector("nop", &same),
        KnownType::connector("forward", &same),
        KnownType::connector("count", &[(Logs, Metrics), (Traces, Metrics)]),
        KnownType::new(Kind::Extension, "health_check", &[]),
    ])
}

pub fn check(component: &Component) -> Option<Diagnostics> {
    let section = &component.section;
    match component.type_name.as_str() {
        "redis" => section.read::<Redis>().err(),
        "otlp" => match section.read::<Otlp>() {
            Ok(otlp) if otlp.protocols.is_empty() => Some(
                section.invalid("must specify at least one protocol when using the OTLP receiver").into(),
            ),
            other => other.err(),
        },
        "otlp_grpc" => match section.read::<OtlpGrpc>() {
            Ok(exporter) if exporter.endpoint.is_empty() => {
                Some(section.invalid_at(&["endpoint"], "requires a non-empty \"endpoint\"").into())
            }
            other => other.err(),
        },
        "rate" => section.read::<Rate>().err(),
        "debug" => section.read::<Debug>().err(),
        _ => section.read::<Empty>().err(),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[allow(dead_code)]
pub struct Telemetry {
    logs: Logs,
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[allow(dead_code)]
struct Logs {
    level: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[allow(dead_code)]
struct Redis {
    endpoint: String,
    password: Secret,
    #[serde(with = "humantime_serde")]
    collection_interval: Duration,
    database: u8,
    streams: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Otlp {
    protocols: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[allow(dead_code)]
struct OtlpGrpc {
    endpoint: String,
    headers: BTreeMap<String, Secret>,
    tls: Tls,
    #[serde(with = "humantime_serde")]
    timeout: Duration,
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[allow(dead_code)]
struct Rate {
    rules: Vec<RateRule>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct RateRule {
    metric: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[allow(dead_code)]
struct Tls {
    insecure: bool,
    ca_file: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[allow(dead_code)]
struct Debug {
    verbosity: Verbosity,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Verbosity {
    #[default]
    Basic,
    Normal,
    Detailed,
}

#[derive(Deserialize, Default)]
struct Empty {}
