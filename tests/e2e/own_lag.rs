//! What Redis knows about lag is what arrives; what it does not know is never 0.

use streamgauge_harness::{OtlpSink, Point, Redis, poll_until};

use crate::support::{Running, SOON};

fn yaml(redis: &Redis, sink: &OtlpSink) -> String {
    format!(
        "receivers:
  redis_stream_metrics: {{endpoint: '{}', collection_interval: 200ms, streams: ['*'], groups: ['*']}}
exporters:
  otlp_http: {{endpoint: '{}'}}
service:
  pipelines:
    metrics: {{receivers: [redis_stream_metrics], exporters: [otlp_http]}}
",
        redis.url(),
        sink.url()
    )
}

fn of(stream: &'static str) -> impl Fn(&Point) -> bool {
    move |point| point.attribute("stream") == stream
}

/// The last point of a stream's metric.
fn last(sink: &OtlpSink, metric: &str, stream: &'static str) -> Option<Point> {
    sink.points(metric).into_iter().rfind(of(stream))
}

#[test]
fn a_lag_of_exactly_123_arrives_as_123() {
    let redis = Redis::start();
    redis.fill("orders", 200);
    redis.run::<()>("XGROUP CREATE orders billing 0");
    redis.run::<redis::Value>("XREADGROUP GROUP billing w COUNT 77 STREAMS orders >");
    let sink = OtlpSink::http();
    let _running = Running::start(&yaml(&redis, &sink));
    let lag = sink.wait_for_point("redis.stream.group.lag", SOON, of("orders"));
    assert_eq!((lag.value, lag.attribute("group")), (Some(123.0), "billing"));
    let quality = sink.wait_for_point("redis.stream.group.lag_quality", SOON, of("orders"));
    assert_eq!(quality.value, Some(4.0), "the server's own number");
    let pending = sink.wait_for_point("redis.stream.group.pending", SOON, of("orders"));
    assert_eq!(pending.value, Some(77.0));
    assert_eq!(sink.wait_for_point("redis.stream.length", SOON, of("orders")).value, Some(200.0));
}

#[test]
fn a_deleted_undelivered_entry_makes_the_lag_unknown_and_not_zero() {
    let redis = Redis::start();
    redis.fill("orders", 10);
    redis.run::<()>("XGROUP CREATE orders billing 0");
    redis.run::<redis::Value>("XREADGROUP GROUP billing w COUNT 2 STREAMS orders >");
    let sink = OtlpSink::http();
    let _running = Running::start(&yaml(&redis, &sink));
    assert_eq!(sink.wait_for_point("redis.stream.group.lag", SOON, of("orders")).value, Some(8.0));

    // The fifth entry: not delivered yet, and in the middle, so that the server cannot count any more.
    let entries: redis::streams::StreamRangeReply = redis.run("XRANGE orders - + COUNT 5");
    redis.run::<i64>(&format!("XDEL orders {}", entries.ids[4].id));
    assert!(redis.cli(&["XINFO", "GROUPS", "orders"]).contains("lag"), "the server has the field");

    poll_until("quality below the server's", SOON, || {
        last(&sink, "redis.stream.group.lag_quality", "orders").filter(|q| q.value.is_some_and(|v| v < 4.0))
    });
    for point in sink.points("redis.stream.group.lag") {
        assert_ne!(point.value, Some(0.0), "{point:?}");
    }
}

#[test]
fn a_stream_that_is_gone_ends_with_a_point_without_a_value() {
    let redis = Redis::start();
    redis.fill("orders", 3);
    let sink = OtlpSink::http();
    let _running = Running::start(&yaml(&redis, &sink));
    assert_eq!(sink.wait_for_point("redis.stream.length", SOON, of("orders")).value, Some(3.0));
    redis.run::<i64>("DEL orders");
    poll_until("the end of the series", SOON, || {
        last(&sink, "redis.stream.length", "orders").filter(|p| p.value.is_none())
    });
}
