use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

/// The same pairs as RESP2 sends them and as RESP3 does.
fn both(pairs: &[(&str, Value)]) -> [Value; 2] {
    let flat = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()]).collect();
    let map =
        pairs.iter().map(|(key, value)| (Value::SimpleString((*key).to_owned()), value.clone())).collect();
    [Value::Array(flat), Value::Map(map)]
}

#[test]
fn a_nil_lag_stays_unknown_in_both_protocols() {
    for group in both(&[
        ("name", text("billing")),
        ("consumers", Value::Int(2)),
        ("pending", Value::Int(7)),
        ("last-delivered-id", text("5-1")),
        ("entries-read", Value::Nil),
        ("lag", Value::Nil),
        ("some-new-field", Value::Boolean(true)),
    ]) {
        let groups = GroupInfo::parse_all(&Value::Array(vec![group, Value::Nil, text("junk")])).unwrap();
        let [group] = groups.as_slice() else { panic!("one group, not {groups:?}") };
        assert_eq!((group.lag, group.entries_read, group.pending), (None, None, 7));
        assert_eq!(group.last_delivered_id, Some(StreamId { ms: 5, seq: 1 }));
    }
}

#[test]
fn a_server_before_7_0_has_no_lag_and_no_entries_added() {
    for stream in
        both(&[("length", Value::Int(0)), ("last-generated-id", text("0-0")), ("first-entry", Value::Nil)])
    {
        let info = StreamInfo::parse(&stream).unwrap();
        assert_eq!((info.length, info.entries_added, info.first_entry), (0, None, None));
    }
}

#[test]
fn the_first_and_last_entry_give_their_ids_and_the_reply_its_size() {
    let entry = |id| Value::Array(vec![text(id), Value::Array(vec![text("f"), text(&"x".repeat(1000))])]);
    for stream in
        both(&[("length", Value::Int(2)), ("first-entry", entry("1-0")), ("last-entry", entry("2-0"))])
    {
        let info = StreamInfo::parse(&stream).unwrap();
        assert_eq!((info.first_entry.unwrap().ms, info.last_entry.unwrap().ms), (1, 2));
        assert!(info.reply_bytes > 2000, "{}", info.reply_bytes);
    }
}

#[test]
fn a_consumer_that_never_did_anything_has_no_inactive_time() {
    let consumer = both(&[
        ("name", text("")),
        ("pending", Value::Int(1)),
        ("idle", Value::Int(-1)),
        ("inactive", Value::Int(-1)),
    ]);
    let consumers = ConsumerInfo::parse_all(&Value::Array(consumer.to_vec())).unwrap();
    assert_eq!(consumers.len(), 2);
    assert!(consumers.iter().all(|c| c.idle_ms.is_none() && c.inactive_ms.is_none()));
}

#[test]
fn a_pending_entry_that_was_given_back_has_no_owner_and_no_idle_time_and_a_fatal_one_its_mark() {
    let entry = |id, consumer, idle, deliveries| {
        Value::Array(vec![text(id), text(consumer), Value::Int(idle), Value::Int(deliveries)])
    };
    let page = vec![entry("7-0", "c", 5, 2), entry("8-0", "", -1, i64::MAX), text("junk"), Value::Nil];
    let page = PendingEntry::parse_page(&Value::Array(page)).unwrap();
    let id = |ms| StreamId { ms, seq: 0 };
    let given_back =
        PendingEntry { id: id(8), consumer: Vec::new(), idle_ms: None, deliveries: i64::MAX as u64 };
    let held = PendingEntry { id: id(7), consumer: b"c".to_vec(), idle_ms: Some(5), deliveries: 2 };
    assert_eq!(page, [held, given_back]);
}

#[test]
fn a_page_of_entries_gives_their_ids_or_nothing() {
    let entry = |id| Value::Array(vec![text(id), Value::Array(vec![text("f"), text("v")])]);
    let ids = entry_ids(&Value::Array(vec![entry("1-1"), entry("2-0")])).unwrap();
    assert_eq!(ids, [StreamId { ms: 1, seq: 1 }, StreamId { ms: 2, seq: 0 }]);
    assert_eq!(entry_ids(&Value::Array(vec![entry("1-1"), Value::Nil])), None);
}

fn any_reply() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "name",
        "consumers",
        "pending",
        "lag",
        "entries-read",
        "last-delivered-id",
        "length",
        "first-entry",
        "idle",
        "1-2",
        "18446744073709551616-0",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<i64>().prop_map(Value::Int),
        key.prop_map(|key| Value::BulkString(key.as_bytes().to_vec())),
        any::<Vec<u8>>().prop_map(Value::BulkString),
        any::<f64>().prop_map(Value::Double),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..6).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn no_reply_makes_a_parser_panic(reply in any_reply()) {
        let _ = StreamInfo::parse(&reply);
        let _ = GroupInfo::parse_all(&reply);
        let _ = ConsumerInfo::parse_all(&reply);
        let _ = PendingEntry::parse_page(&reply);
        let _ = entry_ids(&reply);
        let _ = crate::reply::scan_page(&reply);
    }
}
