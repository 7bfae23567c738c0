//! Properties of the bytes operations, with prost as the oracle.
#![allow(missing_docs, clippy::unwrap_used)]

mod build;
mod check;
mod oracle;
mod sample;
mod views;
