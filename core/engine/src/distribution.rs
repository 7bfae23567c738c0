//! The components of one binary.

use streamgauge_component::{
    ConnectorFactory, Description, ExporterFactory, ExtensionFactory, ProcessorFactory, ReceiverFactory,
};

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

fn named(description: &Description, name: &str) -> bool {
    description.name == name || description.aliases.contains(&name)
}

impl Distribution {
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
