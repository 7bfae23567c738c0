//! The subscriber's layer that writes events.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Settings;
use super::format::Record;

/// Writes each event as a line, by the settings of the moment.
pub(super) struct Lines(Arc<ArcSwap<Settings>>);

impl Lines {
    pub fn new(settings: Arc<ArcSwap<Settings>>) -> Self {
        Self(settings)
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let settings = self.0.load();
        if settings.sampler.as_ref().is_some_and(|sampler| !sampler.passes(event.metadata())) {
            return;
        }
        let record = Record::of(event);
        settings.outputs.write(|colours| settings.format.line(&record, colours));
    }
}
