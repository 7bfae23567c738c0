//! Properties of the bytes operations, with prost as the oracle.
#![allow(missing_docs, clippy::unwrap_used)]

mod after;
mod build;
mod check;
mod decoded;
mod divide;
mod edit;
mod fuzz;
mod json;
mod oracle;
mod regroup;
mod sample;
mod split;
mod views;
