//! The groups of one rule: their windows, and the gauges made of them.

use std::collections::BTreeMap;

use super::source::Values;
use streamgauge_pdata::build::{AnyValue, MetricsBuilder};
use streamgauge_pdata::view::{Attributes, Value};
use streamgauge_series::{Histogram, Identity, MAX_SCALE, Resource, SeriesMap, Sliding};

/// Name of the scope under which the gauges stand.
const SCOPE: &str = "streamgauge/percentile";

/// The groups of one rule.
pub(super) struct Groups {
    name: String,
    pub unit: String,
    by: Vec<String>,
    quantiles: Vec<(f64, String)>,
    window: u64,
    groups: SeriesMap<Group>,
    overflow: Option<Group>,
}

/// Attributes that are kept.
type Pairs = Vec<(String, AnyValue)>;

struct Group {
    resource: Resource,
    by: Pairs,
    window: Sliding,
}

/// Where values went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    ToGroup,
    /// There are as many groups as may be.
    ToOverflow,
    Nothing,
}

/// What was given out.
#[derive(Debug, Default)]
pub(super) struct Emitted {
    /// Groups that are coarser than scale 5, and the coarsest scale.
    pub coarse: usize,
    pub coarsest: Option<i32>,
}

impl Groups {
    pub fn new(
        name: String,
        unit: String,
        by: Vec<String>,
        quantiles: &[f64],
        window: u64,
        limit: usize,
    ) -> Self {
        Groups {
            name,
            unit,
            by,
            quantiles: quantiles.iter().map(|quantile| (*quantile, quantile.to_string())).collect(),
            window,
            groups: SeriesMap::new(limit),
            overflow: None,
        }
    }

    /// Adds values seen now to their group; `identity` stands at the resource, `find` finds an attribute.
    pub fn add<'a>(
        &mut self,
        identity: &mut Identity,
        resource: Attributes<'a>,
        find: impl Fn(&str) -> Option<Value<'a>>,
        now: u64,
        values: &Values,
    ) -> Added {
        let Groups { by, groups, overflow, window, .. } = self;
        if matches!(values, Values::None) {
            return Added::Nothing;
        }
        let Ok(key) = identity.group(by.iter().map(|name| find(name))) else { return Added::Nothing };
        let make = || Group {
            resource: Resource::of(resource),
            by: by.iter().filter_map(|name| Some((name.clone(), find(name)?.to_any().ok()?))).collect(),
            window: Sliding::new(*window),
        };
        if let Some(group) = groups.entry(key, now, make) {
            return if values.add_to(group.window.current(now)) { Added::ToGroup } else { Added::Nothing };
        }
        let overflow = overflow.get_or_insert_with(|| Group {
            resource: Resource::of(Attributes::empty()),
            by: vec![("otel.metric.overflow".to_owned(), AnyValue::Bool(true))],
            window: Sliding::new(*window),
        });
        if values.add_to(overflow.window.current(now)) { Added::ToOverflow } else { Added::Nothing }
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.overflow.is_none()
    }

    /// Writes the quantiles of every group; a group whose window is empty ends.
    pub fn emit(&mut self, built: &mut MetricsBuilder, now: u64) -> Emitted {
        let mut emitted = Emitted::default();
        let mut resources: BTreeMap<Resource, Vec<(Pairs, Histogram)>> = BTreeMap::new();
        let mut take = |group: &mut Group| {
            let merged = group.window.merged(now);
            let lives = merged.count() > 0;
            if merged.scale() < MAX_SCALE {
                emitted.coarse += 1;
                emitted.coarsest =
                    Some(emitted.coarsest.map_or(merged.scale(), |least| least.min(merged.scale())));
            }
            resources.entry(group.resource.clone()).or_default().push((group.by.clone(), merged));
            lives
        };
        self.groups.retain(|group, _| take(group));
        if let Some(overflow) = &mut self.overflow
            && !take(overflow)
        {
            self.overflow = None;
        }
        for (resource, groups) in &resources {
            let mut to = built.resource(resource.attributes());
            let mut scope = to.scope(SCOPE, env!("CARGO_PKG_VERSION"));
            let mut gauge = scope.gauge(&self.name, &self.unit, "Quantiles over the window.");
            for (by, histogram) in groups {
                for (quantile, label) in &self.quantiles {
                    let mut point = gauge.point(now);
                    point.attributes(by).attribute("quantile", label);
                    match histogram.quantile(*quantile) {
                        Some(value) => point.double(value),
                        None => point.no_recorded_value(),
                    };
                }
            }
        }
        emitted
    }
}
