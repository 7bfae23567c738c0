//! The exporter against a scripted receiver and against a real Prometheus.

mod prometheus;
mod receiver;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamgauge_component::{
    About, Accepted, Clock, ComponentConfig as _, Context, ExportError, Exporter as _, Host, Kind, Reason,
    Request, Signal, WhenFull,
};
use streamgauge_config::Section;
use streamgauge_pdata::build::{Metrics, MetricsBuilder, Scope};
use streamgauge_pdata::view::Temporality::{Cumulative, Delta};

use super::FACTORY;
use super::config::RemoteWriteConfig;
use super::export::RemoteWrite;
use receiver::Receiver;

const MS: u64 = 1_000_000;

fn read(yaml: &str) -> Result<RemoteWriteConfig, String> {
    let section = Section::from_yaml("exporters::prometheus_remote_write", yaml).unwrap();
    let config = (FACTORY.config.read)(&section).map_err(|e| e.to_string())?;
    Ok(config.downcast_ref::<RemoteWriteConfig>().unwrap().clone())
}

fn exporter(url: &str, more: &str) -> RemoteWrite {
    let config = read(&format!("endpoint: {url}\n{more}")).unwrap();
    RemoteWrite::new(&config, Host::for_test(Kind::Exporter, "prometheus_remote_write")).unwrap()
}

fn request_with(resource: &[(&str, &str)], fill: impl FnOnce(&mut Scope<'_, Metrics>)) -> Request {
    let mut builder = MetricsBuilder::new();
    {
        let mut resource = builder.resource(resource);
        fill(&mut resource.scope("", ""));
    }
    let items = builder.items();
    let context = Arc::new(Context::new("test", SystemTime::UNIX_EPOCH));
    Request { signal: Signal::Metrics, context, parts: vec![builder.finish()], items }
}

fn request(fill: impl FnOnce(&mut Scope<'_, Metrics>)) -> Request {
    request_with(&[], fill)
}

/// One gauge with points `(series, seconds from now, value)`.
fn gauge(points: &[(&str, i64, f64)]) -> Request {
    let now = now_ms();
    request(|scope| {
        let mut gauge = scope.gauge("g", "", "");
        for (series, seconds, value) in points {
            let time = (now + seconds * 1000) as u64 * MS;
            gauge.point(time).attribute("s", *series).double(*value);
        }
    })
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn accepted(dropped: &[(Reason, u64)]) -> Result<Accepted, ExportError> {
    Ok(Accepted { dropped: dropped.to_vec(), message: None })
}

#[tokio::test]
async fn a_message_carries_the_protocols_headers_and_the_users_cannot_override_them() {
    let receiver = Receiver::start();
    let headers = "headers: {X-Scope-OrgID: shop, Content-Type: text/plain, User-Agent: me}";
    let exporter = exporter(&receiver.url(), headers);
    assert_eq!(exporter.export(&gauge(&[("a", 0, 1.5)])).await, accepted(&[]));
    let got = receiver.requests();
    let header = |name: &str| got[0].headers[name].as_str();
    assert_eq!(header("content-type"), "application/x-protobuf");
    assert_eq!(header("content-encoding"), "snappy");
    assert_eq!(header("x-prometheus-remote-write-version"), "0.1.0");
    assert!(header("user-agent").starts_with("streamgauge/"));
    assert_eq!(header("x-scope-orgid"), "shop");
    assert_eq!(got[0].values(), [r#"g{s="a"} 1.5"#]);
}

#[tokio::test]
async fn samples_of_a_series_are_sent_in_order_and_older_ones_never() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "");
    let first = gauge(&[("a", -3, 3.0), ("b", -9, 1.0), ("a", -5, 2.0)]);
    assert_eq!(exporter.export(&first).await, accepted(&[]));
    assert_eq!(receiver.take()[0].values(), [r#"g{s="a"} 2"#, r#"g{s="a"} 3"#, r#"g{s="b"} 1"#]);

    // What is older than the last of its series is kept back, whatever came between.
    let late = gauge(&[("a", -4, 9.0), ("b", -8, 2.0)]);
    assert_eq!(exporter.export(&late).await, accepted(&[(Reason::OutOfOrder, 1)]));
    assert_eq!(receiver.take()[0].values(), [r#"g{s="b"} 2"#]);
}

#[tokio::test]
async fn another_value_for_the_same_time_is_counted_and_the_same_value_is_not() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "");
    let at = (now_ms() as u64) * MS;
    let one = |value: i64| request(|scope| _ = scope.gauge("g", "", "").point(at).int(value));
    assert_eq!(exporter.export(&one(1)).await, accepted(&[]));
    assert_eq!(exporter.export(&one(1)).await, accepted(&[]));
    assert_eq!(exporter.export(&one(2)).await, accepted(&[(Reason::Duplicate, 1)]));
    let twins = request(|scope| {
        let mut gauge = scope.gauge("h", "", "");
        gauge.point(at).int(1);
        gauge.point(at).int(2);
    });
    assert_eq!(exporter.export(&twins).await, accepted(&[(Reason::Duplicate, 1)]));
    let values: Vec<_> = receiver.take().iter().flat_map(|r| r.values()).collect();
    assert_eq!(values, ["g{} 1", "h{} 2"]);
}

#[tokio::test]
async fn times_that_would_poison_the_receiver_are_dropped_and_counted() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "max_sample_age: 1h");
    let points = [("a", 590, 1.0), ("future", 620, 1.0), ("old", -3700, 1.0), ("b", -3500, 1.0)];
    let dropped = [(Reason::TooOld, 1), (Reason::TooFarInFuture, 1)];
    assert_eq!(exporter.export(&gauge(&points)).await, accepted(&dropped));
    assert_eq!(receiver.take()[0].values(), [r#"g{s="a"} 1"#, r#"g{s="b"} 1"#]);
    let unset = request(|scope| _ = scope.gauge("g", "", "").point(0).int(1));
    assert_eq!(exporter.export(&unset).await, accepted(&[(Reason::TooOld, 1)]));
}

#[tokio::test]
async fn what_has_no_place_in_prometheus_is_counted_by_points() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "");
    let at = now_ms() as u64 * MS;
    let mut mixed = request(|scope| {
        {
            let mut delta = scope.sum("d", "", "", Delta, true);
            delta.point(at).int(1);
            delta.point(at).attribute("x", "y").int(1);
        }
        scope.exponential_histogram("e", "", "", Cumulative).point(at).count(1).scale(0);
        scope.sum("c", "", "", Cumulative, true).point(at).int(5);
    });
    mixed.items += 1; // as if one point could not be read
    let dropped = [(Reason::Malformed, 1), (Reason::Unsupported, 1), (Reason::DeltaTemporality, 2)];
    assert_eq!(exporter.export(&mixed).await, accepted(&dropped));
    assert_eq!(receiver.take()[0].values(), ["c_total{} 5"]);
}

#[tokio::test]
async fn a_busy_receiver_is_tried_again_no_sooner_than_it_asks() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "");
    let batch = gauge(&[("a", 0, 1.0)]);
    receiver.answer_next(429, &[("retry-after", "7")], "slow down");
    let busy = |after, text: &str| Err(ExportError::busy(after, format!("{}{text}", receiver.url())));
    let wish = Some(Duration::from_secs(7));
    assert_eq!(exporter.export(&batch).await, busy(wish, " answered 429: slow down"));
    receiver.answer_next(500, &[], "oops");
    assert_eq!(exporter.export(&batch).await, busy(None, " answered 500: oops"));
    assert_eq!(exporter.export(&batch).await, accepted(&[]));
    let bodies: Vec<_> = receiver.take().iter().map(|r| r.values()).collect();
    assert_eq!(bodies, vec![vec![r#"g{s="a"} 1"#.to_owned()]; 3], "the same sample each time");
}

#[tokio::test]
async fn what_was_taken_is_not_sent_again_when_the_rest_is_tried_again() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "max_batch_size_bytes: 10\nmax_batch_request_parallelism: 1");
    let batch = gauge(&[("a", 0, 1.0), ("b", 0, 2.0), ("c", 0, 3.0)]);
    receiver.answer_next(204, &[], "");
    receiver.answer_next(503, &[], "");
    assert!(matches!(exporter.export(&batch).await, Err(ExportError::Retryable { answered: true, .. })));
    assert_eq!(exporter.export(&batch).await, accepted(&[]));
    let values: Vec<_> = receiver.take().iter().flat_map(|r| r.values()).collect();
    let (a, b, c) = (r#"g{s="a"} 1"#, r#"g{s="b"} 2"#, r#"g{s="c"} 3"#);
    assert_eq!(values, [a, b, b, c]);
}

#[tokio::test]
async fn a_bad_sample_does_not_cost_its_neighbours_and_the_receivers_words_are_kept() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "");
    let names: Vec<String> = (0..100).map(|i| format!("s{i}")).collect();
    let points: Vec<_> = names.iter().map(|name| (name.as_str(), 0, 1.0)).collect();
    receiver.refuse_with(r#"{s="s42"}"#, 400, "out of bounds: s42");
    let text = format!("{} answered 400: out of bounds: s42", receiver.url());
    let expected = Accepted { dropped: vec![(Reason::PeerRefused, 1)], message: Some(text) };
    assert_eq!(exporter.export(&gauge(&points)).await, Ok(expected));
    let mut taken: Vec<_> =
        receiver.take().iter().filter(|r| r.status == 204).flat_map(|r| r.values()).collect();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 99);
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_is_not_asked_without_end() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "");
    let names: Vec<String> = (0..1000).map(|i| format!("s{i}")).collect();
    let points: Vec<_> = names.iter().map(|name| (name.as_str(), 0, 1.0)).collect();
    receiver.refuse_with("g{", 400, "no");
    let accepted = exporter.export(&gauge(&points)).await.unwrap();
    assert_eq!(accepted.dropped, [(Reason::PeerRefused, 1000)]);
    assert!(receiver.take().len() <= 130);
}

#[tokio::test]
async fn other_refusals_are_about_the_peer_and_carry_its_words() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "");
    for status in [401, 403, 404, 405, 415] {
        receiver.answer_next(status, &[], "go away");
        let error = exporter.export(&gauge(&[("a", 0, 1.0)])).await.unwrap_err();
        let ExportError::Permanent { about: About::Peer, message } = error else { panic!("{error:?}") };
        assert!(message.ends_with(&format!("answered {status}: go away")), "{message}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_or_silent_is_tried_again() {
    let exporter_for = |url: &str| exporter(url, "timeout: 100ms");
    let nobody = exporter_for("http://127.0.0.1:1/api/v1/write").export(&gauge(&[("a", 0, 1.0)])).await;
    assert!(matches!(nobody, Err(ExportError::Retryable { answered: false, .. })), "{nobody:?}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let silence = exporter_for(&url).export(&gauge(&[("a", 0, 1.0)])).await;
    assert!(matches!(silence, Err(ExportError::Retryable { answered: false, .. })), "{silence:?}");
}

#[tokio::test]
async fn metadata_goes_last_and_its_refusal_costs_nothing() {
    let receiver = Receiver::start();
    let exporter = exporter(&receiver.url(), "send_metadata: true");
    receiver.answer_next(204, &[], "");
    receiver.answer_next(400, &[], "no metadata here");
    assert_eq!(exporter.export(&gauge(&[("a", 0, 1.0)])).await, accepted(&[]));
    let got = receiver.take();
    assert_eq!((got.len(), got[1].metadata()), (2, vec!["g".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn the_future_begins_at_the_hosts_clock() {
    let start = SystemTime::now() - Duration::from_secs(86_400);
    let host = Host::new(Clock::simulated(start), Arc::default(), Arc::default());
    let config = read("endpoint: http://127.0.0.1:1/").unwrap();
    let exporter = RemoteWrite::new(&config, host.for_component(Kind::Exporter, "x")).unwrap();
    let dropped = [(Reason::TooFarInFuture, 1)];
    assert_eq!(
        exporter.export(&gauge(&[("a", 0, 1.0)])).await,
        accepted(&dropped),
        "nothing is left to send"
    );
}

#[test]
fn the_readmes_examples_load() {
    let blocks: Vec<_> = FACTORY.description.readme.split("```yaml\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let (_, body) = block.split("```").next().unwrap().split_once('\n').unwrap();
        read(body).unwrap();
    }
}

#[test]
fn a_collectors_section_loads_and_its_flat_and_nested_keys_mean_the_same() {
    let flat = read("endpoint: http://h:9/w\nheaders: {a: b}\ntimeout: 7s\ntls: {insecure: true}").unwrap();
    let nested =
        read("http: {endpoint: 'http://h:9/w', headers: {a: b}, timeout: 7s, tls: {insecure: true}}")
            .unwrap();
    assert_eq!(flat.url(), nested.url());
    assert_eq!(flat.message_timeout(), nested.message_timeout());
    assert_eq!(flat.header_map(), nested.header_map());
    assert_eq!(flat.tls_settings(), nested.tls_settings());
    let all = "
endpoint: http://h:9/w
external_labels: {a: b}
namespace: n
add_metric_suffixes: false
translation_strategy: NoUTF8EscapingWithSuffixes
send_metadata: true
include_metadata_keys: [tenant]
remote_write_queue: {enabled: true, queue_size: 10, num_consumers: 3, when_full: block, storage: disk}
resource_constant_labels: {included: ['*'], excluded: [x]}
resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}
wal: {directory: ./wal, buffer_size: 100, truncate_frequency: 45s, lag_record_frequency: 1s}
target_info: {enabled: false}
disable_scope_info: true
max_batch_size_bytes: 100
max_batch_request_parallelism: 2
protobuf_message: prometheus.WriteRequest
convert_explicit_histograms_to_nhcb: false
keep_classic_histograms: true
retry_on_failure: {initial_interval: 1s, max_elapsed_time: 1m}
";
    let config = read(all).unwrap();
    assert_eq!((config.parallelism(), config.delivery().queue.num_consumers), (2, 1));
    let delivery = config.delivery();
    assert_eq!(
        (delivery.queue.storage.as_deref(), delivery.queue.overflow()),
        (Some("disk"), WhenFull::Block)
    );
    // What is stored is not given up and read again behind what came later.
    assert_eq!(delivery.retry.max_elapsed_time, Duration::ZERO);
    let memory = read(&all.replace(", storage: disk", "")).unwrap().delivery();
    assert_eq!(memory.retry.max_elapsed_time, Duration::from_secs(60));
}

#[test]
fn what_cannot_work_is_told_with_its_place() {
    for (yaml, path) in [
        ("", "http::endpoint"),
        ("endpoint: localhost:9090", "endpoint"),
        ("{endpoint: 'http://h/', http: {endpoint: 'http://h/'}}", "endpoint"),
        ("{endpoint: 'http://h/', max_batch_size_bytes: 0}", "max_batch_size_bytes"),
        ("{endpoint: 'http://h/', protobuf_message: io.prometheus.write.v2.Request}", "protobuf_message"),
        ("{endpoint: 'http://h/', remote_write_queue: {queue_size: 0}}", "remote_write_queue::queue_size"),
        ("{endpoint: 'http://h/', headers: {'a b': c}}", "headers"),
    ] {
        let section = Section::from_yaml("x", yaml).unwrap();
        let config: RemoteWriteConfig = section.read().unwrap();
        let problems = config.problems();
        assert!(problems.iter().any(|(p, _)| p == path), "{yaml}: {problems:?}");
    }
    assert!(read("endpoint: http://h/\nunknown: 1").is_err());
}

#[tokio::test]
async fn presets_name_series_as_other_programs_do() {
    let receiver = Receiver::start();
    let exporter = exporter(
        &receiver.url(),
        "presets: [redis_exporter, jeex]\npreset_settings: {redis_exporter: {prefix: cache}}",
    );
    let at = (now_ms() as u64) * MS;
    let batch = request_with(&[("server.address", "h"), ("server.port", "1")], |scope| {
        scope.gauge("redis.memory.used", "By", "").point(at).int(5);
        scope.gauge("redis.maxmemory", "By", "").point(at).int(20);
    });
    assert_eq!(exporter.export(&batch).await, accepted(&[]));
    let mut values: Vec<_> = receiver.take().iter().flat_map(|r| r.values()).collect();
    values.sort();
    let own = r#"{instance="h:1"}"#;
    assert_eq!(
        values,
        [
            format!("cache_config_maxmemory{own} 20"),
            format!("cache_memory_max_bytes{own} 20"),
            format!("cache_memory_used_bytes{own} 5"),
            format!("jeex_redis_memory_bytes{own} 5"),
            format!("jeex_redis_memory_percentage{own} 25"),
        ]
    );
}
