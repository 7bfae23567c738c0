//! Views turned into prost structs, to compare them with what prost decodes.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{self as common, any_value::Value as P};
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1::{self as metrics, metric::Data as D};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::*;

type Out<T> = Result<T, Malformed>;

pub fn any(value: Value<'_>) -> Out<common::AnyValue> {
    let value = match value {
        Value::Empty => None,
        Value::Str(s) => Some(P::StringValue(s.to_owned())),
        Value::Bool(b) => Some(P::BoolValue(b)),
        Value::Int(i) => Some(P::IntValue(i)),
        Value::Double(d) => Some(P::DoubleValue(d)),
        Value::Bytes(b) => Some(P::BytesValue(b.to_owned())),
        Value::Array(a) => {
            Some(P::ArrayValue(common::ArrayValue { values: a.map(|v| any(v?)).collect::<Out<_>>()? }))
        }
        Value::KvList(l) => Some(P::KvlistValue(common::KeyValueList { values: pairs(l)? })),
    };
    Ok(common::AnyValue { value })
}

/// An absent value and an empty one look the same in a view.
pub fn pairs(list: Attributes<'_>) -> Out<Vec<common::KeyValue>> {
    list.map(|pair| {
        let (key, value) = pair?;
        let value = Some(any(value)?);
        Ok(common::KeyValue { key: key.to_owned(), value, ..Default::default() })
    })
    .collect()
}

fn resource<R>(view: &ResourceView<'_, R>) -> Out<Option<Resource>> {
    Ok(Some(Resource { attributes: pairs(view.attributes())?, ..Default::default() }))
}

fn scope<R>(view: &ScopeView<'_, R>) -> Out<Option<common::InstrumentationScope>> {
    Ok(Some(common::InstrumentationScope {
        name: view.name.to_owned(),
        version: view.version.to_owned(),
        attributes: pairs(view.attributes())?,
        ..Default::default()
    }))
}

pub fn logs(bytes: &[u8]) -> Out<ExportLogsServiceRequest> {
    let resource_logs = LogsView::new(bytes).resources().map(|r| {
        let r = r?;
        let scope_logs = r.scopes().map(|s| {
            let s = s?;
            let log_records = s.records().map(|l| log(l?)).collect::<Out<_>>()?;
            Ok(logs::ScopeLogs { scope: scope(&s)?, log_records, schema_url: s.schema_url.to_owned() })
        });
        Ok(logs::ResourceLogs {
            resource: resource(&r)?,
            scope_logs: scope_logs.collect::<Out<_>>()?,
            schema_url: r.schema_url.to_owned(),
        })
    });
    Ok(ExportLogsServiceRequest { resource_logs: resource_logs.collect::<Out<_>>()? })
}

fn log(l: LogRecordView<'_>) -> Out<logs::LogRecord> {
    Ok(logs::LogRecord {
        time_unix_nano: l.time,
        observed_time_unix_nano: l.observed_time,
        severity_number: l.severity_number,
        severity_text: l.severity_text.to_owned(),
        body: Some(any(l.body)?),
        attributes: pairs(l.attributes())?,
        dropped_attributes_count: l.dropped_attributes_count,
        flags: l.flags,
        trace_id: l.trace_id.to_owned(),
        span_id: l.span_id.to_owned(),
        event_name: l.event_name.to_owned(),
    })
}

pub fn traces(bytes: &[u8]) -> Out<ExportTraceServiceRequest> {
    let resource_spans = TracesView::new(bytes).resources().map(|r| {
        let r = r?;
        let scope_spans = r.scopes().map(|s| {
            let s = s?;
            let spans = s.records().map(|l| span(l?)).collect::<Out<_>>()?;
            Ok(trace::ScopeSpans { scope: scope(&s)?, spans, schema_url: s.schema_url.to_owned() })
        });
        Ok(trace::ResourceSpans {
            resource: resource(&r)?,
            scope_spans: scope_spans.collect::<Out<_>>()?,
            schema_url: r.schema_url.to_owned(),
        })
    });
    Ok(ExportTraceServiceRequest { resource_spans: resource_spans.collect::<Out<_>>()? })
}

fn span(s: SpanView<'_>) -> Out<trace::Span> {
    let event = |e: Out<EventView<'_>>| {
        let e = e?;
        Ok(trace::span::Event {
            time_unix_nano: e.time,
            name: e.name.to_owned(),
            attributes: pairs(e.attributes())?,
            dropped_attributes_count: 0,
        })
    };
    let link = |l: Out<LinkView<'_>>| {
        let l = l?;
        Ok(trace::span::Link {
            trace_id: l.trace_id.to_owned(),
            span_id: l.span_id.to_owned(),
            trace_state: l.trace_state.to_owned(),
            attributes: pairs(l.attributes())?,
            dropped_attributes_count: 0,
            flags: 0,
        })
    };
    Ok(trace::Span {
        trace_id: s.trace_id.to_owned(),
        span_id: s.span_id.to_owned(),
        trace_state: s.trace_state.to_owned(),
        parent_span_id: s.parent_span_id.to_owned(),
        flags: s.flags,
        name: s.name.to_owned(),
        kind: s.kind,
        start_time_unix_nano: s.start_time,
        end_time_unix_nano: s.end_time,
        attributes: pairs(s.attributes())?,
        dropped_attributes_count: s.dropped_attributes_count,
        events: s.events().map(event).collect::<Out<_>>()?,
        dropped_events_count: s.dropped_events_count,
        links: s.links().map(link).collect::<Out<_>>()?,
        dropped_links_count: s.dropped_links_count,
        status: Some(trace::Status { message: s.status_message.to_owned(), code: s.status_code }),
    })
}

pub fn metrics(bytes: &[u8]) -> Out<ExportMetricsServiceRequest> {
    let resource_metrics = MetricsView::new(bytes).resources().map(|r| {
        let r = r?;
        let scope_metrics = r.scopes().map(|s| {
            let s = s?;
            let metrics = s.records().map(|l| metric(l?)).collect::<Out<_>>()?;
            Ok(metrics::ScopeMetrics { scope: scope(&s)?, metrics, schema_url: s.schema_url.to_owned() })
        });
        Ok(metrics::ResourceMetrics {
            resource: resource(&r)?,
            scope_metrics: scope_metrics.collect::<Out<_>>()?,
            schema_url: r.schema_url.to_owned(),
        })
    });
    Ok(ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect::<Out<_>>()? })
}

fn metric(m: MetricView<'_>) -> Out<metrics::Metric> {
    let numbers = |points: Points<'_, NumberPoint<'_>>| points.map(|p| number(p?)).collect::<Out<Vec<_>>>();
    let data = match m.data {
        Data::Empty => None,
        Data::Gauge(points) => Some(D::Gauge(metrics::Gauge { data_points: numbers(points)? })),
        Data::Sum { points, temporality, monotonic } => Some(D::Sum(metrics::Sum {
            data_points: numbers(points)?,
            aggregation_temporality: temporality as i32,
            is_monotonic: monotonic,
        })),
        Data::Histogram { points, temporality } => Some(D::Histogram(metrics::Histogram {
            data_points: points.map(|p| histogram(p?)).collect::<Out<_>>()?,
            aggregation_temporality: temporality as i32,
        })),
        Data::ExponentialHistogram { points, temporality } => {
            Some(D::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: points.map(|p| exponential(p?)).collect::<Out<_>>()?,
                aggregation_temporality: temporality as i32,
            }))
        }
        Data::Summary(points) => Some(D::Summary(metrics::Summary {
            data_points: points.map(|p| summary(p?)).collect::<Out<_>>()?,
        })),
    };
    Ok(metrics::Metric {
        name: m.name.to_owned(),
        description: m.description.to_owned(),
        unit: m.unit.to_owned(),
        metadata: pairs(m.metadata())?,
        data,
    })
}

fn number(p: NumberPoint<'_>) -> Out<metrics::NumberDataPoint> {
    use metrics::number_data_point::Value as V;
    Ok(metrics::NumberDataPoint {
        attributes: pairs(p.attributes())?,
        start_time_unix_nano: p.start_time,
        time_unix_nano: p.time,
        exemplars: vec![],
        flags: p.flags,
        value: p.value.map(|value| match value {
            Number::Int(i) => V::AsInt(i),
            Number::Double(d) => V::AsDouble(d),
        }),
    })
}

fn histogram(p: HistogramPoint<'_>) -> Out<metrics::HistogramDataPoint> {
    Ok(metrics::HistogramDataPoint {
        attributes: pairs(p.attributes())?,
        start_time_unix_nano: p.start_time,
        time_unix_nano: p.time,
        count: p.count,
        sum: p.sum,
        bucket_counts: p.bucket_counts().collect::<Out<_>>()?,
        explicit_bounds: p.explicit_bounds().collect::<Out<_>>()?,
        exemplars: vec![],
        flags: p.flags,
        min: p.min,
        max: p.max,
    })
}

fn exponential(p: ExponentialHistogramPoint<'_>) -> Out<metrics::ExponentialHistogramDataPoint> {
    let buckets = |b: Buckets<'_>| {
        let bucket_counts = b.counts.collect::<Out<_>>()?;
        Ok(Some(metrics::exponential_histogram_data_point::Buckets { offset: b.offset, bucket_counts }))
    };
    Ok(metrics::ExponentialHistogramDataPoint {
        attributes: pairs(p.attributes())?,
        start_time_unix_nano: p.start_time,
        time_unix_nano: p.time,
        count: p.count,
        sum: p.sum,
        scale: p.scale,
        zero_count: p.zero_count,
        positive: buckets(p.positive)?,
        negative: buckets(p.negative)?,
        flags: p.flags,
        exemplars: vec![],
        min: p.min,
        max: p.max,
        zero_threshold: p.zero_threshold,
    })
}

fn summary(p: SummaryPoint<'_>) -> Out<metrics::SummaryDataPoint> {
    use metrics::summary_data_point::ValueAtQuantile;
    let quantiles = p.quantiles().map(|q| q.map(|(quantile, value)| ValueAtQuantile { quantile, value }));
    Ok(metrics::SummaryDataPoint {
        attributes: pairs(p.attributes())?,
        start_time_unix_nano: p.start_time,
        time_unix_nano: p.time,
        count: p.count,
        sum: p.sum,
        quantile_values: quantiles.collect::<Out<_>>()?,
        flags: p.flags,
    })
}

/// Debug text without the differences that views do not show: an absent singular message and an empty one.
pub trait Plain: Sized {
    fn plain(self) -> Self;
}

fn fill_any(value: &mut common::AnyValue) {
    match &mut value.value {
        Some(P::ArrayValue(a)) => a.values.iter_mut().for_each(fill_any),
        Some(P::KvlistValue(l)) => fill(&mut l.values),
        _ => {}
    }
}

fn fill(pairs: &mut [common::KeyValue]) {
    for pair in pairs {
        fill_any(pair.value.get_or_insert_default());
    }
}

impl Plain for ExportLogsServiceRequest {
    fn plain(mut self) -> Self {
        for r in &mut self.resource_logs {
            fill(&mut r.resource.get_or_insert_default().attributes);
            for s in &mut r.scope_logs {
                fill(&mut s.scope.get_or_insert_default().attributes);
                for l in &mut s.log_records {
                    fill_any(l.body.get_or_insert_default());
                    fill(&mut l.attributes);
                }
            }
        }
        self
    }
}

impl Plain for ExportTraceServiceRequest {
    fn plain(mut self) -> Self {
        for r in &mut self.resource_spans {
            fill(&mut r.resource.get_or_insert_default().attributes);
            for s in &mut r.scope_spans {
                fill(&mut s.scope.get_or_insert_default().attributes);
                for l in &mut s.spans {
                    fill(&mut l.attributes);
                    l.events.iter_mut().for_each(|e| fill(&mut e.attributes));
                    l.links.iter_mut().for_each(|e| fill(&mut e.attributes));
                    l.status.get_or_insert_default();
                }
            }
        }
        self
    }
}

impl Plain for ExportMetricsServiceRequest {
    fn plain(mut self) -> Self {
        for r in &mut self.resource_metrics {
            fill(&mut r.resource.get_or_insert_default().attributes);
            for s in &mut r.scope_metrics {
                fill(&mut s.scope.get_or_insert_default().attributes);
                for m in &mut s.metrics {
                    fill(&mut m.metadata);
                    match &mut m.data {
                        Some(D::Gauge(g)) => g.data_points.iter_mut().for_each(|p| fill(&mut p.attributes)),
                        Some(D::Sum(g)) => g.data_points.iter_mut().for_each(|p| fill(&mut p.attributes)),
                        Some(D::Histogram(g)) => {
                            g.data_points.iter_mut().for_each(|p| fill(&mut p.attributes))
                        }
                        Some(D::Summary(g)) => g.data_points.iter_mut().for_each(|p| fill(&mut p.attributes)),
                        Some(D::ExponentialHistogram(g)) => g.data_points.iter_mut().for_each(|p| {
                            fill(&mut p.attributes);
                            p.positive.get_or_insert_default();
                            p.negative.get_or_insert_default();
                        }),
                        None => {}
                    }
                }
            }
        }
        self
    }
}
