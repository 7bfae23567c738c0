//! What one INFO does not tell: rates between two of them, and the answers to commands that are sent only for a metric
//! that is on. Whatever is refused, shed or late costs no other number; its series wait.

use streamgauge_redis::{CallResult, Info, ReadCommand, Value, command_histograms, latency_events};
use tokio::time::Instant;

use super::clients::Clients;
use super::config::RedisConfig;
use super::metrics::index;
use super::settings::Settings;
use crate::scrape::histogram::Exponential;
use crate::scrape::recorder::{Number, Recorder};
use crate::scrape::redis::Server;

const NANOS: f64 = 1e9;

const EVENTS: [&str; 3] = ["redis.latency.event.last", "redis.latency.event.max", "redis.latency.event.time"];

/// What is sent only for metrics that are on, and which these are.
pub(crate) fn commands(enabled: &[bool]) -> Vec<(ReadCommand, &'static str)> {
    let any = |names: &[&str]| names.iter().any(|name| enabled[index(name)]);
    let mut all = Vec::new();
    if any(&["redis.cmd.duration"]) {
        all.push((ReadCommand::latency_histogram(1), "redis.cmd.duration"));
    }
    if any(&EVENTS) {
        all.push((ReadCommand::latency_latest(), "redis.latency.event.*"));
    }
    if any(&Clients::METRICS) {
        all.push((ReadCommand::client_id(), "redis.client.*"));
        all.push((ReadCommand::client_list([1], 1), "redis.client.*"));
    }
    if any(&Settings::METRICS) {
        all.extend(ReadCommand::config_get("maxmemory").map(|command| (command, "redis.config.*")));
    }
    all
}

/// One node's.
pub(crate) struct Detail {
    backlog: Backlog,
    histograms: Option<usize>,
    events: Option<[usize; 3]>,
    clients: Option<Clients>,
    settings: Option<Settings>,
}

impl Detail {
    pub(crate) fn new(config: &RedisConfig, enabled: &[bool]) -> Self {
        let any = |names: &[&str]| names.iter().any(|name| enabled[index(name)]);
        Detail {
            backlog: Backlog { metric: index("redis.replication.backlog.time"), before: None },
            histograms: any(&["redis.cmd.duration"]).then(|| index("redis.cmd.duration")),
            events: any(&EVENTS).then(|| EVENTS.map(index)),
            clients: any(&Clients::METRICS).then(|| Clients::new(config.collection_interval)),
            settings: any(&Settings::METRICS).then(Settings::new),
        }
    }

    /// Asks and records; `when` is the round's deadline and its time.
    pub(crate) async fn round(
        &mut self,
        server: &Server,
        info: &Info<'_>,
        when: (Instant, u64),
        recorder: &mut Recorder,
    ) {
        let (deadline, now) = when;
        self.backlog.round(info, now, recorder);
        if let Some(metric) = self.histograms.filter(|_| info.at_least(7, 0)) {
            let commands = info.with_prefix("cmdstat_").count() as u64;
            match ask(server, ReadCommand::latency_histogram(commands), deadline).await {
                Some(answer) => histograms(&answer, info, metric, recorder),
                None => recorder.keep(|metric, _| metric.name == "redis.cmd.duration"),
            }
        }
        if let Some(metrics) = self.events {
            match ask(server, ReadCommand::latency_latest(), deadline).await {
                Some(answer) => events(&answer, metrics, recorder),
                None => recorder.keep(|metric, _| metric.name.starts_with("redis.latency.event.")),
            }
        }
        if let Some(settings) = &mut self.settings {
            settings.round(server, when, recorder).await;
        }
        if let Some(clients) = &mut self.clients {
            clients.round(server, info, when, recorder).await;
        }
    }

    /// Whether there is more to find before the next round.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.clients.as_ref().is_some_and(Clients::is_unfinished)
    }

    /// Finds more of it; `when` is until when, and the time.
    pub(crate) async fn go_on(&mut self, server: &Server, when: (Instant, u64)) {
        if let Some(clients) = &mut self.clients {
            clients.go_on(server, when).await;
        }
    }
}

/// The answer to a command; none when there is no usable one. Why is told by `redis.collector.shed` and `.refused`.
pub(crate) async fn ask(server: &Server, command: ReadCommand, deadline: Instant) -> Option<Value> {
    let answer: Option<CallResult> = server.ask(command, deadline).await.ok();
    answer?.ok()
}

/// Rate of writes, for the time that the backlog holds.
struct Backlog {
    metric: usize,
    /// Run id, offset and time of the last round.
    before: Option<(String, i64, u64)>,
}

impl Backlog {
    fn round(&mut self, info: &Info<'_>, now: u64, recorder: &mut Recorder) {
        let (run_id, offset) = (info.text("run_id").unwrap_or(""), info.int("master_repl_offset"));
        let is_primary = info.text("role") == Some("master") && info.int("repl_backlog_active") == Some(1);
        let before =
            std::mem::replace(&mut self.before, offset.map(|offset| (run_id.to_owned(), offset, now)));
        if let (Some((id, before, then)), Some(offset), Some(size)) =
            (before, offset, info.int("repl_backlog_size"))
            && id == run_id
            && is_primary
            && offset > before
            && now > then
        {
            let rate = (offset - before) as f64 / ((now - then) as f64 / NANOS);
            recorder.record(self.metric, &[], Number::Double(size as f64 / rate));
        }
    }
}

/// The sum of a command's times is in INFO: both count since the same reset.
fn histograms(answer: &Value, info: &Info<'_>, metric: usize, recorder: &mut Recorder) {
    for command in command_histograms(answer) {
        let mut histogram = Exponential::default();
        command.buckets.iter().for_each(|(power, count)| histogram.add(power - 1, *count));
        let usec = info.field(&format!("cmdstat_{}", command.command)).and_then(|line| line.member("usec"));
        if let Some(usec) = usec.and_then(|usec| usec.parse::<f64>().ok()) {
            histogram.set_sum(usec * 1000.0);
        }
        recorder.histogram(metric, &[&command.command], histogram);
    }
}

fn events(answer: &Value, [last, max, time]: [usize; 3], recorder: &mut Recorder) {
    for event in latency_events(answer) {
        let name = event.name.as_str();
        recorder.record(last, &[name], Number::Double(event.last_ms as f64 / 1e3));
        recorder.record(max, &[name], Number::Double(event.max_ms as f64 / 1e3));
        recorder.record(time, &[name], event.at);
    }
}
