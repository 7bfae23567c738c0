use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Batch, Kind, Out, Outcome, Processor, Signal};
use streamgauge_pdata::build::MetricsBuilder;

use super::{CONNECTOR, FACTORY};
use crate::testing::{EPOCH, SECOND, bench, create, examples, lines, read};

const LAG: &str = r#"
rules:
  - alert: HighConsumerLag
    metric: redis.stream.group.lag
    match: {stream: "orders*", group: "/^bill/"}
    op: ">"
    warning: 1000
    critical: 5000
    clear: {warning: 800}
    for: 5m
    no_data: {after: 5m, state: keep}
    labels: {category: performance}
    annotations: {summary: "{{ $labels.stream }} lags by {{ $value }}"}
"#;

fn processor(yaml: &str) -> Bench {
    bench((FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Metrics], yaml)).unwrap())
}

fn made(yaml: &str) -> Arc<dyn Processor> {
    (CONNECTOR.create)(create(&CONNECTOR.config, Kind::Connector, &[Signal::Logs], yaml)).unwrap()
}

fn connector(signals: &[Signal], yaml: &str) -> Bench {
    bench((CONNECTOR.create)(create(&CONNECTOR.config, Kind::Connector, signals, yaml)).unwrap())
}

/// The lag of the group `billing` in a stream; `None` says that the series ends.
fn lag(server: &str, stream: &str, lag: Option<i64>) -> Bytes {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("server", server)]);
        let mut scope = resource.scope("redis", "1");
        let mut gauge = scope.gauge("redis.stream.group.lag", "{entry}", "");
        let mut point = gauge.point(1);
        point.attribute("stream", stream).attribute("group", "billing");
        match lag {
            Some(lag) => point.int(lag),
            None => point.no_recorded_value(),
        };
    }
    request.finish()
}

/// Hands over a request; what was created, and that the rest passed unchanged.
fn pass(bench: &mut Bench, source: &Source, request: Bytes) -> Vec<String> {
    let mut sent = bench.process(source.batch(Signal::Metrics, request.clone(), 1));
    let passed: Batch = sent.remove(0);
    assert_eq!(passed.parts[0].bytes, request);
    passed.settle(&Outcome::Delivered);
    assert!(sent.iter().flat_map(|batch| &batch.parts).all(|part| !part.ack.has_source()));
    lines(&sent)
}

const PENDING: &str = "alertname=HighConsumerLag,category=performance,group=billing,severity=warning,stream=orders,\
     alertstate=pending";
const FIRING: &str = "alertname=HighConsumerLag,category=performance,group=billing,severity=warning,stream=orders,\
     alertstate=firing";

#[test]
fn at_4m59s_an_alert_is_pending_at_5m_it_fires_and_past_clear_it_resolves() {
    let (mut bench, source) = (processor(LAG), Source::new());
    let on = |state: &str, at: &str| format!("server=a | ALERTS{{{state}}}  = {at}");
    assert_eq!(pass(&mut bench, &source, lag("a", "orders", Some(2000))), [on(PENDING, "1 @0")]);
    // Repeated every minute, so that Prometheus does not forget it.
    let repeats: Vec<String> = (1..5).map(|minute| on(PENDING, &format!("1 @{}", minute * 60))).collect();
    assert_eq!(lines(&bench.advance(Duration::from_secs(299))), repeats);
    assert_eq!(
        lines(&bench.advance(Duration::from_secs(1))),
        [on(PENDING, "none @300"), on(FIRING, "1 @300")]
    );
    bench.advance(Duration::from_secs(30));
    assert!(pass(&mut bench, &source, lag("a", "orders", Some(801))).is_empty(), "not past clear");
    assert_eq!(pass(&mut bench, &source, lag("a", "orders", Some(800))), [on(FIRING, "none @330")]);
    assert!(bench.advance(Duration::from_secs(3600)).is_empty(), "nothing is left to repeat");
    assert!(source.all_delivered());
}

#[test]
fn a_series_that_ends_resolves_its_alert() {
    let (mut bench, source) = (processor(&LAG.replace("for: 5m", "for: 0s")), Source::new());
    pass(&mut bench, &source, lag("a", "orders", Some(2000)));
    let ended = pass(&mut bench, &source, lag("a", "orders", None));
    assert_eq!(ended, [format!("server=a | ALERTS{{{FIRING}}}  = none @0")]);
}

#[test]
fn servers_and_streams_alert_for_themselves_and_only_where_the_rule_matches() {
    let (mut bench, source) = (processor(LAG), Source::new());
    for (server, stream) in [("a", "orders"), ("b", "orders"), ("a", "orders:eu"), ("a", "payments")] {
        let created = pass(&mut bench, &source, lag(server, stream, Some(2000)));
        assert_eq!(created.len(), usize::from(stream != "payments"), "{server} {stream}");
        assert!(created.iter().all(|line| line.starts_with(&format!("server={server} |"))));
    }
    let fired = lines(&bench.advance(Duration::from_secs(300)));
    assert_eq!(fired.iter().filter(|line| line.contains("firing")).count(), 3);
}

#[test]
fn two_changes_in_one_call_leave_one_point_a_series() {
    let (mut bench, source) = (processor(&LAG.replace("for: 5m", "for: 0s")), Source::new());
    let mut batch = source.batch(Signal::Metrics, lag("a", "orders", Some(2000)), 1);
    batch.parts.push(source.part(lag("a", "orders", Some(1)), 1));
    let sent = bench.process(batch);
    assert_eq!(lines(&sent[1..]), [format!("server=a | ALERTS{{{FIRING}}}  = none @0")]);
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn low_is_bad_and_silence_alerts() {
    let yaml = "
rules:
  - {alert: RedisDown, metric: redis.stream.group.lag, op: <, critical: 1, for: 30s, no_data: {after: 2m, state: alerting}}
";
    let (mut bench, source) = (processor(yaml), Source::new());
    assert!(pass(&mut bench, &source, lag("a", "s", Some(1))).is_empty());
    assert_eq!(lines(&bench.advance(Duration::from_secs(119))), Vec::<String>::new());
    let fired = lines(&bench.advance(Duration::from_secs(1)));
    assert!(
        fired.len() == 1 && fired[0].contains("severity=critical") && fired[0].ends_with("= 1 @120"),
        "{fired:?}"
    );
    let back = pass(&mut bench, &source, lag("a", "s", Some(1)));
    assert!(back[0].ends_with("none @120"), "{back:?}");
    let low = pass(&mut bench, &source, lag("a", "s", Some(0)));
    assert!(low[0].contains("alertstate=pending"), "{low:?}");
}

#[test]
fn a_restart_neither_begins_a_for_anew_nor_tells_of_an_alert_twice() {
    let stored = format!("storage: file_storage\n{LAG}");
    let (mut bench, source) = (connector(&[Signal::Logs], &stored), Source::new());
    let states = |sent: Vec<Batch>| -> Vec<String> {
        let state =
            |line: &String| line.split("alert.state=").nth(1).unwrap().split(',').next().unwrap().to_owned();
        lines(&sent).iter().map(state).collect()
    };
    let high = || lag("a", "orders", Some(2000));
    assert_eq!(states(bench.process(source.batch(Signal::Metrics, high(), 1))), ["pending"]);
    bench.advance(Duration::from_secs(200));
    bench.restart(made(&stored)).unwrap();
    assert!(states(bench.process(source.batch(Signal::Metrics, high(), 1))).is_empty());
    assert!(states(bench.advance(Duration::from_secs(99))).is_empty());
    assert_eq!(states(bench.advance(Duration::from_secs(1))), ["firing"]);
    bench.restart(made(&stored)).unwrap();
    assert!(states(bench.process(source.batch(Signal::Metrics, high(), 1))).is_empty());
    assert_eq!(
        states(bench.process(source.batch(Signal::Metrics, lag("a", "orders", Some(1)), 1))),
        ["resolved"]
    );

    let fresh = made(&stored);
    assert_eq!(fresh.lasting().unwrap().storage(), "file_storage");
    assert!(fresh.lasting().unwrap().restore(b"no state", &mut Out::new(bench.now())).is_err());
    assert!(made(LAG).lasting().is_none(), "nothing is stored without a storage");
}

#[test]
fn as_a_connector_each_transition_is_a_log_record_and_the_data_ends_here() {
    let (mut bench, source) = (connector(&[Signal::Logs], LAG), Source::new());
    let mut sent = bench.process(source.batch(Signal::Metrics, lag("a", "orders", Some(2000)), 1));
    assert!(source.all_delivered());
    sent.extend(bench.advance(Duration::from_secs(300)));
    sent.extend(bench.process(source.batch(Signal::Metrics, lag("a", "orders", Some(10)), 1)));
    assert!(sent.iter().all(|batch| batch.signal == Signal::Logs));
    let labels = r#"{"alertname":"HighConsumerLag","category":"performance","group":"billing","server":"a","severity":"warning","stream":"orders"}"#;
    let line = |level, value, state, previous, at| {
        format!(
            "server=a | alert.transition {level} \"HighConsumerLag {state}: orders lags by {value}\" \
             {{alert.name=HighConsumerLag,alert.severity=warning,alert.state={state},alert.previous_state={previous},\
             alert.cause=value,alert.value={value},alert.fingerprint=FP,alert.labels={labels},\
             alert.annotations={{\"summary\":\"orders lags by {value}\"}}}} @{at}"
        )
    };
    let found = lines(&sent);
    let fingerprint = found[0].split("fingerprint=").nth(1).unwrap()[..16].to_owned();
    let expected = [
        line("INFO", 2000, "pending", "inactive", 0),
        line("WARN", 2000, "firing", "pending", 300),
        line("INFO", 10, "resolved", "firing", 300),
    ];
    assert_eq!(found, expected.map(|line| line.replace("FP", &fingerprint)));
    assert_eq!(bench.tally().delivered, 2);
    assert_eq!(bench.tally().created_items(), 3);
}

#[test]
fn as_a_connector_it_serves_the_pipelines_that_take_from_it() {
    for (signals, expected) in [
        (&[Signal::Metrics][..], vec![Signal::Metrics]),
        (&[Signal::Metrics, Signal::Logs], vec![Signal::Logs, Signal::Metrics]),
    ] {
        let (mut bench, source) = (connector(signals, LAG), Source::new());
        let sent = bench.process(source.batch(Signal::Metrics, lag("a", "orders", Some(2000)), 1));
        assert_eq!(sent.iter().map(|batch| batch.signal).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn typed_resource_attributes_survive_and_are_not_repeated() {
    let (mut bench, source) =
        (processor(&LAG.replace("redis.stream.group.lag", "m").replace("match:", "# ")), Source::new());
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("port", 6379i64)]);
        let mut scope = resource.scope("redis", "1");
        scope.gauge("m", "", "").point((EPOCH) * SECOND).attribute("stream", "s").int(1_000_000);
    }
    let created = pass(&mut bench, &source, request.finish());
    assert_eq!(created.len(), 2, "both bounds are pending");
    assert!(created.iter().all(|line| line.starts_with("port=6379 |") && line.matches("port").count() == 1));
}

#[test]
fn broken_bytes_pass_and_harm_nothing() {
    let (mut bench, source) = (processor(LAG), Source::new());
    let whole = lag("a", "orders", Some(2000));
    for cut in 0..whole.len() {
        assert!(pass(&mut bench, &source, whole.slice(..cut)).is_empty());
    }
}

#[test]
fn beyond_the_maximum_series_do_not_alert() {
    let (mut bench, source) = (processor(&format!("{LAG}max_series: 2\n")), Source::new());
    let created: usize =
        (0..5).map(|n| pass(&mut bench, &source, lag(&n.to_string(), "orders", Some(2000))).len()).sum();
    assert_eq!(created, 2);
}

#[test]
fn the_examples_of_the_readme_load() {
    let examples = examples(FACTORY.description.readme);
    assert!(!examples.is_empty());
    for example in examples {
        read(&FACTORY.config, example).unwrap();
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let rule = |settings: &str| format!("rules:\n  - {{alert: A, metric: m, {settings}}}\n");
    let table = [
        ("rules: []".to_owned(), "rules: must have at least one rule"),
        (rule("op: =>, warning: 1"), "unknown operator \"=>\": use one of > >= < <= == !="),
        (rule("op: '>'"), "rules::0: give a threshold"),
        (
            rule("op: '>', warning: 5, critical: 1"),
            "rules::0::critical: with > critical (1) must be above warning (5)",
        ),
        (
            rule("op: <, warning: 1, critical: 5"),
            "rules::0::critical: with < critical (5) must be below warning (1)",
        ),
        (
            rule("op: '>', warning: 5, clear: {warning: 6}"),
            "rules::0::clear::warning: the alert would clear at 6",
        ),
        (
            rule("op: '>', warning: 5, clear: {critical: 6}"),
            "rules::0::clear::critical: there is no critical",
        ),
        (rule("op: ==, warning: 5, clear: {warning: 5}"), "clear has no meaning with =="),
        (rule("op: '>', warning: 5, match: {a: '/(/'}"), "\"/(/\" is not valid: unclosed group"),
        (rule("op: '>', warning: 5, annotations: {s: 'x {{ $valeu }}'}"), "$valeu is not known"),
        (
            rule("op: '>', warning: 5, labels: {severity: page}"),
            "rules::0::labels: the label severity is set",
        ),
        (rule("op: '>', warning: 5, no_data: {state: bad}"), "bad"),
        (rule("op: '>', warning: 5, fro: 5m"), "fro"),
        (
            format!("{}  - {{alert: A, metric: m, op: '>', critical: 3}}", rule("op: '>', warning: 1")),
            "rules::1::alert: rule 0",
        ),
    ];
    for (yaml, message) in table {
        let errors = read(&FACTORY.config, &yaml).unwrap_err();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}

#[test]
fn an_error_points_at_the_setting() {
    let yaml = r#"
rules:
  - alert: A
    metric: m
    op: ">"
    warning: 5
    critical: 1
    annotations:
      summary: "{{ $valeu }}"
"#;
    let errors = read(&FACTORY.config, yaml).unwrap_err();
    assert!(errors.starts_with("9:16 ") && errors.contains("template line 1, column 4"), "{errors}");
    let errors = read(&FACTORY.config, &yaml.replace("valeu", "value")).unwrap_err();
    assert!(errors.starts_with("7:15 "), "{errors}");
    let errors = read(&FACTORY.config, &yaml.replace('>', "=>")).unwrap_err();
    assert!(errors.contains("5:9 "), "{errors}");
}
