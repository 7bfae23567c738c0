//! A series' identity from views, deltas that know resets, exponential histograms, staleness.
//!
//! What every component that remembers something about a series stands on. State is bounded by counts; time is
//! handed in, in nanoseconds since the Unix epoch; nothing here knows of tasks, acks or configuration.

mod counter;
mod distribution;
mod histogram;
mod identity;
mod map;
mod pattern;
mod resource;
mod sliding;
mod walk;
mod window;

pub use counter::{Change, Counter};
pub use distribution::{ExplicitCounter, ExponentialCounter};
pub use histogram::{Buckets, Explicit, Histogram, MAX_BUCKETS, MAX_SCALE, MIN_SCALE, Range, relative_error};
pub use identity::Identity;
pub use map::SeriesMap;
pub use pattern::{Pattern, Selector, find};
pub use resource::Resource;
pub use sliding::{PARTS, Sliding};
pub use walk::{Unreadable, visit_metrics};
pub use window::{Growth, Window};
