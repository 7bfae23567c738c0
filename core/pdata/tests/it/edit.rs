use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue as P, KeyValue, any_value::Value as V};
use proptest::prelude::*;
use streamgauge_pdata::Signal;
use streamgauge_pdata::build::{AnyValue, EncodedValue, LogsBuilder};
use streamgauge_pdata::edit::*;
use streamgauge_pdata::view::{LogsView, Value};

use crate::after::{after, after_in_place};
use crate::decoded::Decoded;
use crate::sample::Gen;

/// What is done to a list of attributes, in order.
#[derive(Debug, Clone)]
enum Op {
    Insert(&'static str, i64),
    Update(&'static str, i64),
    Upsert(&'static str, i64),
    Remove(&'static str),
    Copy(&'static str, &'static str),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = || prop::sample::select(&["a", "b", "c", "service.name", "", "new"][..]);
    let op = prop_oneof![
        (key(), 0..9i64).prop_map(|(k, v)| Op::Insert(k, v)),
        (key(), 0..9i64).prop_map(|(k, v)| Op::Update(k, v)),
        (key(), 0..9i64).prop_map(|(k, v)| Op::Upsert(k, v)),
        key().prop_map(Op::Remove),
        (key(), key()).prop_map(|(a, b)| Op::Copy(a, b)),
    ];
    prop::collection::vec(op, 1..5)
}

fn apply(ops: &[Op], attributes: &mut Editor<'_>) {
    for op in ops {
        match op {
            Op::Insert(key, value) => drop(attributes.insert(key, *value)),
            Op::Update(key, value) => drop(attributes.update(key, *value)),
            Op::Upsert(key, value) => attributes.upsert(key, *value),
            Op::Remove(key) => drop(attributes.remove(key)),
            Op::Copy(from, to) => {
                if let Some(value) = attributes.get(from).unwrap().map(EncodedValue::new) {
                    attributes.upsert(to, &value);
                }
            }
        }
    }
}

/// The same on prost's structs.
fn expect(ops: &[Op], attributes: &mut Vec<KeyValue>) {
    fn set(attributes: &mut Vec<KeyValue>, key: &str, value: P) {
        match attributes.iter().position(|pair| pair.key == key) {
            Some(at) => {
                attributes[at].value = Some(value);
                let mut index = 0;
                attributes.retain(|pair| {
                    index += 1;
                    index - 1 <= at || pair.key != key
                });
            }
            None => attributes.push(KeyValue { key: key.into(), value: Some(value), ..Default::default() }),
        }
    }
    let int = |n: &i64| P { value: Some(V::IntValue(*n)) };
    for op in ops {
        let has = |key: &str| attributes.iter().any(|pair| pair.key == key);
        match op {
            Op::Insert(key, _) if has(key) => {}
            Op::Update(key, _) if !has(key) => {}
            Op::Insert(key, value) | Op::Update(key, value) | Op::Upsert(key, value) => {
                set(attributes, key, int(value));
            }
            Op::Remove(key) => attributes.retain(|pair| pair.key != *key),
            Op::Copy(from, to) => {
                if let Some(pair) = attributes.iter().find(|pair| pair.key == *from) {
                    let value = pair.value.clone().unwrap_or_default();
                    set(attributes, to, value);
                }
            }
        }
    }
}

struct Apply(Vec<Op>);

impl Headers for Apply {}

impl RecordEditor for Apply {
    fn edit(&mut self, _: &Record<'_>, attributes: &mut Editor<'_>) {
        apply(&self.0, attributes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn edited_resources_are_what_the_same_edits_make_of_prosts_structs(
        seed: u64, ops in ops(), signal in prop::sample::select(&Signal::ALL[..])
    ) {
        let request = Bytes::from(Gen::new(seed).request(signal));
        let mut expected = Decoded::new(signal, &request);
        expected.resources().into_iter().for_each(|attributes| expect(&ops, attributes));
        let edit = |body: &mut _| edit_resources(signal, body, |attributes| apply(&ops, attributes));
        let edited = after(&request, edit);
        prop_assert_eq!(&after_in_place(&request, edit), &edited);
        prop_assert!(Decoded::new(signal, &edited.bytes).text() == expected.text(), "another request");
        prop_assert_eq!(edited.broken, 0);
        prop_assert_eq!(edited.changed == 0, edited.bytes.as_ptr() == request.as_ptr() && edited.bytes.len() == request.len());
    }

    #[test]
    fn edited_records_are_what_the_same_edits_make_of_prosts_structs(
        seed: u64, ops in ops(), signal in prop::sample::select(&Signal::ALL[..])
    ) {
        let request = Bytes::from(Gen::new(seed).request(signal));
        let mut expected = Decoded::new(signal, &request);
        expected.records().into_iter().for_each(|attributes| expect(&ops, attributes));
        let edited = after(&request, |body| edit_records(signal, body, &mut Apply(ops.clone())));
        let in_place = after_in_place(&request, |body| edit_records(signal, body, &mut Apply(ops.clone())));
        prop_assert_eq!(&in_place, &edited);
        prop_assert!(Decoded::new(signal, &edited.bytes).text() == expected.text(), "another request");
        prop_assert_eq!(edited.broken, 0);
    }
}

fn one_record(value: impl Fn(&mut LogsBuilder)) -> Bytes {
    let mut builder = LogsBuilder::new();
    value(&mut builder);
    builder.finish()
}

fn resource_text(bytes: &[u8]) -> String {
    let resource = LogsView::new(bytes).resources().next().unwrap().unwrap();
    let pairs = resource.attributes().map(|pair| {
        let (key, value) = pair.unwrap();
        format!("{key}={}", value.to_text().unwrap())
    });
    pairs.collect::<Vec<_>>().join(" ")
}

#[test]
fn values_of_every_type_can_be_set() {
    let request = one_record(|b| drop(b.resource(()).scope("", "").record(1)));
    let set = |r: &mut Editor<'_>| {
        r.upsert("text", "t");
        r.upsert("bool", true);
        r.upsert("int", -1i64);
        r.upsert("double", 0.5);
        r.upsert("array", vec!["x", "y"]);
        r.upsert("any", AnyValue::KvList(vec![("k".into(), AnyValue::Empty)]));
    };
    let edited = after(&request, |body| edit_resources(Signal::Logs, body, set));
    assert_eq!(edited.changed, 1);
    assert_eq!(
        resource_text(&edited.bytes),
        r#"text=t bool=true int=-1 double=0.5 array=["x","y"] any={"k":null}"#
    );
}

#[test]
fn a_resource_x_without_a_resource_gets_one_and_its_scopes_stay() {
    // resource_logs { scope_logs { log_records {} } }
    let request = Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0]);
    let insert = |r: &mut Editor<'_>| assert!(r.insert("k", 1i64));
    let edited = after(&request, |body| edit_resources(Signal::Logs, body, insert));
    assert_eq!(resource_text(&edited.bytes), "k=1");
    assert_eq!(streamgauge_pdata::count(Signal::Logs, &edited.bytes), 1);
    let update = |r: &mut Editor<'_>| assert!(!r.update("k", 1i64));
    let same = after(&request, |body| edit_resources(Signal::Logs, body, update));
    assert_eq!(same.bytes.as_ptr(), request.as_ptr());
}

#[test]
fn the_records_of_an_edited_resource_stay_where_they_are() {
    let body = "x".repeat(40 << 10);
    let request = one_record(|b| {
        b.resource(()).scope("", "").record(1).body(&*body);
    });
    let edited = after(&request, |body| edit_resources(Signal::Logs, body, |r| r.upsert("team", "shop")));
    let [head, records] = edited.bytes.pieces() else { panic!("{} pieces", edited.bytes.pieces().len()) };
    let old = request.as_ptr() as usize..request.as_ptr() as usize + request.len();
    assert!(old.contains(&(records.as_ptr() as usize)) && !old.contains(&(head.as_ptr() as usize)));
    assert!(head.len() < 100 && records.len() > 40 << 10);
    assert_eq!(edited.bytes.len(), head.len() + records.len());
    assert_eq!(streamgauge_pdata::check(Signal::Logs, &edited.bytes), Ok(1));
    assert_eq!(resource_text(&edited.bytes), "team=shop");
}

#[test]
fn a_value_that_is_already_there_changes_nothing() {
    let request = one_record(|b| drop(b.resource([("k", "v")]).scope("", "").record(1)));
    let edited = after(&request, |body| edit_resources(Signal::Logs, body, |r| r.upsert("k", "v")));
    assert_eq!((edited.changed, edited.bytes.as_ptr()), (0, request.as_ptr()));
}

#[test]
fn unknown_fields_of_resource_and_record_survive_an_edit() {
    // Field 50 (varint 7) in ResourceLogs, Resource, ScopeLogs and LogRecord.
    let u = [0x90, 0x03, 7];
    let nested = |tag: u8, inside: &[u8]| [&[tag, inside.len() as u8][..], inside].concat();
    let resource = nested(0x0a, &u);
    let scope = nested(0x12, &[&nested(0x12, &u)[..], &u].concat());
    let request = Bytes::from(nested(0x0a, &[resource, scope, u.to_vec()].concat()));
    let unknown = |bytes: &[u8]| bytes.windows(3).filter(|w| *w == u).count();
    assert_eq!(unknown(&request), 4);
    let edited = after(&request, |body| edit_resources(Signal::Logs, body, |r| r.upsert("k", "v")));
    assert_eq!((edited.changed, unknown(&edited.bytes)), (1, 4));
    let mut upsert = Apply(vec![Op::Upsert("k", 1)]);
    let edited = after(&request, |body| edit_records(Signal::Logs, body, &mut upsert));
    assert_eq!((edited.changed, unknown(&edited.bytes)), (1, 4));
}

#[test]
fn a_record_whose_attributes_are_malformed_is_left_alone_and_counted() {
    // Two records; the first has an attribute that ends inside a field.
    let request = Bytes::from_static(&[0x0a, 9, 0x12, 7, 0x12, 3, 0x32, 1, 0x0a, 0x12, 0]);
    let mut upsert = Apply(vec![Op::Upsert("k", 1)]);
    let edited = after(&request, |body| edit_records(Signal::Logs, body, &mut upsert));
    assert_eq!((edited.changed, edited.broken), (1, 1));
    assert_eq!(edited.bytes[4..9], request[4..9]);
}

#[test]
fn an_editor_hears_the_headers_before_the_records_under_them() {
    #[derive(Default)]
    struct Listen(Vec<String>);
    impl Headers for Listen {
        fn resource(&mut self, resource: Unread<'_, ResourceHeader<'_>>) {
            let name = resource.read().unwrap().attributes().get("name").unwrap();
            self.0.push(format!("resource {}", name.and_then(|v| v.as_str()).unwrap_or("?")));
        }
        fn scope(&mut self, scope: Unread<'_, ScopeHeader<'_>>) {
            self.0.push(format!("scope {}", scope.read().unwrap().name));
        }
    }
    impl RecordEditor for Listen {
        fn edit(&mut self, record: &Record<'_>, attributes: &mut Editor<'_>) {
            let event = record.log_record().unwrap().unwrap().event_name.to_owned();
            self.0.push(format!("record {event}"));
            for pair in attributes.iter() {
                let (key, value) = pair.unwrap();
                assert!(matches!(value, Value::Int(_)));
                self.0.push(key.to_owned());
            }
            assert_eq!(attributes.remove_where(|key| key.starts_with('x')), 1);
        }
    }
    let request = one_record(|b| {
        let mut resource = b.resource([("name", "r")]);
        let mut scope = resource.scope("s", "");
        scope.record(1).event_name("e").attribute("x1", 1).attribute("y", 2);
    });
    let mut listen = Listen::default();
    let edited = after(&request, |body| edit_records(Signal::Logs, body, &mut listen));
    assert_eq!(listen.0, ["resource r", "scope s", "record e", "x1", "y"]);
    assert_eq!(edited.changed, 1);
}

#[test]
fn all_attributes_of_one_key_are_removed_or_changed_in_one_pass() {
    let request = one_record(|b| {
        let twice: Vec<(&str, i64)> =
            (0..100_000).map(|n| (if n % 2 == 0 { "even" } else { "odd" }, n)).collect();
        b.resource(twice).scope("", "").record(1);
    });
    let change = |r: &mut Editor<'_>| {
        assert!(r.remove("even"));
        assert!(!r.remove("even"));
        r.update_where(|key| key == "odd", |value| matches!(value, Ok(Value::Int(_))));
    };
    let bytes = after(&request, |body| edit_resources(Signal::Logs, body, change)).bytes;
    let resource = LogsView::new(&bytes).resources().next().unwrap().unwrap();
    assert_eq!(resource.attributes().count(), 50_000);
    assert!(resource.attributes().all(|pair| matches!(pair, Ok(("odd", Value::Bool(true))))));
}
