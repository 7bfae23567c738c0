//! What stands in the streams.

use streamgauge_component::{Accepted, Exporter as _, Reason};
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_streams::encoding::{Decoder, Encoding, Format, Origin};
use streamgauge_streams::{Entry, StreamId};

use super::*;

#[tokio::test]
async fn records_become_entries_with_their_fields_in_order() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: 'events:{service.name}'\nencoding: fields");
    assert_eq!(exporter.export(&logs(0..2)).await, Ok(Accepted::default()));
    let second = entries(&redis, "events:shop").swap_remove(1);
    let fields: Vec<(&str, &str)> =
        second.iter().map(|(name, value)| (&**name, std::str::from_utf8(value).unwrap())).collect();
    assert_eq!(fields, [("body", "1"), ("k", "1"), ("service.name", "shop")]);
}

#[tokio::test]
async fn every_signal_travels_as_otlp_and_comes_back_as_it_was() {
    let redis = Redis::start();
    let mut metrics = MetricsBuilder::new();
    metrics.resource(()).scope("", "").gauge("g", "1", "").point(5).int(3);
    let metrics = metrics.finish();
    for (encoding, name) in [(Encoding::OtlpProto, "otlp_proto"), (Encoding::OtlpJson, "otlp_json")] {
        let exporter = to(&redis, &format!("stream: '{name}:{{signal}}'\nencoding: {name}"));
        exporter.export(&request(Signal::Metrics, vec![metrics.clone()])).await.unwrap();
        exporter.export(&logs(0..3)).await.unwrap();
        for (signal, expected) in [(Signal::Metrics, metrics.clone()), (Signal::Logs, part(0..3))] {
            let all = entries(&redis, &format!("{name}:{}", signal.name()));
            assert_eq!(all.len(), 1);
            let format = Format::of(encoding);
            let mut decoder = Decoder::new(&format, signal, Origin { stream: b"s", group: None, read_at: 1 });
            let fields = [(&b"body"[..], &*all[0][0].1)];
            decoder.add(&Entry { id: StreamId::ZERO, fields: &fields }, 0).unwrap();
            assert_eq!(decoder.finish().0, expected);
        }
    }
}

#[tokio::test]
async fn a_large_request_is_several_entries_and_a_template_splits_by_resource() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: 's:{service.name}'\nmax_entry_bytes: 2000");
    let mut two = part(0..200).to_vec();
    let mut other = LogsBuilder::new();
    other.resource([("service.name", "cart")]).scope("", "").record(1).body("x");
    two.extend_from_slice(&other.finish());
    exporter.export(&request(Signal::Logs, vec![two.into()])).await.unwrap();
    let shop = entries(&redis, "s:shop");
    assert!(shop.len() > 1 && shop.iter().all(|entry| entry[0].1.len() <= 2000), "{}", shop.len());
    let items = |all: &[Vec<(String, Vec<u8>)>]| {
        all.iter().map(|entry| streamgauge_pdata::count(Signal::Logs, &entry[0].1)).sum::<usize>()
    };
    assert_eq!((items(&shop), items(&entries(&redis, "s:cart"))), (200, 1));
}

#[tokio::test]
async fn with_otlp_records_go_to_the_streams_that_they_name_and_say_what_they_said() {
    let redis = Redis::start();
    let mut logs = LogsBuilder::new();
    let mut resource = logs.resource([("service.name", "shop"), ("topic", "other")]);
    let mut scope = resource.scope("scope", "1");
    for (body, topic) in [("0", Some("chat")), ("1", Some("ticket")), ("2", Some("chat")), ("3", None)] {
        let mut record = scope.record(1);
        record.body(body);
        if let Some(topic) = topic {
            record.attribute("topic", topic);
        }
    }
    drop(scope);
    drop(resource);
    let mixed = logs.finish();
    for (encoding, name) in [(Encoding::OtlpProto, "otlp_proto"), (Encoding::OtlpJson, "otlp_json")] {
        let yaml = format!("stream: '{name}:{{topic}}:{{service.name}}'\nencoding: {name}");
        to(&redis, &yaml).export(&request(Signal::Logs, vec![mixed.clone()])).await.unwrap();
        for (topic, bodies) in [("chat", &["0", "2"][..]), ("ticket", &["1"]), ("other", &["3"])] {
            let all = entries(&redis, &format!("{name}:{topic}:shop"));
            assert_eq!(all.len(), 1, "{topic}");
            let format = Format::of(encoding);
            let origin = Origin { stream: b"s", group: None, read_at: 1 };
            let mut decoder = Decoder::new(&format, Signal::Logs, origin);
            let fields = [(&b"body"[..], &*all[0][0].1)];
            decoder.add(&Entry { id: StreamId::ZERO, fields: &fields }, 0).unwrap();
            let (bytes, items) = decoder.finish();
            assert_eq!(items, bodies.len());
            let seen = streamgauge_pdata::view::LogsView::new(&bytes);
            let resource = seen.resources().next().unwrap().unwrap();
            let names: Vec<_> = resource.attributes().into_iter().flatten().map(|(name, _)| name).collect();
            assert_eq!(names, ["service.name", "topic"], "nothing of ours is left");
            let scope = resource.scopes().next().unwrap().unwrap();
            let found: Vec<_> =
                scope.records().map(|record| record.unwrap().body.to_text().unwrap().into_owned()).collect();
            assert_eq!(found, bodies);
        }
    }
    // Data points by their own attributes.
    let mut metrics = MetricsBuilder::new();
    let (mut resource, mut points) = (metrics.resource(()), 0);
    let mut scope = resource.scope("", "");
    let mut gauge = scope.gauge("g", "1", "");
    for node in ["a", "b", "a"] {
        points += 1;
        gauge.point(5).attribute("node", node).int(points);
    }
    drop(gauge);
    drop(scope);
    drop(resource);
    let metrics = metrics.finish();
    let by_node = to(&redis, "stream: 'm:{node}'\nshards: 2\nshard_by: node");
    by_node.export(&request(Signal::Metrics, vec![metrics])).await.unwrap();
    let mut items = Vec::new();
    for stream in ["m:a:{0}", "m:a:{1}", "m:b:{0}", "m:b:{1}"] {
        let all = entries(&redis, stream);
        items.extend(all.iter().map(|entry| streamgauge_pdata::count(Signal::Metrics, &entry[0].1)));
    }
    items.sort_unstable();
    assert_eq!(items, [1, 2], "one entry a stream");
}

#[tokio::test]
async fn shards_take_turns_and_a_key_keeps_to_its_shard() {
    let redis = Redis::start();
    let round = to(&redis, "stream: r\nshards: 4\nencoding: fields");
    round.export(&logs(0..400)).await.unwrap();
    let lengths: Vec<usize> = (0..4).map(|n| redis.run(&format!("XLEN r:{{{n}}}"))).collect();
    assert_eq!(lengths, [100; 4]);
    let keyed = to(&redis, "stream: k\nshards: 4\nshard_by: k\nencoding: fields");
    keyed.export(&request(Signal::Logs, vec![part(0..50), part(0..50)])).await.unwrap();
    for shard in 0..4 {
        let mut seen = values(&redis, &format!("k:{{{shard}}}"), "k");
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(all, 2 * seen.len(), "each value is twice in its shard");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_dropped_alone_and_counted() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: s\nencoding: fields");
    // A record whose severity_text (field 3) is longer than the record.
    let broken = Bytes::from_static(&[0x0a, 6, 0x12, 4, 0x12, 2, 0x1a, 9]);
    let dropped = Accepted { dropped: vec![(Reason::Malformed, 1)], message: None };
    assert_eq!(exporter.export(&request(Signal::Logs, vec![part(0..2), broken])).await, Ok(dropped));
    assert_eq!(values(&redis, "s", "body"), ["0", "1"]);
}

#[tokio::test]
async fn an_empty_request_writes_nothing_and_is_well() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: s");
    assert_eq!(exporter.export(&request(Signal::Logs, vec![])).await, Ok(Accepted::default()));
}

#[tokio::test]
async fn opsconductors_messages_are_what_its_clients_read() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: 'opsconductor:{service.name}:events'\nencoding: opsconductor");
    exporter.export(&logs(7..8)).await.unwrap();
    let names: Vec<String> = entries(&redis, "opsconductor:shop:events")
        .swap_remove(0)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, streamgauge_streams::encoding::opsconductor::MEMBERS);
}
