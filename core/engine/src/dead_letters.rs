//! Exporters that take what others do not deliver: `dead_letter: {exporter: id}` and `fallback: {exporter: id}` are edges of
//! the graph.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use streamgauge_component::{Batch, BoxFuture, Consumer, Outcome, Reason, Signal};
use streamgauge_config::{Component, Config, Diagnostics};

use crate::plan::Plan;

/// What an exporter may lead to besides its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aside {
    DeadLetter,
    Fallback,
}

impl Aside {
    pub(crate) const ALL: [Aside; 2] = [Aside::DeadLetter, Aside::Fallback];

    /// Where the setting stands in an exporter's section.
    fn keys(self) -> [&'static str; 2] {
        match self {
            Aside::DeadLetter => ["dead_letter", "exporter"],
            Aside::Fallback => ["fallback", "exporter"],
        }
    }
}

/// Which exporter's data goes where when it does not go to its peer; by id.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters(BTreeMap<(Arc<str>, Aside), Arc<str>>);

impl DeadLetters {
    /// What the exporters' sections say. A target that is not configured, and a circle, are errors.
    pub(crate) fn read(config: &Config, errors: &mut Diagnostics) -> Self {
        let all = config.exporters.iter().flat_map(|component| {
            let id: Arc<str> = component.id.to_string().into();
            Aside::ALL.map(|aside| Some(((id.clone(), aside), target(component, aside)?.into())))
        });
        let dead_letters = DeadLetters(all.flatten().collect());
        for component in &config.exporters {
            let id = component.id.to_string();
            for aside in Aside::ALL {
                let Some(target) = dead_letters.of(&id, aside) else { continue };
                let is_circle = **target == *id || dead_letters.behind(target).contains(&*id);
                if !config.exporters.iter().any(|c| c.id.to_string() == **target) {
                    let text = format!("references exporter {:?} which is not configured", &**target);
                    errors.push(component.section.invalid_at(&aside.keys(), text));
                } else if is_circle {
                    let text = "leads back to this exporter: a dead letter must end somewhere";
                    errors.push(component.section.invalid_at(&aside.keys(), text));
                }
            }
        }
        dead_letters
    }

    /// The exporter that takes what this one does not deliver.
    pub(crate) fn of(&self, id: &str, aside: Aside) -> Option<&Arc<str>> {
        self.0.get(&(id.into(), aside))
    }

    /// Those, the ones behind them, and so on.
    fn behind(&self, id: &str) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Arc<str>> = vec![id.into()];
        while let Some(from) = open.pop() {
            let next = Aside::ALL.into_iter().filter_map(|aside| self.of(&from, aside));
            open.extend(next.filter(|to| found.insert((*to).clone())).cloned());
        }
        found
    }

    /// The exporters with all that stand behind them.
    pub(crate) fn with_them(&self, ids: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        ids.iter().flat_map(|id| std::iter::once(id.clone()).chain(self.behind(id))).collect()
    }

    /// The signals that an exporter gets: from pipelines, and from other exporters.
    pub(crate) fn signals(&self, plan: &Plan, id: &str) -> Vec<Signal> {
        let leads = |from: &str| *from == *id || self.behind(from).contains(id);
        let gets = |s: &Signal| {
            plan.pipelines.iter().any(|p| p.signal == *s && p.exporters.iter().any(|e| leads(e)))
        };
        Signal::ALL.into_iter().filter(gets).collect()
    }

    /// A dead letter must take every signal that its exporter gets.
    pub(crate) fn check(&self, plan: &Plan, errors: &mut Diagnostics) {
        let find = |id: &str| plan.exporters.iter().find(|e| *e.id == *id);
        for ((from, aside), to) in &self.0 {
            let Some((from, to)) = find(from).zip(find(to)) else { continue };
            for signal in self.signals(plan, &from.id) {
                if !to.factory.description.signals.contains(&signal) {
                    let text = format!("exporter {:?} does not take {}", &*to.id, signal.name());
                    errors.push(from.section.invalid_at(&aside.keys(), text));
                }
            }
        }
    }
}

fn target(component: &Component, aside: Aside) -> Option<String> {
    let [key, below] = aside.keys();
    let section = component.section.node().as_map()?.get(key)?;
    let id = section.as_map()?.get(below)?.as_text()?.trim();
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
