//! What the tests of the processors share: sections out of READMEs, processors at simulated time, batches as text.

use std::sync::Arc;

use streamgauge_component::testkit::Bench;
use streamgauge_component::{AnyConfig, Batch, ConfigType, Create, Host, Kind, Processor, Signal};
use streamgauge_config::Section;
use streamgauge_pdata::view::{Attributes, Data, LogsView, MetricsView, NumberPoint};

/// Seconds since the Unix epoch at which benches begin.
pub(crate) const EPOCH: u64 = 1_700_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Reads a section of a component; its errors as text.
pub(crate) fn read(config: &ConfigType, yaml: &str) -> Result<AnyConfig, String> {
    let section = Section::from_yaml("processors::test", yaml).map_err(|errors| errors.to_string())?;
    (config.read)(&section).map_err(|errors| {
        errors.iter().map(|error| format!("{} {error}", place(error))).collect::<Vec<_>>().join("\n")
    })
}

/// Where an error is: `line:column`.
fn place(error: &streamgauge_config::Diagnostic) -> String {
    error.place.as_ref().map_or("nowhere".to_owned(), |place| format!("{}:{}", place.line, place.column))
}

/// What a factory gets for one instance.
pub(crate) fn create(config: &ConfigType, kind: Kind, signals: &[Signal], yaml: &str) -> Create {
    let config = read(config, yaml).unwrap_or_else(|errors| panic!("{errors}"));
    Create { host: Host::for_test(kind, "test"), config, signals: signals.to_vec() }
}

/// A bench that begins at [`EPOCH`].
pub(crate) fn bench(processor: Arc<dyn Processor>) -> Bench {
    Bench::new(processor, EPOCH)
}

/// The examples in a README: its yaml blocks.
pub(crate) fn examples(readme: &str) -> Vec<&str> {
    readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The points and log records of batches, a line each: `resource | metric{attributes} unit = value`.
pub(crate) fn lines(batches: &[Batch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for part in &batch.parts {
            match batch.signal {
                Signal::Metrics => metrics(&part.bytes, &mut lines),
                Signal::Logs => logs(&part.bytes, &mut lines),
                Signal::Traces => panic!("no processor here makes spans"),
            }
        }
    }
    lines
}

fn metrics(request: &[u8], lines: &mut Vec<String>) {
    for resource in MetricsView::new(request).resources().map(Result::unwrap) {
        for metric in resource.scopes().flat_map(|scope| scope.unwrap().records()).map(Result::unwrap) {
            let points = match metric.data {
                Data::Gauge(points) | Data::Sum { points, .. } => points,
                other => panic!("{other:?}"),
            };
            for point in points.map(Result::unwrap) {
                lines.push(format!(
                    "{} | {}{{{}}} {} = {}",
                    text(resource.attributes()),
                    metric.name,
                    text(point.attributes()),
                    metric.unit,
                    value(&point)
                ));
            }
        }
    }
}

fn value(point: &NumberPoint<'_>) -> String {
    let at = (point.time / SECOND).saturating_sub(EPOCH);
    match point.value {
        _ if point.no_recorded_value() => format!("none @{at}"),
        Some(number) => format!("{} @{at}", number.as_f64()),
        None => format!("? @{at}"),
    }
}

fn logs(request: &[u8], lines: &mut Vec<String>) {
    for resource in LogsView::new(request).resources().map(Result::unwrap) {
        for record in resource.scopes().flat_map(|scope| scope.unwrap().records()).map(Result::unwrap) {
            lines.push(format!(
                "{} | {} {} {:?} {{{}}} @{}",
                text(resource.attributes()),
                record.event_name,
                record.severity_text,
                record.body.to_text().unwrap(),
                text(record.attributes()),
                (record.time / SECOND).saturating_sub(EPOCH),
            ));
        }
    }
}

fn text(attributes: Attributes<'_>) -> String {
    let pair = |pair: Result<(&str, streamgauge_pdata::view::Value<'_>), _>| {
        let (key, value) = pair.unwrap();
        format!("{key}={}", value.to_text().unwrap())
    };
    attributes.map(pair).collect::<Vec<_>>().join(",")
}
