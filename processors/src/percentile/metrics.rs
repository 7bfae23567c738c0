//! Metrics feed the rules.

use streamgauge_component::Now;
use streamgauge_pdata::view::MetricsView;
use streamgauge_series::{Identity, SeriesMap, Unreadable, find, visit_metrics};

use super::config::PercentileConfig;
use super::input::Percentiles;
use super::source::{Known, points};

/// What is remembered of the metrics that feed the rules.
pub(super) struct Sources {
    /// At the point of what is read.
    identity: Identity,
    known: Known,
    longest: u64,
    swept: u64,
    said: bool,
}

impl Sources {
    pub fn new(config: &PercentileConfig) -> Self {
        let longest = config.rules.iter().map(|rule| rule.window.as_nanos()).max().unwrap_or_default();
        Sources {
            identity: Identity::new(),
            known: SeriesMap::new(config.max_series),
            longest: u64::try_from(longest).unwrap_or(u64::MAX),
            swept: 0,
            said: false,
        }
    }

    /// Forgets the histograms that were silent for the longest window.
    fn forget(&mut self, now: u64) {
        if now.saturating_sub(self.swept) >= self.longest {
            self.swept = now;
            self.known.retain(|_, last_seen| now.saturating_sub(last_seen) <= self.longest);
        }
    }
}

impl Percentiles {
    pub fn metrics(&mut self, request: &[u8], now: Now, unreadable: &mut Unreadable) {
        self.sources.forget(now.unix_nanos);
        let Percentiles { rules, by_metric, identity, sources, overflowed, id, .. } = self;
        let Sources { identity: path, known, said, .. } = sources;
        for resource in MetricsView::new(request).resources() {
            let Some(resource) = unreadable.ok(resource) else { continue };
            let Some(()) = unreadable.ok(identity.resource(resource.attributes())) else { continue };
            let wanted = |name: &str| by_metric.get(name);
            visit_metrics(&resource, path, unreadable, wanted, |path, unreadable, metric, numbers| {
                let Some(points) = points(metric.data) else {
                    if !std::mem::replace(said, true) {
                        tracing::warn!(%id, metric = metric.name, "no quantiles: a counter or summary has no values");
                    }
                    return;
                };
                for point in points {
                    let Some(point) = unreadable.ok(point) else { continue };
                    let Some(key) = unreadable.ok(path.point(point.attributes())) else { continue };
                    let Some(values) = unreadable.ok(point.values(key, known, now.unix_nanos)) else {
                        continue;
                    };
                    let Some(values) = values else {
                        overflowed.value.add(1);
                        continue;
                    };
                    let lists = [point.attributes(), resource.attributes()];
                    for number in numbers {
                        let rule = &mut rules[*number];
                        if unreadable.ok(rule.selector.matches(&lists)) != Some(true) {
                            continue;
                        }
                        if rule.unit_of_metric && rule.groups.unit != metric.unit {
                            metric.unit.clone_into(&mut rule.groups.unit);
                        }
                        let find = |name: &str| find(&lists, name).ok().flatten();
                        let added = rule.groups.add(identity, lists[1], find, now.unix_nanos, &values);
                        rule.took(added, now, overflowed);
                    }
                }
            });
        }
    }
}
