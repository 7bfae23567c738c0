//! The exporter, asked by hand and by a real Prometheus.

mod scraped;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use streamgauge_component::{Accepted, Context, Exporter as _, Host, Kind, Reason, Request, Signal};
use streamgauge_config::Section;
use streamgauge_harness::http;
use streamgauge_pdata::build::{Metrics, MetricsBuilder, Scope};
use streamgauge_pdata::view::Temporality::{Cumulative, Delta};
use streamgauge_prometheus::exposition::Format;

use super::FACTORY;
use super::config::PrometheusConfig;
use super::export::PrometheusExporter;

const MS: u64 = 1_000_000;

fn read(yaml: &str) -> Result<PrometheusConfig, String> {
    let section = Section::from_yaml("exporters::prometheus", yaml).unwrap();
    let config = (FACTORY.config.read)(&section).map_err(|e| e.to_string())?;
    Ok(config.downcast_ref::<PrometheusConfig>().unwrap().clone())
}

async fn started(more: &str) -> Arc<PrometheusExporter> {
    let host = Host::for_test(Kind::Exporter, "prometheus");
    let config = read(&format!("endpoint: 127.0.0.1:0\n{more}")).unwrap();
    let exporter = Arc::new(PrometheusExporter::new(Arc::new(config), host.clone()));
    exporter.start(host).await.unwrap();
    exporter
}

fn request_of(resource: &[(&str, &str)], fill: impl FnOnce(&mut Scope<'_, Metrics>)) -> Request {
    let mut builder = MetricsBuilder::new();
    fill(&mut builder.resource(resource).scope("", ""));
    let items = builder.items();
    let context = Arc::new(Context::new("test", SystemTime::UNIX_EPOCH));
    Request { signal: Signal::Metrics, context, parts: vec![builder.finish()], items }
}

fn request(fill: impl FnOnce(&mut Scope<'_, Metrics>)) -> Request {
    request_of(&[], fill)
}

/// A gauge `g` with one point a series.
fn gauge(time: u64, points: &[(&str, f64)]) -> Request {
    request(|scope| {
        let mut gauge = scope.gauge("g", "", "");
        points.iter().for_each(|(s, value)| _ = gauge.point(time).attribute("s", *s).double(*value));
    })
}

async fn taken(exporter: &PrometheusExporter, request: &Request) -> Vec<(Reason, u64)> {
    let Accepted { dropped, message } = exporter.export(request).await.unwrap();
    assert_eq!(message.is_some(), !dropped.is_empty(), "a drop has words");
    dropped
}

/// Off the runtime's thread: the harness blocks.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(f).await.unwrap()
}

async fn get(exporter: &PrometheusExporter, path: &str, headers: &'static [(&str, &str)]) -> http::Answer {
    let url = format!("http://{}{path}", exporter.address());
    blocking(move || http::request("GET", &url, headers, &[]).unwrap()).await
}

async fn scrape(exporter: &PrometheusExporter) -> String {
    get(exporter, "/metrics", &[]).await.text()
}

#[tokio::test]
async fn the_last_value_of_every_series_is_shown_until_it_ends() {
    let exporter = started("const_labels: {zone: eu}").await;
    assert_eq!(taken(&exporter, &gauge(MS, &[("a", 1.0), ("b", 2.0)])).await, []);
    assert_eq!(taken(&exporter, &gauge(2 * MS, &[("a", 1.5)])).await, []);
    let text = scrape(&exporter).await;
    assert_eq!(text, "# TYPE g gauge\ng{s=\"a\",zone=\"eu\"} 1.5\ng{s=\"b\",zone=\"eu\"} 2\n");
    let end =
        |time| request(|s| _ = s.gauge("g", "", "").point(time).attribute("s", "a").no_recorded_value());
    assert_eq!(taken(&exporter, &end(3 * MS)).await, []);
    assert_eq!(scrape(&exporter).await, "# TYPE g gauge\ng{s=\"b\",zone=\"eu\"} 2\n");
}

#[tokio::test]
async fn every_point_without_a_place_is_counted_with_its_reason() {
    let exporter = started("max_series: 2").await;
    assert_eq!(taken(&exporter, &gauge(5 * MS, &[("a", 1.0), ("b", 1.0)])).await, []);
    let cases: [(Request, &[(Reason, u64)]); 5] = [
        (gauge(6 * MS, &[("a", 2.0), ("c", 2.0), ("d", 2.0)]), &[(Reason::CardinalityLimit, 2)]),
        (gauge(5 * MS, &[("a", 3.0)]), &[(Reason::OutOfOrder, 1)]),
        (gauge(6 * MS, &[("a", 2.0)]), &[]),
        (gauge(6 * MS, &[("a", 4.0)]), &[(Reason::Duplicate, 1)]),
        (
            request(|scope| {
                scope.sum("g", "", "", Cumulative, false).point(7 * MS).attribute("s", "b").int(9);
                scope.histogram("g", "", "", Cumulative).point(7 * MS).count(1);
                scope.sum("d", "", "", Delta, false).point(7 * MS).int(1);
                scope.gauge("???", "", "").point(7 * MS).int(1);
            }),
            &[(Reason::Unsupported, 2), (Reason::DeltaTemporality, 1)],
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(taken(&exporter, &request).await, expected);
    }
    assert_eq!(scrape(&exporter).await, "# TYPE g gauge\ng{s=\"a\"} 4\ng{s=\"b\"} 9\n");
    // A broken record is one point that was never seen.
    let broken = request(|scope| _ = scope.gauge("bad!", "", "").point(MS).int(1));
    let mut bytes = broken.parts[0].to_vec();
    let at = bytes.windows(4).position(|w| w == b"bad!").unwrap();
    bytes[at] = 0xff;
    let broken = Request { parts: vec![bytes.into()], ..broken };
    assert_eq!(taken(&exporter, &broken).await, [(Reason::Malformed, 1)]);
}

#[tokio::test]
async fn deltas_are_added_up() {
    let exporter = started("").await;
    let deltas = |time: u64, value: i64, counts: &[u64], low: i32| {
        request(|scope| {
            scope.sum("s", "", "", Delta, true).point(time).int(value);
            let count = counts.iter().sum();
            scope
                .histogram("h", "", "", Delta)
                .point(time)
                .count(count)
                .sum(1.5)
                .buckets(&[1.0, 2.0], counts);
            let mut exponential = scope.exponential_histogram("e", "", "", Delta);
            exponential.point(time).count(1).sum(1.0).scale(0).positive(low, [1]);
        })
    };
    assert_eq!(taken(&exporter, &deltas(MS, 5, &[1, 2, 3], 0)).await, []);
    assert_eq!(taken(&exporter, &deltas(2 * MS, 7, &[1, 0, 0], 2)).await, []);
    let again = deltas(2 * MS, 7, &[1, 0, 0], 2);
    assert_eq!(taken(&exporter, &again).await, [(Reason::Duplicate, 3)], "no delta counts twice");
    let text = scrape(&exporter).await;
    let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        samples,
        [
            r#"e_bucket{le="2"} 1"#,
            r#"e_bucket{le="8"} 2"#,
            r#"e_bucket{le="+Inf"} 2"#,
            "e_sum 2",
            "e_count 2",
            r#"h_bucket{le="1"} 2"#,
            r#"h_bucket{le="2"} 4"#,
            r#"h_bucket{le="+Inf"} 7"#,
            "h_sum 3",
            "h_count 7",
            "s_total 12",
        ]
    );
}

#[test]
fn a_series_that_is_not_heard_of_expires_and_makes_room() {
    use super::store::Store;
    use streamgauge_prometheus::{Translated, Translator};
    let config = read("{endpoint: ':1', max_series: 1, metric_expiration: 60s}").unwrap();
    let translator = Translator::new(config.translation());
    let mut store = Store::new(config.max_series, config.metric_expiration);
    let start = Instant::now();
    let mut put = |seconds: u64, series: &str| {
        let mut out = Translated::new(store.intake(start + Duration::from_secs(seconds)));
        translator.translate(&gauge(seconds * 1000 * MS, &[(series, 1.0)]).parts[0], &mut out).unwrap();
        let lost = out.series.lost.len();
        (lost, store.series(), store.snapshot()["g"].series.values().next().unwrap().labels.text.to_string())
    };
    assert_eq!(put(1, "a"), (0, 1, r#"s="a""#.to_owned()));
    assert_eq!(put(40, "b"), (1, 1, r#"s="a""#.to_owned()), "no room yet");
    assert_eq!(put(90, "b"), (0, 1, r#"s="b""#.to_owned()), "the first has expired");
}

#[tokio::test]
async fn a_snapshot_stays_as_it_was_while_points_come_in() {
    use super::store::Store;
    use streamgauge_prometheus::{Translated, Translator};
    let translator = Translator::new(read("endpoint: ':1'").unwrap().translation());
    let mut store = Store::new(10, Duration::from_secs(60));
    let put = |store: &mut Store, time, value| {
        let mut out = Translated::new(store.intake(Instant::now()));
        translator.translate(&gauge(time, &[("a", value)]).parts[0], &mut out).unwrap();
    };
    put(&mut store, MS, 1.0);
    let before = store.snapshot();
    put(&mut store, 2 * MS, 2.0);
    let value =
        |snapshot: &super::store::Snapshot| snapshot["g"].series.values().next().unwrap().value.clone();
    assert_eq!(value(&before), super::store::Last::Number(1.0));
    assert_eq!(value(&store.snapshot()), super::store::Last::Number(2.0));
}

#[tokio::test]
async fn the_answer_is_packed_and_in_the_language_that_was_asked_for() {
    let exporter = started("enable_open_metrics: true\nsend_timestamps: true").await;
    let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let points: Vec<_> = many.iter().map(|n| (n.as_str(), 1.0)).collect();
    taken(&exporter, &gauge(1_500 * MS, &points)).await;
    let text = scrape(&exporter).await;
    assert!(text.contains("g{s=\"7\"} 1 1500\n"), "{text}");
    let open = get(&exporter, "/metrics", &[("accept", "application/openmetrics-text; version=1.0.0")]).await;
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(
        open.text().contains("g{s=\"7\"} 1 1.500\n") && open.text().ends_with("# EOF\n"),
        "{}",
        open.text()
    );
    let packed = get(&exporter, "/metrics", &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let plain = streamgauge_transport::Codec::Gzip.unpack(&packed.body, 1 << 20).unwrap();
    assert_eq!(plain, text);
}

#[tokio::test]
async fn a_page_is_written_once_until_something_else_is_to_be_shown() {
    use super::render::Rules;
    use super::serve::Scrapes;
    use super::store::Store;
    use http_body_util::BodyExt as _;
    use streamgauge_prometheus::{Translated, Translator};
    let config = read("endpoint: ':1'").unwrap();
    let translator = Translator::new(config.translation());
    let store = Arc::new(Mutex::new(Store::new(10, Duration::from_secs(60))));
    let put = |time, value| {
        let mut store = store.lock().unwrap();
        let mut out = Translated::new(store.intake(Instant::now()));
        translator.translate(&gauge(time, &[("a", value)]).parts[0], &mut out).unwrap();
    };
    let host = Host::for_test(Kind::Exporter, "prometheus");
    let rules = Rules { timestamps: false, expiration: Duration::from_secs(60) };
    let mut scrapes = Scrapes::new(store.clone(), rules, host.clock().clone());
    scrapes.path = "/metrics".to_owned();
    let ask = async || {
        let request = ::http::Request::get("/metrics").body(()).unwrap();
        scrapes.answer(request).await.into_body().collect().await.unwrap().to_bytes()
    };
    put(MS, 1.0);
    let (first, again) = (ask().await, ask().await);
    assert!(first.ends_with(b"g{s=\"a\"} 1\n"), "{first:?}");
    assert_eq!(first.as_ptr(), again.as_ptr(), "the same bytes, not equal ones");
    put(2 * MS, 2.0);
    assert!(ask().await.ends_with(b"g{s=\"a\"} 2\n"));
}

#[test]
fn a_written_page_is_shown_until_the_first_of_its_series_expires() {
    use super::pages::{Written, WrittenPages};
    let wish = (super::render::Wish { format: Format::Text, utf8: false }, false);
    let (now, later) = (Instant::now(), Duration::from_secs(60));
    let page = |version, length: usize| Written {
        version,
        until: Some(now + later),
        wish,
        body: vec![b'x'; length].into(),
        is_packed: false,
        length,
    };
    let mut pages = WrittenPages::default();
    pages.keep(&page(1, 100));
    assert!(pages.find(1, wish, now + later).is_some());
    assert!(pages.find(1, wish, now + later * 2).is_none(), "it would show what has expired");
    assert!(pages.find(2, wish, now).is_none() && pages.find(1, (wish.0, true), now).is_none());
    pages.keep(&page(2, 5 << 20));
    assert!(pages.find(2, wish, now).is_none() && pages.room() > 5 << 20, "a long one is not kept");
}

#[tokio::test]
async fn who_follows_after_a_reload_shows_on_what_was_held_under_the_same_names() {
    let host = Host::for_test(Kind::Exporter, "prometheus");
    let make = |more: &str| {
        let config = read(&format!("endpoint: 127.0.0.1:0\n{more}")).unwrap();
        Arc::new(PrometheusExporter::new(Arc::new(config), host.clone()))
    };
    let first = make("");
    first.start(host.clone()).await.unwrap();
    taken(&first, &gauge(MS, &[("a", 1.0)])).await;
    let (next, renamed) = (make("send_timestamps: true"), make("namespace: x"));
    first.shutdown().await;
    drop(first);
    for exporter in [&next, &renamed] {
        exporter.start(host.clone()).await.unwrap();
    }
    assert_eq!(scrape(&next).await, "# TYPE g gauge\ng{s=\"a\"} 1 1\n");
    assert_eq!(scrape(&renamed).await, "", "other names are other series");
}

#[tokio::test]
async fn names_of_any_characters_are_for_scrapers_that_take_them() {
    let exporter = started("translation_strategy: NoTranslation").await;
    let request = request(|scope| _ = scope.gauge("my.gauge", "", "").point(MS).attribute("a.b", "c").int(1));
    taken(&exporter, &request).await;
    assert_eq!(scrape(&exporter).await, "# TYPE my_gauge gauge\nmy_gauge{a_b=\"c\"} 1\n");
    let utf8 = [("accept", "text/plain;version=1.0.0;escaping=allow-utf-8")];
    let answer = get(&exporter, "/metrics", Box::leak(Box::new(utf8))).await;
    assert_eq!(answer.text(), "# TYPE \"my.gauge\" gauge\n{\"my.gauge\",\"a.b\"=\"c\"} 1\n");
    assert!(answer.headers["content-type"].contains("escaping=allow-utf-8"));
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let exporter = started("path: /scrape\nresponse_headers: {x-served-by: me}").await;
    assert_eq!(get(&exporter, "/metrics", &[]).await.status, 404);
    let ok = get(&exporter, "/scrape", &[]).await;
    assert_eq!((ok.status, ok.headers["x-served-by"].as_str()), (200, "me"));
    let url = format!("http://{}/scrape", exporter.address());
    assert_eq!(blocking(move || http::post(&url, "text/plain", b"x").unwrap()).await.status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scraper_that_reads_nothing_holds_nobody_up() {
    let exporter = started("").await;
    let many: Vec<String> = (0..20_000).map(|n| format!("{n}-{}", "x".repeat(200))).collect();
    let points: Vec<_> = many.iter().map(|n| (n.as_str(), 1.0)).collect();
    taken(&exporter, &gauge(MS, &points)).await;
    let mut lazy = Vec::new();
    for _ in 0..4 {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(exporter.address()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        lazy.push(stream);
    }
    let within = Duration::from_secs(10);
    let export = async { taken(&exporter, &gauge(2 * MS, &[("a", 2.0)])).await };
    assert_eq!(tokio::time::timeout(within, export).await.unwrap(), []);
    let text = tokio::time::timeout(within, scrape(&exporter)).await.unwrap();
    assert!(text.contains("g{s=\"a\"} 2\n"));
}

#[test]
fn a_wrong_section_is_told_where_and_why() {
    for (yaml, expected) in [
        ("{}", "requires a non-empty \"endpoint\""),
        ("endpoint: localhost", "is not an address to listen on"),
        ("{endpoint: ':1', path: metrics}", "path must start with /"),
        ("{endpoint: ':1', tls: {}}", "cert_file"),
        ("{endpoint: ':1', metric_expiration: 0s}", "must be more than 0s"),
        ("{endpoint: ':1', presets: [jeex, jeex]}", "named twice"),
        ("{endpoint: ':1', presets: [redis]}", "redis"),
        ("{endpoint: ':1', max_series: 0}", "at least 1"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}
