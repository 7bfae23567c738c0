//! OTLP/JSON: from its text to protobuf bytes and back, without structs in between.
//!
//! One table of fields ([`fields`]) says everything that both directions need to know. [`read()`] walks the text once
//! and writes the bytes as it goes; [`write()`] walks the bytes and writes the text.
//!
//! The mapping is proto3's JSON with OTLP's exceptions: trace and span ids are hex, enums are written as numbers. What
//! is read is wider than what is written: original field names beside camelCase, 64-bit integers as strings or numbers,
//! enum names, both base64 alphabets with or without padding. `null` is an absent field; as an element of an
//! array it is an empty message, and an error among numbers and strings: nil is never 0. Unknown fields are skipped.
//! A member that comes twice means what protobuf says: the last number or text wins, messages merge, lists join.

mod error;
mod escape;
mod fields;
mod number;
mod read;
mod text;
mod token;
mod value;
mod write;

pub use error::JsonError;
pub use read::read;
pub use write::{Written, write};
