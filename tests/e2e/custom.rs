//! Metrics, checks and rules that a configuration adds: none of them needs another program, or even a restart.

use streamgauge_harness::{Redis, free_port, http, poll_until};

use crate::support::{SOON, binary};

fn yaml(redis: &Redis, [api, page]: [u16; 2], receiver: &str, rules: &str) -> String {
    format!(
        "receivers:
  redis:
    endpoint: '{url}'
    collection_interval: 100ms
    initial_delay: 0s
{receiver}
processors:
  alerting: {{rules: [{{alert: Down, metric: redis.up, op: '<', critical: 1}}{rules}]}}
exporters:
  prometheus: {{endpoint: '127.0.0.1:{page}'}}
extensions: {{api: {{endpoint: '127.0.0.1:{api}'}}}}
service:
  extensions: [api]
  pipelines: {{metrics: {{receivers: [redis], processors: [alerting], exporters: [prometheus]}}}}
",
        url = redis.url()
    )
}

#[test]
fn a_metric_a_check_and_a_rule_are_added_to_a_running_collector() {
    let redis = Redis::start();
    redis.run::<()>("RPUSH jobs a b c");
    let [api, page] = [free_port(), free_port()];
    let mut collector = binary().config(&yaml(&redis, [api, page], "", "")).start();
    collector.wait_for_log("Everything is ready", SOON);
    let scraped =
        || http::get(&format!("http://127.0.0.1:{page}/metrics")).map_or(String::new(), |a| a.text());
    let line = |name: &str, has: &str, value: &str| {
        let found = scraped();
        let is = |line: &&str| {
            line.starts_with(name) && line.contains(has) && line.contains(&format!("}} {value}"))
        };
        found.lines().find(is).map(str::to_owned)
    };
    poll_until("the page is there", SOON, || line("redis_up", "", "1"));
    assert!(!scraped().contains("app_jobs") && !scraped().contains("redis_check"));

    let receiver = "
    custom_metrics:
      - {name: app.jobs, command: LLEN jobs, kind: sum, attributes: {queue: jobs}}
      - {name: app.peak, field: used_memory_peak, unit: By}
    checks:
      - {name: few, command: LLEN jobs, op: '<', value: 3, message: start a worker}";
    let rules = ", {alert: Jobs, metric: app.jobs, op: '>', warning: 2}";
    let file = collector.dir().join("config-0.yaml");
    std::fs::write(&file, yaml(&redis, [api, page], receiver, rules)).unwrap();
    let reload = || http::post(&format!("http://127.0.0.1:{api}/api/v1/reload"), "text/plain", b"").unwrap();
    let answer = reload();
    assert_eq!(answer.status, 200, "{}", answer.text());
    poll_until("the metric by a command", SOON, || line("app_jobs", r#"queue="jobs""#, "3"));
    poll_until("the metric by a field", SOON, || scraped().contains("app_peak_bytes{").then_some(()));
    poll_until("the check", SOON, || line("redis_check_ok", r#"reason="start a worker""#, "0"));
    poll_until("the rule", SOON, || line("ALERTS", r#"alertname="Jobs""#, "1"));

    // What is wrong is refused at its place, and what runs runs on.
    let wrong =
        receiver.replace("LLEN jobs, kind", "LRANGE jobs, kind").replace("name: app.peak", "name: redis.up");
    std::fs::write(&file, yaml(&redis, [api, page], &wrong, rules)).unwrap();
    let answer = reload();
    assert_eq!(answer.status / 100, 4, "{}", answer.text());
    for told in ["no command that reads one number", "redis.up is a metric of this receiver", ":9:", ":8:"] {
        assert!(answer.text().contains(told), "{told}: {}", answer.text());
    }
    redis.run::<()>("LPOP jobs");
    poll_until("it holds again", SOON, || line("redis_check_ok", r#"reason="ok""#, "1"));
    assert!(line("redis_check_ok", "start a worker", "").is_none(), "{}", scraped());
}
