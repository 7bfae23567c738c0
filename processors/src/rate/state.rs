//! The windows of all series, and what a request adds to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use streamgauge_component::{Host, Instrument, InstrumentKind, Part};
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::{Data, MetricView, MetricsView, NumberPoint, ResourceView, Temporality};
use streamgauge_series::{Growth, Identity, Selector, SeriesMap, Unreadable, Window, visit_metrics};

use super::config::{Output, RateConfig};

/// Name of the scope under which the gauges stand.
const SCOPE: &str = "streamgauge/rate";

pub(super) struct Rates {
    rules: Vec<Rule>,
    /// The rules of a metric.
    by_metric: HashMap<String, Vec<usize>>,
    identity: Identity,
    swept: u64,
    longest: u64,
    overflowed: Arc<Instrument>,
    said: Said,
    id: Arc<str>,
}

struct Rule {
    selector: Selector,
    window: u64,
    output: Output,
    name: String,
    windows: SeriesMap<Window>,
}

/// What was logged already: such things are said once.
#[derive(Default)]
struct Said {
    no_counter: bool,
    too_many: bool,
    unreadable: bool,
}

/// One point to be written.
struct Result<'a> {
    rule: usize,
    unit: &'a str,
    point: NumberPoint<'a>,
    /// `None` when the series ended.
    growth: Option<Growth>,
}

impl Rates {
    pub fn new(config: &RateConfig, host: &Host) -> Self {
        let mut by_metric: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, rule) in config.rules.iter().enumerate() {
            by_metric.entry(rule.metric.clone()).or_default().push(number);
        }
        let rules = config.rules.iter().map(|rule| Rule {
            selector: rule.matches.clone(),
            window: nanos(rule.window),
            output: rule.output,
            name: rule.output_name(),
            windows: SeriesMap::new(config.max_series),
        });
        Rates {
            rules: rules.collect(),
            by_metric,
            identity: Identity::new(),
            swept: 0,
            longest: config.rules.iter().map(|rule| nanos(rule.window)).max().unwrap_or_default(),
            overflowed: host.instrument(
                InstrumentKind::Counter,
                "streamgauge.series.overflowed",
                "{point}",
                "Points of series beyond the configured maximum, which were left out.",
                Vec::new(),
            ),
            said: Said::default(),
            id: host.id().clone(),
        }
    }

    /// Takes the points of a request; the gauges that come of it.
    pub fn take(&mut self, request: &[u8], now: u64) -> Option<Part> {
        self.forget(now);
        let mut unreadable = Unreadable::default();
        let mut built = MetricsBuilder::new();
        for resource in MetricsView::new(request).resources() {
            let Some(resource) = unreadable.ok(resource) else { continue };
            let results = self.resource(&resource, &mut unreadable, now);
            if !results.is_empty() {
                self.write(&mut built, &resource, &results);
            }
        }
        if let Some(error) = unreadable.first()
            && !std::mem::replace(&mut self.said.unreadable, true)
        {
            tracing::warn!(id = %self.id, %error, "points that cannot be read get no rate");
        }
        let items = built.items();
        (items > 0).then(|| Part::created(built.finish(), items))
    }

    fn resource<'a>(
        &mut self,
        resource: &ResourceView<'a, MetricView<'a>>,
        unreadable: &mut Unreadable,
        now: u64,
    ) -> Vec<Result<'a>> {
        let Rates { rules, by_metric, identity, said, id, .. } = self;
        let mut results = Vec::new();
        let overflowed = &self.overflowed;
        let wanted = |name: &str| by_metric.get(name);
        visit_metrics(resource, identity, unreadable, wanted, |identity, unreadable, metric, numbers| {
            let Data::Sum { points, temporality, monotonic: true } = metric.data else {
                if !std::mem::replace(&mut said.no_counter, true) {
                    tracing::warn!(%id, metric = metric.name, "no rate: the metric is no monotonic sum");
                }
                return;
            };
            for point in points {
                let Some(point) = unreadable.ok(point) else { continue };
                let Some(key) = unreadable.ok(identity.point(point.attributes())) else { continue };
                let lists = [point.attributes(), resource.attributes()];
                for number in numbers {
                    let rule = &mut rules[*number];
                    if unreadable.ok(rule.selector.matches(&lists)) != Some(true) {
                        continue;
                    }
                    match rule.take(key, &point, temporality, now) {
                        Taken::Nothing => {}
                        Taken::Point(growth) => {
                            results.push(Result { rule: *number, unit: metric.unit, point, growth });
                        }
                        Taken::Overflow => {
                            overflowed.value.add(1);
                            if !std::mem::replace(&mut said.too_many, true) {
                                tracing::warn!(%id, "more series than max_series: those beyond get no rate");
                            }
                        }
                    }
                }
            }
        });
        // Points of one gauge together.
        results.sort_by_key(|result| result.rule);
        results
    }

    fn write(
        &self,
        built: &mut MetricsBuilder,
        resource: &ResourceView<'_, MetricView<'_>>,
        results: &[Result<'_>],
    ) {
        let mut to = built.resource(resource.attributes());
        let mut scope = to.scope(SCOPE, env!("CARGO_PKG_VERSION"));
        for same in results.chunk_by(|a, b| a.rule == b.rule && a.unit == b.unit) {
            let rule = &self.rules[same[0].rule];
            let (unit, about) = match rule.output {
                Output::Rate if same[0].unit.is_empty() => ("1/s".to_owned(), "Growth in a second."),
                Output::Rate => (format!("{}/s", same[0].unit), "Growth in a second."),
                Output::Increase => (same[0].unit.to_owned(), "Growth over the window."),
            };
            let mut gauge = scope.gauge(&rule.name, &unit, about);
            for result in same {
                let mut point = gauge.point(result.point.time);
                point.attributes(result.point.attributes());
                match (result.growth, rule.output) {
                    (None, _) => point.no_recorded_value(),
                    (Some(growth), Output::Rate) => point.double(growth.per_second()),
                    (Some(growth), Output::Increase) => point.double(growth.increase),
                };
            }
        }
    }

    /// Forgets the series that were silent for their window, at most once in the longest of them.
    fn forget(&mut self, now: u64) {
        if now.saturating_sub(self.swept) < self.longest {
            return;
        }
        self.swept = now;
        for Rule { windows, window, .. } in &mut self.rules {
            windows.retain(|_, last_seen| now.saturating_sub(last_seen) <= *window);
        }
    }
}

/// What a point did to its series.
enum Taken {
    Nothing,
    Point(Option<Growth>),
    Overflow,
}

impl Rule {
    fn take(&mut self, key: &[u8], point: &NumberPoint<'_>, temporality: Temporality, now: u64) -> Taken {
        if point.no_recorded_value() {
            return if self.windows.remove(key).is_some() { Taken::Point(None) } else { Taken::Nothing };
        }
        let Some(value) = point.value else { return Taken::Nothing };
        let Some(window) = self.windows.entry(key, now, Window::default) else { return Taken::Overflow };
        let (start, time, value) = (point.start_time, point.time, value.as_f64());
        let growth = match temporality {
            Temporality::Delta => window.delta(start, time, value, self.window),
            _ => window.cumulative(start, time, value, self.window),
        };
        growth.map_or(Taken::Nothing, |growth| Taken::Point(Some(growth)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
