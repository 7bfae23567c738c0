//! A request that the backend refuses, joined with good ones: it alone is refused, and its neighbours arrive.

use prost::Message as _;
use streamgauge_harness::{OtlpSink, Reply, http, poll_until};

use crate::support::{Running, SOON, logs};

const GOOD: usize = 7;
const MARKER: &str = "poison";

/// Severity text (field 3) that ends after its record does: valid to the record's border, unreadable inside.
const BROKEN: [u8; 8] = [0x0a, 6, 0x12, 4, 0x12, 2, 0x1a, 9];

/// Two ways to join requests.
const JOINERS: [(&str, &str); 2] = [
    ("processors: {batch: {send_batch_size: 8, timeout: 2s}}", "sending_queue: {enabled: false}"),
    (
        "processors: {batch: {send_batch_size: 0, timeout: 0s}}",
        "sending_queue: {batch: {min_size: 8, flush_timeout: 2s}}",
    ),
];

#[test]
fn a_request_that_a_grpc_backend_refuses_costs_itself_alone() {
    for joiner in JOINERS {
        let sink = OtlpSink::grpc();
        sink.marked(MARKER, Reply::status(3));
        let answer = only_the_poison_is_refused(&sink, "otlp_grpc", joiner, &logs(&[MARKER]).encode_to_vec());
        assert!(answer.contains("INVALID_ARGUMENT") && answer.contains("told to refuse"), "{answer}");
    }
}

#[test]
fn a_request_that_an_http_backend_refuses_costs_itself_alone() {
    for joiner in JOINERS {
        let sink = OtlpSink::http();
        sink.marked(MARKER, Reply::status(400));
        let answer = only_the_poison_is_refused(&sink, "otlp_http", joiner, &logs(&[MARKER]).encode_to_vec());
        assert!(answer.contains("Status Code 400"), "{answer}");
    }
}

#[test]
fn a_record_that_no_backend_can_decode_costs_itself_alone() {
    for joiner in JOINERS {
        for (sink, exporter) in [(OtlpSink::grpc(), "otlp_grpc"), (OtlpSink::http(), "otlp_http")] {
            only_the_poison_is_refused(&sink, exporter, joiner, &BROKEN);
        }
    }
}

/// Sends eight requests at the same time, one of them `poison`, through something that waits for eight; gives what the
/// poison's client hears.
#[track_caller]
fn only_the_poison_is_refused(
    sink: &OtlpSink,
    exporter: &str,
    (batch, queue): (&str, &str),
    poison: &[u8],
) -> String {
    let endpoint = if exporter == "otlp_grpc" { sink.addr() } else { sink.url() };
    let running = Running::start(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}, wait_for: delivered}}}}
{batch}
exporters: {{{exporter}: {{endpoint: '{endpoint}', tls: {{insecure: true}}, {queue}}}}}
service: {{pipelines: {{logs: {{receivers: [otlp], processors: [batch], exporters: [{exporter}]}}}}}}
"
    ));
    let url = format!("{}/v1/logs", running.http_url());
    let post = |body: &[u8]| http::post(&url, "application/x-protobuf", body).unwrap();
    // Senders that wait are joined once it was seen that several come together, and at first nobody knows: rounds, until a
    // refused request had good ones in it; where nobody can read what is refused, more rounds than that takes.
    let readable = poison != BROKEN;
    let mut rounds = 0;
    let poisoned = poll_until("the poison among others", SOON, || {
        rounds += 1;
        let poisoned = one_round(&post, poison);
        assert_eq!(poisoned.status, 400, "{exporter} {batch} {queue}: {}", poisoned.text());
        assert_eq!(sink.log_records().len(), rounds * GOOD, "each good one once");
        let joined = if readable { the_poison_stood_among_others(sink) } else { rounds == 30 };
        joined.then_some(poisoned)
    });
    let refused = poll_until("the ledger", SOON, || {
        let refused = running.numbers().sum("streamgauge_items_dropped", &[("component", exporter)]);
        (refused >= rounds as f64).then_some(refused)
    });
    assert_eq!(refused, rounds as f64);
    poisoned.text()
}

/// What the poison's client hears; the good ones' hear that they were taken.
#[track_caller]
fn one_round(post: &(impl Fn(&[u8]) -> http::Answer + Sync), poison: &[u8]) -> http::Answer {
    std::thread::scope(|scope| {
        let names: Vec<String> = (0..GOOD).map(|n| format!("good {n}")).collect();
        let bodies: Vec<Vec<u8>> = names.iter().map(|name| logs(&[name]).encode_to_vec()).collect();
        let good: Vec<_> = bodies.into_iter().map(|body| scope.spawn(move || post(&body).status)).collect();
        let poisoned = scope.spawn(|| post(poison));
        for client in good {
            assert_eq!(client.join().unwrap(), 200);
        }
        poisoned.join().unwrap()
    })
}

/// The sink has refused requests with good records in them. Else this would show nothing.
fn the_poison_stood_among_others(sink: &OtlpSink) -> bool {
    let mut refused =
        sink.received().into_iter().filter(|request| matches!(request.reply, Reply::Status { .. }));
    refused.any(|request| format!("{:?}", request.body).contains("good"))
}
