//! What the tests of polling receivers share: points in the clear, and one receiver running into a sink.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, NumberDataPoint, number_data_point,
};
use prost::Message as _;
use streamgauge_component::testkit::Sink;
use streamgauge_component::{Create, Host, Kind, Outlets, Receiver, ReceiverFactory, Signal};
use streamgauge_config::Section;
use tokio::time::Instant;

use super::recorder::MANY;

/// A point, with what its metric and resource say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) unit: String,
    /// `gauge`, `sum`, `counter` or `histogram`, whose value is how many values it has.
    pub(crate) kind: &'static str,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) resource: BTreeMap<String, String>,
    /// `None` for NoRecordedValue.
    pub(crate) value: Option<f64>,
    pub(crate) start: u64,
    pub(crate) time: u64,
}

impl Point {
    pub(crate) fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

/// The points of a request.
pub(crate) fn points(bytes: &[u8]) -> Vec<Point> {
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let mut points = Vec::new();
    for of_resource in request.resource_metrics {
        let resource = texts(&of_resource.resource.unwrap_or_default().attributes);
        for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let (kind, numbers) = match metric.data.unwrap() {
                Data::Gauge(gauge) => ("gauge", gauge.data_points),
                Data::Sum(sum) => {
                    assert_eq!(sum.aggregation_temporality, 2, "{} is cumulative", metric.name);
                    (if sum.is_monotonic { "counter" } else { "sum" }, sum.data_points)
                }
                Data::ExponentialHistogram(histogram) => {
                    assert_eq!(histogram.aggregation_temporality, 2, "{} is cumulative", metric.name);
                    ("histogram", histogram.data_points.iter().map(counted).collect())
                }
                other => panic!("{other:?}"),
            };
            points.extend(numbers.iter().map(|number| Point {
                name: metric.name.clone(),
                unit: metric.unit.clone(),
                kind,
                attributes: texts(&number.attributes),
                resource: resource.clone(),
                value: value(number),
                start: number.start_time_unix_nano,
                time: number.time_unix_nano,
            }));
        }
    }
    points
}

/// A histogram as the number of its values.
fn counted(point: &ExponentialHistogramDataPoint) -> NumberDataPoint {
    let buckets = point.positive.iter().flat_map(|buckets| &buckets.bucket_counts).sum::<u64>();
    assert_eq!((buckets + point.zero_count, point.scale), (point.count, 0), "every value is in a bucket");
    let has_value = point.flags == 0;
    NumberDataPoint {
        attributes: point.attributes.clone(),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        flags: point.flags,
        value: has_value.then_some(number_data_point::Value::AsInt(point.count as i64)),
        exemplars: Vec::new(),
    }
}

fn value(point: &NumberDataPoint) -> Option<f64> {
    let value = match point.value {
        Some(number_data_point::Value::AsDouble(value)) => Some(value),
        Some(number_data_point::Value::AsInt(value)) => Some(value as f64),
        None => None,
    };
    assert_eq!(value.is_none(), point.flags == 1, "a point has a value or the flag");
    value
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.clone().unwrap().value.unwrap() {
        any_value::Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

/// A receiver that runs into a sink.
pub(crate) struct Running {
    receiver: Arc<dyn Receiver>,
    sink: Arc<Sink>,
    /// The points of a round that goes on.
    part: Mutex<Vec<Point>>,
    pub(crate) host: Host,
}

impl Running {
    /// Makes it by its factory and starts it.
    pub(crate) async fn start(factory: &ReceiverFactory, yaml: &str) -> Running {
        Running::beside(&Host::for_test(Kind::Receiver, "test"), factory, yaml).await
    }

    /// The same in the process of another one.
    pub(crate) async fn beside(host: &Host, factory: &ReceiverFactory, yaml: &str) -> Running {
        let host = host.for_component(Kind::Receiver, factory.description.name);
        let config = (factory.config.read)(&Section::from_yaml("test", yaml).unwrap())
            .unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
        let create = Create { host: host.clone(), config, signals: vec![Signal::Metrics] };
        let receiver = (factory.create)(create).unwrap();
        let sink = Sink::delivering();
        let outlets = Outlets::new(vec![(Signal::Metrics, sink.outlet(Signal::Metrics))]);
        receiver.start(host.clone(), outlets).await.unwrap();
        Running { receiver, sink, part: Mutex::default(), host }
    }

    /// The points of the next round.
    pub(crate) async fn next(&self) -> Vec<Point> {
        let _ = self.sink.take();
        self.until(|_| true).await
    }

    /// The points of the next round that is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Point]) -> bool) -> Vec<Point> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            for batch in self.sink.take() {
                let points = points(&batch.parts.concat());
                assert_eq!(points.len(), batch.items);
                if wanted(&points) {
                    return points;
                }
            }
            assert!(Instant::now() < deadline, "no round is as wanted");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The points of each round since the last look. A batch of many may be a part of one: another of the same time follows.
    pub(crate) fn rounds(&self) -> Vec<Vec<Point>> {
        let (mut part, mut whole) = (self.part.lock().unwrap(), Vec::new());
        for batch in self.sink.take() {
            let points = points(&batch.parts.concat());
            if part.first().is_some_and(|first| first.time != points[0].time) {
                whole.push(std::mem::take(&mut *part));
            }
            part.extend(points);
            if batch.items < MANY {
                whole.push(std::mem::take(&mut *part));
            }
        }
        whole
    }

    /// How many rounds came to an end.
    pub(crate) fn ended(&self) -> u64 {
        super::poll::Rounds::of(&self.host).ended.value.get()
    }

    /// Stops it as the engine does.
    pub(crate) async fn stop(self) {
        self.receiver.stop_intake().await;
        self.receiver.shutdown().await;
    }
}

/// The points of a metric.
pub(crate) fn named<'a>(points: &'a [Point], name: &str) -> Vec<&'a Point> {
    points.iter().filter(|point| point.name == name).collect()
}

/// The value of a metric's only point that has one; `None` when there is no such point.
pub(crate) fn value_of(points: &[Point], name: &str) -> Option<f64> {
    let values: Vec<_> = named(points, name).iter().filter_map(|point| point.value).collect();
    assert!(values.len() < 2, "{name} has {} points with a value", values.len());
    values.first().copied()
}

/// Loads every yaml example of a README as a section of this type.
pub(crate) fn examples_load(factory: &ReceiverFactory) {
    let readme = factory.description.readme;
    let examples: Vec<_> =
        readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty(), "the README has an example");
    // A whole configuration begins otherwise; tests/registry.rs loads it.
    let is_whole = |example: &&&str| example.contains("\nservice:");
    for example in examples.iter().filter(|example| !is_whole(example)) {
        let (head, body) = example.split_once('\n').unwrap();
        assert_eq!(head.trim_end(), format!("{}:", factory.description.name));
        let section = Section::from_yaml("example", body).unwrap();
        if let Err(diagnostics) = (factory.config.read)(&section) {
            panic!("{example}{diagnostics:?}");
        }
    }
}
