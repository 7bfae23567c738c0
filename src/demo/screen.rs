//! The demo's picture: a table that is drawn anew every second on a terminal, or plain lines elsewhere.

use std::fmt::Write as _;

use super::state::{State, Transition};
use super::workload::STREAMS;

/// Colours of a terminal, or none.
#[derive(Clone, Copy)]
pub struct Paint(pub bool);

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn head(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn state(self, state: &str, text: &str) -> String {
        match state {
            "firing" => self.wrap("31;1", text),
            "pending" => self.wrap("33", text),
            _ => self.wrap("32", text),
        }
    }
}

/// The whole picture, `seconds` after the start.
pub fn picture(state: &State, paint: Paint, server: &str, seconds: u64) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let clock = format!("{}:{:02}", seconds / 60, seconds % 60);
    line(format!("{}  {server}  {clock}  Ctrl-C ends all of it", paint.head("streamgauge demo")));
    line(String::new());
    line(paint.head("redis        commands/s   clients   memory MiB   errors"));
    let errors = sum(state, "redis.errors");
    line(format!(
        "{:<10} {:>12} {:>9} {:>12} {:>8}",
        if state.value("redis.up", &[]) == Some(0.0) { "down" } else { "up" },
        number(state.value("redis.commands.rate", &[]), 1),
        number(state.value("redis.clients.connected", &[]), 0),
        number(state.value("redis.memory.used", &[]).map(|bytes| bytes / 1_048_576.0), 1),
        number(errors, 0),
    ));
    line(String::new());
    line(paint.head("stream               group      length  in/s   out/s    lag  pending  oldest s"));
    for (stream, group) in STREAMS {
        line(stream_row(state, stream, group));
    }
    line(String::new());
    line(paint.head("handling ms            p50      p95      p99"));
    for (_, route) in STREAMS {
        let q = |quantile: &str| {
            number(state.value("app.latency.quantile", &[("route", route), ("quantile", quantile)]), 1)
        };
        line(format!("{route:<18} {:>7} {:>8} {:>8}", q("0.5"), q("0.95"), q("0.99")));
    }
    line(String::new());
    line(paint.head("slowest commands       p99 us"));
    for (command, seconds) in slowest(state) {
        line(format!("{command:<18} {:>10.0}", seconds * 1e6));
    }
    line(String::new());
    line(paint.head("alerts"));
    let mut any = false;
    for transition in state.transitions() {
        any = true;
        line(transition_line(transition, paint));
    }
    if !any {
        line("none yet".to_owned());
    }
    out
}

fn stream_row(state: &State, stream: &str, group: &str) -> String {
    let of_stream = |metric| state.value(metric, &[("stream", stream)]);
    let of_group = |metric| state.value(metric, &[("stream", stream), ("group", group)]);
    let mut row = String::new();
    let _ = write!(
        row,
        "{stream:<20} {group:<9} {:>7} {:>5} {:>7} {:>6} {:>8} {:>9}",
        number(of_stream("redis.stream.length"), 0),
        number(of_stream("redis.stream.entries_added.rate"), 0),
        number(of_group("redis.stream.group.entries_read.rate"), 0),
        number(of_group("redis.stream.group.lag"), 0),
        number(of_group("redis.stream.group.pending"), 0),
        number(of_group("redis.stream.group.oldest_pending_age"), 1),
    );
    row
}

/// One transition in a line.
pub fn transition_line(transition: &Transition, paint: Paint) -> String {
    let Transition { at, alert, severity, state, text } = transition;
    let day = at / 1_000_000_000 % 86_400;
    let clock = format!("{:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60);
    let state = paint.state(state, &format!("{state:<8}"));
    format!("{clock}Z  {state}  {alert} {severity}  {text}").trim_end().to_owned()
}

/// The three commands with the highest 99th percentile, in seconds.
fn slowest(state: &State) -> Vec<(String, f64)> {
    let of = state.series("redis.cmd.latency");
    let mut found: Vec<_> = of
        .filter(|(labels, _)| labels.get("percentile").is_some_and(|p| p == "p99"))
        .map(|(labels, value)| (labels.get("cmd").cloned().unwrap_or_default(), value))
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(3);
    found
}

fn sum(state: &State, metric: &str) -> Option<f64> {
    state.series(metric).map(|(_, value)| value).reduce(|a, b| a + b)
}

/// A number, or `-` for one that is not known: that is never 0.
fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
