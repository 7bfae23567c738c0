use streamgauge_pdata::build::{Metrics, MetricsBuilder, Scope};
use streamgauge_pdata::view::Temporality::Cumulative;

use super::Preset;
use crate::name::Namer;
use crate::oracle::lines;
use crate::{ResourceLabels, Settings, Translated, Translator};

const MS: u64 = 1_000_000;
const SERVER: [(&str, &str); 4] = [
    ("server.address", "cache"),
    ("server.port", "6379"),
    ("redis.version", "7.0.15"),
    ("project.id", "shop"),
];

fn series(presets: Vec<Preset>, fill: impl FnOnce(&mut Scope<'_, Metrics>)) -> Vec<String> {
    let mut builder = MetricsBuilder::new();
    fill(&mut builder.resource(SERVER).scope("redis", ""));
    translated(presets, &builder.finish())
}

fn translated(presets: Vec<Preset>, request: &[u8]) -> Vec<String> {
    let translator = Translator::new(Settings {
        namer: Namer::default(),
        external_labels: Vec::new(),
        scope_labels: true,
        target_info: false,
        resource_labels: ResourceLabels::default(),
        metadata: false,
        presets,
    });
    let mut out = <Translated>::default();
    translator.translate(request, &mut out).unwrap();
    translator.finish(&mut out);
    let mut all: Vec<_> = out.series.into_sorted().0.iter().flat_map(lines).collect();
    all.sort();
    all
}

#[test]
fn redis_exporters_names_replace_the_metrics_own_and_others_go_on() {
    let got = series(vec![Preset::redis_exporter("redis")], |scope| {
        scope.gauge("redis.memory.used", "By", "").point(MS).int(7);
        scope.gauge("redis.db.keys", "{key}", "").point(MS).attribute("db", "3").int(5);
        scope
            .sum("redis.cmd.usec", "us", "", Cumulative, true)
            .point(MS)
            .attribute("cmd", "get")
            .int(2_000_000);
        let mut cpu = scope.sum("redis.cpu.time", "s", "", Cumulative, true);
        cpu.point(MS).attribute("state", "sys").double(1.5);
        drop(cpu);
        let mut latency = scope.gauge("redis.cmd.latency", "s", "");
        latency.point(MS).attribute("cmd", "get").attribute("percentile", "p99.9").double(0.25);
        drop(latency);
        scope
            .gauge("redis.instance", "1", "")
            .point(MS)
            .attribute("role", "primary")
            .attribute("version", "7.0.15")
            .attribute("valkey_version", "")
            .int(1);
        scope
            .gauge("redis.replication.link.up", "1", "")
            .point(MS)
            .attribute("primary", "10.0.0.1:6379")
            .int(1);
        let mut lag = scope.gauge("redis.replication.replica.lag_time", "s", "");
        lag.point(MS).attribute("replica", "10.0.0.2:6379").attribute("state", "online").int(0);
        drop(lag);
        scope.gauge("redis.commands", "{ops}/s", "").point(MS).int(3);
    });
    let own = r#"instance="cache:6379""#;
    assert_eq!(
        got,
        [
            format!(r#"redis_commands_duration_seconds_total{{cmd="get",{own}}} 2 @1"#),
            format!(r#"redis_commands_per_second{{{own},otel_scope_name="redis"}} 3 @1"#),
            format!(
                r#"redis_connected_slave_lag_seconds{{{own},slave_ip="10.0.0.2",slave_port="6379",slave_state="online"}} 0 @1"#
            ),
            format!(r#"redis_cpu_sys_seconds_total{{{own}}} 1.5 @1"#),
            format!(r#"redis_db_keys{{db="db3",{own}}} 5 @1"#),
            format!(r#"redis_instance_info{{{own},redis_version="7.0.15",role="master"}} 1 @1"#),
            format!(r#"redis_latency_percentiles_usec{{cmd="get",{own},quantile="99.9"}} 250000 @1"#),
            format!(r#"redis_master_link_up{{{own},master_host="10.0.0.1",master_port="6379"}} 1 @1"#),
            format!(r#"redis_memory_used_bytes{{{own}}} 7 @1"#),
        ]
    );
}

#[test]
fn an_unknown_lag_is_absent_and_said_to_be_unknown() {
    let group = |scope: &mut Scope<'_, Metrics>, stream: &str, lag: Option<i64>| {
        let labels = [("db", "0"), ("stream", stream), ("group", "g")];
        if let Some(lag) = lag {
            scope.gauge("redis.stream.group.lag", "", "").point(MS).attributes(labels).int(lag);
        }
        let quality = i64::from(lag.is_some()) * 4;
        scope.gauge("redis.stream.group.lag_quality", "", "").point(MS).attributes(labels).int(quality);
    };
    let got = series(vec![Preset::redis_exporter("redis")], |scope| {
        group(scope, "a", Some(12));
        group(scope, "b", None);
    });
    let labels = |stream| format!(r#"{{db="db0",group="g",instance="cache:6379",stream="{stream}"}}"#);
    assert_eq!(
        got,
        [
            format!("redis_stream_group_lag_known{} 1 @1", labels("a")),
            format!("redis_stream_group_lag_known{} 0 @1", labels("b")),
            format!("redis_stream_group_lag{} 12 @1", labels("a")),
        ]
    );
}

#[test]
fn a_state_that_changes_is_one_series() {
    let got = series(vec![Preset::redis_exporter("r")], |scope| {
        let mut state = scope.gauge("redis.cluster.state", "", "");
        state.point(MS).attribute("cluster_state", "fail").int(1);
        state.point(MS).attribute("cluster_state", "ok").no_recorded_value();
    });
    assert_eq!(got, [r#"r_cluster_state{instance="cache:6379"} 0 @1"#]);
}

#[test]
fn a_series_that_goes_on_under_another_resource_has_no_end() {
    let mut builder = MetricsBuilder::new();
    for (role, ended) in [("primary", false), ("replica", true)] {
        let mut resource = builder.resource([("server.address", "h"), ("redis.role", role)]);
        let mut scope = resource.scope("redis", "");
        let mut gauge = scope.gauge("redis.memory.used", "By", "");
        let mut point = gauge.point(MS);
        if ended {
            point.no_recorded_value()
        } else {
            point.int(7)
        };
    }
    let got = translated(vec![Preset::redis_exporter("redis")], &builder.finish());
    assert_eq!(got, [r#"redis_memory_used_bytes{instance="h"} 7 @1"#]);
}

#[test]
fn the_writers_series_are_those_of_its_group_and_the_others_stay() {
    let presets =
        vec![Preset::postgres_writer("postgres_writer", "postgres-sync"), Preset::consumer_lag("event")];
    let got = series(presets, |scope| {
        let mut lag = scope.gauge("redis.stream.group.lag", "{entry}", "");
        lag.point(MS).attribute("stream", "s").attribute("group", "postgres-sync").int(5);
        lag.point(MS).attribute("stream", "s").attribute("group", "surreal-sync").int(9);
    });
    let own = r#"instance="cache:6379""#;
    assert_eq!(
        got,
        [
            format!(r#"event_consumer_lag{{consumer_group="postgres-sync",{own},stream="s"}} 5 @1"#),
            format!(r#"event_consumer_lag{{consumer_group="surreal-sync",{own},stream="s"}} 9 @1"#),
            format!(r#"postgres_writer_stream_lag{{{own},stream_name="s"}} 5 @1"#),
            format!(
                r#"redis_stream_group_lag{{group="postgres-sync",{own},otel_scope_name="redis",stream="s"}} 5 @1"#
            ),
            format!(
                r#"redis_stream_group_lag{{group="surreal-sync",{own},otel_scope_name="redis",stream="s"}} 9 @1"#
            ),
        ]
    );
}

#[test]
fn ratios_are_made_of_two_metrics_and_absent_without_a_whole() {
    let jeex = |used: i64, max: i64, hits: i64, misses: i64| {
        let got = series(vec![Preset::jeex("jeex")], |scope| {
            scope.gauge("redis.memory.used", "By", "").point(MS).int(used);
            scope.gauge("redis.maxmemory", "By", "").point(MS).int(max);
            scope.sum("redis.keyspace.hits", "", "", Cumulative, true).point(MS).int(hits);
            scope.sum("redis.keyspace.misses", "", "", Cumulative, true).point(MS).int(misses);
        });
        got.into_iter().filter(|line| line.starts_with("jeex_")).collect::<Vec<_>>()
    };
    let own = r#"{instance="cache:6379",project_id="shop"}"#;
    assert_eq!(
        jeex(30, 120, 3, 1),
        [
            format!("jeex_redis_hit_rate{own} 0.75 @1"),
            format!("jeex_redis_memory_bytes{own} 30 @1"),
            format!("jeex_redis_memory_percentage{own} 25 @1"),
        ]
    );
    assert_eq!(
        jeex(30, 0, 0, 0),
        [
            format!("jeex_redis_hit_rate{own} stale @1"),
            format!("jeex_redis_memory_bytes{own} 30 @1"),
            format!("jeex_redis_memory_percentage{own} stale @1"),
        ]
    );
}

#[test]
fn a_commands_histogram_is_in_the_unit_that_its_name_says() {
    let presets = vec![Preset::redis_exporter("redis"), Preset::jeex("jeex")];
    let got = series(presets, |scope| {
        let mut duration = scope.exponential_histogram("redis.cmd.duration", "ns", "", Cumulative);
        // Three calls from 2048 to 4096 ns.
        duration.point(MS).attribute("cmd", "get").count(3).sum(5000.0).scale(0).positive(11, [3]);
    });
    let own = r#"instance="cache:6379""#;
    assert_eq!(
        got,
        [
            format!(
                r#"jeex_redis_command_duration_seconds_bucket{{command="get",{own},le="+Inf",project_id="shop"}} 3 @1"#
            ),
            format!(
                r#"jeex_redis_command_duration_seconds_bucket{{command="get",{own},le="0.000004096",project_id="shop"}} 3 @1"#
            ),
            format!(
                r#"jeex_redis_command_duration_seconds_count{{command="get",{own},project_id="shop"}} 3 @1"#
            ),
            format!(
                r#"jeex_redis_command_duration_seconds_sum{{command="get",{own},project_id="shop"}} 0.000005 @1"#
            ),
            format!(r#"redis_commands_latencies_usec_bucket{{cmd="get",{own},le="+Inf"}} 3 @1"#),
            format!(r#"redis_commands_latencies_usec_bucket{{cmd="get",{own},le="4.096"}} 3 @1"#),
            format!(r#"redis_commands_latencies_usec_count{{cmd="get",{own}}} 3 @1"#),
            format!(r#"redis_commands_latencies_usec_sum{{cmd="get",{own}}} 5 @1"#),
        ]
    );
}
