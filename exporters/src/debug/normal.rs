//! One line a record.

use std::fmt::Write as _;

use streamgauge_component::{Request, Signal};
use streamgauge_pdata::view::{
    Attributes, Data, LogRecordView, LogsView, Message, MetricView, MetricsView, RequestView, SpanView,
    TracesView, Value,
};

use super::show;

pub(super) fn write(request: &Request, out: &mut String) {
    for part in &request.parts {
        match request.signal {
            Signal::Traces => records(TracesView::new(part), out, span),
            Signal::Metrics => records(MetricsView::new(part), out, metric),
            Signal::Logs => records(LogsView::new(part), out, log),
        }
    }
}

fn records<'a, R: Message<'a>>(view: RequestView<'a, R>, out: &mut String, write: fn(&R, &mut String)) {
    for resource in view.resources() {
        match resource {
            Err(fault) => show::broken(out, &fault),
            Ok(resource) => {
                let start = out.len();
                show::pairs(out, resource.attributes());
                if out.len() > start {
                    out.insert_str(start, "[resource]");
                    out.push('\n');
                }
                for scope in resource.scopes() {
                    match scope {
                        Err(fault) => show::broken(out, &fault),
                        Ok(scope) => scope.records().for_each(|record| match record {
                            Ok(record) => write(&record, out),
                            Err(fault) => show::broken(out, &fault),
                        }),
                    }
                }
            }
        }
    }
}

fn span(span: &SpanView<'_>, out: &mut String) {
    let millis = span.end_time.saturating_sub(span.start_time) as f64 / 1e6;
    let (trace, id) = (show::hex(span.trace_id), show::hex(span.span_id));
    let _ = write!(out, "{} {millis}ms trace={trace} span={id}", span.name);
    if span.status_code == 2 {
        let _ = write!(out, " error={:?}", span.status_message);
    }
    show::pairs(out, span.attributes());
    out.push('\n');
}

fn log(record: &LogRecordView<'_>, out: &mut String) {
    let time = if record.time > 0 { record.time } else { record.observed_time };
    let severity = match record.severity_text {
        "" => show::severity(record.severity_number),
        text => text,
    };
    let _ = write!(out, "{} {severity}", show::time(time));
    if !record.event_name.is_empty() {
        let _ = write!(out, " {}", record.event_name);
    }
    if !matches!(record.body, Value::Empty) {
        let _ = write!(out, " {}", show::plain(&record.body));
    }
    show::pairs(out, record.attributes());
    out.push('\n');
}

fn metric(metric: &MetricView<'_>, out: &mut String) {
    match metric.data {
        Data::Empty => {}
        Data::Gauge(points) | Data::Sum { points, .. } => each(points, out, |point, out| {
            let value =
                if point.no_recorded_value() { "no value".to_owned() } else { show::number(point.value) };
            line(metric, point.attributes(), &value, out);
        }),
        Data::Histogram { points, .. } => each(points, out, |point, out| {
            let value = distribution(point.count, point.sum, point.min, point.max);
            line(metric, point.attributes(), &value, out);
        }),
        Data::ExponentialHistogram { points, .. } => each(points, out, |point, out| {
            let value = distribution(point.count, point.sum, point.min, point.max);
            line(metric, point.attributes(), &value, out);
        }),
        Data::Summary(points) => each(points, out, |point, out| {
            let mut value = distribution(point.count, Some(point.sum), None, None);
            for (quantile, at) in point.quantiles().flatten() {
                let _ = write!(value, " p{}={at}", quantile * 100.0);
            }
            line(metric, point.attributes(), &value, out);
        }),
    }
}

fn each<P>(
    points: impl Iterator<Item = Result<P, streamgauge_pdata::Malformed>>,
    out: &mut String,
    write: impl Fn(&P, &mut String),
) {
    points.for_each(|point| match point {
        Ok(point) => write(&point, out),
        Err(fault) => show::broken(out, &fault),
    });
}

fn line(metric: &MetricView<'_>, attributes: Attributes<'_>, value: &str, out: &mut String) {
    let _ = write!(out, "{} {value}", metric.name);
    if !metric.unit.is_empty() {
        let _ = write!(out, " {}", metric.unit);
    }
    show::pairs(out, attributes);
    out.push('\n');
}

fn distribution(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut out = format!("count={count}");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            let _ = write!(out, " {name}={value}");
        }
    }
    out
}
