//! What receivers share that ask somebody every so often: the rhythm, the table of metrics, the points of a round.
//!
//! - [`poll`]: rounds at an interval, a late one skipped and never queued;
//! - [`table`]: metrics declared once, from which toggles and documents come;
//! - [`recorder`]: a round's points to OTLP bytes, with start times that know resets, and an end for what has ended;
//! - [`lease`]: who of several collectors watches;
//! - [`redis`]: the shared connection to a server from the settings.

#[cfg(test)]
mod cost;
#[cfg(test)]
mod deployments;
pub(crate) mod histogram;
pub(crate) mod lease;
#[cfg(test)]
mod leases;
pub(crate) mod poll;
pub(crate) mod recorder;
pub(crate) mod redis;
pub(crate) mod table;
#[cfg(test)]
pub(crate) mod testing;
