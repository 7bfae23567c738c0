//! Connection pools of instrumented clients: the example of `metricsgeneration`, as it is.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use streamgauge_harness::{free_port, http, poll_until};

use crate::support::{Running, SOON, binary, read, yaml_blocks};

/// What a client sends of its pools: connections used, idle and at most.
fn request(pools: &[(&str, i64, i64, i64)]) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
    let point = |pool: &str, state: Option<&str>, value: i64| {
        let label = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let mut labels = vec![label("db.client.connection.pool.name", pool)];
        labels.extend(state.map(|state| label("db.client.connection.state", state)));
        json!({"timeUnixNano": now, "asInt": value.to_string(), "attributes": labels})
    };
    let sum = |name: &str, points: Vec<Value>| json!({"name": name, "unit": "{connection}", "sum": {"aggregationTemporality": 2, "dataPoints": points}});
    let counts = pools.iter().flat_map(|(pool, used, idle, _)| {
        [point(pool, Some("used"), *used), point(pool, Some("idle"), *idle)]
    });
    let maxima = pools.iter().map(|(pool, _, _, max)| point(pool, None, *max));
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        sum("db.client.connection.count", counts.collect()),
        sum("db.client.connection.max", maxima.collect()),
    ]}]}]})
}

#[test]
fn eight_of_ten_connections_of_a_pool_in_use_are_a_warning() {
    let example = read("processors/src/metricsgeneration/README.md");
    let page = free_port();
    let doors = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}}}
exporters: {{prometheus: {{endpoint: '127.0.0.1:{page}'}}}}
"
    );
    let running = Running::start_with(&doors, binary().config(yaml_blocks(&example)[0]));
    let send = |pools: &[(&str, i64, i64, i64)]| {
        let url = format!("{}/v1/metrics", running.http_url());
        let answer = http::post(&url, "application/json", request(pools).to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let has = |name: &str, labels: &[&str], value: &str| {
        let text = http::get(&format!("http://127.0.0.1:{page}/metrics")).map_or(String::new(), |a| a.text());
        let is = |line: &str| {
            line.starts_with(name)
                && labels.iter().all(|label| line.contains(label))
                && line.ends_with(&format!("}} {value}"))
        };
        text.lines().any(is)
    };
    let share = |pool: &str, state: &str, value: &str| {
        let pool = format!("pool_name=\"{pool}\"");
        let state = format!("state=\"{state}\"");
        has("db_client_connection_utilization_percent{", &[&pool, &state], value)
    };
    let alerts = |pool: &str, severity: &str| {
        let (pool, severity) = (format!("pool_name=\"{pool}\""), format!("severity=\"{severity}\""));
        has("ALERTS{", &["alertname=\"ConnectionPoolNearlyExhausted\"", &pool, &severity], "1")
    };

    // The other pool has twice the room, and is idle to 90 %: neither may be taken for the first's use.
    send(&[("orders", 7, 3, 10), ("reports", 2, 18, 20), ("unbounded", 500, 0, 0)]);
    poll_until("seven of ten", SOON, || share("orders", "used", "70").then_some(()));
    assert!(
        share("orders", "idle", "30") && share("reports", "used", "10") && share("reports", "idle", "90")
    );
    let skipped = [("reason", "division_by_zero")];
    assert_eq!(running.numbers().sum("streamgauge_metricsgeneration_skipped", &skipped), 2.0);
    // Once the next is there, all that came of the first is.
    send(&[("orders", 7, 3, 10), ("reports", 4, 16, 20)]);
    poll_until("four of twenty", SOON, || share("reports", "used", "20").then_some(()));
    assert!(!has("ALERTS", &[], "1"), "no alert yet");

    send(&[("orders", 8, 2, 10), ("reports", 2, 18, 20)]);
    poll_until("eight of ten warn", SOON, || alerts("orders", "warning").then_some(()));
    assert!(share("orders", "used", "80"));
    assert!(!alerts("orders", "critical") && !alerts("reports", "warning"));

    send(&[("orders", 7, 3, 10)]);
    poll_until("seven of ten are well again", SOON, || (!alerts("orders", "warning")).then_some(()));
}
