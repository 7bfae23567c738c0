//! The state machine at simulated time.

use std::time::Duration;

use super::*;
use crate::rule::{NoData, Op};
use Step::{At, End, Tick};

const SECOND: u64 = 1_000_000_000;
/// A plausible now, so that nothing works by being near 0.
const EPOCH: u64 = 1_700_000_000 * SECOND;

enum Step {
    /// At this second, this value.
    At(u64, f64),
    /// At this second, nothing but time.
    Tick(u64),
    /// At this second the series ends.
    End(u64),
}

/// `HighConsumerLag` as issue and README show it: warning 1000 (clear 800), critical 5000, for 5 m.
fn lag() -> Rule {
    Rule {
        warning: Some(Bound { threshold: 1000.0, clear: Some(800.0) }),
        critical: Some(Bound::at(5000.0)),
        hold: Duration::from_secs(300),
        ..Rule::new("HighConsumerLag", Op::Greater)
    }
}

fn simple(op: Op, threshold: f64) -> Rule {
    Rule { warning: Some(Bound::at(threshold)), ..Rule::new("Simple", op) }
}

fn series() -> Series {
    Series { labels: [("stream", "orders")].into_iter().collect(), origin: (*b"redis-1").into() }
}

fn apply(alerts: &mut Alerts, step: &Step, out: &mut Vec<Transition>) {
    match *step {
        At(second, value) => alerts.observe(0, b"orders", value, EPOCH + second * SECOND, series, out),
        Tick(second) => alerts.tick(EPOCH + second * SECOND, out),
        End(second) => alerts.end(0, b"orders", EPOCH + second * SECOND, out),
    }
}

/// Runs the steps and writes down the transitions: `300 warning pending>firing`.
fn run(rule: Rule, steps: &[Step]) -> Vec<String> {
    let mut alerts = Alerts::new(vec![rule], DEFAULT_LIMIT);
    let mut out = Vec::new();
    steps.iter().for_each(|step| apply(&mut alerts, step, &mut out));
    out.iter().map(text).collect()
}

fn text(t: &Transition) -> String {
    let cause = if t.cause == Cause::Value { String::new() } else { format!(" {}", t.cause.as_str()) };
    format!("{} {} {}>{}{cause}", (t.at - EPOCH) / SECOND, t.severity, t.previous, t.state)
}

#[test]
fn an_alert_is_pending_at_4m59s_and_fires_at_5m() {
    let by_value = run(lag(), &[At(0, 2000.0), At(299, 2000.0), At(300, 2000.0)]);
    let by_time = run(lag(), &[At(0, 2000.0), Tick(299), Tick(300)]);
    for transitions in [by_value, by_time] {
        assert_eq!(transitions, ["0 warning inactive>pending", "300 warning pending>firing"]);
    }
}

#[test]
fn the_next_deadline_is_when_for_is_over() {
    let mut alerts = Alerts::new(vec![lag()], DEFAULT_LIMIT);
    let mut out = Vec::new();
    apply(&mut alerts, &At(7, 2000.0), &mut out);
    assert_eq!(alerts.next_deadline(), Some(EPOCH + 307 * SECOND));
    apply(&mut alerts, &Tick(307), &mut out);
    assert_eq!(out.len(), 2);
    assert_eq!(alerts.next_deadline(), None, "only a value can move a firing alert");
}

#[test]
fn the_condition_must_hold_without_a_gap() {
    let steps = [At(0, 2000.0), At(299, 700.0), At(300, 2000.0), At(599, 2000.0), At(600, 2000.0)];
    let expected = [
        "0 warning inactive>pending",
        "299 warning pending>inactive",
        "300 warning inactive>pending",
        "600 warning pending>firing",
    ];
    assert_eq!(run(lag(), &steps), expected);
}

#[test]
fn for_zero_fires_at_once_and_resolves_at_once() {
    let steps = [At(0, 11.0), At(1, 11.0), At(2, 10.0), At(3, 12.0)];
    let expected = ["0 warning inactive>firing", "2 warning firing>resolved", "3 warning resolved>firing"];
    assert_eq!(run(simple(Op::Greater, 10.0), &steps), expected);
}

#[test]
fn high_is_bad_and_low_is_bad_and_every_operator_decides_at_the_threshold() {
    let table = [
        (Op::Greater, [false, false, true]),
        (Op::GreaterOrEqual, [false, true, true]),
        (Op::Less, [true, false, false]),
        (Op::LessOrEqual, [true, true, false]),
        (Op::Equal, [false, true, false]),
        (Op::NotEqual, [true, false, true]),
    ];
    for (op, fires) in table {
        for (value, fires) in [9.0, 10.0, 11.0].into_iter().zip(fires) {
            let transitions = run(simple(op, 10.0), &[At(0, value)]);
            assert_eq!(!transitions.is_empty(), fires, "{value} {op} 10: {transitions:?}");
        }
    }
    assert!(run(simple(Op::Greater, 10.0), &[At(0, f64::NAN)]).is_empty());
}

#[test]
fn low_is_bad_with_two_bounds_and_hysteresis() {
    let rule = Rule {
        warning: Some(Bound { threshold: 10.0, clear: Some(15.0) }),
        critical: Some(Bound::at(5.0)),
        ..Rule::new("FewConsumers", Op::Less)
    };
    let steps = [At(0, 9.0), At(1, 4.0), At(2, 12.0), At(3, 15.0)];
    let expected = [
        "0 warning inactive>firing",
        "1 critical inactive>firing",
        "2 critical firing>resolved",
        "3 warning firing>resolved",
    ];
    assert_eq!(run(rule, &steps), expected);
}

#[test]
fn between_clear_and_threshold_an_alert_stays_what_it_is() {
    let steps = [
        At(0, 900.0),
        At(10, 1001.0),
        At(20, 801.0), // still pending: above clear
        At(310, 801.0),
        At(400, 801.0), // still firing
        At(410, 800.0), // past clear
        At(420, 999.0), // not active again: below the threshold
        At(430, 1001.0),
    ];
    let expected = [
        "10 warning inactive>pending",
        "310 warning pending>firing",
        "410 warning firing>resolved",
        "430 warning resolved>pending",
    ];
    assert_eq!(run(lag(), &steps), expected);
}

#[test]
fn a_firing_critical_holds_back_the_warning() {
    // Both are met at once; at 5 m only critical fires. When critical is over, the warning has waited long enough.
    let steps = [At(0, 6000.0), At(300, 6000.0), At(900, 3000.0), At(960, 100.0)];
    let expected = [
        "0 critical inactive>pending",
        "0 warning inactive>pending",
        "300 critical pending>firing",
        "900 critical firing>resolved",
        "900 warning pending>firing",
        "960 warning firing>resolved",
    ];
    assert_eq!(run(lag(), &steps), expected);
    // A warning that fired before stays firing meanwhile, and both end together.
    let steps = [At(0, 2000.0), At(300, 2000.0), At(310, 6000.0), At(610, 6000.0), At(700, 1.0)];
    let expected = [
        "0 warning inactive>pending",
        "300 warning pending>firing",
        "310 critical inactive>pending",
        "610 critical pending>firing",
        "700 critical firing>resolved",
        "700 warning firing>resolved",
    ];
    assert_eq!(run(lag(), &steps), expected);
}

#[test]
fn time_passes_for_a_warning_that_is_held_back_from_its_start() {
    let rule = Rule { critical: Some(Bound::at(20.0)), ..simple(Op::Greater, 10.0) };
    let expected = [
        "0 critical inactive>firing",
        "5 critical firing>resolved",
        "5 warning inactive>firing",
        "6 warning firing>resolved",
    ];
    assert_eq!(run(rule, &[At(0, 30.0), At(5, 15.0), At(6, 5.0)]), expected);
}

#[test]
fn keep_firing_for_bridges_gaps_and_then_resolves() {
    let rule = Rule { keep_firing_for: Duration::from_secs(60), ..simple(Op::Greater, 10.0) };
    let steps = [At(0, 11.0), At(10, 5.0), At(69, 5.0), At(69, 11.0), At(80, 5.0), Tick(139), Tick(140)];
    assert_eq!(run(rule, &steps), ["0 warning inactive>firing", "140 warning firing>resolved"]);
}

#[test]
fn during_keep_firing_for_only_the_threshold_brings_the_condition_back() {
    let rule = Rule {
        warning: Some(Bound { threshold: 10.0, clear: Some(5.0) }),
        keep_firing_for: Duration::from_secs(60),
        ..Rule::new("A", Op::Greater)
    };
    let steps = [At(0, 11.0), At(10, 5.0), At(20, 7.0), Tick(70)];
    assert_eq!(run(rule, &steps), ["0 warning inactive>firing", "70 warning firing>resolved"]);
}

#[test]
fn a_series_that_ends_takes_its_alerts_along() {
    assert_eq!(
        run(lag(), &[At(0, 2000.0), End(100), Tick(400)]),
        ["0 warning inactive>pending", "100 warning pending>inactive ended"]
    );
    let kept = Rule { keep_firing_for: Duration::from_secs(60), ..simple(Op::Greater, 1.0) };
    assert_eq!(
        run(kept, &[At(0, 2.0), End(10), Tick(69), Tick(70)]),
        ["0 warning inactive>firing", "70 warning firing>resolved ended"]
    );
}

#[test]
fn silence_keeps_clears_or_alerts_as_the_rule_says() {
    let with = |state| Rule {
        no_data: NoData { after: Duration::from_secs(120), state },
        ..simple(Op::Greater, 10.0)
    };
    let steps = || [At(0, 11.0), Tick(119), Tick(120), Tick(9000), At(9001, 11.0)];
    assert_eq!(run(with(NoDataState::Keep), &steps()), ["0 warning inactive>firing"]);
    let cleared =
        ["0 warning inactive>firing", "120 warning firing>resolved no_data", "9001 warning inactive>firing"];
    assert_eq!(run(with(NoDataState::Ok), &steps()), cleared);
    let quiet_then_back = [At(0, 1.0), Tick(119), Tick(120), At(130, 1.0)];
    let alerted = ["120 warning inactive>firing no_data", "130 warning firing>resolved"];
    assert_eq!(run(with(NoDataState::Alerting), &quiet_then_back), alerted);
}

#[test]
fn silence_that_alerts_does_not_wait_for_for_and_speaks_through_critical() {
    let mut rule = lag();
    rule.no_data = NoData { after: Duration::from_secs(60), state: NoDataState::Alerting };
    assert_eq!(run(rule, &[At(0, 1.0), Tick(60)]), ["60 critical inactive>firing no_data"]);
}

#[test]
fn a_resolved_alert_is_forgotten_after_15_minutes() {
    let mut alerts = Alerts::new(vec![simple(Op::Greater, 10.0)], DEFAULT_LIMIT);
    let mut out = Vec::new();
    [At(0, 11.0), At(1, 1.0), Tick(900)].iter().for_each(|step| apply(&mut alerts, step, &mut out));
    assert_eq!((alerts.len(), alerts.next_deadline()), (1, Some(EPOCH + 901 * SECOND)));
    apply(&mut alerts, &Tick(901), &mut out);
    assert_eq!((alerts.len(), alerts.next_deadline()), (0, None));
    assert_eq!(out.len(), 2, "forgetting is no transition");
}

#[test]
fn quiet_series_take_no_room() {
    let mut alerts = Alerts::new(vec![lag()], 1);
    let mut out = Vec::new();
    for n in 0..100u32 {
        alerts.observe(0, &n.to_be_bytes(), 5.0, EPOCH, || panic!("described for nothing"), &mut out);
    }
    [At(0, 2000.0), At(1, 1.0)].iter().for_each(|step| apply(&mut alerts, step, &mut out));
    assert_eq!((alerts.len(), alerts.overflowed()), (0, 0));
}

#[test]
fn at_the_limit_new_series_are_counted_and_old_ones_live() {
    let mut alerts = Alerts::new(vec![simple(Op::Greater, 10.0)], 2);
    let mut out = Vec::new();
    for n in 0..5u32 {
        alerts.observe(0, &n.to_be_bytes(), 11.0, EPOCH, series, &mut out);
    }
    assert_eq!((alerts.len(), alerts.overflowed(), out.len()), (2, 3, 2));
    alerts.observe(0, &0u32.to_be_bytes(), 1.0, EPOCH, series, &mut out);
    assert_eq!(out.last().map(|t| t.state), Some(State::Resolved));
    // The resolved one makes room.
    alerts.observe(0, &9u32.to_be_bytes(), 11.0, EPOCH + SECOND, series, &mut out);
    assert_eq!((alerts.len(), alerts.overflowed(), out.len()), (2, 3, 4));
}

#[test]
fn a_transition_carries_labels_annotations_value_and_a_stable_fingerprint() {
    let mut rule = lag();
    rule.labels = vec![
        ("category".into(), Template::parse("performance").unwrap()),
        ("at_start".into(), Template::parse("{{ $value }}").unwrap()),
    ];
    rule.annotations =
        vec![("summary".into(), Template::parse("{{ $labels.stream }} lags by {{ $value }}").unwrap())];
    let mut alerts = Alerts::new(vec![rule], DEFAULT_LIMIT);
    let mut out = Vec::new();
    [At(0, 2000.0), At(300, 3000.0)].iter().for_each(|step| apply(&mut alerts, step, &mut out));
    let labels: Vec<_> = out[1].labels.iter().collect();
    let expected = [
        ("alertname", "HighConsumerLag"),
        ("at_start", "2000"),
        ("category", "performance"),
        ("severity", "warning"),
        ("stream", "orders"),
    ];
    assert_eq!(labels, expected);
    assert_eq!(out[1].annotations.get("summary"), Some("orders lags by 3000"));
    assert_eq!((out[1].value, &*out[1].origin), (3000.0, &b"redis-1"[..]));
    assert_eq!(out[0].fingerprint, out[1].fingerprint);
    let active: Vec<_> = alerts.active().map(|a| (a.rule, a.severity, a.state, a.value)).collect();
    assert_eq!(active, [(0, Severity::Warning, State::Firing, 3000.0)]);
}

#[test]
fn state_survives_a_restart_and_for_goes_on_counting() {
    let mut alerts = Alerts::new(vec![simple(Op::Greater, 1e9), lag()], DEFAULT_LIMIT);
    let mut out = Vec::new();
    alerts.observe(1, b"orders", 2000.0, EPOCH, series, &mut out);
    let snapshot = alerts.snapshot();
    // The rule moved; it is found by its name.
    let mut restored = Alerts::new(vec![lag()], DEFAULT_LIMIT);
    restored.restore(snapshot.clone(), EPOCH + 200 * SECOND);
    assert_eq!(restored.snapshot().series, snapshot.series);
    [Tick(299), Tick(300)].iter().for_each(|step| apply(&mut restored, step, &mut out));
    assert_eq!(out.iter().map(text).collect::<Vec<_>>()[1..], ["300 warning pending>firing"]);
    assert_eq!(out[0].fingerprint, out[1].fingerprint);
}

#[test]
fn a_longer_for_takes_a_firing_alert_back_to_pending() {
    let mut alerts = Alerts::new(vec![lag()], DEFAULT_LIMIT);
    let mut out = Vec::new();
    [At(0, 2000.0), At(300, 2000.0)].iter().for_each(|step| apply(&mut alerts, step, &mut out));
    let longer = Rule { hold: Duration::from_secs(600), ..lag() };
    let mut restored = Alerts::new(vec![longer], DEFAULT_LIMIT);
    restored.restore(alerts.snapshot(), EPOCH + 310 * SECOND);
    [Tick(599), Tick(600)].iter().for_each(|step| apply(&mut restored, step, &mut out));
    assert_eq!(text(&out[2]), "600 warning pending>firing");
}

#[test]
fn a_clock_that_steps_back_changes_nothing() {
    let steps = [At(100, 2000.0), At(50, 2000.0), At(399, 2000.0), At(400, 2000.0)];
    assert_eq!(run(lag(), &steps), ["100 warning inactive>pending", "400 warning pending>firing"]);
}

proptest::proptest! {
    /// Whatever comes: an alert's transitions form a chain, firing needs `for`, and at the end nothing is left over.
    #[test]
    fn transitions_form_a_chain(steps in proptest::collection::vec((0u64..200, 0u8..8, 0.0f64..8000.0), 1..60)) {
        let mut alerts = Alerts::new(vec![lag()], DEFAULT_LIMIT);
        let mut out = Vec::new();
        let mut now = 0;
        for (gap, kind, value) in steps {
            now += gap;
            let step = match kind { 0 => Tick(now), 1 => End(now), _ => At(now, value) };
            apply(&mut alerts, &step, &mut out);
        }
        for severity in [Severity::Warning, Severity::Critical] {
            let mut state = State::Inactive;
            let mut pending_at = 0;
            for t in out.iter().filter(|t| t.severity == severity) {
                // A resolved alert may have been forgotten in between, which is no transition.
                assert!(t.previous == state || (state, t.previous) == (State::Resolved, State::Inactive));
                assert_ne!(t.previous, t.state);
                if t.state == State::Pending {
                    pending_at = t.at;
                }
                if t.state == State::Firing && t.previous == State::Pending {
                    assert!(t.at - pending_at >= 300 * SECOND);
                }
                state = t.state;
            }
        }
        apply(&mut alerts, &End(now + 1), &mut out);
        apply(&mut alerts, &Tick(now + 1000), &mut out);
        assert!(alerts.is_empty());
    }
}
