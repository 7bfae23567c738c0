//! HPACK (RFC 7541): how the fields of a request are packed, and how those of an answer are written.

mod decode;
mod encode;
mod encoder;
mod field;
mod huffman;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use decode::Decoder;
pub(crate) use encode::{field, status};
pub(crate) use encoder::Encoder;
pub(crate) use field::{Field, Name};
