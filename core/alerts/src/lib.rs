//! The alert state machine, whatever evaluates the condition.
//!
//! A [`Rule`] compares the values of a series with a warning and a critical [`Bound`]; each bound is an alert of
//! its own, told apart by the label `severity`. [`Alerts`] holds the state of every (rule, series) and reports each
//! [`Transition`] as it happens. The machine is Prometheus': inactive, pending for as long as `for` asks, firing,
//! resolved. To it come hysteresis (`clear`), a critical alert that speaks for its warning, and a policy for silence.
//!
//! Nothing here reads a clock, a socket or a disk: time is handed in, in nanoseconds since the Unix epoch, so that
//! hours of alerting are tested in microseconds. It knows nothing of OTLP: a series is a key and its labels.

mod alerts;
mod labels;
mod rule;
mod snapshot;
mod state;
mod template;

pub use alerts::{Active, Alerts, Cause, DEFAULT_LIMIT, Series, Transition};
pub use labels::Labels;
pub use rule::{Bound, NoData, NoDataState, Op, Problem, Rule, Severity};
pub use snapshot::{SavedSeries, SavedTrack, Snapshot};
pub use state::{RESOLVED_RETENTION, State};
pub use template::{Template, TemplateError};
