use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;
use streamgauge_pdata::{Signal, What, check};

use crate::sample::{Gen, put_varint};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_count_is_the_number_of_spans_data_points_and_log_records(seed: u64) {
        let bytes = Gen::new(seed).request(Signal::Logs);
        let logs: opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest = Message::decode(&bytes[..]).unwrap();
        let n = logs.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum();
        prop_assert_eq!(check(Signal::Logs, &bytes), Ok(n));

        let bytes = Gen::new(seed).request(Signal::Traces);
        let traces: opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest = Message::decode(&bytes[..]).unwrap();
        let n = traces.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum();
        prop_assert_eq!(check(Signal::Traces, &bytes), Ok(n));

        let bytes = Gen::new(seed).request(Signal::Metrics);
        let metrics: opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest = Message::decode(&bytes[..]).unwrap();
        let points = |data: &Option<Data>| match data {
            Some(Data::Gauge(d)) => d.data_points.len(),
            Some(Data::Sum(d)) => d.data_points.len(),
            Some(Data::Histogram(d)) => d.data_points.len(),
            Some(Data::ExponentialHistogram(d)) => d.data_points.len(),
            Some(Data::Summary(d)) => d.data_points.len(),
            None => 0,
        };
        let n = metrics.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics)
            .map(|m| points(&m.data)).sum();
        prop_assert_eq!(check(Signal::Metrics, &bytes), Ok(n));
    }

    #[test]
    fn what_check_accepts_survives_being_cut_only_at_a_border(seed: u64, at: prop::sample::Index) {
        let bytes = Gen::new(seed).request(Signal::Logs);
        let cut = &bytes[..at.index(bytes.len() + 1)];
        // Where prost accepts the cut request, we do; we accept more only where a record's inside is broken.
        if opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest::decode(cut).is_ok() {
            prop_assert!(check(Signal::Logs, cut).is_ok());
        } else {
            prop_assert!(check(Signal::Logs, cut).is_err());
        }
    }
}

#[test]
fn an_empty_request_has_no_items() {
    for signal in Signal::ALL {
        assert_eq!(check(signal, b""), Ok(0));
    }
}

#[test]
fn a_request_of_a_hundred_thousand_records_is_counted() {
    let scope = [0x12, 0].repeat(100_000);
    let mut resource = vec![0x12];
    put_varint(&mut resource, scope.len() as u64);
    resource.extend(scope);
    let mut request = vec![0x0a];
    put_varint(&mut request, resource.len() as u64);
    request.extend(resource);
    assert_eq!(check(Signal::Logs, &request), Ok(100_000));
    assert_eq!(check(Signal::Traces, &request), Ok(100_000));
    assert_eq!(check(Signal::Metrics, &request), Ok(0));
}

fn fault(bytes: &[u8]) -> (usize, What, String) {
    let error = check(Signal::Metrics, bytes).unwrap_err();
    (error.offset(), error.what(), error.place().to_owned())
}

#[test]
fn a_fault_is_told_with_its_offset_and_place() {
    // resource_metrics { } resource_metrics { scope_metrics { metrics { gauge { data_points: 9 bytes of 2 } } } }
    let bytes = [0x0a, 0, 0x0a, 10, 0x12, 8, 0x12, 6, 0x2a, 4, 0x0a, 9, 1, 2];
    let place = "resource_metrics[1].scope_metrics[0].metrics[0].data";
    assert_eq!(fault(&bytes), (11, What::Overrun(9), place.into()));
    let error = check(Signal::Metrics, &bytes).unwrap_err().to_string();
    let told =
        format!("malformed OTLP at byte 11 in {place}: a length of 9 goes beyond the end of its message");
    assert_eq!(error, told);
}

#[test]
fn numbers_and_tags_that_protobuf_does_not_have_are_refused() {
    let place = || "the request".to_owned();
    assert_eq!(fault(&[0x0a]), (0, What::Cut, place()));
    assert_eq!(fault(&[0x0a, 0x80]), (1, What::Cut, place()));
    let eleven = [0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0];
    assert_eq!(fault(&eleven), (1, What::LongVarint, place()));
    let ten_too_large = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
    assert_eq!(fault(&ten_too_large), (1, What::LongVarint, place()));
    let ten = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(fault(&ten), (1, What::Overrun(u64::MAX), place()));
    assert_eq!(fault(&[0x02, 0]), (0, What::FieldNumber, place()));
    assert_eq!(fault(&[0x80, 0x80, 0x80, 0x80, 0x10, 0]), (0, What::FieldNumber, place()));
    assert_eq!(fault(&[0x0e]), (0, What::WireType(6), place()));
    assert_eq!(fault(&[0x0c]), (0, What::Group, place()));
    assert_eq!(fault(&[0x9b, 0x06]), (1, What::Group, place()));
    assert_eq!(fault(&[0x9b, 0x06, 0xa4, 0x06]), (2, What::Group, place()));
    assert_eq!(fault(&[0x09, 1, 2, 3]), (1, What::Cut, place()));
}

#[test]
fn a_known_field_with_another_wire_type_is_refused_and_an_unknown_one_is_not() {
    assert_eq!(fault(&[0x08, 1]).1, What::Mismatch { field: 1, wire: 0 });
    assert_eq!(fault(&[0x0b, 0x0c]).1, What::Mismatch { field: 1, wire: 3 });
    // Sum.is_monotonic as a string.
    let sum = [0x0a, 8, 0x12, 6, 0x12, 4, 0x3a, 2, 0x1a, 0];
    assert_eq!(fault(&sum).1, What::Mismatch { field: 3, wire: 2 });
    assert_eq!(check(Signal::Metrics, &[0xa0, 0x06, 1]), Ok(0));
    // A ten byte varint in an unknown field is well formed.
    let long = [0xa0, 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(check(Signal::Metrics, &long), Ok(0));
}

#[test]
fn fields_that_a_kind_of_metric_does_not_have_may_come_with_any_wire_type() {
    // A metric's data of this kind with field `number` as an empty string.
    let data = |kind: u8, number: u8| vec![0x0a, 8, 0x12, 6, 0x12, 4, kind << 3 | 2, 2, number << 3 | 2, 0];
    let free = [(5, 2), (5, 3), (9, 3), (10, 3), (11, 2), (11, 3)];
    for (kind, number) in free {
        let request = bytes::Bytes::from(data(kind, number));
        assert_eq!(check(Signal::Metrics, &request), Ok(0), "field {number} of kind {kind}");
    }
    for (kind, number) in [(7, 2), (7, 3), (9, 2), (10, 2)] {
        let what = What::Mismatch { field: number.into(), wire: 2 };
        assert_eq!(fault(&data(kind, number)).1, what, "field {number} of kind {kind}");
    }
}

#[test]
fn groups_nested_too_deep_are_refused() {
    let nested = |n: usize| [[0x9b, 0x06].repeat(n), [0x9c, 0x06].repeat(n)].concat();
    assert_eq!(check(Signal::Logs, &nested(100)), Ok(0));
    assert_eq!(check(Signal::Logs, &nested(101)).unwrap_err().what(), What::Depth);
    assert_eq!(check(Signal::Logs, &nested(1_000_000)).unwrap_err().what(), What::Depth);
}
