use super::Kind::{Counter, Gauge, Histogram, Summary, UpDownCounter};
use super::Strategy::{
    NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
};
use super::{Kind, Namer, Strategy};

fn check(strategy: Strategy, namespace: &str, table: &[(&str, &str, Kind, Option<&str>)]) {
    let namer = Namer::new(strategy, namespace);
    for (name, unit, kind, expected) in table {
        let got = namer.metric(name, unit, *kind);
        assert_eq!(got.as_deref(), *expected, "{name:?} in {unit:?} as {kind:?}, namespace {namespace:?}");
    }
}

#[test]
fn escaping_with_suffixes_adds_unit_then_type() {
    check(
        UnderscoreEscapingWithSuffixes,
        "",
        &[
            ("redis.commands.processed", "{command}", Counter, Some("redis_commands_processed_total")),
            ("redis.memory.used", "By", Gauge, Some("redis_memory_used_bytes")),
            ("redis.uptime", "s", Counter, Some("redis_uptime_seconds_total")),
            ("redis.clients.connected", "{client}", UpDownCounter, Some("redis_clients_connected")),
            ("hit.rate", "1", Gauge, Some("hit_rate_ratio")),
            ("cpu_usage_ratio", "1", Gauge, Some("cpu_usage_ratio")),
            ("items", "1", UpDownCounter, Some("items")),
            ("items", "1", Counter, Some("items_total")),
            ("requests_total", "", Counter, Some("requests_total")),
            ("requests_total.by_path", "", Counter, Some("requests_by_path_total")),
            ("response_time_seconds", "s", Histogram, Some("response_time_seconds")),
            ("speed", "m/s", Gauge, Some("speed_meters_per_second")),
            ("requests", "1/s", Gauge, Some("requests_per_second")),
            ("net.io", "By/s", Summary, Some("net_io_bytes_per_second")),
            ("io", "By/{op}", Gauge, Some("io_bytes")),
            ("a__b..c", "x__y", Gauge, Some("a_b_c_x_y")),
            ("custom", "unit@with#special/chars", Gauge, Some("custom_unit_with_special_per_chars")),
            ("9lives", "", Gauge, Some("_9lives")),
            ("héllo", "", Gauge, Some("h_llo")),
            ("job:rate5m", "", Gauge, Some("job:rate5m")),
            ("@#$%", "", Counter, None),
            ("", "s", Gauge, None),
        ],
    );
    check(
        UnderscoreEscapingWithSuffixes,
        "my app",
        &[
            ("requests", "1/s", Counter, Some("my_app_requests_per_second_total")),
            ("123_requests", "", Counter, Some("my_app_123_requests_total")),
            ("@", "", Gauge, None),
        ],
    );
}

#[test]
fn escaping_without_suffixes_adds_nothing() {
    check(
        UnderscoreEscapingWithoutSuffixes,
        "",
        &[
            ("redis.memory.used", "By", Gauge, Some("redis_memory_used")),
            ("requests", "1", Counter, Some("requests")),
            ("metric@@##$$name", "", Gauge, Some("metric_name")),
            ("a__b", "", Gauge, Some("a__b")),
            ("123metric", "", Gauge, Some("_123metric")),
            ("@#", "", Gauge, None),
        ],
    );
    check(UnderscoreEscapingWithoutSuffixes, "test@ns!!", &[("1x", "", Gauge, Some("test_ns_1x"))]);
}

#[test]
fn utf8_names_stay_and_may_get_suffixes() {
    check(
        NoUtf8EscapingWithSuffixes,
        "",
        &[
            ("redis.memory.used", "By", Gauge, Some("redis.memory.used_bytes")),
            ("requêsts", "1/s", Counter, Some("requêsts_per_second_total")),
            ("cpu_seconds_total", "s", Counter, Some("cpu_seconds_total")),
            ("cpu.total", "", Counter, Some("cpu_total")),
            ("total", "", Counter, Some("total")),
            ("cpu_usage_ratio", "1", Gauge, Some("cpu_usage_ratio")),
            ("@#$%", "", Counter, Some("@#$%_total")),
        ],
    );
    check(
        NoTranslation,
        "",
        &[("redis.memory.used", "By", Counter, Some("redis.memory.used")), ("", "By", Counter, None)],
    );
    check(NoTranslation, "n.s", &[("m", "", Gauge, Some("n.s_m"))]);
}

#[test]
fn label_names_become_legal_and_reserved_ones_stay() {
    let namer = Namer::default();
    for (key, expected) in [
        ("http.method", Some("http_method")),
        ("stream", Some("stream")),
        ("a..b__c", Some("a__b__c")),
        ("3rd", Some("key_3rd")),
        ("_private", Some("key_private")),
        (".dotted", Some("key_dotted")),
        ("__reserved__", Some("__reserved__")),
        ("größe", Some("gr__e")),
        ("...", None),
        ("", None),
    ] {
        let mut out = String::new();
        let ok = namer.label(key, &mut out);
        assert_eq!(ok.then_some(out.as_str()), expected, "{key:?}");
        assert!(ok || out.is_empty());
    }
}

#[test]
fn label_names_stay_under_utf8() {
    let mut out = String::new();
    assert!(Namer::new(NoTranslation, "").label("3.größe", &mut out));
    assert_eq!(out, "3.größe");
}
