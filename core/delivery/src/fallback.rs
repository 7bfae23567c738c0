//! Another exporter that takes what this one does not: its share of the data, and what fails here.

use std::sync::{Mutex, PoisonError};

use streamgauge_component::{Fallback as Settings, Outlet};

use crate::load::Load;

/// The edge to the other exporter, and what goes there.
pub(crate) struct Fallback {
    outlet: Outlet,
    /// Whether it takes what fails here.
    pub(crate) on_failure: bool,
    share: f64,
    /// Items that were shared, and those of them that went there.
    counts: Mutex<(u64, u64)>,
}

impl Fallback {
    pub(crate) fn new(settings: &Settings, outlet: Outlet) -> Self {
        let share = settings.share.clamp(0.0, 1.0);
        Fallback { outlet, on_failure: settings.settings.on_failure, share, counts: Mutex::default() }
    }

    /// What stays here, and what goes there.
    pub(crate) fn shared(&self, load: Load) -> (Option<Load>, Option<Load>) {
        let items = load.batch().items();
        match self.part_of(items) {
            0 => (Some(load), None),
            there if there == items => (None, Some(load)),
            there => {
                let (here, there) = load.cut(items - there);
                (Some(here), Some(there))
            }
        }
    }

    /// Counted and not thrown: over any number of items the share is right to one item.
    fn part_of(&self, items: usize) -> usize {
        if self.share >= 1.0 {
            return items;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, there) = *counts;
        let all = all + items as u64;
        let wanted = (all as f64 * self.share + 1e-9) as u64;
        let goes = wanted.saturating_sub(there).min(items as u64);
        *counts = (all, there + goes);
        goes as usize
    }

    /// Sends it there. Its sources hear what becomes of it there.
    pub(crate) async fn take(&self, load: Load) {
        self.outlet.consume(load.into_batch()).await;
    }
}
