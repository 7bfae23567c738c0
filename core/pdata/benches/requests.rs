//! What the bytes operations cost: `cargo bench -p streamgauge-pdata`. Throughput is in items (records) a second.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that is broken stops at the place that broke")]

use bytes::{Bytes, BytesMut};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};
use streamgauge_pdata::edit::{Headers, Record, edit_resources};
use streamgauge_pdata::view::{LogsView, Value};
use streamgauge_pdata::{Body, Grouper, Limit, Signal, check, divide, json, regroup, split};

const RECORDS: usize = 1000;

/// Allocations stand beside the times.
#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// 1000 log records with five attributes each, spread over some resources.
fn logs(groups: usize) -> Bytes {
    let mut request = LogsBuilder::new();
    for group in 0..groups {
        let attributes = [("service.name", "checkout"), ("host.name", "node-7.eu-west-1.example")];
        let mut resource = request.resource(attributes);
        let mut scope = resource.scope("checkout.http", "1.4.0");
        for n in 0..RECORDS / groups {
            let user = format!("u-{:06}", group * RECORDS + n);
            let mut record = scope.record(1_790_000_000_000_000_000 + n as u64);
            record.time(1_790_000_000_000_000_000 + n as u64).severity(9, "INFO");
            record.body("order 0012345 was accepted for delivery by the warehouse");
            record.attribute("http.request.method", "POST").attribute("http.route", "/cart/items");
            record.attribute("http.response.status_code", 200_i64).attribute("user.id", user.as_str());
            record.attribute("region", "eu-west-1").trace([7; 16], [9; 8], 1);
        }
    }
    request.finish()
}

/// 1000 points of 50 gauges.
fn metrics() -> Bytes {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "checkout")]);
        let mut scope = resource.scope("checkout.http", "1.4.0");
        for _ in 0..RECORDS / 20 {
            let mut metric = scope.gauge("app.cart.size", "{item}", "");
            for n in 0..20 {
                let mut point = metric.point(1_790_000_000_000_000_000 + n);
                point.attribute("shopping.cart.id", "0123456789abcdef0123456789abcdef").double(n as f64);
            }
        }
    }
    request.finish()
}

/// What the door does: borders and a count.
#[divan::bench]
fn walk_logs(bencher: Bencher) {
    let request = logs(1);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| check(Signal::Logs, black_box(&request)).unwrap());
}

#[divan::bench]
fn walk_metrics(bencher: Bencher) {
    let request = metrics();
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| check(Signal::Metrics, black_box(&request)).unwrap());
}

/// What the door does not do, for comparison: every attribute of every record.
#[divan::bench]
fn view_attributes(bencher: Bencher) {
    let request = logs(1);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| attributes(black_box(&request)));
}

fn attributes(request: &[u8]) -> usize {
    let mut found = 0;
    for resource in LogsView::new(request).resources() {
        for scope in resource.unwrap().scopes() {
            for record in scope.unwrap().records() {
                found += record.unwrap().attributes().filter(Result::is_ok).count();
            }
        }
    }
    found
}

#[divan::bench]
fn split_by_100(bencher: Bencher) {
    let request = logs(1);
    bencher
        .counter(ItemsCount::new(RECORDS))
        .bench(|| split(Signal::Logs, black_box(&request), Limit::Items(100)).unwrap());
}

/// The upsert of one resource attribute, of a request that somebody else has, too.
#[divan::bench(args = [1, 100])]
fn splice(bencher: Bencher, groups: usize) {
    let request = logs(groups);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| upsert(request.clone().into()));
}

fn upsert(mut body: Body) -> Body {
    edit_resources(Signal::Logs, &mut body, |resource| resource.upsert("team", "shop")).unwrap();
    body
}

/// The same of one that nobody else has, with room behind it, as it came over the wire.
#[divan::bench(args = [1, 100])]
fn splice_in_place(bencher: Bencher, groups: usize) {
    let request = logs(groups);
    let alone = || {
        let mut buffer = BytesMut::with_capacity(request.len() + (16 << 10));
        buffer.extend_from_slice(&request);
        Body::from(buffer.freeze())
    };
    bencher.counter(ItemsCount::new(RECORDS)).with_inputs(alone).bench_values(upsert);
}

/// The upsert of what is there already.
#[divan::bench]
fn splice_nothing(bencher: Bencher) {
    let request = logs(1);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let upsert = |r: &mut streamgauge_pdata::edit::Editor<'_>| r.upsert("service.name", "checkout");
        edit_resources(Signal::Logs, &mut request.clone().into(), upsert).unwrap()
    });
}

/// Gives each record to the group that its attribute `region` names.
#[derive(Default)]
struct ByRegion(String);

impl Headers for ByRegion {}

impl Grouper for ByRegion {
    fn key(&mut self, record: &Record<'_>) -> &str {
        self.0.clear();
        if let Ok(Some(Value::Str(region))) = record.attributes().get("region") {
            self.0.push_str(region);
        }
        &self.0
    }
}

#[divan::bench]
fn regroup_by_record(bencher: Bencher) {
    let request = logs(1);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut body = request.clone().into();
        regroup(Signal::Logs, &mut body, "project.id", "other", &mut ByRegion::default()).unwrap();
        body
    });
}

/// Gives all records of each resource to one group, known without looking at them: a rule of `project` with a fixed value.
struct Whole;

impl Headers for Whole {}

impl Grouper for Whole {
    fn key(&mut self, _: &Record<'_>) -> &str {
        "checkout"
    }

    fn whole(&self) -> Option<&str> {
        Some("checkout")
    }
}

#[divan::bench(args = [1, 100])]
fn regroup_whole(bencher: Bencher, groups: usize) {
    let request = logs(groups);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut body = request.clone().into();
        regroup(Signal::Logs, &mut body, "project.id", "other", &mut Whole).unwrap();
        body
    });
}

/// Resources that go to two places by turns.
#[divan::bench]
fn divide_in_two(bencher: Bencher) {
    let request = logs(100);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut next = 0;
        divide(Signal::Logs, black_box(&request), RECORDS, |resource, places| {
            let known = resource.read().is_ok_and(|resource| resource.attributes().get("team").is_ok());
            next += usize::from(known);
            places.push(next % 2);
        })
        .unwrap()
    });
}

#[divan::bench]
fn json_write(bencher: Bencher) {
    let request = logs(1);
    bencher
        .counter(ItemsCount::new(RECORDS))
        .bench(|| json::write(Signal::Logs, black_box(&request)).unwrap());
}

#[divan::bench]
fn json_read(bencher: Bencher) {
    let text = json::write(Signal::Logs, &logs(1)).unwrap().json;
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| json::read(Signal::Logs, black_box(&text)).unwrap());
}
