//! One exporter that is stuck and one that is well, behind one receiver.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message as _;
use streamgauge_harness::{OtlpSink, Reply, http, poll_until};

use crate::support::{Running, SOON, logs};

/// A receiver before a stuck exporter with room for one request, and one that is well.
fn yaml(stuck: &OtlpSink, well: &OtlpSink, block: bool) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{{grpc}}'}}, http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}
exporters:
  otlp_grpc/stuck:
    endpoint: {}
    tls: {{insecure: true}}
    timeout: 0
    sending_queue: {{queue_size: 1, num_consumers: 1, block_on_overflow: {block}}}
  otlp_grpc/well:
    endpoint: {}
    tls: {{insecure: true}}
service:
  pipelines:
    logs: {{receivers: [otlp], exporters: [otlp_grpc/stuck, otlp_grpc/well]}}
",
        stuck.addr(),
        well.addr()
    )
}

fn post(url: &str, text: &str) -> http::Answer {
    let body = logs(&[text]).encode_to_vec();
    http::post(&format!("{url}/v1/logs"), "application/x-protobuf", &body).expect("the receiver answers")
}

#[test]
fn a_full_queue_is_told_to_the_client_with_a_delay_and_the_other_exporter_goes_on() {
    let (stuck, well) = (OtlpSink::grpc(), OtlpSink::grpc());
    stuck.always(Reply::Hold);
    let running = Running::start(&yaml(&stuck, &well, false));

    // One request is in the exporter's hands, then one in the queue, then there is no room.
    let mut sent = 0;
    let refused = poll_until("a refusal", SOON, || {
        sent += 1;
        let answer = post(&running.http_url(), "by http");
        (answer.status != 200).then_some(answer)
    });
    assert!([429, 503].contains(&refused.status), "{refused:?}");
    let delay: u64 = refused.headers["retry-after"].parse().expect("whole seconds");
    assert!(delay >= 1);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let mut client = LogsServiceClient::connect(running.grpc_url()).await.unwrap();
        client.export(logs(&["by grpc"])).await.unwrap_err()
    });
    sent += 1;
    assert!([tonic::Code::ResourceExhausted, tonic::Code::Unavailable].contains(&status.code()), "{status}");
    assert!(status.details().windows(9).any(|w| w == b"RetryInfo"), "{status:?}");

    // Its neighbour has had every one of them.
    poll_until("the well exporter has all", SOON, || (well.log_records().len() == sent).then_some(()));
    assert!(stuck.received().is_empty());

    stuck.release();
    poll_until("the stuck exporter has what was taken", SOON, || {
        (stuck.log_records().len() == sent - 2).then_some(())
    });
    ledger_adds_up(&running, sent as f64);
}

#[test]
fn with_block_on_overflow_the_client_waits_and_nothing_is_refused() {
    let (stuck, well) = (OtlpSink::grpc(), OtlpSink::grpc());
    stuck.always(Reply::Hold);
    let running = Running::start(&yaml(&stuck, &well, true));
    let url = running.http_url();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..5).map(|_| scope.spawn(|| post(&url, "waits").status)).collect();
        // Everything that could be answered has been, once the neighbour has all five.
        poll_until("the well exporter has all", SOON, || (well.log_records().len() == 5).then_some(()));
        poll_until("the queue is full", SOON, || {
            (running.numbers().sum("streamgauge_held_items", &[("component", "otlp_grpc/stuck")]) >= 2.0)
                .then_some(())
        });
        assert!(clients.iter().any(|client| !client.is_finished()), "somebody must wait");
        stuck.release();
        for client in clients {
            assert_eq!(client.join().unwrap(), 200);
        }
    });
    poll_until("the stuck exporter has all", SOON, || (stuck.log_records().len() == 5).then_some(()));
    ledger_adds_up(&running, 5.0);
}

/// For each exporter: in = held + delivered + dropped + returned, nothing is left inside, no ack was lost.
#[track_caller]
fn ledger_adds_up(running: &Running, offered: f64) {
    let numbers = poll_until("nothing moves any more", SOON, || {
        let numbers = running.numbers();
        (numbers.sum("streamgauge_held_items", &[]) == 0.0).then_some(numbers)
    });
    for exporter in ["otlp_grpc/stuck", "otlp_grpc/well"] {
        let of = |name: &str| numbers.sum(name, &[("component", exporter)]);
        let came = numbers.sum("streamgauge_edge_items", &[("to", &format!("exporter/{exporter}"))]);
        let ended = of("streamgauge_items_delivered")
            + of("streamgauge_items_dropped")
            + of("streamgauge_items_returned");
        assert_eq!(came, offered, "{exporter}: {numbers:?}");
        assert_eq!(came, ended, "{exporter}: {numbers:?}");
    }
    assert_eq!(numbers.sum("streamgauge_acks_abandoned", &[]), 0.0);
}

#[test]
fn a_peer_that_asks_for_a_delay_is_asked_again_after_it() {
    let sink = OtlpSink::http();
    sink.next(Reply::retry_after(503, Duration::from_secs(1)));
    let running = Running::start(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}}}
exporters: {{otlp_http: {{endpoint: '{}', retry_on_failure: {{initial_interval: 1ms}}}}}}
service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [otlp_http]}}}}}}
",
        sink.url()
    ));
    let start = std::time::Instant::now();
    assert_eq!(post(&running.http_url(), "again").status, 200);
    poll_until("the second try", SOON, || (sink.log_records().len() == 1).then_some(()));
    assert!(start.elapsed() >= Duration::from_secs(1), "came back after {:?}", start.elapsed());
    assert_eq!(sink.received().len(), 2);
}
