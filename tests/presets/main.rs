//! What presets read is what receivers make.

use streamgauge_prometheus::Preset;
use streamgauge_receivers::{redis, redis_stream_metrics};

/// What no receiver makes yet: it has no series until then.
const PENDING: &str = include_str!("pending.txt");

#[test]
fn every_metric_that_a_preset_reads_is_declared_by_a_receiver() {
    let presets = [
        Preset::redis_exporter("redis"),
        Preset::postgres_writer("postgres_writer", "postgres-sync"),
        Preset::consumer_lag("event"),
        Preset::jeex("jeex"),
    ];
    let declared: Vec<_> = redis::metric_names().chain(redis_stream_metrics::metric_names()).collect();
    for source in presets.iter().flat_map(Preset::sources) {
        let pending = PENDING.lines().any(|name| name == source);
        assert!(declared.contains(&source) || pending, "no receiver makes {source}");
    }
}

#[test]
fn a_preset_gives_no_two_metrics_one_name() {
    for preset in [Preset::redis_exporter("redis"), Preset::jeex("jeex"), Preset::postgres_writer("w", "g")] {
        let mut names: Vec<_> = preset.names().collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}
