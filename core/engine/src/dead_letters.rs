//! Exporters as dead letters of others: `dead_letter: {exporter: id}` is an edge of the graph.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use streamgauge_component::{Batch, BoxFuture, Consumer, Outcome, Reason, Signal};
use streamgauge_config::{Component, Config, Diagnostics};

use crate::plan::Plan;

/// Which exporter's data goes where when it does not get to its peer; by id.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters(BTreeMap<Arc<str>, Arc<str>>);

/// Where the setting stands in an exporter's section.
const KEYS: [&str; 2] = ["dead_letter", "exporter"];

impl DeadLetters {
    /// What the exporters' sections say. A target that is not configured, and a circle, are errors.
    pub(crate) fn read(config: &Config, errors: &mut Diagnostics) -> Self {
        let all: BTreeMap<Arc<str>, Arc<str>> = config
            .exporters
            .iter()
            .filter_map(|component| Some((component.id.to_string().into(), target(component)?.into())))
            .collect();
        let dead_letters = DeadLetters(all);
        for component in &config.exporters {
            let id = component.id.to_string();
            let Some(target) = dead_letters.of(&id) else { continue };
            if !config.exporters.iter().any(|c| c.id.to_string() == **target) {
                let text = format!("references exporter {:?} which is not configured", &**target);
                errors.push(component.section.invalid_at(&KEYS, text));
            } else if dead_letters.behind(&id).any(|next| **next == *id) {
                let text = "leads back to this exporter: a dead letter must end somewhere";
                errors.push(component.section.invalid_at(&KEYS, text));
            }
        }
        dead_letters
    }

    /// The exporter that takes what this one cannot deliver.
    pub(crate) fn of(&self, id: &str) -> Option<&Arc<str>> {
        self.0.get(id)
    }

    /// That one, the one behind it, and so on.
    fn behind(&self, id: &str) -> impl Iterator<Item = &Arc<str>> {
        std::iter::successors(self.of(id), |next| self.of(next)).take(self.0.len())
    }

    /// The exporters with all that stand behind them.
    pub(crate) fn with_them(&self, ids: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        ids.iter().flat_map(|id| std::iter::once(id).chain(self.behind(id))).cloned().collect()
    }

    /// The signals that an exporter gets: from pipelines, and as a dead letter of others.
    pub(crate) fn signals(&self, plan: &Plan, id: &str) -> Vec<Signal> {
        let leads = |from: &str| *from == *id || self.behind(from).any(|to| **to == *id);
        let gets = |s: &Signal| {
            plan.pipelines.iter().any(|p| p.signal == *s && p.exporters.iter().any(|e| leads(e)))
        };
        Signal::ALL.into_iter().filter(gets).collect()
    }

    /// A dead letter must take every signal that its exporter gets.
    pub(crate) fn check(&self, plan: &Plan, errors: &mut Diagnostics) {
        let find = |id: &str| plan.exporters.iter().find(|e| *e.id == *id);
        for (from, to) in &self.0 {
            let Some((from, to)) = find(from).zip(find(to)) else { continue };
            for signal in self.signals(plan, &from.id) {
                if !to.factory.description.signals.contains(&signal) {
                    let text = format!("exporter {:?} does not take {}", &*to.id, signal.name());
                    errors.push(from.section.invalid_at(&KEYS, text));
                }
            }
        }
    }
}

fn target(component: &Component) -> Option<String> {
    let section = component.section.node().as_map()?.get(KEYS[0])?;
    let id = section.as_map()?.get(KEYS[1])?.as_text()?.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// Where the edge to a dead letter leads before there is one.
pub(crate) struct NotYet;

impl Consumer for NotYet {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        batch.settle(&Outcome::retry(Reason::ComponentDown));
        Box::pin(std::future::ready(()))
    }
}
