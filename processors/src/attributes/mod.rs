//! `attributes`: changes the attributes of spans, log records and data points.
//!
//! The actions are done in order on every record that `include` and `exclude` let through. Records in which nothing
//! changes are copied as slices, a request in which nothing changes passes as it is.
//!
//! Data passes through with its acks; nothing is held. A request that is malformed at a border is rejected.

mod config;
mod matching;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{
    Batch, ComponentError, ConfigType, Context, Create, Description, Instrument, Out, Processor,
    ProcessorFactory, Reason, Signal, Stability,
};
use streamgauge_pdata::build::EncodedValue;
use streamgauge_pdata::edit::{
    Editor, Headers, Record, RecordEditor, ResourceHeader, ScopeHeader, Unread, edit_records,
};
use streamgauge_pdata::view::MetricView;

use crate::actions::{self, Actions};
pub use config::{AttributesConfig, Library, Match, MatchType, Pair, RegexpCache, SeverityNumber};
use matching::{Matcher, Seen};

/// Registers `attributes`.
pub static FACTORY: ProcessorFactory = ProcessorFactory {
    description: Description {
        name: "attributes",
        aliases: &[],
        summary: "Changes the attributes of spans, log records and data points",
        signals: &Signal::ALL,
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<AttributesConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<AttributesConfig>()?;
    let matcher = |name: &str, properties: &Option<Match>| {
        let Some(properties) = properties else { return Ok(None) };
        let strange =
            create.signals.iter().find_map(|signal| properties.foreign_to(*signal).map(|key| (signal, key)));
        if let Some((signal, key)) = strange {
            let id = create.host.id();
            return Err(ComponentError(format!(
                "{id}: {name}.{key} has no meaning in a pipeline of {signal}"
            )));
        }
        let matcher = Matcher::new(properties);
        matcher.map(Some).map_err(|error| ComponentError(format!("{}: {name}: {error}", create.host.id())))
    };
    Ok(Arc::new(AttributesProcessor {
        actions: Actions::new(&config.actions),
        include: matcher("include", &config.include)?,
        exclude: matcher("exclude", &config.exclude)?,
        unreadable: actions::unreadable(&create.host),
    }))
}

struct AttributesProcessor {
    actions: Actions,
    include: Option<Matcher>,
    exclude: Option<Matcher>,
    unreadable: Arc<Instrument>,
}

impl Processor for AttributesProcessor {
    fn process(&self, mut batch: Batch, out: &mut Out) {
        let (signal, context) = (batch.signal, batch.context.clone());
        let mut changer = Changer {
            processor: self,
            context: &context,
            include: Seen::default(),
            exclude: Seen::default(),
            scratch: EncodedValue::default(),
        };
        for mut part in std::mem::take(&mut batch.parts) {
            match edit_records(signal, &mut part.bytes, &mut changer) {
                Ok(edited) => {
                    self.unreadable.value.add(edited.broken as u64);
                    batch.parts.push(part);
                }
                Err(error) => out.reject(part, Reason::Malformed, error.to_string()),
            }
        }
        out.send(batch);
    }
}

/// Changes the records of one batch.
struct Changer<'p> {
    processor: &'p AttributesProcessor,
    context: &'p Context,
    /// What the matchers think of what the records at hand are under.
    include: Seen,
    exclude: Seen,
    scratch: EncodedValue,
}

impl Changer<'_> {
    fn each(&mut self, mut tell: impl FnMut(&Matcher, &mut Seen)) {
        let AttributesProcessor { include, exclude, .. } = self.processor;
        for (matcher, seen) in [(include, &mut self.include), (exclude, &mut self.exclude)] {
            if let Some(matcher) = matcher {
                tell(matcher, seen);
            }
        }
    }
}

impl Headers for Changer<'_> {
    fn resource(&mut self, resource: Unread<'_, ResourceHeader<'_>>) {
        let resource = resource.read();
        self.each(|matcher, seen| {
            seen.resource = resource.as_ref().is_ok_and(|resource| matcher.resource(resource))
        });
    }

    fn scope(&mut self, scope: Unread<'_, ScopeHeader<'_>>) {
        let scope = scope.read();
        self.each(|matcher, seen| seen.scope = scope.as_ref().is_ok_and(|scope| matcher.scope(scope)));
    }

    fn metric(&mut self, metric: Unread<'_, MetricView<'_>>) {
        let metric = metric.read();
        self.each(|matcher, seen| seen.metric = metric.as_ref().is_ok_and(|metric| matcher.metric(metric)));
    }
}

impl RecordEditor for Changer<'_> {
    fn edit(&mut self, record: &Record<'_>, attributes: &mut Editor<'_>) {
        let AttributesProcessor { actions, include, exclude, .. } = self.processor;
        let included = include.as_ref().is_none_or(|matcher| matcher.record(self.include, record));
        if included && !exclude.as_ref().is_some_and(|matcher| matcher.record(self.exclude, record)) {
            actions.apply(self.context, attributes, &mut self.scratch);
        }
    }
}
