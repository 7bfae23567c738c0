//! Against Debian's Prometheus.

use std::time::Duration;

use streamgauge_component::{Accepted, Exporter as _, Reason};
use streamgauge_harness::Prometheus;
use streamgauge_pdata::view::Temporality::Cumulative;

use super::{MS, accepted, exporter, now_ms, request_with};

const SOON: Duration = Duration::from_secs(10);
const RESOURCE: [(&str, &str); 4] = [
    ("service.name", "cache"),
    ("service.namespace", "shop"),
    ("service.instance.id", "r1"),
    ("redis.version", "7.0.15"),
];

/// Off the runtime's thread: the harness blocks.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(f).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_arrive_and_are_queried_equal_and_a_series_ends_when_told() {
    let flag = "--enable-feature=native-histograms";
    let prometheus = blocking(move || Prometheus::builder().flag(flag).start()).await;
    let exporter =
        exporter(&prometheus.remote_write_url(), "send_metadata: true\nexternal_labels: {zone: z1}");
    let at = (now_ms() - 2_000) as u64 * MS;
    let batch = request_with(&RESOURCE, |scope| {
        {
            let mut lag = scope.gauge("redis.stream.group.lag", "{entry}", "Entries not read yet.");
            lag.point(at).attribute("stream", "orders").attribute("group", "bill \"1\"\n").int(123);
            lag.point(at).attribute("stream", "gone").attribute("group", "g").int(7);
        }
        scope.sum("redis.uptime", "s", "", Cumulative, true).point(at).double(12.5);
        let mut latency = scope.histogram("latency", "s", "", Cumulative);
        latency.point(at).count(10).sum(4.25).buckets(&[0.1, 1.0], &[1, 2, 7]);
        drop(latency);
        let mut native = scope.exponential_histogram("native", "", "", Cumulative);
        native.point(at).count(37).sum(5.5).scale(3).positive(3, [10, 0, 0, 20, 5, 2]);
    });
    assert_eq!(exporter.export(&batch).await, accepted(&[]));
    let prometheus = blocking(move || {
        let base = r#"instance="r1",job="shop/cache",zone="z1""#;
        let lag = prometheus.wait_for(r#"redis_stream_group_lag{stream="orders"}"#, SOON);
        assert_eq!((lag.len(), lag[0].value), (1, 123.0));
        assert_eq!(lag[0].labels["group"], "bill \"1\"\n");
        for (query, value) in [
            (format!("redis_uptime_seconds_total{{{base}}}"), 12.5),
            (format!("latency_seconds_sum{{{base}}}"), 4.25),
            (format!("latency_seconds_count{{{base}}}"), 10.0),
            (format!("latency_seconds_bucket{{le=\"0.1\",{base}}}"), 1.0),
            (format!("latency_seconds_bucket{{le=\"1\",{base}}}"), 3.0),
            (format!("latency_seconds_bucket{{le=\"+Inf\",{base}}}"), 10.0),
            (format!("target_info{{redis_version=\"7.0.15\",{base}}}"), 1.0),
            ("histogram_count(native)".to_owned(), 37.0),
            ("histogram_sum(native)".to_owned(), 5.5),
            (r#"redis_stream_group_lag{stream="gone"}"#.to_owned(), 7.0),
        ] {
            assert_eq!(prometheus.value(&query), Some(value), "{query}");
        }
        prometheus
    })
    .await;

    let end = request_with(&RESOURCE, |scope| {
        let mut lag = scope.gauge("redis.stream.group.lag", "{entry}", "");
        let time = at + 1_000 * MS;
        lag.point(time).attribute("stream", "gone").attribute("group", "g").no_recorded_value();
    });
    assert_eq!(exporter.export(&end).await, accepted(&[]));
    blocking(move || {
        assert_eq!(prometheus.value(r#"redis_stream_group_lag{stream="gone"}"#), None, "ended");
        assert_eq!(
            prometheus.value(r#"redis_stream_group_lag{stream="orders"}"#),
            Some(123.0),
            "the other goes on"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_sample_costs_neither_its_neighbours_nor_the_future() {
    let prometheus = blocking(Prometheus::start).await;
    let first = exporter(&prometheus.remote_write_url(), "");
    let gauge = |points: Vec<(&'static str, i64, f64)>| super::gauge(&points);
    assert_eq!(first.export(&gauge(vec![("a", -10, 1.0), ("b", -10, 1.0)])).await, accepted(&[]));
    // One in two hours would make Prometheus refuse everything from now on; one behind what was sent, the whole message.
    let points = vec![("future", 7200, 1.0), ("a", -20, 5.0), ("b", -5, 2.0), ("c", -5, 2.0)];
    let dropped = [(Reason::OutOfOrder, 1), (Reason::TooFarInFuture, 1)];
    assert_eq!(first.export(&gauge(points)).await, accepted(&dropped));

    // A fresh exporter does not know what was sent: Prometheus refuses the message, and only the old sample is lost.
    let second = exporter(&prometheus.remote_write_url(), "");
    let points = vec![("d", -1, 3.0), ("a", -20, 5.0), ("b", -1, 3.0)];
    let Ok(Accepted { dropped, message: Some(words) }) = second.export(&gauge(points)).await else {
        panic!()
    };
    assert_eq!(dropped, [(Reason::PeerRefused, 1)]);
    assert!(words.contains("answered 400: out of order sample"), "{words}");
    blocking(move || {
        for (series, value) in
            [("a", Some(1.0)), ("b", Some(3.0)), ("c", Some(2.0)), ("d", Some(3.0)), ("future", None)]
        {
            assert_eq!(prometheus.value(&format!("g{{s=\"{series}\"}}")), value, "{series}");
        }
    })
    .await;
}
