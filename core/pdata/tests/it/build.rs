use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as P;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value as N};
use prost::Message;
use streamgauge_pdata::build::{AnyValue, AttributeLists, LogsBuilder, MetricsBuilder};
use streamgauge_pdata::view::{LogsView, MetricsView, Number, Temporality};
use streamgauge_pdata::{Signal, check};

#[test]
fn every_kind_of_metric_decodes_to_what_was_built() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "x".repeat(300))]);
        let mut scope = resource.scope_with("scope", "1.0", [("k", true)]);
        scope.gauge("empty", "1", "gets no points and is not written");
        {
            let mut gauge = scope.gauge("g", "By", "a gauge");
            gauge.point(10).start(5).attribute("a", "b").attribute("n", -1).int(-7);
            gauge.point(11).attributes([("d", 1.5)]).double(2.5);
            gauge.point(12).no_recorded_value();
        }
        scope.sum("s", "1", "", Temporality::Cumulative, true).point(1).int(3);
        scope
            .histogram("h", "s", "", Temporality::Delta)
            .point(2)
            .count(3)
            .sum(1.5)
            .min(0.1)
            .max(0.9)
            .buckets(&[0.5], &[1, 2]);
        scope
            .exponential_histogram("e", "s", "", Temporality::Delta)
            .point(3)
            .count(4)
            .sum(2.0)
            .scale(-3)
            .zero(1, 0.001)
            .positive(-5, [1, 200_000])
            .negative(7, [1])
            .min(-1.0)
            .max(1.0);
        scope.summary("q", "s", "").point(4).count(1).sum(3.0).quantile(0.5, 9.0).quantile(1.0, 10.0);
    }
    request.resource(()).scope("nothing in it", "");
    assert_eq!(request.items(), 7);
    let bytes = request.finish();
    assert_eq!(check(Signal::Metrics, &bytes), Ok(7));

    let decoded = ExportMetricsServiceRequest::decode(bytes).unwrap();
    assert_eq!(decoded.resource_metrics.len(), 1);
    let resource = &decoded.resource_metrics[0];
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    assert_eq!(attributes[0].value.as_ref().unwrap().value, Some(P::StringValue("x".repeat(300))));
    let scope = &resource.scope_metrics[0];
    assert_eq!(scope.scope.as_ref().unwrap().name, "scope");
    assert_eq!(scope.scope.as_ref().unwrap().attributes[0].key, "k");
    assert_eq!(scope.metrics.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["g", "s", "h", "e", "q"]);
    assert_eq!((scope.metrics[0].unit.as_str(), scope.metrics[0].description.as_str()), ("By", "a gauge"));

    let Some(Data::Gauge(gauge)) = &scope.metrics[0].data else { panic!("no gauge") };
    let points = &gauge.data_points;
    assert_eq!((points[0].start_time_unix_nano, points[0].time_unix_nano), (5, 10));
    assert_eq!(points[0].value, Some(N::AsInt(-7)));
    assert_eq!(points[0].attributes[1].value.as_ref().unwrap().value, Some(P::IntValue(-1)));
    assert_eq!(points[1].value, Some(N::AsDouble(2.5)));
    assert_eq!((points[2].flags, points[2].value), (1, None));

    let Some(Data::Sum(sum)) = &scope.metrics[1].data else { panic!("no sum") };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));

    let Some(Data::Histogram(histogram)) = &scope.metrics[2].data else { panic!("no histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (3, Some(1.5), Some(0.1), Some(0.9)));
    assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[0.5][..], &[1, 2][..]));

    let Some(Data::ExponentialHistogram(histogram)) = &scope.metrics[3].data else { panic!("no histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((point.scale, point.zero_count, point.zero_threshold), (-3, 1, 0.001));
    assert_eq!(point.positive.as_ref().unwrap().offset, -5);
    assert_eq!(point.positive.as_ref().unwrap().bucket_counts, [1, 200_000]);
    assert_eq!(point.negative.as_ref().unwrap().offset, 7);
    assert_eq!((point.min, point.max), (Some(-1.0), Some(1.0)));

    let Some(Data::Summary(summary)) = &scope.metrics[4].data else { panic!("no summary") };
    assert_eq!(summary.data_points[0].quantile_values[1].value, 10.0);
}

#[test]
fn points_with_lists_encoded_before_are_those_that_are_written_piece_by_piece() {
    let long = "x".repeat(200);
    let lists = [vec![], vec![("a", "b")], vec![("stream", "orders"), ("group", long.as_str())]];
    let mut encoded = AttributeLists::default();
    encoded.add([("gone", "gone")]);
    encoded.clear();
    let numbers: Vec<_> = lists.iter().map(|list| encoded.add(list.iter().copied())).collect();
    let (mut at_once, mut piecewise) = (MetricsBuilder::with_capacity(10), MetricsBuilder::new());
    for (request, is_at_once) in [(&mut at_once, true), (&mut piecewise, false)] {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("scope", "1.0");
        let mut gauge = scope.gauge("g", "By", "a gauge");
        for (list, number) in lists.iter().zip(&numbers) {
            for value in [Some(Number::Int(-7)), Some(Number::Double(0.5)), None] {
                for start in [None, Some(3)] {
                    if is_at_once {
                        gauge.write(9, start, encoded.get(*number), value);
                        continue;
                    }
                    let mut point = gauge.point(9);
                    start.map(|start| point.start(start).flags(0));
                    point.attributes(list);
                    match value {
                        Some(Number::Int(value)) => drop(point.int(value)),
                        Some(Number::Double(value)) => drop(point.double(value)),
                        None => drop(point.no_recorded_value()),
                    }
                }
            }
        }
        drop(gauge);
        let mut histogram = scope.exponential_histogram("h", "s", "", Temporality::Cumulative);
        let mut point = histogram.point(9);
        match is_at_once {
            true => point.attributes(encoded.get(numbers[2])).count(1),
            false => point.attributes(&lists[2]).count(1),
        };
    }
    assert_eq!(at_once.items(), 19);
    let decode = |request: MetricsBuilder| ExportMetricsServiceRequest::decode(request.finish()).unwrap();
    assert_eq!(decode(at_once), decode(piecewise));
}

#[test]
fn a_log_record_decodes_to_what_was_built() {
    let body = AnyValue::KvList(vec![
        (
            "list".into(),
            AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Bytes(vec![1, 2]), AnyValue::Empty]),
        ),
        ("flag".into(), AnyValue::Bool(false)),
    ]);
    let mut request = LogsBuilder::new();
    request
        .resource(())
        .scope("alerts", "")
        .record(100)
        .time(99)
        .severity(13, "WARN")
        .body(&body)
        .attribute("to", vec!["a", "b"])
        .trace([1; 16], [2; 8], 1)
        .event_name("alert.transition");
    let bytes = request.finish();
    let decoded = ExportLogsServiceRequest::decode(bytes.clone()).unwrap();
    let record = &decoded.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((record.observed_time_unix_nano, record.time_unix_nano), (100, 99));
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
    assert_eq!(
        (record.trace_id.as_slice(), record.span_id.as_slice(), record.flags),
        (&[1; 16][..], &[2; 8][..], 1)
    );
    assert_eq!(record.event_name, "alert.transition");
    let Some(P::ArrayValue(to)) = &record.attributes[0].value.as_ref().unwrap().value else {
        panic!("no array")
    };
    assert_eq!(to.values.len(), 2);

    let resource = LogsView::new(&bytes).resources().next().unwrap().unwrap();
    let record = resource.scopes().next().unwrap().unwrap().records().next().unwrap().unwrap();
    assert_eq!(record.body.to_any().unwrap(), body);
}

#[test]
fn exemplars_decode_to_what_was_built_and_are_viewed_as_they_decode() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "x")]);
        let mut scope = resource.scope("scope", "1.0");
        scope.gauge("g", "", "").point(10).int(1).exemplar(9, 2.5, [1; 16], [2; 8]);
        scope
            .histogram("h", "", "", Temporality::Cumulative)
            .point(10)
            .count(1)
            .exemplar(8, 0.5, [3; 16], [4; 8]);
    }
    let bytes = request.finish();
    let decoded = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
    let metrics = &decoded.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Gauge(gauge)) = &metrics[0].data else { panic!() };
    let Some(Data::Histogram(histogram)) = &metrics[1].data else { panic!() };
    let expected = [&gauge.data_points[0].exemplars[0], &histogram.data_points[0].exemplars[0]];
    assert_eq!((expected[0].span_id.as_slice(), expected[1].time_unix_nano), (&[2; 8][..], 8));

    let resource = MetricsView::new(&bytes).resources().next().unwrap().unwrap();
    let scope = resource.scopes().next().unwrap().unwrap();
    let seen = scope.records().map(|metric| match metric.unwrap().data {
        streamgauge_pdata::view::Data::Gauge(mut points) => {
            points.next().unwrap().unwrap().exemplars().next().unwrap().unwrap()
        }
        streamgauge_pdata::view::Data::Histogram { mut points, .. } => {
            points.next().unwrap().unwrap().exemplars().next().unwrap().unwrap()
        }
        _ => panic!(),
    });
    for (seen, expected) in seen.zip(expected) {
        let of = |e: &streamgauge_pdata::view::ExemplarView<'_>| {
            (e.time, e.trace_id.to_vec(), e.span_id.to_vec(), e.value.map(|v| v.as_f64()))
        };
        let value = match expected.value {
            Some(opentelemetry_proto::tonic::metrics::v1::exemplar::Value::AsDouble(value)) => Some(value),
            _ => None,
        };
        let expected = (expected.time_unix_nano, expected.trace_id.clone(), expected.span_id.clone(), value);
        assert_eq!(of(&seen), expected);
        assert_eq!(seen.filtered_attributes().count(), 0);
    }
}
