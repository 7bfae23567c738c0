use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::Temporality::{Cumulative, Delta};

use super::{Dropped, ResourceLabels, Settings, Translated, Translator};
use crate::name::Namer;
use crate::oracle::lines;

const MS: u64 = 1_000_000;

fn settings() -> Settings {
    Settings {
        namer: Namer::default(),
        external_labels: Vec::new(),
        scope_labels: false,
        target_info: false,
        resource_labels: ResourceLabels::default(),
        metadata: false,
        presets: Vec::new(),
    }
}

fn translate(settings: Settings, request: &[u8]) -> (Vec<String>, Translated) {
    let translator = Translator::new(settings);
    let mut out = <Translated>::default();
    translator.translate(request, &mut out).unwrap();
    translator.finish(&mut out);
    let (series, _) = std::mem::take(&mut out.series).into_sorted();
    (series.iter().flat_map(lines).collect(), out)
}

/// One request of one resource and scope.
fn request(
    resource: &[(&str, &str)],
    fill: impl FnOnce(&mut streamgauge_pdata::build::Scope<'_, streamgauge_pdata::build::Metrics>),
) -> bytes::Bytes {
    let mut builder = MetricsBuilder::new();
    {
        let mut resource = builder.resource(resource);
        let mut scope = resource.scope("redis", "1.2");
        fill(&mut scope);
    }
    builder.finish()
}

#[test]
fn numbers_become_gauges_and_counters_with_job_and_instance() {
    let resource = [
        ("service.name", "cache"),
        ("service.namespace", "shop"),
        ("service.instance.id", "r1"),
        ("zone", "a"),
    ];
    let bytes = request(&resource, |scope| {
        scope.gauge("redis.memory.used", "By", "").point(5 * MS).attribute("db", "0").int(7);
        scope.sum("redis.commands", "{command}", "", Cumulative, true).point(6 * MS).double(1.5);
        scope.sum("redis.clients", "{client}", "", Cumulative, false).point(7 * MS).int(-2);
    });
    let (lines, out) = translate(settings(), &bytes);
    assert_eq!(
        lines,
        [
            r#"redis_memory_used_bytes{db="0",instance="r1",job="shop/cache"} 7 @5"#,
            r#"redis_commands_total{instance="r1",job="shop/cache"} 1.5 @6"#,
            r#"redis_clients{instance="r1",job="shop/cache"} -2 @7"#,
        ]
    );
    assert_eq!((out.points, out.dropped), (3, vec![]));
}

#[test]
fn a_histogram_becomes_cumulative_buckets_sum_and_count() {
    let bytes = request(&[], |scope| {
        let mut metric = scope.histogram("latency", "s", "", Cumulative);
        metric.point(MS).count(10).sum(4.25).buckets(&[0.005, 1.0, 2.5], &[1, 2, 3, 4]);
        metric.point(MS).attribute("x", "no sum").count(3);
    });
    let (lines, _) = translate(settings(), &bytes);
    assert_eq!(
        lines,
        [
            r#"latency_seconds_sum{} 4.25 @1"#,
            r#"latency_seconds_count{} 10 @1"#,
            r#"latency_seconds_bucket{le="0.005"} 1 @1"#,
            r#"latency_seconds_bucket{le="1"} 3 @1"#,
            r#"latency_seconds_bucket{le="2.5"} 6 @1"#,
            r#"latency_seconds_bucket{le="+Inf"} 10 @1"#,
            r#"latency_seconds_count{x="no sum"} 3 @1"#,
            r#"latency_seconds_bucket{le="+Inf",x="no sum"} 3 @1"#,
        ]
    );
}

#[test]
fn a_summary_becomes_quantiles_sum_and_count() {
    let bytes = request(&[], |scope| {
        scope.summary("s", "", "").point(MS).count(2).sum(9.0).quantile(0.5, 3.0).quantile(0.99, 6.0);
    });
    let (lines, _) = translate(settings(), &bytes);
    assert_eq!(
        lines,
        ["s_sum{} 9 @1", "s_count{} 2 @1", r#"s{quantile="0.5"} 3 @1"#, r#"s{quantile="0.99"} 6 @1"#]
    );
}

#[test]
fn an_exponential_histogram_becomes_a_native_one() {
    let bytes = request(&[], |scope| {
        let mut metric = scope.exponential_histogram("e", "s", "", Cumulative);
        metric.point(MS).count(37).sum(5.5).scale(3).positive(3, [10, 0, 0, 20, 5, 2]);
        metric.point(2 * MS).attribute("why", "no sum").count(1).scale(0).positive(0, [1]);
        metric.point(2 * MS).attribute("why", "coarse").count(1).sum(1.0).scale(-5).positive(0, [1]);
    });
    let (lines, out) = translate(settings(), &bytes);
    assert_eq!(lines, ["e_seconds{} native count=37 sum=5.5 schema=3 [10, 10, -15, -3] @1"]);
    assert_eq!((out.points, out.dropped), (3, vec![(Dropped::Unsupported, 2)]));
}

#[test]
fn what_prometheus_cannot_say_is_dropped_and_counted_by_points() {
    let bytes = request(&[], |scope| {
        {
            let mut sum = scope.sum("d", "", "", Delta, true);
            sum.point(MS).int(1);
            sum.point(2 * MS).int(2);
        }
        scope.histogram("h", "", "", Delta).point(MS).count(0);
        scope.gauge("???", "", "").point(MS).int(1);
        scope.gauge("empty", "", "").point(MS);
        scope.gauge("good", "", "").point(MS).int(1);
    });
    let (lines, out) = translate(settings(), &bytes);
    assert_eq!(lines, ["good{} 1 @1"]);
    assert_eq!((out.points, out.dropped), (6, vec![(Dropped::Delta, 3), (Dropped::Unsupported, 2)]));
}

#[test]
fn a_point_without_recorded_value_ends_every_series_it_has() {
    let bytes = request(&[], |scope| {
        scope.gauge("g", "", "").point(MS).no_recorded_value();
        scope.histogram("h", "", "", Cumulative).point(MS).no_recorded_value().buckets(&[1.0], &[0, 0]);
        scope.exponential_histogram("e", "", "", Cumulative).point(MS).no_recorded_value();
        // A measured NaN with the marker's bits is not the marker.
        scope.gauge("nan", "", "").point(MS).double(crate::stale());
    });
    let (lines, _) = translate(settings(), &bytes);
    assert_eq!(
        lines,
        [
            "g{} stale @1",
            "h_sum{} stale @1",
            "h_count{} stale @1",
            r#"h_bucket{le="1"} stale @1"#,
            r#"h_bucket{le="+Inf"} stale @1"#,
            "e{} native count=0 sum=stale schema=0 [] @1",
            "nan{} NaN @1",
        ]
    );
}

#[test]
fn colliding_attributes_join_in_the_order_of_their_keys_and_reserved_names_are_kept_safe() {
    let bytes = request(&[("service.name", "svc")], |scope| {
        let mut gauge = scope.gauge("g", "", "");
        let mut point = gauge.point(MS);
        point.attribute("a.b", "2").attribute("a-b", "1").attribute("a_b", "3");
        point.attribute("job", "mine").attribute("__name__", "evil").attribute("none", "");
        point.attribute("n", 5_i64).attribute("t", true).int(1);
    });
    let (lines, _) = translate(settings(), &bytes);
    assert_eq!(lines, [r#"g{a_b="1;2;3",job="svc",n="5",t="true"} 1 @1"#]);
}

#[test]
fn external_labels_fill_gaps_and_never_override() {
    let owned = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    let settings = Settings {
        external_labels: vec![owned("cluster.name", "c1"), owned("job", "ext"), owned("zone", "z")],
        ..settings()
    };
    let bytes = request(&[("service.name", "svc")], |scope| {
        scope.gauge("g", "", "").point(MS).attribute("zone", "own").int(1);
    });
    assert_eq!(translate(settings, &bytes).0, [r#"g{cluster_name="c1",job="svc",zone="own"} 1 @1"#]);
}

#[test]
fn target_info_carries_the_resources_facts_once_a_batch() {
    let resource = [("service.name", "svc"), ("service.instance.id", "i"), ("zone", "a"), ("host.name", "h")];
    let bytes = request(&resource, |scope| {
        let mut gauge = scope.gauge("g", "", "");
        gauge.point(9 * MS).attribute("k", "1").int(1);
        gauge.point(4 * MS).attribute("k", "2").int(2);
    });
    let translator = Translator::new(Settings { target_info: true, ..settings() });
    let mut out = <Translated>::default();
    translator.translate(&bytes, &mut out).unwrap();
    translator.translate(&bytes, &mut out).unwrap();
    translator.finish(&mut out);
    let all: Vec<_> = std::mem::take(&mut out.series).into_sorted().0.iter().flat_map(lines).collect();
    assert_eq!(
        all.iter().filter(|l| l.starts_with("target_info")).collect::<Vec<_>>(),
        [r#"target_info{host_name="h",instance="i",job="svc",zone="a"} 1 @9"#]
    );
}

#[test]
fn a_resource_that_names_no_target_or_no_facts_has_no_target_info() {
    let with_info = || Settings { target_info: true, ..settings() };
    let fill = |scope: &mut streamgauge_pdata::build::Scope<'_, streamgauge_pdata::build::Metrics>| {
        scope.gauge("g", "", "").point(MS).int(1);
    };
    for resource in [&[("zone", "a")][..], &[("service.name", "svc")][..]] {
        assert_eq!(translate(with_info(), &request(resource, fill)).0.len(), 1);
    }
}

#[test]
fn scope_and_chosen_resource_attributes_become_labels() {
    let settings = Settings {
        scope_labels: true,
        resource_labels: ResourceLabels {
            included: vec!["server.*".into()],
            excluded: vec!["server.port".into()],
        },
        ..settings()
    };
    let resource = [("server.address", "h1"), ("server.port", "6379"), ("other", "x")];
    let bytes = request(&resource, |scope| {
        scope.gauge("g", "", "").point(MS).int(1);
    });
    assert_eq!(
        translate(settings, &bytes).0,
        [r#"g{otel_scope_name="redis",otel_scope_version="1.2",server_address="h1"} 1 @1"#]
    );
}

#[test]
fn metadata_names_each_family_once() {
    let bytes = request(&[], |scope| {
        scope.sum("a", "By", "help a", Cumulative, true).point(MS).int(1);
        scope.sum("a", "By", "help a", Cumulative, true).point(2 * MS).int(1);
        scope.gauge("b", "", "").point(MS).int(1);
    });
    let (_, out) = translate(Settings { metadata: true, ..settings() }, &bytes);
    let got: Vec<_> =
        out.metadata.iter().map(|m| (m.name.as_str(), m.help.as_str(), m.unit.as_str())).collect();
    assert_eq!(got, [("a_bytes_total", "help a", "bytes"), ("b", "", "")]);
}

#[test]
fn a_broken_record_costs_only_itself() {
    let bytes = request(&[], |scope| {
        scope.gauge("good", "", "").point(MS).int(1);
        scope.gauge("bad!", "", "").point(MS).int(1);
        scope.gauge("fine", "", "").point(MS).int(1);
    });
    let mut broken = bytes.to_vec();
    let at = broken.windows(4).position(|w| w == b"bad!").unwrap();
    broken[at] = 0xff; // no UTF-8
    let (lines, out) = translate(settings(), &broken);
    assert_eq!(lines, ["good{} 1 @1", "fine{} 1 @1"]);
    assert_eq!(out.points, 2, "the caller sees that one item is missing");
}

#[test]
fn any_bytes_are_safe() {
    let bytes = request(&[("service.name", "svc")], |scope| {
        scope.gauge("g", "", "").point(MS).attribute("k", "v").int(1);
        scope.histogram("h", "", "", Cumulative).point(MS).count(3).buckets(&[1.0], &[1, 2]);
        scope.exponential_histogram("e", "", "", Cumulative).point(MS).count(3).sum(1.0).positive(0, [1, 2]);
    });
    let translator = Translator::new(Settings { target_info: true, scope_labels: true, ..settings() });
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff, bytes[at] ^ 0x80, bytes[at].wrapping_add(1)] {
            let mut broken = bytes.to_vec();
            broken[at] = value;
            let mut out = <Translated>::default();
            let _ = translator.translate(&broken, &mut out);
            translator.finish(&mut out);
            let _ = out.series.into_sorted();
        }
    }
}
