use bytes::Bytes;
use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Batch, Create, Kind, Outcome, Signal};
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::{Data, MetricsView, Temporality};

use super::FACTORY;
use crate::testing::{EPOCH, SECOND, bench, create, examples, lines, read};

const POOL: &str = "pool.name";

/// A processor, and what it has skipped.
struct Subject {
    bench: Bench,
    host: streamgauge_component::Host,
}

fn subject(yaml: &str) -> Subject {
    let Create { host, config, signals } = create(&FACTORY.config, Kind::Processor, &[Signal::Metrics], yaml);
    let made = (FACTORY.create)(Create { host: host.clone(), config, signals });
    Subject { bench: bench(made.unwrap()), host }
}

/// One rule: `a` by this operation with `b` makes `c`.
fn rule(operation: &str) -> String {
    format!(
        "rules: [{{name: c, unit: '%', type: calculate, metric1: a, metric2: b, operation: {operation}}}]"
    )
}

impl Subject {
    /// Takes a request, which must pass as it is with its ack; what came of it.
    fn take(&mut self, request: &Bytes) -> Vec<Batch> {
        let source = Source::new();
        let mut sent = self.bench.process(source.batch(Signal::Metrics, request.clone(), 1));
        let passed = sent.remove(0);
        assert_eq!(passed.parts[0].bytes, *request);
        assert!(!source.all_settled());
        passed.settle(&Outcome::Delivered);
        assert!(source.all_delivered());
        assert!(sent.iter().flat_map(|batch| &batch.parts).all(|part| !part.ack.has_source()));
        sent
    }

    /// What came of a request, a line each point.
    fn lines(&mut self, request: &Bytes) -> Vec<String> {
        lines(&self.take(request))
    }

    /// What was skipped, by reason; reasons without any left out.
    fn skipped(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for instrument in self.host.registry().instruments() {
            let reason = instrument.attributes.iter().find(|(key, _)| *key == "reason");
            let (Some((_, reason)), count) = (reason, instrument.value.get()) else { continue };
            assert_eq!(instrument.name, "streamgauge.metricsgeneration.skipped");
            found.extend((count > 0).then(|| (reason.clone(), count)));
        }
        found.sort();
        found
    }
}

type Labels<'a> = &'a [(&'a str, &'a str)];

/// A request of one resource and scope: gauges with their points.
fn gauges(metrics: &[(&str, &[(Labels, f64)])]) -> Bytes {
    let mut request = MetricsBuilder::new();
    let mut resource = request.resource([("service.name", "shop")]);
    let mut scope = resource.scope("driver", "1");
    for (name, points) in metrics {
        let mut gauge = scope.gauge(name, "", "");
        for (labels, value) in *points {
            gauge.point((EPOCH + 7) * SECOND).attributes(*labels).double(*value);
        }
    }
    drop(scope);
    drop(resource);
    request.finish()
}

#[test]
fn each_point_meets_the_maximum_of_its_own_pool_and_the_data_passes_with_its_ack() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("driver", "1");
        let mut count = scope.sum("a", "{connection}", "", Temporality::Cumulative, false);
        for (pool, state, value) in [("x", "used", 8), ("x", "idle", 2), ("y", "used", 1)] {
            let mut point = count.point((EPOCH + 7) * SECOND);
            point.start(EPOCH * SECOND).attribute(POOL, pool).attribute("state", state).int(value);
        }
        drop(count);
        let mut max = scope.sum("b", "{connection}", "", Temporality::Cumulative, false);
        for (pool, value) in [("y", 8), ("x", 10)] {
            max.point((EPOCH + 6) * SECOND).attribute(POOL, pool).int(value);
        }
        drop(max);
        scope.gauge("other", "", "").point(1).int(5);
    }
    let request = request.finish();
    let mut subject = subject(&rule("percent"));
    let created = subject.take(&request);
    let expected = [
        "service.name=shop | c{pool.name=x,state=used} % = 80 @7",
        "service.name=shop | c{pool.name=x,state=idle} % = 20 @7",
        "service.name=shop | c{pool.name=y,state=used} % = 12.5 @7",
    ];
    assert_eq!(lines(&created), expected);
    assert_eq!((created[0].items(), subject.bench.tally().created_items()), (3, 3));
    let resource = MetricsView::new(&created[0].parts[0].bytes).resources().next().unwrap().unwrap();
    let scope = resource.scopes().next().unwrap().unwrap();
    assert_eq!((scope.name, scope.version), ("driver", "1"));
    let metric = scope.records().next().unwrap().unwrap();
    assert_eq!(metric.description, "100 * a / b");
    let Data::Gauge(mut points) = metric.data else { panic!("{:?}", metric.data) };
    assert_eq!(points.next().unwrap().unwrap().start_time, EPOCH * SECOND);
    assert!(subject.skipped().is_empty());
}

#[test]
fn every_operation_calculates_and_scales() {
    let request = gauges(&[("a", &[(&[], 6.0)]), ("b", &[(&[], 4.0)])]);
    let table = [("add", 10.0), ("subtract", 2.0), ("multiply", 24.0), ("divide", 1.5), ("percent", 150.0)];
    for (operation, value) in table {
        let expected = [format!("service.name=shop | c{{}} % = {value} @7")];
        assert_eq!(subject(&rule(operation)).lines(&request), expected);
        let scale = rule(operation).replace("calculate", "scale").replace("metric2: b", "scale_by: 4");
        assert_eq!(subject(&scale).lines(&request), expected);
    }
}

#[test]
fn what_cannot_be_calculated_gives_no_point_and_is_counted_by_reason() {
    let none: Labels = &[];
    let (x, y): (Labels, Labels) = (&[(POOL, "x")], &[(POOL, "y")]);
    let table: [(&str, Bytes, &str); 7] = [
        ("divide", gauges(&[("a", &[(x, 1.0)]), ("b", &[(x, 0.0)])]), "division_by_zero"),
        ("percent", gauges(&[("a", &[(x, 0.0)]), ("b", &[(x, -0.0)])]), "division_by_zero"),
        ("add", gauges(&[("a", &[(x, 1.0)]), ("b", &[(y, 1.0)])]), "no_partner"),
        ("add", gauges(&[("a", &[(x, 1.0)])]), "no_partner"),
        ("add", gauges(&[("a", &[(none, 1.0)]), ("b", &[(x, 1.0), (y, 1.0)])]), "ambiguous"),
        ("add", gauges(&[("a", &[(x, f64::NAN)]), ("b", &[(x, 1.0)])]), "not_finite"),
        ("multiply", gauges(&[("a", &[(x, 1e300)]), ("b", &[(x, 1e300)])]), "not_finite"),
    ];
    for (operation, request, reason) in table {
        let mut subject = subject(&rule(operation));
        assert_eq!(subject.lines(&request), [""; 0], "{operation} {reason}");
        assert_eq!(subject.skipped(), [(reason.to_owned(), 1)]);
    }
}

#[test]
fn a_series_that_ends_ends_its_gauge_and_a_point_without_value_gives_none() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource(());
        let mut scope = resource.scope("", "");
        let mut a = scope.gauge("a", "", "");
        a.point(EPOCH * SECOND).attribute(POOL, "ended").int(0).no_recorded_value();
        a.point(EPOCH * SECOND).attribute(POOL, "empty");
        a.point(EPOCH * SECOND).attribute(POOL, "without_max").int(5);
        drop(a);
        let mut b = scope.gauge("b", "", "");
        b.point(EPOCH * SECOND).attribute(POOL, "empty").int(5);
        b.point(EPOCH * SECOND).attribute(POOL, "without_max").int(5).no_recorded_value();
    }
    let mut subject = subject(&rule("percent"));
    assert_eq!(subject.lines(&request.finish()), [" | c{pool.name=ended} % = none @0"]);
    assert_eq!(subject.skipped(), [("no_value".to_owned(), 2)]);
}

#[test]
fn of_several_partners_the_nearest_is_taken() {
    // The total has none of the attributes, one pool has them all, one has a shard besides.
    let points: &[(Labels, f64)] =
        &[(&[], 1000.0), (&[(POOL, "x")], 10.0), (&[(POOL, "x"), ("shard", "1")], 1.0)];
    let request =
        gauges(&[("a", &[(&[(POOL, "x")], 5.0), (&[], 50.0), (&[(POOL, "z")], 7.0)]), ("b", points)]);
    let expected = [
        "service.name=shop | c{pool.name=x} % = 15 @7",
        "service.name=shop | c{} % = 1050 @7",
        "service.name=shop | c{pool.name=z} % = 1007 @7",
    ];
    assert_eq!(subject(&rule("add")).lines(&request), expected);
}

#[test]
fn a_partner_of_the_same_scope_and_time_is_nearer() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource(());
        for (name, value) in [("first", 10), ("second", 20)] {
            let mut scope = resource.scope(name, "");
            for at in [1, 2] {
                scope.gauge("a", "", "").point((EPOCH + at) * SECOND).int(1);
                scope.gauge("b", "", "").point((EPOCH + at) * SECOND).int(value + at as i64);
            }
        }
    }
    let mut subject = subject(&rule("add"));
    let created = subject.take(&request.finish());
    let expected = [" | c{} % = 12 @1", " | c{} % = 13 @2", " | c{} % = 22 @1", " | c{} % = 23 @2"];
    assert_eq!(lines(&created), expected);
    let resource = MetricsView::new(&created[0].parts[0].bytes).resources().next().unwrap().unwrap();
    let scopes: Vec<_> = resource.scopes().map(|scope| scope.unwrap().name).collect();
    assert_eq!(scopes, ["first", "second"]);
}

#[test]
fn partners_are_of_one_resource_and_one_request() {
    let mut request = MetricsBuilder::new();
    request.resource([("service.name", "one")]).scope("", "").gauge("a", "", "").point(0).int(1);
    request.resource([("service.name", "two")]).scope("", "").gauge("b", "", "").point(0).int(1);
    let mut subject = subject(&rule("add"));
    let alone = [gauges(&[("b", &[(&[], 1.0)])]), request.finish()];
    for request in alone {
        assert_eq!(subject.lines(&request), [""; 0]);
    }
    assert_eq!(subject.skipped(), [("no_partner".to_owned(), 1)]);
}

#[test]
fn types_of_attributes_are_told_apart_and_their_order_is_not() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource(());
        let mut scope = resource.scope("", "");
        let mut a = scope.gauge("a", "", "");
        a.point(EPOCH * SECOND).attribute("db", 1i64).attribute(POOL, "x").int(1);
        a.point(EPOCH * SECOND).attribute("db", "1").attribute(POOL, "x").int(2);
        drop(a);
        scope.gauge("b", "", "").point(0).attribute(POOL, "x").attribute("db", "1").int(10);
    }
    assert_eq!(subject(&rule("add")).lines(&request.finish()), [" | c{db=1,pool.name=x} % = 12 @0"]);
}

#[test]
fn a_rule_may_use_what_rules_above_it_made() {
    let yaml = "
rules:
  - {name: bytes, type: scale, metric1: kib, operation: multiply, scale_by: 1024}
  - {name: share, type: calculate, metric1: bytes, metric2: limit, operation: divide}
";
    let request = gauges(&[("kib", &[(&[], 2.0)]), ("limit", &[(&[], 4096.0)])]);
    let expected = ["service.name=shop | bytes{}  = 2048 @7", "service.name=shop | share{}  = 0.5 @7"];
    assert_eq!(subject(yaml).lines(&request), expected);
}

#[test]
fn ten_thousand_pools_find_their_maxima() {
    let names: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let labels: Vec<_> = names.iter().map(|name| [(POOL, name.as_str())]).collect();
    let points: Vec<(Labels, f64)> =
        labels.iter().zip(0i32..).map(|(labels, n)| (labels.as_slice(), f64::from(n))).collect();
    let backwards: Vec<_> = points.iter().rev().copied().collect();
    let found = subject(&rule("subtract")).lines(&gauges(&[("a", &points), ("b", &backwards)]));
    assert_eq!(found.len(), 10_000);
    assert!(found.iter().all(|line| line.ends_with("} % = 0 @7")), "{}", found[0]);
}

#[test]
fn a_histogram_is_no_operand() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource(());
        let mut scope = resource.scope("", "");
        scope.histogram("b", "", "", Temporality::Delta).point(0).count(1).sum(1.0).buckets(&[], &[1]);
        scope.gauge("a", "", "").point(0).int(1);
    }
    let mut subject = subject(&rule("add"));
    assert_eq!(subject.lines(&request.finish()), [""; 0]);
    assert_eq!(subject.skipped(), [("no_partner".to_owned(), 1)]);
}

#[test]
fn broken_bytes_pass_and_harm_nothing() {
    let mut subject = subject(&rule("add"));
    let x: Labels = &[(POOL, "x")];
    let whole = gauges(&[("a", &[(x, 1.0)]), ("b", &[(x, 2.0)])]);
    let good = subject.lines(&whole);
    for cut in 0..whole.len() {
        subject.take(&whole.slice(..cut));
    }
    for at in 0..whole.len() {
        let mut broken = whole.to_vec();
        broken[at] ^= 0xff;
        subject.take(&broken.into());
    }
    assert_eq!(subject.lines(&whole), good);
}

#[test]
fn the_section_in_the_readme_loads_and_so_does_none() {
    let examples = examples(FACTORY.description.readme);
    assert_eq!(examples.len(), 2);
    read(&FACTORY.config, examples[1]).unwrap();
    // As in the Collector. The whole configuration is run by the end-to-end test of connection pools.
    read(&FACTORY.config, "").unwrap();
}

#[test]
fn what_is_wrong_is_said_in_the_collectors_words_with_its_place() {
    let good = "name: c, type: calculate, metric1: a, metric2: b, operation: add";
    let table = [
        ("name: c", "unit: c", "rules::0::name: missing required field \"name\""),
        ("type: calculate", "unit: c", "rules::0::type: missing required field \"type\""),
        ("calculate", "guess", r#"rules::0::type: "type" must be in ["calculate" "scale"]"#),
        ("metric1: a", "unit: c", "rules::0::metric1: missing required field \"metric1\""),
        (
            "metric2: b",
            "unit: c",
            "rules::0::metric2: missing required field \"metric2\" for generation type \"calculate\"",
        ),
        (
            "calculate",
            "scale",
            "rules::0::scale_by: field \"scale_by\" required to be greater than 0 for generation type \"scale\"",
        ),
        (
            "operation: add",
            "operation: power",
            r#"rules::0::operation: "operation" must be in ["add" "divide" "multiply" "percent" "subtract"]"#,
        ),
        ("operation: add", "unit: c", "rules::0::operation: missing required field \"operation\""),
        (
            "name: c",
            "name: a",
            "rules::0::name: value of field \"name\" may not match value of field \"metric1\"",
        ),
        (
            "name: c",
            "name: b",
            "rules::0::name: value of field \"name\" may not match value of field \"metric2\"",
        ),
        ("metric1: a", "metric1: a, metric3: c", "metric3"),
    ];
    for (from, to, message) in table {
        assert!(good.contains(from));
        let errors = read(&FACTORY.config, &format!("rules: [{{{}}}]", good.replace(from, to))).unwrap_err();
        assert!(errors.contains(message), "{to}: {errors}");
    }
    read(&FACTORY.config, &format!("rules: [{{{good}}}]")).unwrap();
}
