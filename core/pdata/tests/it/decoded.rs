//! A request as prost decodes it, whatever its signal.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use prost::Message;
use streamgauge_pdata::Signal;

use crate::oracle::Plain;

pub enum Decoded {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

/// A record with everything it is under.
#[derive(Debug, Clone, PartialEq)]
pub struct Flat {
    /// Which ResourceX it came in.
    pub index: usize,
    pub resource: Vec<KeyValue>,
    pub attributes: Vec<KeyValue>,
    /// Everything but the attributes above.
    pub rest: String,
}

fn points(metric: &mut Metric) -> Vec<&mut Vec<KeyValue>> {
    match &mut metric.data {
        Some(Data::Gauge(d)) => d.data_points.iter_mut().map(|p| &mut p.attributes).collect(),
        Some(Data::Sum(d)) => d.data_points.iter_mut().map(|p| &mut p.attributes).collect(),
        Some(Data::Histogram(d)) => d.data_points.iter_mut().map(|p| &mut p.attributes).collect(),
        Some(Data::ExponentialHistogram(d)) => d.data_points.iter_mut().map(|p| &mut p.attributes).collect(),
        Some(Data::Summary(d)) => d.data_points.iter_mut().map(|p| &mut p.attributes).collect(),
        None => vec![],
    }
}

/// The metric with only its point number `keep`, and that without attributes.
fn only_point(metric: &Metric, keep: usize) -> Metric {
    let mut metric = metric.clone();
    fn one<T: Clone>(points: &mut Vec<T>, keep: usize) {
        *points = vec![points[keep].clone()];
    }
    match metric.data.as_mut().unwrap() {
        Data::Gauge(d) => one(&mut d.data_points, keep),
        Data::Sum(d) => one(&mut d.data_points, keep),
        Data::Histogram(d) => one(&mut d.data_points, keep),
        Data::ExponentialHistogram(d) => one(&mut d.data_points, keep),
        Data::Summary(d) => one(&mut d.data_points, keep),
    }
    points(&mut metric)[0].clear();
    metric
}

impl Decoded {
    pub fn new(signal: Signal, bytes: &[u8]) -> Decoded {
        match signal {
            Signal::Traces => Decoded::Traces(Message::decode(bytes).map(Plain::plain).unwrap()),
            Signal::Metrics => Decoded::Metrics(Message::decode(bytes).map(Plain::plain).unwrap()),
            Signal::Logs => Decoded::Logs(Message::decode(bytes).map(Plain::plain).unwrap()),
        }
    }

    pub fn resources(&mut self) -> Vec<&mut Vec<KeyValue>> {
        match self {
            Decoded::Traces(d) => {
                d.resource_spans.iter_mut().map(|r| &mut r.resource.as_mut().unwrap().attributes).collect()
            }
            Decoded::Metrics(d) => {
                d.resource_metrics.iter_mut().map(|r| &mut r.resource.as_mut().unwrap().attributes).collect()
            }
            Decoded::Logs(d) => {
                d.resource_logs.iter_mut().map(|r| &mut r.resource.as_mut().unwrap().attributes).collect()
            }
        }
    }

    pub fn records(&mut self) -> Vec<&mut Vec<KeyValue>> {
        match self {
            Decoded::Traces(d) => d
                .resource_spans
                .iter_mut()
                .flat_map(|r| &mut r.scope_spans)
                .flat_map(|s| &mut s.spans)
                .map(|r| &mut r.attributes)
                .collect(),
            Decoded::Metrics(d) => d
                .resource_metrics
                .iter_mut()
                .flat_map(|r| &mut r.scope_metrics)
                .flat_map(|s| &mut s.metrics)
                .flat_map(points)
                .collect(),
            Decoded::Logs(d) => d
                .resource_logs
                .iter_mut()
                .flat_map(|r| &mut r.scope_logs)
                .flat_map(|s| &mut s.log_records)
                .map(|r| &mut r.attributes)
                .collect(),
        }
    }

    pub fn text(&self) -> String {
        match self {
            Decoded::Traces(d) => format!("{d:?}"),
            Decoded::Metrics(d) => format!("{d:?}"),
            Decoded::Logs(d) => format!("{d:?}"),
        }
    }

    pub fn flat(&self) -> Vec<Flat> {
        let mut out = vec![];
        match self {
            Decoded::Traces(d) => {
                for (index, r) in d.resource_spans.iter().enumerate() {
                    for s in &r.scope_spans {
                        for record in &s.spans {
                            let mut bare = record.clone();
                            let attributes = std::mem::take(&mut bare.attributes);
                            let rest = format!("{:?}", (&r.schema_url, &s.scope, &s.schema_url, bare));
                            let resource = r.resource.clone().unwrap().attributes;
                            out.push(Flat { index, resource, attributes, rest });
                        }
                    }
                }
            }
            Decoded::Logs(d) => {
                for (index, r) in d.resource_logs.iter().enumerate() {
                    for s in &r.scope_logs {
                        for record in &s.log_records {
                            let mut bare = record.clone();
                            let attributes = std::mem::take(&mut bare.attributes);
                            let rest = format!("{:?}", (&r.schema_url, &s.scope, &s.schema_url, bare));
                            let resource = r.resource.clone().unwrap().attributes;
                            out.push(Flat { index, resource, attributes, rest });
                        }
                    }
                }
            }
            Decoded::Metrics(d) => {
                for (index, r) in d.resource_metrics.iter().enumerate() {
                    for s in &r.scope_metrics {
                        for metric in &s.metrics {
                            let all: Vec<_> =
                                points(&mut metric.clone()).into_iter().map(std::mem::take).collect();
                            for (at, attributes) in all.into_iter().enumerate() {
                                let bare = only_point(metric, at);
                                let rest = format!("{:?}", (&r.schema_url, &s.scope, &s.schema_url, bare));
                                let resource = r.resource.clone().unwrap().attributes;
                                out.push(Flat { index, resource, attributes, rest });
                            }
                        }
                    }
                }
            }
        }
        out
    }
}
