//! The command line of Streamgauge: one file a command, and the one list of components in this binary.

pub mod cli;
mod configuration;
pub mod distribution;
mod run;
