//! Data for every signal: what a component may be given by a well-behaved neighbour, and what not.

use bytes::Bytes;
use serde_json::Value;
use streamgauge_component::Signal;
use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};
use streamgauge_pdata::count;

const NOW: u64 = 1_700_000_000_000_000_000;

/// Requests of a signal, each with its number of items: two rounds of what the section asks about, nothing at all, and
/// bytes whose inside is broken in several ways.
pub fn requests(signal: Signal, section: &Value) -> Vec<(Bytes, usize)> {
    let good = |round| match signal {
        Signal::Metrics => metrics(section, round),
        Signal::Logs => logs(round),
        Signal::Traces => traces(),
    };
    let whole = good(0);
    let mut requests = vec![whole.clone(), good(1), Bytes::new()];
    // Broken inside: single bytes made wrong, all over the request.
    for at in (0..whole.len()).step_by(1 + whole.len() / 40) {
        let mut broken = whole.to_vec();
        broken[at] ^= 0xff;
        requests.push(broken.into());
    }
    requests.push(whole.slice(..whole.len() / 2));
    requests.into_iter().map(|bytes| (bytes.clone(), count(signal, &bytes))).collect()
}

/// Names that the section mentions anywhere, so that its rules have something to do.
fn names(section: &Value, found: &mut Vec<String>) {
    match section {
        Value::String(name) => found.push(name.clone()),
        Value::Array(list) => list.iter().for_each(|v| names(v, found)),
        Value::Object(map) => map.values().for_each(|v| names(v, found)),
        _ => {}
    }
}

fn metrics(section: &Value, round: u64) -> Bytes {
    let mut mentioned = vec!["any.metric".to_owned()];
    names(section, &mut mentioned);
    let time = NOW + round * 10_000_000_000;
    let labels = [("stream", "orders:1"), ("group", "billing"), ("route", "/"), ("db", "0")];
    let mut request = MetricsBuilder::new();
    for service in ["shop", "bank"] {
        let mut resource = request.resource([("service.name", service), ("service.namespace", "x")]);
        let mut scope = resource.scope("conformance", "1");
        for name in &mentioned {
            let mut gauge = scope.gauge(name, "1", "");
            gauge.point(time).attributes(labels).int(7000 + round as i64);
            gauge.point(time).attribute("stream", "ended").no_recorded_value();
            drop(gauge);
            let mut sum = scope.sum(name, "1", "", streamgauge_pdata::view::Temporality::Cumulative, true);
            sum.point(time).start(NOW - 1).attributes(labels).double(5.0 * round as f64);
            drop(sum);
            let mut histogram =
                scope.histogram(name, "s", "", streamgauge_pdata::view::Temporality::Cumulative);
            let mut point = histogram.point(time);
            point.start(NOW - 1).attributes(labels).count(3 * (round + 1)).sum(0.5);
            point.buckets(&[0.1, 1.0], &[round + 1, round + 1, round + 1]);
        }
    }
    request.finish()
}

fn logs(round: u64) -> Bytes {
    let mut request = LogsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("conformance", "1");
        for n in 0..3 {
            let mut record = scope.record(NOW + round);
            record.time(NOW + n).severity(9, "INFO").body("text").attribute("duration_ms", 12.5 + n as f64);
        }
    }
    request.finish()
}

/// Two spans by hand: the builders make what the collector itself makes, which is no spans.
fn traces() -> Bytes {
    let field = |number: u8, body: &[u8]| {
        assert!(body.len() < 1 << 14, "two bytes of varint are enough");
        let len = [body.len() as u8 | 0x80, (body.len() >> 7) as u8];
        [&[number << 3 | 2], &len[..], body].concat()
    };
    let fixed = |number: u8, value: u64| [&[number << 3 | 1], &value.to_le_bytes()[..]].concat();
    let attribute = field(9, &[field(1, b"route"), field(2, &field(1, b"/"))].concat());
    let span = [
        field(1, &[1; 16]),
        field(2, &[2; 8]),
        field(5, b"GET /"),
        fixed(7, NOW),
        fixed(8, NOW + 5_000_000),
        attribute,
    ]
    .concat();
    let scope = [field(2, &span), field(2, &span)].concat();
    let service = field(1, &[field(1, b"service.name"), field(2, &field(1, b"shop"))].concat());
    field(1, &[field(1, &service), field(2, &scope)].concat()).into()
}

#[test]
fn the_inputs_are_what_they_claim_to_be() {
    for signal in Signal::ALL {
        let requests = requests(signal, &Value::Null);
        assert!(streamgauge_pdata::check(signal, &requests[0].0).unwrap() >= 2, "{signal}");
        assert!(requests.iter().any(|(r, _)| streamgauge_pdata::check(signal, r).is_err()), "{signal}");
    }
}
