use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};

use super::screen::{Paint, picture, transition_line};
use super::state::State;

fn metrics(fill: impl FnOnce(&mut MetricsBuilder)) -> bytes::Bytes {
    let mut request = MetricsBuilder::new();
    fill(&mut request);
    request.finish()
}

fn lag(value: Option<i64>) -> bytes::Bytes {
    metrics(|request| {
        let mut resource = request.resource(());
        let mut scope = resource.scope("test", "1");
        let mut gauge = scope.gauge("redis.stream.group.lag", "{entry}", "");
        let mut point = gauge.point(1);
        point.attribute("stream", "demo-shop:orders").attribute("group", "billing");
        match value {
            Some(value) => point.int(value),
            None => point.no_recorded_value(),
        };
    })
}

fn row(state: &State) -> Vec<String> {
    let picture = picture(state, Paint(false), "redis 7.0.15 (private)", 65);
    let row = picture.lines().find(|line| line.starts_with("demo-shop:orders")).unwrap();
    row.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn an_unknown_number_is_a_dash_and_never_zero() {
    let mut state = State::default();
    assert_eq!(row(&state)[5], "-");
    state.metrics(&lag(Some(0))).unwrap();
    assert_eq!(row(&state)[5], "0");
    state.metrics(&lag(Some(123))).unwrap();
    assert_eq!(row(&state)[5], "123");
    state.metrics(&lag(None)).unwrap();
    assert_eq!(row(&state)[5], "-");
}

#[test]
fn a_transition_is_a_line_that_is_new_once() {
    let mut request = LogsBuilder::new();
    {
        let mut resource = request.resource(());
        let mut scope = resource.scope("test", "1");
        let mut record = scope.record(1);
        record
            .time(3_723_000_000_000)
            .event_name("alert.transition")
            .body("HighConsumerLag firing: billing lags");
        record.attribute("alert.name", "HighConsumerLag").attribute("alert.severity", "warning");
        record.attribute("alert.state", "firing");
    }
    let mut state = State::default();
    state.logs(&request.finish()).unwrap();
    let lines: Vec<_> = state.take_new().iter().map(|t| transition_line(t, Paint(false))).collect();
    assert_eq!(lines, ["01:02:03Z  firing    HighConsumerLag warning  billing lags"]);
    assert!(state.take_new().is_empty());
    let picture = picture(&state, Paint(false), "redis", 0);
    assert!(picture.contains(&lines[0]), "{picture}");
}

#[test]
fn without_a_terminal_there_is_no_colour() {
    assert!(!picture(&State::default(), Paint(false), "redis", 0).contains('\x1b'));
}
