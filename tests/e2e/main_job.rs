//! The main job: a real Redis and its streams in; project, rate, percentile and alerting on the way; Prometheus, OTLP
//! and the log out. What arrives is what redis-cli says.

use std::time::{Duration, SystemTime};

use streamgauge_harness::{OtlpSink, Point, Prometheus, Redis, http, poll_until};

use crate::support::{Running, SOON};

fn yaml(redis: &Redis, prometheus: &Prometheus, grpc: &OtlpSink, http: &OtlpSink) -> String {
    format!(
        "receivers:
  redis: {{endpoint: '{redis}', collection_interval: 500ms, initial_delay: 0s}}
  redis_stream_metrics: {{endpoint: '{redis}', collection_interval: 500ms, streams: ['*'], groups: ['*']}}
  otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}
processors:
  project:
    attribute: project.id
    default: unassigned
    rules: [{{attribute: stream, pattern: '^([^:]+):'}}]
  rate:
    rules: [{{metric: redis.commands.processed, window: 1m, output: rate, name: redis.commands.rate}}]
  percentile:
    rules: [{{metric: app.latency, by: [route], window: 1m, interval: 1s, quantiles: [0.5, 0.99]}}]
connectors:
  alerting:
    rules:
      - alert: HighConsumerLag
        metric: redis.stream.group.lag
        match: {{stream: 'shop:*', group: '/^bill/'}}
        op: '>'
        warning: 100
        for: 1s
        annotations: {{summary: '{{{{ $labels.stream }}}} lags by {{{{ $value }}}}'}}
exporters:
  prometheus_remote_write:
    endpoint: '{prometheus}'
    resource_to_telemetry_conversion: {{enabled: true}}
  otlp_grpc: {{endpoint: '{grpc}', tls: {{insecure: true}}}}
  otlp_http: {{endpoint: '{http}'}}
  debug: {{verbosity: normal}}
service:
  pipelines:
    metrics:
      receivers: [redis, redis_stream_metrics, otlp]
      processors: [project, rate, percentile]
      exporters: [prometheus_remote_write, otlp_grpc, otlp_http, debug, alerting]
    metrics/alerts: {{receivers: [alerting], exporters: [prometheus_remote_write]}}
    logs/alerts: {{receivers: [alerting], exporters: [otlp_grpc, debug]}}
",
        redis = redis.url(),
        prometheus = prometheus.remote_write_url(),
        grpc = grpc.addr(),
        http = http.url(),
    )
}

/// The number in a redis-cli answer to XINFO GROUPS behind a field's name.
fn field(answer: &str, name: &str) -> f64 {
    let mut words = answer.split_whitespace();
    words.find(|word| *word == name).unwrap_or_else(|| panic!("no {name} in {answer}"));
    words.next().unwrap().parse().unwrap()
}

#[test]
fn redis_and_its_streams_arrive_at_prometheus_otlp_and_the_log_as_redis_cli_tells_them() {
    let redis = Redis::start();
    redis.fill("shop:orders", 200);
    redis.run::<()>("XGROUP CREATE shop:orders billing 0");
    redis.run::<redis::Value>("XREADGROUP GROUP billing w COUNT 77 STREAMS shop:orders >");
    redis.run::<()>("SET plain 1");
    let prometheus = Prometheus::start();
    let (grpc, http_sink) = (OtlpSink::grpc(), OtlpSink::http());
    let commands_before: f64 = redis.info("total_commands_processed").unwrap().parse().unwrap();
    let running = Running::start(&yaml(&redis, &prometheus, &grpc, &http_sink));

    // (a) Prometheus, against redis-cli's own numbers.
    let groups = redis.cli(&["XINFO", "GROUPS", "shop:orders"]);
    let group = "{stream=\"shop:orders\",group=\"billing\",project_id=\"shop\"}";
    for (series, wanted) in [
        (format!("redis_stream_group_lag{group}"), field(&groups, "lag")),
        (format!("redis_stream_group_pending{group}"), field(&groups, "pending")),
        (
            "redis_stream_length{stream=\"shop:orders\"}".into(),
            redis.cli(&["XLEN", "shop:orders"]).parse().unwrap(),
        ),
        ("redis_db_keys{db=\"0\"}".into(), redis.cli(&["DBSIZE"]).parse().unwrap()),
        (format!("redis_up{{server_address=\"127.0.0.1\",server_port=\"{}\"}}", redis.port()), 1.0),
    ] {
        prometheus.wait_for(&series, SOON);
        assert_eq!(prometheus.value(&series), Some(wanted), "{series}");
    }
    assert_eq!(field(&groups, "lag"), 123.0);
    let commands = prometheus.wait_for("redis_commands_processed_total", SOON)[0].value;
    let commands_now: f64 = redis.info("total_commands_processed").unwrap().parse().unwrap();
    assert!(
        (commands_before..=commands_now).contains(&commands),
        "{commands_before} {commands} {commands_now}"
    );
    let rate = poll_until("a rate", SOON, || {
        prometheus.value("redis_commands_rate_per_second").filter(|rate| *rate > 0.0)
    });
    assert!(rate < 10_000.0, "{rate} commands a second on an idle server");
    let version = redis.info("redis_version").unwrap();
    assert_eq!(prometheus.value(&format!("count(redis_up{{redis_version=\"{version}\"}})")), Some(1.0));

    // The alert: pending, then firing, in Prometheus and as log records by OTLP.
    let firing = "ALERTS{alertname=\"HighConsumerLag\",alertstate=\"firing\",severity=\"warning\"}";
    assert_eq!(prometheus.wait_for(firing, SOON)[0].value, 1.0);
    poll_until("two transitions", SOON, || (grpc.log_records().len() >= 2).then_some(()));
    let records = grpc.log_records();
    assert!(records.iter().all(|r| r.event_name == "alert.transition"), "{records:?}");

    // A lag that is gone resolves it.
    redis.run::<redis::Value>("XREADGROUP GROUP billing w COUNT 1000 STREAMS shop:orders >");
    poll_until("resolved", SOON, || prometheus.query(firing).is_empty().then_some(()));

    // Percentiles of what a service sends: 1 to 100 ms.
    let answer =
        http::post(&format!("{}/v1/metrics", running.http_url()), "application/x-protobuf", &latencies());
    assert_eq!(answer.unwrap().status, 200);
    for (quantile, wanted) in [("0.5", 50.0), ("0.99", 99.0)] {
        let series = format!("app_latency_quantile_milliseconds{{route=\"/pay\",quantile=\"{quantile}\"}}");
        let found = prometheus.wait_for(&series, SOON)[0].value;
        assert!((found - wanted).abs() <= wanted * 0.022, "{series} is {found}");
    }

    // (b) Both OTLP sinks have the same lag; (c) the log has it too.
    let of_group = |p: &Point| p.attribute("group") == "billing" && p.value == Some(123.0);
    let by_grpc = grpc.wait_for_point("redis.stream.group.lag", SOON, of_group);
    let by_http = http_sink.wait_for_point("redis.stream.group.lag", SOON, of_group);
    assert_eq!(by_grpc.attributes, by_http.attributes);
    assert_eq!(by_http.resource["project.id"], "shop");
    let (code, log) = running.collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
    let line = log.lines().find(|l| l.contains("redis.stream.group.lag") && l.contains("123"));
    assert!(line.is_some_and(|l| l.contains("shop:orders")), "{log}");
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos() as u64
}

/// One hundred points of `app.latency`, 1 to 100 ms.
fn latencies() -> Vec<u8> {
    use streamgauge_pdata::build::MetricsBuilder;
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos() as u64;
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("test", "1");
        let mut gauge = scope.gauge("app.latency", "ms", "");
        for millis in 1..=100_u64 {
            gauge.point(now + millis).attribute("route", "/pay").double(millis as f64);
        }
    }
    request.finish().to_vec()
}

#[test]
fn redis_down_is_told_and_its_return_too_while_the_rest_goes_on() {
    let mut redis = Redis::start();
    let sink = OtlpSink::http();
    let running = Running::start(&format!(
        "receivers:
  redis: {{endpoint: '{}', collection_interval: 300ms, initial_delay: 0s, timeout: 1s}}
  otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}
exporters: {{otlp_http: {{endpoint: '{}'}}}}
service:
  pipelines:
    metrics: {{receivers: [redis], exporters: [otlp_http]}}
    logs: {{receivers: [otlp], exporters: [otlp_http]}}
",
        redis.url(),
        sink.url()
    ));
    sink.wait_for_point("redis.up", SOON, |p| p.value == Some(1.0));
    let uptime = sink.wait_for_point("redis.uptime", SOON, |_| true);
    redis.stop();
    sink.wait_for_point("redis.up", SOON, |p| p.value == Some(0.0));
    let health = http::get(&format!("http://{}/", running.health())).unwrap();
    assert_eq!(health.status, 200, "a lost Redis is no reason to restart the collector");
    poll_until("the health check names it", SOON, || {
        let json = http::get(&format!("http://{}/", running.health())).unwrap().json();
        json["degraded"].as_array().is_some_and(|d| d.iter().any(|c| c["id"] == "redis")).then_some(())
    });
    let again = now();
    redis.start_again();
    sink.wait_for_point("redis.up", SOON, |p| p.value == Some(1.0) && p.time > again);
    let after = sink.wait_for_point("redis.uptime", SOON, |p| p.time > again);
    assert!(after.start > uptime.start, "a restart is a new start time: {uptime:?} {after:?}");
}

#[test]
fn health_on_the_command_line_is_the_health_check_s_answer() {
    let running = Running::start(
        "receivers: {nop: {}}
exporters: {nop: {}}
service: {pipelines: {metrics: {receivers: [nop], exporters: [nop]}}}
",
    );
    let ask = |endpoint: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(["health", "--endpoint", endpoint])
            .output()
            .unwrap()
    };
    let well = ask(&running.health());
    assert!(well.status.success(), "{well:?}");
    assert!(String::from_utf8_lossy(&well.stdout).contains("Server available"), "{well:?}");
    let nobody = ask(&format!("127.0.0.1:{}", streamgauge_harness::free_port()));
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
}
