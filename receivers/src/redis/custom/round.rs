//! A node's points.

use std::collections::BTreeSet;

use streamgauge_redis::Info;
use tokio::time::Instant;

use super::config::{Check, CustomKind, CustomMetric};
use super::source::{Questions, Source, Unread};
use crate::redis::config::RedisConfig;
use crate::redis::metrics::{ROWS, index};
use crate::scrape::recorder::Recorder;
use crate::scrape::redis::Server;
use crate::scrape::table::{Kind, Metric, Since, declared};

const CHECK: &str = "redis.check.ok";
const UNREAD: &str = "redis.custom.unread";

/// What the configuration declares, and what was told about it on one node.
pub(crate) struct Custom {
    metrics: Vec<Declared>,
    checks: Vec<(Check, Source)>,
    /// Rows of the metrics about checks, and about what could not be read.
    rows: [usize; 2],
    /// What is logged already: a name and why it could not be read.
    told: BTreeSet<(String, &'static str)>,
}

struct Declared {
    name: String,
    /// Its number in the recorder.
    metric: usize,
    values: Vec<String>,
    source: Source,
}

/// The metrics of a configuration, in its order.
pub(crate) fn metrics(config: &RedisConfig) -> impl Iterator<Item = &'static Metric> {
    config.custom_metrics.iter().map(|CustomMetric { name, unit, kind, attributes, description, .. }| {
        let kind = match kind {
            CustomKind::Gauge => Kind::Gauge,
            CustomKind::Sum => Kind::UpDown,
            CustomKind::Counter => Kind::Counter(Since::Series),
        };
        declared(name, unit, kind, attributes.keys(), description)
    })
}

impl Custom {
    pub(crate) fn new(config: &RedisConfig) -> Option<Self> {
        let metrics: Vec<_> = config
            .custom_metrics
            .iter()
            .enumerate()
            .filter_map(|(n, metric)| {
                let (name, values) = (metric.name.clone(), metric.attributes.values().cloned().collect());
                Some(Declared { name, metric: ROWS.len() + n, values, source: metric.source().ok()? })
            })
            .collect();
        let checks: Vec<_> =
            config.checks.iter().filter_map(|check| Some((check.clone(), check.source().ok()?))).collect();
        let rows = [CHECK, UNREAD].map(index);
        (!metrics.is_empty() || !checks.is_empty()).then(|| Custom {
            metrics,
            checks,
            rows,
            told: BTreeSet::new(),
        })
    }

    /// Asks, where a command is declared, and records.
    pub(crate) async fn round(
        &mut self,
        server: &Server,
        info: &Info<'_>,
        deadline: Instant,
        recorder: &mut Recorder,
    ) {
        let sources = self.metrics.iter().map(|metric| &metric.source);
        let sources = sources.chain(self.checks.iter().map(|(_, source)| source));
        let is_sentinel = info.mode() == Some("sentinel");
        let asks = |key: Option<&[u8]>| !is_sentinel && key.is_none_or(|key| server.node.has(key));
        let questions = Questions::new(sources, asks);
        let answers = match questions.commands() {
            [] => Some(Vec::new()),
            commands => server.call(commands, deadline).await.ok(),
        };
        let mut facts = questions.read(info, answers.as_deref()).into_iter();
        let [check_row, _] = self.rows;
        let mut unread = Vec::new();
        for metric in &self.metrics {
            let values: Vec<_> = metric.values.iter().map(String::as_str).collect();
            match facts.next().flatten().map(|fact| fact.and_then(|fact| fact.number())) {
                Some(Ok(number)) => recorder.record(metric.metric, &values, number),
                Some(Err(why)) => unread.push((metric.name.clone(), why)),
                None => {}
            }
        }
        for (check, _) in &self.checks {
            match facts.next().flatten().map(|fact| fact.and_then(|fact| fact.holds(check))) {
                Some(Ok(holds)) => {
                    let reason = if holds { "ok".to_owned() } else { check.reason() };
                    let values = [check.name.as_str(), check.severity.as_str(), &reason];
                    recorder.record(check_row, &values, u64::from(holds));
                }
                Some(Err(why)) => unread.push((check.name.clone(), why)),
                None => {}
            }
        }
        self.tell(unread, server, recorder);
    }

    /// What could not be read: a lasting reason is shown and logged once; what was put off goes on.
    fn tell(&mut self, unread: Vec<(String, Unread)>, server: &Server, recorder: &mut Recorder) {
        let mut later = Vec::new();
        for (name, why) in unread {
            let Some(reason) = why.as_str() else {
                later.push(name);
                continue;
            };
            recorder.record(self.rows[1], &[&name, reason], 1);
            if self.told.insert((name.clone(), reason)) {
                tracing::warn!(node = %server.node.address(), name, reason, "not read: {why}");
            }
        }
        recorder.keep(|metric, values| {
            let name =
                if metric.name == CHECK { values.first().map_or("", |name| name) } else { metric.name };
            later.iter().any(|put_off| put_off == name)
        });
    }
}
