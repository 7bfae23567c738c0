//! Entries and requests, there and back.

use proptest::prelude::*;
use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};
use streamgauge_pdata::view::{LogsView, Value};
use streamgauge_pdata::{Signal, check, json};

use super::*;
use crate::{Entry, StreamId};

type Owned = Vec<(Vec<u8>, Vec<u8>)>;

const ID: StreamId = StreamId { ms: 1_700_000_000_000, seq: 7 };
const NOW: u64 = 1_700_000_000_500_000_000;

fn borrowed(fields: &Owned) -> Vec<(&[u8], &[u8])> {
    fields.iter().map(|(name, value)| (&**name, &**value)).collect()
}

fn owned(fields: &[(&str, &str)]) -> Owned {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn decode(
    format: &Format,
    signal: Signal,
    entries: &[Owned],
) -> (bytes::Bytes, Vec<Result<usize, Undecodable>>) {
    let origin = Origin { stream: b"orders", group: Some("billing"), read_at: NOW };
    let mut decoder = Decoder::new(format, signal, origin);
    let added =
        entries.iter().map(|fields| decoder.add(&Entry { id: ID, fields: &borrowed(fields) }, 1)).collect();
    let (bytes, items) = decoder.finish();
    assert_eq!(check(signal, &bytes), Ok(items));
    (bytes, added)
}

fn encode(format: &Format, signal: Signal, request: &[u8]) -> Vec<Owned> {
    let mut entries = Vec::new();
    let broken = format.encode(signal, request, &mut Fields::default(), &mut |message| {
        entries.push(message.fields.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect());
    });
    assert_eq!(broken, 0);
    entries
}

/// A record as time, body, attributes, trace id and event name, in text.
type Seen = (u64, String, Vec<(String, String)>, Vec<u8>, String);

fn records(request: &[u8]) -> Vec<Seen> {
    let mut all = Vec::new();
    for resource in LogsView::new(request).resources().flatten() {
        for record in resource.scopes().flatten().flat_map(|scope| scope.records()).flatten() {
            let text = |value: Value<'_>| value.to_text().unwrap().into_owned();
            let attributes = record.attributes().flatten().map(|(k, v)| (k.to_owned(), text(v))).collect();
            let event = record.event_name.to_owned();
            all.push((record.time, text(record.body), attributes, record.trace_id.to_vec(), event));
        }
    }
    all
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"body".to_vec()),
        Just(b"redis.stream.entry_id".to_vec()),
        Just(b"redis.stream.field.hex.ff".to_vec()),
        Just(b"traceparent".to_vec()),
        Just(b"correlation_id".to_vec()),
        "[a-c]{0,2}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,8}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..200),
        Just(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec()),
        Just(b"0af7651916cd43dd8448eb211c80319c".to_vec()),
    ]
}

proptest! {
    #[test]
    fn with_fields_an_entry_comes_back_with_order_duplicates_and_bytes_that_are_not_utf8(
        entries in proptest::collection::vec(proptest::collection::vec((name(), value()), 1..8), 1..5),
    ) {
        let format = Format::of(Encoding::Fields);
        let (request, added) = decode(&format, Signal::Logs, &entries);
        prop_assert!(added.iter().all(|added| *added == Ok(1)));
        prop_assert_eq!(encode(&format, Signal::Logs, &request), entries);
    }

    #[test]
    fn otlp_requests_come_back_as_they_were_and_joined_are_one_request(
        bodies in proptest::collection::vec("[a-z]{0,300}", 1..6),
        proto: bool,
    ) {
        let format = Format::of(if proto { Encoding::OtlpProto } else { Encoding::OtlpJson });
        let requests: Vec<bytes::Bytes> = bodies.iter().map(|body| {
            let mut logs = LogsBuilder::new();
            let mut resource = logs.resource([("service.name", body.as_str())]);
            resource.scope("s", "1").record(5).body(body.as_str());
            drop(resource);
            logs.finish()
        }).collect();
        let entries: Vec<Owned> =
            requests.iter().flat_map(|request| encode(&format, Signal::Logs, request)).collect();
        let (joined, added) = decode(&format, Signal::Logs, &entries);
        prop_assert_eq!(added.len(), bodies.len());
        prop_assert_eq!(joined, requests.concat());
    }

    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::both_ways(&data);
    }
}

#[test]
fn what_looks_like_entries_and_requests_survives_broken_bytes() {
    let format = Format::of(Encoding::Fields);
    let (request, _) = decode(&format, Signal::Logs, &[owned(&[("a", "1"), ("body", "x|y")])]);
    let seeds: [&[u8]; 4] = [
        &request,
        br#"{"a":[1,2.5,null]}|{"x":{}}|user_login|1700000000.25"#,
        b"redis.stream.entry_id|1|\xff|2",
        b"{}|[]|\xff|nan",
    ];
    for seed in seeds {
        for at in 0..seed.len() {
            for change in [0, 1, 0x7f, 0xff, b'|', b'"'] {
                let mut data = seed.to_vec();
                data[at] = change;
                fuzz::both_ways(&data);
                fuzz::both_ways(&data[..at]);
            }
        }
    }
}

#[test]
fn each_field_is_an_attribute_one_the_body_and_the_id_names_event_and_time() {
    let format = Format::of(Encoding::Fields);
    let entry = owned(&[("level", "info"), ("body", "paid"), ("n", "1")]);
    let origin = Origin { stream: b"orders", group: Some("billing"), read_at: NOW };
    let mut decoder = Decoder::new(&format, Signal::Logs, origin);
    decoder.add(&Entry { id: ID, fields: &borrowed(&entry) }, 3).unwrap();
    let (request, _) = decoder.finish();
    let resource = LogsView::new(&request).resources().flatten().next().unwrap();
    assert_eq!(resource.attributes().get(STREAM).unwrap().unwrap().to_text().unwrap(), "orders");
    assert_eq!(resource.attributes().get(GROUP).unwrap().unwrap().to_text().unwrap(), "billing");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let attributes = vec![
        pair(ENTRY_ID, "1700000000000-7"),
        pair(DELIVERIES, "3"),
        pair("level", "info"),
        pair("n", "1"),
        pair(BODY_POSITION, "1"),
    ];
    let record = (ID.ms * 1_000_000, "paid".to_owned(), attributes, vec![], String::new());
    assert_eq!(records(&request), [record]);
}

#[test]
fn an_id_that_is_no_time_gives_no_time() {
    for (ms, expected) in [(1, 0), (u64::MAX, 0), (1_000_000_000_000, 1_000_000_000_000_000_000)] {
        let format = Format::of(Encoding::Fields);
        let mut decoder =
            Decoder::new(&format, Signal::Logs, Origin { stream: b"s", group: None, read_at: NOW });
        let fields: [(&[u8], &[u8]); 1] = [(b"a", b"")];
        decoder.add(&Entry { id: StreamId { ms, seq: u64::MAX }, fields: &fields }, 0).unwrap();
        let record = records(&decoder.finish().0).remove(0);
        assert_eq!((record.0, &*record.2[0].1), (expected, &*format!("{ms}-{}", u64::MAX)));
    }
}

#[test]
fn a_traceparent_and_a_correlation_id_become_the_trace_and_a_trace_becomes_a_traceparent() {
    let format = Format::of(Encoding::Fields);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let entries = [
        owned(&[("traceparent", parent)]),
        owned(&[("correlation_id", "0af76519-16cd-43dd-8448-eb211c80319c")]),
        owned(&[("correlation_id", "order-1")]),
    ];
    let (request, _) = decode(&format, Signal::Logs, &entries);
    let ids: Vec<usize> = records(&request).iter().map(|record| record.3.len()).collect();
    assert_eq!(ids, [16, 16, 0]);

    let mut logs = LogsBuilder::new();
    let mut resource = logs.resource([("service.name", "shop")]);
    resource.scope("", "").record(1).time(9).severity(9, "INFO").body("x").trace([1; 16], [2; 8], 1);
    drop(resource);
    let traceparent = format!("00-{}-{}-01", "01".repeat(16), "02".repeat(8));
    let expected = owned(&[
        ("body", "x"),
        ("time_unix_nano", "9"),
        ("severity", "INFO"),
        ("traceparent", &traceparent),
        ("service.name", "shop"),
    ]);
    assert_eq!(encode(&format, Signal::Logs, &logs.finish()), [expected]);
}

#[test]
fn json_is_a_body_with_structure_and_text_must_be_text() {
    let json = Format { encoding: Encoding::Json, body_key: "payload".to_owned() };
    let entry = owned(&[("payload", r#"{"a":[1,"x",null]}"#), ("k", "v")]);
    let (request, added) = decode(&json, Signal::Logs, std::slice::from_ref(&entry));
    assert_eq!(added, [Ok(1)]);
    assert_eq!(encode(&json, Signal::Logs, &request), [entry]);

    let text = Format::of(Encoding::Text);
    let (request, added) = decode(&text, Signal::Logs, &[owned(&[("k", "v"), ("body", "hi")])]);
    assert_eq!(added, [Ok(1)]);
    assert_eq!(encode(&text, Signal::Logs, &request), [owned(&[("body", "hi")])]);
}

#[test]
fn what_is_undecodable_is_said_with_its_field_and_leaves_its_neighbours() {
    let bad_utf8 = vec![(b"body".to_vec(), b"\xff".to_vec())];
    for (encoding, entry, kind, words) in [
        (Encoding::Json, owned(&[("a", "1")]), "no_body", "no field \"body\""),
        (Encoding::Json, owned(&[("body", "{")]), "body", "field \"body\""),
        (Encoding::Text, bad_utf8.clone(), "body", "utf-8"),
        (Encoding::OtlpProto, bad_utf8.clone(), "otlp_proto", "field \"body\""),
        (Encoding::OtlpJson, owned(&[("body", "{\"resourceLogs\":1}")]), "otlp_json", "resourceLogs"),
        (Encoding::Opsconductor, owned(&[("data", "{}")]), "no_event_type", "event_type"),
        (Encoding::Opsconductor, owned(&[("event_type", "e"), ("data", "[]")]), "body", "an object"),
        (Encoding::Opsconductor, owned(&[("event_type", "e"), ("data", "{x")]), "body", "field \"data\""),
    ] {
        let good = match encoding {
            Encoding::OtlpProto => owned(&[("body", "")]),
            Encoding::OtlpJson => owned(&[("body", "{}")]),
            _ => owned(&[("body", "{}"), ("event_type", "e"), ("data", "{}")]),
        };
        let format = Format::of(encoding);
        let (_, added) = decode(&format, Signal::Logs, &[good.clone(), entry, good]);
        assert!(added[0].is_ok() && added[2].is_ok(), "{encoding:?}");
        let error = added[1].clone().unwrap_err();
        assert_eq!(error.kind, kind, "{encoding:?}: {error}");
        assert!(error.message.contains(words), "{encoding:?}: {error}");
    }
}

#[test]
fn metrics_travel_in_both_otlp_encodings_and_in_no_other() {
    let mut metrics = MetricsBuilder::new();
    metrics.resource(()).scope("", "").gauge("g", "1", "").point(5).int(3);
    let request = metrics.finish();
    for encoding in [Encoding::OtlpProto, Encoding::OtlpJson] {
        assert!(encoding.carries(Signal::Metrics));
        let format = Format::of(encoding);
        let (back, added) = decode(&format, Signal::Metrics, &encode(&format, Signal::Metrics, &request));
        assert_eq!(added, [Ok(1)]);
        assert_eq!(json::write(Signal::Metrics, &back), json::write(Signal::Metrics, &request));
    }
    assert!(!Encoding::Fields.carries(Signal::Metrics) && !Encoding::Opsconductor.carries(Signal::Traces));
}

fn message(event_type: &str) -> Owned {
    owned(&[
        ("stream", "identity"),
        ("event_type", event_type),
        ("service", "identity-service"),
        ("data", r#"{"user":{"id":7},"tags":["a"]}"#),
        ("priority", "HIGH"),
        ("timestamp", "1700000000.25"),
        ("retry_count", "1"),
        ("max_retries", "3"),
        ("correlation_id", "0af76519-16cd-43dd-8448-eb211c80319c"),
        ("user_id", ""),
    ])
}

#[test]
fn a_message_of_opsconductor_comes_back_equal_for_every_known_type() {
    let format = Format::of(Encoding::Opsconductor);
    let types: Vec<&str> = opsconductor::EVENT_TYPES.iter().flat_map(|(_, types)| *types).copied().collect();
    assert_eq!(types.len(), 22);
    let messages: Vec<Owned> = types.iter().map(|event_type| message(event_type)).collect();
    let (request, _) = decode(&format, Signal::Logs, &messages);
    assert_eq!(encode(&format, Signal::Logs, &request), messages);
    let record = records(&request).remove(0);
    assert_eq!((record.0, &*record.1), (1_700_000_000_250_000_000, r#"{"user":{"id":7},"tags":["a"]}"#));
    assert_eq!((record.3.len(), &*record.4), (16, "user_created"));
    assert!(
        types.iter().all(|known| opsconductor::known(known.as_bytes()).is_some())
            && opsconductor::known(b"other").is_none()
    );
}

#[test]
fn a_message_with_gaps_gets_the_systems_defaults_and_any_case_of_priority_is_read() {
    let format = Format::of(Encoding::Opsconductor);
    let entries = [
        owned(&[("event_type", "e"), ("priority", "critical")]),
        owned(&[("event_type", "e"), ("data", "")]),
    ];
    let (request, _) = decode(&format, Signal::Logs, &entries);
    let back = encode(&format, Signal::Logs, &request);
    let get = |entry: &Owned, name: &str| {
        let (_, value) = entry.iter().find(|(found, _)| found == name.as_bytes()).unwrap();
        String::from_utf8(value.clone()).unwrap()
    };
    let names: Vec<&str> = back[0].iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect();
    assert_eq!(names, opsconductor::MEMBERS);
    assert_eq!((get(&back[0], "priority"), get(&back[1], "priority")), ("CRITICAL".into(), "NORMAL".into()));
    assert_eq!((get(&back[1], "data"), get(&back[1], "max_retries")), ("{}".into(), "3".into()));
    assert_eq!(get(&back[1], "timestamp"), "1700000000.0", "the entry's own time");
}

#[test]
fn any_log_record_becomes_a_message_whose_data_is_an_object() {
    let format = Format::of(Encoding::Opsconductor);
    let mut logs = LogsBuilder::new();
    let mut resource = logs.resource([("service.name", "assets-service")]);
    resource.scope("", "").record(5).body("disk full").attribute("disk", "sda");
    drop(resource);
    let entry = encode(&format, Signal::Logs, &logs.finish()).remove(0);
    assert_eq!(entry[0].1, b"assets");
    assert_eq!(entry[1].1, b"log");
    assert_eq!(entry[3].1, br#"{"body":"disk full","disk":"sda"}"#);
}

#[test]
fn short_names_and_services_are_the_systems_streams() {
    for (given, key) in [
        ("identity", "opsconductor:identity:events"),
        ("identity-service", "opsconductor:identity:events"),
        ("dead_letter", "opsconductor:dead_letter:events"),
    ] {
        assert_eq!(opsconductor::stream_key(opsconductor::short_name(given)), key);
    }
    assert_eq!(opsconductor::stream_key("events:chat"), "events:chat");
}
