//! The components of one binary.

use streamgauge_component::{
    ConnectorFactory, Description, ExporterFactory, ExtensionFactory, ProcessorFactory, ReceiverFactory,
    Signal,
};
use streamgauge_config::{Kind, Known, KnownType, Signal as ConfigSignal};

/// One static slice a kind: the only list of components in a binary.
#[derive(Clone, Copy, Debug)]
pub struct Distribution {
    /// Receivers.
    pub receivers: &'static [&'static ReceiverFactory],
    /// Processors.
    pub processors: &'static [&'static ProcessorFactory],
    /// Connectors.
    pub connectors: &'static [&'static ConnectorFactory],
    /// Exporters.
    pub exporters: &'static [&'static ExporterFactory],
    /// Extensions.
    pub extensions: &'static [&'static ExtensionFactory],
}

/// A configuration's signal for a pipeline's.
fn signal(signal: Signal) -> ConfigSignal {
    match signal {
        Signal::Traces => ConfigSignal::Traces,
        Signal::Metrics => ConfigSignal::Metrics,
        Signal::Logs => ConfigSignal::Logs,
    }
}

fn known(kind: Kind, description: &Description) -> KnownType {
    let signals: Vec<ConfigSignal> = description.signals.iter().map(|s| signal(*s)).collect();
    KnownType::new(kind, description.name, &signals).aliases(description.aliases)
}

fn named(description: &Description, name: &str) -> bool {
    description.name == name || description.aliases.contains(&name)
}

impl Distribution {
    /// The list that the checks of a configuration need.
    pub fn known(&self) -> Known {
        let connectors = self.connectors.iter().map(|f| {
            let pairs: Vec<_> = f.signals.iter().map(|(from, to)| (signal(*from), signal(*to))).collect();
            KnownType::connector(f.description.name, &pairs).aliases(f.description.aliases)
        });
        let receivers = self.receivers.iter().map(|f| known(Kind::Receiver, &f.description));
        let processors = self.processors.iter().map(|f| known(Kind::Processor, &f.description));
        let exporters = self.exporters.iter().map(|f| known(Kind::Exporter, &f.description));
        let extensions = self.extensions.iter().map(|f| known(Kind::Extension, &f.description));
        Known::new(receivers.chain(processors).chain(connectors).chain(exporters).chain(extensions))
    }

    /// A receiver by its type or an older name of it.
    pub fn receiver(&self, name: &str) -> Option<&'static ReceiverFactory> {
        self.receivers.iter().copied().find(|f| named(&f.description, name))
    }

    /// A processor by its type or an older name of it.
    pub fn processor(&self, name: &str) -> Option<&'static ProcessorFactory> {
        self.processors.iter().copied().find(|f| named(&f.description, name))
    }

    /// A connector by its type or an older name of it.
    pub fn connector(&self, name: &str) -> Option<&'static ConnectorFactory> {
        self.connectors.iter().copied().find(|f| named(&f.description, name))
    }

    /// An exporter by its type or an older name of it.
    pub fn exporter(&self, name: &str) -> Option<&'static ExporterFactory> {
        self.exporters.iter().copied().find(|f| named(&f.description, name))
    }

    /// An extension by its type or an older name of it.
    pub fn extension(&self, name: &str) -> Option<&'static ExtensionFactory> {
        self.extensions.iter().copied().find(|f| named(&f.description, name))
    }
}
