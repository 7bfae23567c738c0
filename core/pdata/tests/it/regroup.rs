use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue as P, KeyValue, any_value::Value as V};
use proptest::prelude::*;
use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};
use streamgauge_pdata::edit::{Headers, Record};
use streamgauge_pdata::view::{LogsView, MetricsView};
use streamgauge_pdata::{Grouper, Signal, check, regroup};

use crate::after::{after, after_in_place};
use crate::decoded::{Decoded, Flat};
use crate::sample::{Gen, put_varint};

/// Groups by the attribute `a`, as text.
#[derive(Default)]
struct ByA(String);

impl Headers for ByA {}

impl Grouper for ByA {
    fn key(&mut self, record: &Record<'_>) -> &str {
        let value = record.attributes().get("a").unwrap();
        self.0 = value.map_or("none".into(), |value| value.to_text().unwrap().into_owned());
        &self.0
    }
}

/// What regrouping must make of the records: by resource, then by key in the order of the first.
fn expected(records: Vec<Flat>, keys: &[String]) -> Vec<Flat> {
    let mut out: Vec<Flat> = vec![];
    let resources = records.last().map_or(0, |last| last.index + 1);
    for index in 0..resources {
        let of = |at: &usize| records[*at].index == index;
        let mine: Vec<usize> = (0..records.len()).filter(of).collect();
        let mut order: Vec<&String> = vec![];
        mine.iter().for_each(|at| {
            if !order.contains(&&keys[*at]) {
                order.push(&keys[*at]);
            }
        });
        for key in order {
            for at in mine.iter().filter(|at| &keys[**at] == key) {
                let mut record = Flat { index: 0, ..records[*at].clone() };
                let value = Some(P { value: Some(V::StringValue(key.clone())) });
                match record.resource.iter().position(|pair| pair.key == "project.id") {
                    Some(first) => {
                        record.resource[first].value = value;
                        let mut index = 0;
                        record.resource.retain(|pair| {
                            index += 1;
                            index - 1 <= first || pair.key != "project.id"
                        });
                    }
                    None => record.resource.push(KeyValue {
                        key: "project.id".into(),
                        value,
                        ..Default::default()
                    }),
                }
                out.push(record);
            }
        }
    }
    out
}

/// The text of `a` as the views give it, for every record.
fn keys(signal: Signal, request: &Bytes) -> Vec<String> {
    struct Note(ByA, Vec<String>);
    impl Headers for Note {}
    impl Grouper for Note {
        fn key(&mut self, record: &Record<'_>) -> &str {
            let key = self.0.key(record);
            self.1.push(key.to_owned());
            key
        }
    }
    let mut note = Note(ByA::default(), vec![]);
    after(request, |body| regroup(signal, body, "x", "overflow", &mut note));
    note.1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_record_comes_once_under_a_resource_that_has_its_key(
        seed: u64, signal in prop::sample::select(&Signal::ALL[..])
    ) {
        let request = Bytes::from(Gen::new(seed).request(signal));
        let by_a = |body: &mut _| regroup(signal, body, "project.id", "overflow", &mut ByA::default());
        let grouped = after(&request, by_a);
        prop_assert_eq!(&after_in_place(&request, by_a), &grouped);
        let got = Decoded::new(signal, &grouped.bytes).flat().into_iter().map(|record| Flat { index: 0, ..record });
        let before = Decoded::new(signal, &request).flat();
        prop_assert!(got.eq(expected(before, &keys(signal, &request))), "the records are others");
        prop_assert_eq!(check(signal, &grouped.bytes), check(signal, &request));
    }
}

#[test]
fn the_points_of_one_metric_are_split_by_key() {
    let mut builder = MetricsBuilder::new();
    {
        let mut resource = builder.resource([("k", "v")]);
        let mut scope = resource.scope("s", "");
        let mut gauge = scope.gauge("g", "1", "");
        gauge.point(1).attribute("a", "x").int(1);
        gauge.point(2).attribute("a", "y").int(2);
        gauge.point(3).attribute("a", "x").int(3);
    }
    let request = builder.finish();
    let by_a = |body: &mut _| regroup(Signal::Metrics, body, "p", "overflow", &mut ByA::default());
    let grouped = after(&request, by_a);
    let flat = Decoded::new(Signal::Metrics, &grouped.bytes).flat();
    let indexes: Vec<usize> = flat.iter().map(|point| point.index).collect();
    assert_eq!(indexes, [0, 0, 1]);
}

/// Every record has another key.
#[derive(Default)]
struct Each(usize, String);

impl Headers for Each {}

impl Grouper for Each {
    fn key(&mut self, _: &Record<'_>) -> &str {
        self.0 += 1;
        self.1 = self.0.to_string();
        &self.1
    }
}

/// The attribute `p` of every resource.
fn stamps(request: &[u8]) -> Vec<String> {
    let resources = LogsView::new(request).resources();
    resources
        .map(|resource| {
            resource.unwrap().attributes().get("p").unwrap().unwrap().as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn keys_beyond_the_bound_on_copied_headers_go_under_the_overflow() {
    for (large_resource, large_scope) in [(8 << 20, 1), (1, 8 << 20)] {
        let mut builder = MetricsBuilder::new();
        {
            let mut resource = builder.resource([("k", "v".repeat(large_resource))]);
            let mut scope = resource.scope(&"s".repeat(large_scope), "");
            let mut gauge = scope.gauge("g", "1", "");
            for _ in 0..1000 {
                gauge.point(1).int(1);
            }
        }
        let request = builder.finish();
        let each = |body: &mut _| regroup(Signal::Metrics, body, "p", "overflow", &mut Each::default());
        let grouped = after(&request, each);
        assert_eq!(check(Signal::Metrics, &grouped.bytes), Ok(1000));
        assert!(grouped.bytes.len() < 80 << 20, "{} bytes", grouped.bytes.len());
        let last = MetricsView::new(&grouped.bytes).resources().last().unwrap().unwrap();
        assert_eq!(last.attributes().get("p").unwrap().unwrap().as_str(), Some("overflow"));
    }
}

#[test]
fn time_is_linear_in_scopes_and_keys() {
    let (n, mut builder) = (20_000, LogsBuilder::new());
    {
        let mut resource = builder.resource([("k", "v")]);
        for time in 0..n {
            resource.scope("s", "").record(time);
        }
    }
    let request = builder.finish();
    let start = Instant::now();
    let each = |body: &mut _| regroup(Signal::Logs, body, "p", "overflow", &mut Each::default());
    let grouped = after(&request, each);
    // Walking all scopes once for each key takes a hundred times as long.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(stamps(&grouped.bytes), (1..=n).map(|key| key.to_string()).collect::<Vec<_>>());
}

#[test]
fn new_resources_are_charged_for_their_stamp() {
    let mut builder = LogsBuilder::new();
    {
        let mut resource = builder.resource([("k", "v")]);
        let mut scope = resource.scope("s", "");
        for time in 0..200 {
            scope.record(time);
        }
    }
    let attribute = "p".repeat(1 << 20);
    let each = |body: &mut _| regroup(Signal::Logs, body, &attribute, "overflow", &mut Each::default());
    let grouped = after(&builder.finish(), each);
    assert_eq!(check(Signal::Logs, &grouped.bytes), Ok(200));
    assert_eq!(LogsView::new(&grouped.bytes).resources().count(), 1 + 63 + 1, "first, bound, overflow");
}

#[test]
fn copied_fields_are_charged_for_their_place_also_when_they_are_tiny() {
    // Unknown fields (20, varint 1) between empty scopes, and a scope of a thousand records.
    let mut resource = [0xa0, 0x01, 1, 0x12, 0].repeat(100_000);
    let records = [0x12, 0].repeat(1000);
    resource.push(0x12);
    put_varint(&mut resource, records.len() as u64);
    resource.extend(records);
    let mut request = vec![0x0a];
    put_varint(&mut request, resource.len() as u64);
    request.extend(resource);
    let each = |body: &mut _| regroup(Signal::Logs, body, "p", "overflow", &mut Each::default());
    let grouped = after(&request.into(), each);
    assert_eq!(check(Signal::Logs, &grouped.bytes), Ok(1000));
    // 64 MiB / (100,000 * (3 + 32) + 64 + 1 + 2)
    assert_eq!(stamps(&grouped.bytes).len(), 1 + 19 + 1, "first, bound, overflow");
}

#[test]
fn what_is_not_copied_is_not_charged() {
    let mut builder = LogsBuilder::new();
    {
        let mut resource = builder.resource([("k", "v".repeat(2 << 20))]);
        for key in ["x"; 100].iter().chain(&["y"]) {
            resource.scope("s", "").record(1).attribute("a", *key);
        }
    }
    let by_a = |body: &mut _| regroup(Signal::Logs, body, "p", "overflow", &mut ByA::default());
    let grouped = after(&builder.finish(), by_a);
    assert_eq!(stamps(&grouped.bytes), ["x", "y"]);
}

/// One key for everything; `true` knows it without looking at the records.
struct Same(bool);

impl Headers for Same {}

impl Grouper for Same {
    fn key(&mut self, _: &Record<'_>) -> &str {
        "p-7"
    }

    fn whole(&self) -> Option<&str> {
        self.0.then_some("p-7")
    }
}

proptest! {
    #[test]
    fn a_key_that_is_known_without_the_records_gives_the_same_request(seed: u64) {
        for signal in Signal::ALL {
            let request = Bytes::from(Gen::new(seed).request(signal));
            let same = |whole| after(&request, |body| regroup(signal, body, "p", "overflow", &mut Same(whole)));
            let [known, asked] = [true, false].map(same);
            prop_assert_eq!(known, asked);
        }
    }
}
