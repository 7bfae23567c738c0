//! Every field of every record.

use std::fmt::Write as _;

use streamgauge_component::{Request, Signal};
use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{
    Attributes, Buckets, Data, ExponentialHistogramPoint, HistogramPoint, LogRecordView, LogsView, Message,
    MetricView, MetricsView, NumberPoint, RequestView, SpanView, SummaryPoint, Temporality, TracesView,
};

use super::show;

pub(super) fn write(request: &Request, out: &mut String) {
    for part in &request.parts {
        match request.signal {
            Signal::Traces => records(TracesView::new(part), "Span", out, span),
            Signal::Metrics => records(MetricsView::new(part), "Metric", out, metric),
            Signal::Logs => records(LogsView::new(part), "LogRecord", out, log),
        }
    }
}

fn records<'a, R: Message<'a>>(
    view: RequestView<'a, R>,
    title: &str,
    out: &mut String,
    write: fn(&R, &mut String) -> Result<(), Malformed>,
) {
    numbered("Resource", view.resources(), out, |resource, out| {
        field(out, "Schema URL", resource.schema_url);
        show::list(out, "", "Resource attributes", resource.attributes());
        numbered("Scope", resource.scopes(), out, |scope, out| {
            field(out, "Schema URL", scope.schema_url);
            field(out, "Name", scope.name);
            field(out, "Version", scope.version);
            show::list(out, "", "Scope attributes", scope.attributes());
            numbered(title, scope.records(), out, write);
            Ok(())
        });
        Ok(())
    });
}

/// `title #n` and what stands under it; what is broken says so in its place.
fn numbered<T>(
    title: &str,
    items: impl Iterator<Item = Result<T, Malformed>>,
    out: &mut String,
    write: impl Fn(&T, &mut String) -> Result<(), Malformed>,
) {
    for (number, item) in items.enumerate() {
        let _ = writeln!(out, "{title} #{number}");
        if let Err(fault) = item.and_then(|item| write(&item, out)) {
            show::broken(out, &fault);
        }
    }
}

/// A field that was given.
fn field(out: &mut String, name: &str, value: impl std::fmt::Display) {
    let value = value.to_string();
    if !value.is_empty() {
        let _ = writeln!(out, "    {name}: {value}");
    }
}

fn count(out: &mut String, name: &str, value: u32) {
    if value > 0 {
        field(out, name, value);
    }
}

fn span(span: &SpanView<'_>, out: &mut String) -> Result<(), Malformed> {
    field(out, "Trace ID", show::hex(span.trace_id));
    field(out, "Parent ID", show::hex(span.parent_span_id));
    field(out, "ID", show::hex(span.span_id));
    field(out, "Name", span.name);
    let kinds = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
    field(
        out,
        "Kind",
        usize::try_from(span.kind).ok().and_then(|kind| kinds.get(kind)).unwrap_or(&"Unknown"),
    );
    field(out, "Trace state", span.trace_state);
    count(out, "Flags", span.flags);
    field(out, "Start time", show::time(span.start_time));
    field(out, "End time", show::time(span.end_time));
    field(out, "Status code", ["Unset", "Ok", "Error"].get(span.status_code as usize).unwrap_or(&"Unknown"));
    field(out, "Status message", span.status_message);
    show::list(out, "    ", "Attributes", span.attributes());
    count(out, "Dropped attributes", span.dropped_attributes_count);
    numbered("    Event", span.events(), out, |event, out| {
        field(out, "    Name", event.name);
        field(out, "    Time", show::time(event.time));
        show::list(out, "        ", "Attributes", event.attributes());
        Ok(())
    });
    count(out, "Dropped events", span.dropped_events_count);
    numbered("    Link", span.links(), out, |link, out| {
        field(out, "    Trace ID", show::hex(link.trace_id));
        field(out, "    ID", show::hex(link.span_id));
        field(out, "    Trace state", link.trace_state);
        show::list(out, "        ", "Attributes", link.attributes());
        Ok(())
    });
    count(out, "Dropped links", span.dropped_links_count);
    Ok(())
}

fn log(record: &LogRecordView<'_>, out: &mut String) -> Result<(), Malformed> {
    field(out, "Observed time", show::time(record.observed_time));
    field(out, "Time", show::time(record.time));
    field(out, "Severity text", record.severity_text);
    if record.severity_number != 0 {
        let number = record.severity_number;
        field(out, "Severity number", format!("{} ({number})", show::severity(number)));
    }
    field(out, "Event name", record.event_name);
    field(out, "Body", show::typed(&record.body));
    show::list(out, "    ", "Attributes", record.attributes());
    count(out, "Dropped attributes", record.dropped_attributes_count);
    field(out, "Trace ID", show::hex(record.trace_id));
    field(out, "Span ID", show::hex(record.span_id));
    count(out, "Flags", record.flags);
    Ok(())
}

fn metric(metric: &MetricView<'_>, out: &mut String) -> Result<(), Malformed> {
    field(out, "Name", metric.name);
    field(out, "Description", metric.description);
    field(out, "Unit", metric.unit);
    show::list(out, "    ", "Metadata", metric.metadata());
    let (kind, since) = match metric.data {
        Data::Empty => ("Empty", None),
        Data::Gauge(_) => ("Gauge", None),
        Data::Sum { monotonic, temporality, .. } => {
            field(out, "Monotonic", monotonic);
            ("Sum", Some(temporality))
        }
        Data::Histogram { temporality, .. } => ("Histogram", Some(temporality)),
        Data::ExponentialHistogram { temporality, .. } => ("ExponentialHistogram", Some(temporality)),
        Data::Summary(_) => ("Summary", None),
    };
    field(out, "Data type", kind);
    match since {
        None => {}
        Some(Temporality::Delta) => field(out, "Temporality", "Delta"),
        Some(Temporality::Cumulative) => field(out, "Temporality", "Cumulative"),
        Some(Temporality::Unspecified) => field(out, "Temporality", "Unspecified"),
    }
    const POINT: &str = "    Data point";
    match metric.data {
        Data::Empty => {}
        Data::Gauge(points) | Data::Sum { points, .. } => numbered(POINT, points, out, number),
        Data::Histogram { points, .. } => numbered(POINT, points, out, histogram),
        Data::ExponentialHistogram { points, .. } => numbered(POINT, points, out, exponential),
        Data::Summary(points) => numbered(POINT, points, out, summary),
    }
    Ok(())
}

fn times(out: &mut String, attributes: Attributes<'_>, start: u64, time: u64, flags: u32) {
    show::list(out, "        ", "Attributes", attributes);
    field(out, "    Start time", show::time(start));
    field(out, "    Time", show::time(time));
    count(out, "    Flags", flags);
}

fn optional(out: &mut String, name: &str, value: Option<f64>) {
    if let Some(value) = value {
        field(out, name, value);
    }
}

fn number(point: &NumberPoint<'_>, out: &mut String) -> Result<(), Malformed> {
    times(out, point.attributes(), point.start_time, point.time, point.flags);
    field(out, "    Value", show::number(point.value));
    Ok(())
}

fn histogram(point: &HistogramPoint<'_>, out: &mut String) -> Result<(), Malformed> {
    times(out, point.attributes(), point.start_time, point.time, point.flags);
    field(out, "    Count", point.count);
    optional(out, "    Sum", point.sum);
    optional(out, "    Min", point.min);
    optional(out, "    Max", point.max);
    let bounds = point.explicit_bounds().collect::<Result<Vec<_>, _>>()?;
    let mut lower = f64::NEG_INFINITY;
    for (at, filled) in point.bucket_counts().enumerate() {
        let upper = bounds.get(at).copied().unwrap_or(f64::INFINITY);
        field(out, "    Bucket", format!("({lower}, {upper}] {}", filled?));
        lower = upper;
    }
    Ok(())
}

fn exponential(point: &ExponentialHistogramPoint<'_>, out: &mut String) -> Result<(), Malformed> {
    times(out, point.attributes(), point.start_time, point.time, point.flags);
    field(out, "    Count", point.count);
    optional(out, "    Sum", point.sum);
    optional(out, "    Min", point.min);
    optional(out, "    Max", point.max);
    field(out, "    Scale", point.scale);
    field(out, "    Zero", format!("[-{0}, {0}] {1}", point.zero_threshold, point.zero_count));
    let base = (2.0_f64).powf((2.0_f64).powi(-point.scale));
    let mut row = |sign: &str, buckets: Buckets<'_>| {
        for (at, filled) in (i64::from(buckets.offset)..).zip(buckets.counts) {
            let at = at as f64;
            let filled = filled?;
            if filled > 0 {
                let text = format!("({sign}{}, {sign}{}] {filled}", base.powf(at), base.powf(at + 1.0));
                field(out, "    Bucket", text);
            }
        }
        Ok(())
    };
    row("-", point.negative)?;
    row("", point.positive)
}

fn summary(point: &SummaryPoint<'_>, out: &mut String) -> Result<(), Malformed> {
    times(out, point.attributes(), point.start_time, point.time, point.flags);
    field(out, "    Count", point.count);
    field(out, "    Sum", point.sum);
    for quantile in point.quantiles() {
        let (quantile, value) = quantile?;
        field(out, "    Quantile", format!("{quantile}: {value}"));
    }
    Ok(())
}
