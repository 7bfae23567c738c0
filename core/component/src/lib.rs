//! The contracts between the engine and the components, on one card.
//!
//! A component sees nothing but this crate and what lies below it; the engine sees components only through it.
//!
//! - What flows: [`Batch`], [`Part`], [`Context`]; what became of it: [`Ack`], [`Outcome`], [`Reason`].
//! - The only way to send: [`Outlet`]; its far end: [`Consumer`].
//! - The roles: [`Receiver`], [`Processor`] (connectors are processors too), [`Exporter`], [`Extension`].
//! - How a role is registered: the factories in [`factory`], with their typed configuration.
//! - What two of them share: [`Joiner`], behind the `batch` processor and `sending_queue.batch`.
//! - What a running component may ask for: [`Host`] (clock, status, counters, shared resources).
//!
//! `docs/architecture.md` has the rules that these types cannot express.

mod ack;
mod authenticator;
mod batch;
mod budget;
mod clock;
mod control;
mod counters;
mod delivery;
mod earlier;
mod error;
mod exporter;
mod extension;
pub mod factory;
mod host;
mod joiner;
mod optional;
mod outcome;
mod outlet;
mod processor;
mod queues;
mod random;
mod receiver;
mod status;
mod stored;
mod system_memory;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use ack::{Ack, Source, abandoned_acks};
pub use authenticator::{AuthSettings, Authenticator, Unauthenticated};
pub use batch::{Batch, Context, Part};
pub use budget::{Budget, MemoryBound, MemoryBounds, Pressure};
pub use clock::{Clock, Now};
pub use control::{Control, Reloaded};
pub use counters::{ByReason, Edge, Instrument, InstrumentKind, ItemCounter, Node, Registry, edge_name};
pub use delivery::{
    BatchSettings, BreakerSettings, DeadLetterSettings, DeliverySettings, Fallback, FallbackSettings,
    Partition, QueueSettings, RetrySettings, Sizer, WhenFull,
};
pub use earlier::{Earlier, KnownQueue};
pub use error::ComponentError;
pub use exporter::{About, Accepted, ExportError, Exporter, Left, Request};
pub use extension::Extension;
pub use factory::{
    AnyConfig, ComponentConfig, ConfigType, ConnectorFactory, Create, Description, ExporterFactory,
    ExporterParts, ExtensionFactory, ProcessorFactory, ReceiverFactory, Route, Stability,
};
pub use host::Host;
pub use joiner::{JoinRules, Joiner};
pub use optional::Optional;
pub use outcome::{Outcome, Reason};
pub use outlet::{Consumer, Outlet, Outlets, panic_message};
pub use processor::{Collected, Held, Lasting, Out, Processor, Tally};
pub use queues::{Purged, QueueStatus, StoredQueue};
pub use random::Random;
pub use receiver::Receiver;
pub use status::{ComponentStatus, Kind, LastReload, State, StatusBoard};
pub use stored::{Unreadable, restored, stored};
pub use streamgauge_pdata::Signal;
pub use streamgauge_storage as storage;
pub use system_memory::SystemMemory;

/// A boxed future, as in `futures_util`.
pub use futures_util::future::BoxFuture;
