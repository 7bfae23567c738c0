use proptest::prelude::*;
use prost::Message;
use streamgauge_pdata::Signal;
use streamgauge_pdata::view::*;

use crate::oracle::{self, Plain};
use crate::sample::Gen;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_logs_view_sees_what_prost_decodes(seed: u64) {
        let bytes = Gen::new(seed).request(Signal::Logs);
        let decoded = Message::decode(&bytes[..]).map(Plain::plain).unwrap();
        prop_assert_eq!(oracle::logs(&bytes).unwrap(), decoded);
    }

    #[test]
    fn a_traces_view_sees_what_prost_decodes(seed: u64) {
        let bytes = Gen::new(seed).request(Signal::Traces);
        let decoded = Message::decode(&bytes[..]).map(Plain::plain).unwrap();
        prop_assert_eq!(oracle::traces(&bytes).unwrap(), decoded);
    }

    #[test]
    fn a_metrics_view_sees_what_prost_decodes(seed: u64) {
        let bytes = Gen::new(seed).request(Signal::Metrics);
        let decoded = Message::decode(&bytes[..]).map(Plain::plain).unwrap();
        prop_assert_eq!(oracle::metrics(&bytes).unwrap(), decoded);
    }
}

/// `number` as a field with these bytes.
fn field(number: u8, inside: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    crate::sample::put_varint(&mut out, inside.len() as u64);
    out.extend_from_slice(inside);
    out
}

fn logs_request(records: &[Vec<u8>]) -> Vec<u8> {
    let records: Vec<u8> = records.iter().flat_map(|record| field(2, record)).collect();
    field(1, &field(2, &records))
}

fn records(bytes: &[u8]) -> Vec<Result<LogRecordView<'_>, streamgauge_pdata::Malformed>> {
    let mut all = vec![];
    for resource in LogsView::new(bytes).resources() {
        for scope in resource.unwrap().scopes() {
            all.extend(scope.unwrap().records());
        }
    }
    all
}

#[test]
fn a_broken_record_is_an_error_for_that_record_only() {
    let bytes = logs_request(&[field(12, b"first"), field(12, b"\xff"), vec![0x0a], field(12, b"last")]);
    let all = records(&bytes);
    assert_eq!(all[0].as_ref().unwrap().event_name, "first");
    let error = all[1].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "malformed OTLP at byte 17 in a log record: a string is not UTF-8");
    assert!(all[2].is_err());
    assert_eq!(all[3].as_ref().unwrap().event_name, "last");
}

#[test]
fn a_broken_attribute_is_an_error_at_its_place_and_ends_the_list() {
    let bytes = logs_request(&[[field(6, &field(1, b"a")), field(6, b"\x0f"), field(6, b"")].concat()]);
    let record = records(&bytes).remove(0).unwrap();
    assert!(record.attributes().get("a").unwrap().is_some());
    assert!(record.attributes().get("b").is_err());
}

#[test]
fn the_last_kind_of_a_metrics_data_counts_and_its_neighbours_are_merged() {
    let point = |n: u8| field(1, &[3 << 3 | 1, n, 0, 0, 0, 0, 0, 0, 0]);
    let metric = [
        field(7, &point(1)),
        field(5, &point(2)),
        field(7, &point(3)),
        field(7, &[2 << 3, 2]),
        field(7, &point(4)),
    ];
    let bytes = field(1, &field(2, &field(2, &metric.concat())));
    let decoded = Message::decode(&bytes[..]).map(Plain::plain).unwrap();
    assert_eq!(oracle::metrics(&bytes).unwrap(), decoded);
    assert_eq!(streamgauge_pdata::check(Signal::Metrics, &bytes), Ok(2));
}

#[test]
fn a_value_nested_a_hundred_thousand_deep_is_an_error_and_not_a_stack_overflow() {
    // Built inside out: an array in an array.
    let mut value: Vec<u8> = vec![];
    for _ in 0..100_000 {
        let mut outer = Vec::with_capacity(value.len() + 12);
        let array = field(1, &value);
        outer.extend(field(5, &array[..]));
        value = outer;
        if value.len() > 2_000_000 {
            break;
        }
    }
    let bytes = logs_request(&[field(5, &value)]);
    let record = records(&bytes).remove(0).unwrap();
    assert!(matches!(record.body, Value::Array(_)));
    assert!(record.body.to_text().is_err());
    assert!(record.body.to_any().is_err());
}

#[test]
fn values_become_the_text_that_the_collector_writes() {
    use streamgauge_pdata::build::{AnyValue, LogsBuilder};
    let text = |value: AnyValue| {
        let mut request = LogsBuilder::new();
        request.resource(()).scope("", "").record(1).body(value);
        let bytes = request.finish();
        records(&bytes)[0].as_ref().unwrap().body.to_text().unwrap().into_owned()
    };
    assert_eq!(text(AnyValue::Empty), "");
    assert_eq!(text(AnyValue::Str("a\"b".into())), "a\"b");
    assert_eq!(text(AnyValue::Bool(true)), "true");
    assert_eq!(text(AnyValue::Int(-5)), "-5");
    assert_eq!(text(AnyValue::Double(1.5)), "1.5");
    assert_eq!(text(AnyValue::Bytes(vec![0xff, 0, 1, 2])), "/wABAg==");
    let list = AnyValue::KvList(vec![
        ("k\n".into(), AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Empty, AnyValue::Double(f64::NAN)])),
        ("".into(), AnyValue::KvList(vec![])),
    ]);
    assert_eq!(text(list), r#"{"k\n":[1,null,"NaN"],"":{}}"#);
}

#[test]
fn numbers_in_a_row_are_read_packed_and_one_by_one() {
    let fixed = |n: u8| [vec![6 << 3 | 1, n], vec![0; 7]].concat();
    let packed = field(6, &[[3, 0, 0, 0, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0, 0]].concat());
    let point = [fixed(1), fixed(2), packed].concat();
    let bytes = field(1, &field(2, &field(2, &field(9, &field(1, &point)))));
    let decoded = Message::decode(&bytes[..]).map(Plain::plain).unwrap();
    assert_eq!(oracle::metrics(&bytes).unwrap(), decoded);
    let counts = [field(1, b""), vec![2 << 3, 5], field(2, &[6, 0x80, 1]), vec![2 << 3, 7]].concat();
    let wrong = field(1, &field(2, &field(2, &field(10, &field(1, &field(8, &counts))))));
    assert!(oracle::metrics(&wrong).is_err());
    let bytes = field(1, &field(2, &field(2, &field(10, &field(1, &field(8, &counts[2..]))))));
    let decoded = Message::decode(&bytes[..]).map(Plain::plain).unwrap();
    assert_eq!(oracle::metrics(&bytes).unwrap(), decoded);
}
