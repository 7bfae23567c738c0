//! Drives one component through success, refusal, panic and stop, without an engine.
//!
//! - [`Sink`]: the far end of an outlet; records what arrives and settles it as told.
//! - [`Source`]: makes parts and remembers what their acks said.
//! - [`Bench`]: runs a processor at handed-in time.
//! - [`Disk`]: a storage extension with a given storage.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a poisoned lock in a test is a failed test

mod bench;
mod disk;
mod sink;
mod source;

pub use bench::Bench;
pub use disk::Disk;
pub use sink::{Behaviour, Received, Sink};
pub use source::Source;
