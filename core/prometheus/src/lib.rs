//! OTLP to Prometheus: names, labels, series, the text format and remote write messages.
//!
//! Pure functions over bytes: this crate knows nothing of sockets, tasks, queues or acks. The exporter owns
//! those, and what a receiver has already been sent; this crate says what one batch means to Prometheus.

pub mod classic;
pub mod exposition;
pub mod fuzz;
pub mod labels;
pub mod name;
pub mod native;
#[cfg(test)]
mod oracle;
pub mod point;
pub mod preset;
pub mod text;
pub mod translate;
pub mod unit;
pub mod write;

pub use labels::{Labels, Rank};
pub use name::{Kind, Namer, Strategy};
pub use preset::Preset;
pub use translate::{Dropped, ResourceLabels, Settings, Translated, Translator};

/// The NaN bit pattern that ends a series in Prometheus. No measured NaN may carry it.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a value: compare it by its bits, like every NaN it is unequal to itself.
#[must_use]
pub fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}
