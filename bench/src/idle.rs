//! The idle agent: configs/quickstart.yaml on a private Redis with a few streams, 10 s ticks; and the binary's size.

use std::path::Path;
use std::time::{Duration, Instant};

use streamgauge_harness::{Collector, Redis, free_port, http};

use crate::proc;
use crate::table::{Limit, Row};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/quickstart.yaml");
const MUST_BE_READY: Duration = Duration::from_secs(10);

/// Starts the collector, waits until it is ready, then watches it for `watch`.
pub fn measure(binary: &Path, watch: Duration) -> Vec<Row> {
    let redis = Redis::start();
    for stream in ["orders", "chat", "audit"] {
        redis.fill(stream, 100);
        redis.run::<()>(&format!("XGROUP CREATE {stream} workers 0"));
    }
    // Free ports in place of the fixed ones, so that a collector that already runs here is no obstacle.
    let health = format!("127.0.0.1:{}", free_port());
    let overlay = format!(
        "extensions: {{health_check: {{endpoint: '{health}'}}}}\n\
         receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{}'}}, http: {{endpoint: '127.0.0.1:{}'}}}}}}}}\n\
         service: {{telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {}}}}}}}}}]}}}}}}\n",
        free_port(),
        free_port(),
        free_port()
    );
    let start = Instant::now();
    let collector = Collector::builder(binary)
        .config_file(QUICKSTART)
        .config(&overlay)
        .env("REDIS_URL", &redis.url())
        .start();
    let ready = ready_after(&collector, &format!("http://{health}/"), start);

    let before = proc::cpu_time(collector.id()).unwrap_or_default();
    let watched = Instant::now();
    let mut most = 0.0_f64;
    // Sampling, not waiting for a state: the peak of the memory is what counts.
    while watched.elapsed() < watch {
        std::thread::sleep(Duration::from_millis(500).min(watch));
        most = most.max(proc::resident_mib(collector.id()).unwrap_or(f64::INFINITY));
    }
    let used = proc::cpu_time(collector.id()).unwrap_or(Duration::MAX).saturating_sub(before);
    let cpu = 100.0 * used.as_secs_f64() / watched.elapsed().as_secs_f64();
    let size = std::fs::metadata(binary).map_or(f64::INFINITY, |file| file.len() as f64 / 1e6);
    vec![
        Row {
            name: "idle: ready after start",
            unit: "ms",
            limit: Limit::AtMost(100.0),
            measured: ready.as_secs_f64() * 1e3,
        },
        Row { name: "idle: resident memory, peak", unit: "MiB", limit: Limit::AtMost(15.0), measured: most },
        Row { name: "idle: CPU at 10 s ticks", unit: "% core", limit: Limit::AtMost(1.0), measured: cpu },
        Row { name: "binary", unit: "MB", limit: Limit::AtMost(25.0), measured: size },
    ]
}

/// From the start of the process to the health check's first 200.
fn ready_after(collector: &Collector, url: &str, start: Instant) -> Duration {
    while http::get(url).map(|a| a.status).unwrap_or_default() != 200 {
        assert!(start.elapsed() < MUST_BE_READY, "not ready within {MUST_BE_READY:?}:\n{}", collector.log());
        std::thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}
