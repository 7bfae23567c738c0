//! Configuration: the OpenTelemetry Collector's language, read into a tree that knows where everything stands.
//!
//! The way of a file: [`Loader`] retrieves every source, parses it ([`parse`]) to [`Node`]s, merges them, expands `${...}`
//! and hands the one tree to [`Config`], which checks ids, references and the pipeline graph. What belongs to a component
//! stays a [`Section`] until its factory reads it into its own type with [`Section::read`].
//!
//! Everything that is wrong becomes a [`Diagnostic`]: the Collector's own text, a stable code, and the place. This crate
//! knows no component and no other crate of ours; which types exist is told by a [`Known`] list.

mod diagnostic;
mod expand;
#[doc(hidden)]
pub mod fuzz;
mod id;
mod known;
mod loader;
mod merge;
mod model;
mod node;
mod parse;
mod place;
mod read;
mod redact;
mod render;
mod reread;
mod scalar;
mod schema;
mod secret;
mod section;
mod service;
mod similar;
mod without_effect;

pub use diagnostic::{Diagnostic, Diagnostics, Severity, codes};
pub use id::{ComponentId, Kind, PipelineId, Signal};
pub use known::{Known, KnownType};
pub use loader::{Loaded, Loader};
pub use model::{Component, Components, Config};
pub use node::{Entry, Map, Node, Value};
pub use parse::parse;
pub use place::{Place, Source};
pub use redact::redact;
pub use render::{Style, render};
pub use reread::{REREAD_EVERY, Reread};
pub use scalar::{Quoting, Scalar, ScalarKind};
pub use schema::{Described, Setting, describe, schema_of};
pub use secret::{REDACTED, Secret};
pub use section::Section;
pub use service::{Pipeline, Service};
pub use similar::did_you_mean;
pub use without_effect::without_effect;
