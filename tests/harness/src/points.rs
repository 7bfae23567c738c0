//! Number points of a metrics request, flattened for comparing.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point};

/// A gauge's or a sum's point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The resource's attributes, as text.
    pub resource: BTreeMap<String, String>,
    /// The point's attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The value; `None` for a point flagged NoRecordedValue.
    pub value: Option<f64>,
    /// Whether the value was sent as an integer.
    pub is_int: bool,
    /// Start of the interval, ns since the epoch, 0 when unset.
    pub start: u64,
    /// The point's time, ns since the epoch.
    pub time: u64,
    /// The metric's unit.
    pub unit: String,
}

impl Point {
    /// An attribute of the point, empty when there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

pub(crate) fn of(request: &ExportMetricsServiceRequest, name: &str) -> Vec<Point> {
    let mut points = Vec::new();
    for of_resource in &request.resource_metrics {
        let resource = of_resource.resource.as_ref().map(|r| texts(&r.attributes)).unwrap_or_default();
        let metrics = of_resource.scope_metrics.iter().flat_map(|s| &s.metrics);
        for metric in metrics.filter(|m| m.name == name) {
            points.extend(numbers(metric).iter().map(|p| point(&resource, metric, p)));
        }
    }
    points
}

fn numbers(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        Some(Data::Sum(sum)) => &sum.data_points,
        _ => &[],
    }
}

fn point(resource: &BTreeMap<String, String>, metric: &Metric, p: &NumberDataPoint) -> Point {
    let value = match p.value {
        Some(number_data_point::Value::AsDouble(v)) => Some(v),
        Some(number_data_point::Value::AsInt(v)) => Some(v as f64),
        None => None,
    };
    Point {
        resource: resource.clone(),
        attributes: texts(&p.attributes),
        value: value.filter(|_| p.flags & 1 == 0),
        is_int: matches!(p.value, Some(number_data_point::Value::AsInt(_))),
        start: p.start_time_unix_nano,
        time: p.time_unix_nano,
        unit: metric.unit.clone(),
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|kv| (kv.key.clone(), text(kv.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|v| v.value.as_ref()) {
        Some(any_value::Value::StringValue(s)) => s.clone(),
        Some(any_value::Value::IntValue(n)) => n.to_string(),
        Some(any_value::Value::DoubleValue(n)) => n.to_string(),
        Some(any_value::Value::BoolValue(b)) => b.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
