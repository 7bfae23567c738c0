//! Redis streams as a job uses them: read, acknowledge, claim, publish, and what an entry means.
//!
//! - [`Entry`]: one entry as it stands in a stream.
//!
//! `core/redis` is what a monitor may do, and can only read. This crate writes: whoever stands on it has been told by
//! the user to take part in a stream. It knows nothing of pipelines.

mod entry;

pub use entry::Entry;
