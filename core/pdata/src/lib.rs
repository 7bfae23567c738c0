//! OTLP as bytes: walk, count, split, splice, view, build; knows nothing of acks or tasks.
//!
//! Everything here works on the protobuf bytes of an `Export*ServiceRequest` and never decodes one as a whole:
//!
//! - [`check`] is the door: it walks a request down to the borders of its records and counts the items;
//! - [`split`], [`divide`], [`edit`] and [`regroup`] write new requests from slices of the old;
//! - [`view`] reads the inside, borrowed and total: broken bytes are an error for that record, never a panic;
//! - [`build`] writes requests;
//! - [`json`] turns OTLP/JSON into such bytes and back.
//!
//! An *item* is a span, a log record or a data point. Unknown fields survive everywhere.

mod body;
pub mod build;
mod check;
mod divide;
pub mod edit;
pub mod fuzz;
pub mod json;
mod malformed;
mod regroup;
mod rope;
mod signal;
mod split;
pub mod view;
mod wire;

pub use body::Body;
pub use check::{check, count};
pub use divide::{Share, divide};
pub use malformed::{Malformed, What};
pub use regroup::{Grouper, regroup};
pub use signal::Signal;
pub use split::{Limit, Piece, split, split_resources};

/// The most bytes a request may have: protobuf's own limit, and what lets offsets be 32 bits wide.
pub const MAX_REQUEST_BYTES: usize = i32::MAX as usize;
