//! configs/stream-workers.yaml and configs/event-bus.yaml as they are.

#![allow(clippy::unwrap_used)] // an integration test: nothing but a test calls its helpers

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_harness::{Collector, OtlpSink, Redis, Reply, Telemetry, free_port, poll_until};

const SOON: Duration = Duration::from_secs(30);

fn file(name: &str) -> String {
    format!("{}/configs/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn start(name: &str, env: &[(&str, &str)]) -> Collector {
    let health = free_port();
    let door = format!(
        "extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}\nservice: {{telemetry: {{metrics: {{level: none}}}}}}"
    );
    let mut builder =
        Collector::builder(env!("CARGO_BIN_EXE_streamgauge")).config_file(file(name)).config(&door);
    for (name, value) in env {
        builder = builder.env(name, value);
    }
    let mut collector = builder.start();
    collector.wait_for_ok(&format!("http://127.0.0.1:{health}/"), SOON);
    collector
}

/// What a file comes to with an environment.
fn effective(name: &str, env: &[(&str, &str)]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(["print-config", "--format", "json", "--config", &file(name)]);
    let output = command.envs(env.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_workers_environment_says_how_much_is_read_and_how_long_is_waited() {
    let read = |config: &Value| {
        let (read, batch) = (&config["receivers"]["redis_stream"]["read"], &config["processors"]["batch"]);
        json!([read["count"], read["workers"], read["block"], batch["send_batch_max_size"], batch["timeout"]])
    };
    assert_eq!(read(&effective("stream-workers.yaml", &[])), json!([20, 4, "100ms", 20, "5s"]));
    let env = [
        ("BATCH_SIZE", "7"),
        ("WORKERS", "2"),
        ("PROCESSING_INTERVAL_MS", "250"),
        ("BATCH_TIMEOUT_MS", "1500"),
    ];
    assert_eq!(read(&effective("stream-workers.yaml", &env)), json!([7, 2, "250ms", 7, "1s 500ms"]));

    let (redis, sink) = (Redis::start(), OtlpSink::http());
    redis.fill("events:chat", 130);
    let (addr, url) = (redis.addr(), sink.url());
    let _workers = start("stream-workers.yaml", &[("REDIS_ADDR", &addr), ("OTLP_ENDPOINT", &url)]);
    poll_until("all entries arrive", SOON, || (sink.log_records().len() >= 130).then_some(()));
    let mut largest = 0;
    sink.each_taken(|taken| {
        let Telemetry::Logs(request) = taken else { panic!("logs") };
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        largest = largest.max(scopes.map(|scope| scope.log_records.len()).sum::<usize>());
    });
    assert!((1..=20).contains(&largest), "{largest}");
    poll_until("nothing is pending", SOON, || {
        redis.cli(&["xpending", "events:chat", "postgres-sync"]).starts_with('0').then_some(())
    });
}

#[test]
fn the_event_bus_has_its_groups_tries_a_message_as_often_as_it_may_be_and_tells_of_its_end() {
    let config = effective("event-bus.yaml", &[("REDIS_PASSWORD", "hunter2"), ("DEAD_LETTER_TTL", "60")]);
    let receiver = &config["receivers"]["redis_stream"];
    assert_eq!(
        json!([
            receiver["retry"]["max_deliveries"],
            receiver["dead_letter"]["ttl"],
            receiver["read"]["workers"]
        ]),
        json!([3, "1m", 4])
    );
    assert!(!config.to_string().contains("hunter2"));

    let (redis, sink) = (Redis::start(), OtlpSink::http());
    let (address, url) = (redis.url(), sink.url());
    let env = [("REDIS_STREAMS_URL", &*address), ("OTLP_ENDPOINT", &*url), ("MAX_RETRIES", "2")];
    let bus = start("event-bus.yaml", &env);
    for service in ["identity", "assets", "automation", "communication", "ai", "network", "system"] {
        let (stream, group) = (format!("opsconductor:{service}:events"), format!("{service}_processors"));
        poll_until("the group is there", SOON, || {
            redis.cli(&["xinfo", "groups", &stream]).contains(&group).then_some(())
        });
    }
    let publish = |event_type: &str| -> String {
        redis.run(&format!(
            "XADD opsconductor:identity:events * event_type {event_type} data {{}} retry_count 0"
        ))
    };
    publish("user_created");
    poll_until("it arrives", SOON, || (sink.log_records().len() == 1).then_some(()));
    let letters =
        || -> Vec<(String, Vec<String>)> { redis.run("XRANGE opsconductor:dead_letter:events - +") };
    let mut ids = Vec::new();
    for (event_type, status) in [("user_deleted", 400), ("user_login", 503)] {
        sink.marked(event_type, Reply::status(status));
        ids.push(publish(event_type));
        poll_until("it is a letter", SOON, || (letters().len() == ids.len()).then_some(()));
    }
    let (_, log) = bus.terminate(SOON);
    let letters = letters();
    for (id, event_type, retries, reason) in
        [(&ids[0], "user_deleted", "1", "peer_refused"), (&ids[1], "user_login", "2", "max_deliveries")]
    {
        let letter = letters.iter().find(|(_, fields)| fields.contains(id)).unwrap();
        let value = |name: &str| &*letter.1.chunks(2).find(|pair| pair[0] == name).unwrap()[1];
        assert_eq!((value("retry_count"), value("dlq.error.type")), (retries, reason));
        let line = log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{id} in {log}"));
        for word in ["message_id", "event_type", event_type, "error"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
}
