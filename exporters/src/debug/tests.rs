use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use streamgauge_component::{Context, Host, Kind, Request, Signal};
use streamgauge_config::Section;
use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};
use streamgauge_pdata::view::Temporality::Cumulative;

use super::{Config, Counts, Debug, FACTORY, detailed, normal};

const SECOND: u64 = 1_000_000_000;

fn request(signal: Signal, bytes: Bytes) -> Request {
    let items = streamgauge_pdata::count(signal, &bytes);
    let context = Arc::new(Context::new("test", SystemTime::UNIX_EPOCH));
    Request { signal, context, parts: vec![bytes], items }
}

fn metrics() -> Request {
    let mut builder = MetricsBuilder::new();
    {
        let mut resource = builder.resource([("service.name", "my shop")]);
        let mut scope = resource.scope("redis", "1.0");
        {
            let mut lag = scope.gauge("redis.stream.group.lag", "{entry}", "Entries not read yet.");
            lag.point(SECOND).attribute("stream", "orders").int(123);
            lag.point(SECOND).attribute("stream", "gone").no_recorded_value();
        }
        scope
            .histogram("latency", "s", "", Cumulative)
            .point(SECOND)
            .count(3)
            .sum(1.5)
            .buckets(&[0.5], &[1, 2]);
        {
            let mut e = scope.exponential_histogram("e", "", "", Cumulative);
            e.point(SECOND).count(3).sum(9.0).scale(0).positive(1, [0, 3]);
        }
        scope.summary("s", "", "").point(SECOND).count(2).sum(3.0).quantile(0.99, 2.0);
    }
    request(Signal::Metrics, builder.finish())
}

fn logs() -> Request {
    let mut builder = LogsBuilder::new();
    {
        let mut resource = builder.resource(());
        let mut scope = resource.scope("alerts", "");
        let mut record = scope.record(SECOND);
        record.time(2 * SECOND).severity(17, "").event_name("alert.transition").body("lag is high");
        record.attribute("state", "firing").attribute("value", 123_i64);
    }
    request(Signal::Logs, builder.finish())
}

fn text(write: fn(&Request, &mut String), request: &Request) -> String {
    let mut out = String::new();
    write(request, &mut out);
    out
}

#[test]
fn normal_is_one_line_a_record_under_its_resource() {
    assert_eq!(
        text(normal::write, &metrics()),
        "[resource] service.name=\"my shop\"\n\
         redis.stream.group.lag 123 {entry} stream=orders\n\
         redis.stream.group.lag no value {entry} stream=gone\n\
         latency count=3 sum=1.5 s\n\
         e count=3 sum=9\n\
         s count=2 sum=3 p99=2\n"
    );
    assert_eq!(
        text(normal::write, &logs()),
        "1970-01-01T00:00:02Z ERROR alert.transition lag is high state=firing value=123\n"
    );
}

#[test]
fn detailed_shows_every_field() {
    let all = text(detailed::write, &metrics());
    for line in [
        "Resource #0",
        "     -> service.name: Str(my shop)",
        "    Name: redis.stream.group.lag",
        "    Description: Entries not read yet.",
        "    Unit: {entry}",
        "             -> stream: Str(orders)",
        "        Time: 1970-01-01T00:00:01Z",
        "        Value: 123",
        "        Flags: 1",
        "    Temporality: Cumulative",
        "        Bucket: (-inf, 0.5] 1",
        "        Bucket: (0.5, inf] 2",
        "        Bucket: (4, 8] 3",
        "        Quantile: 0.99: 2",
    ] {
        assert!(all.lines().any(|l| l == line), "{line:?} is not in\n{all}");
    }
    let logs = text(detailed::write, &logs());
    for line in
        ["    Body: Str(lag is high)", "    Severity number: ERROR (17)", "         -> value: Int(123)"]
    {
        assert!(logs.lines().any(|l| l == line), "{line:?} is not in\n{logs}");
    }
}

#[test]
fn counts_name_resources_metrics_and_items() {
    assert_eq!(Counts::of(&metrics()).to_string(), "Metrics: 1 resources, 4 metrics, 5 data points");
    assert_eq!(Counts::of(&logs()).to_string(), "Logs: 1 resources, 1 log records");
}

#[test]
fn broken_bytes_are_said_to_be_broken_and_never_panic() {
    for (signal, whole) in [(Signal::Metrics, metrics().parts), (Signal::Logs, logs().parts)] {
        for at in 0..whole[0].len() {
            let mut bytes = whole[0].to_vec();
            bytes[at] ^= 0xff;
            let broken = Request { parts: vec![bytes.into()], ..request(signal, Bytes::new()) };
            let _ = (text(normal::write, &broken), text(detailed::write, &broken), Counts::of(&broken));
        }
    }
    let mut bytes = metrics().parts[0].to_vec();
    let at = bytes.windows(6).position(|w| w == b"orders").unwrap();
    bytes[at] = 0xff;
    let broken = Request { parts: vec![bytes.into()], ..metrics() };
    assert!(text(normal::write, &broken).contains("cannot be read"));
}

#[test]
fn of_a_seconds_requests_the_first_are_shown_and_then_every_nth() {
    let config = Config { sampling_initial: 2, sampling_thereafter: 3, ..Config::default() };
    let host = Host::for_test(Kind::Exporter, "debug");
    let debug = Debug { host, sampler: Default::default(), config: Arc::new(config) };
    let start = Instant::now();
    let shown: Vec<_> = (1..=9).filter(|_| debug.is_shown(start)).collect();
    assert_eq!(shown, [1, 2, 5, 8]);
    assert!(debug.is_shown(start + Duration::from_secs(1)));
}

#[test]
fn the_readmes_examples_load_and_unknown_keys_do_not() {
    let blocks: Vec<_> = FACTORY.description.readme.split("```yaml\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let (_, body) = block.split("```").next().unwrap().split_once('\n').unwrap();
        (FACTORY.config.read)(&Section::from_yaml("exporters::debug", body).unwrap()).unwrap();
    }
    assert!(
        (FACTORY.config.read)(&Section::from_yaml("exporters::debug", "verbose: true").unwrap()).is_err()
    );
}
