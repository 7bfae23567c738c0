//! The command line of Streamgauge: one file a command, and the one list of components in this binary.

mod ask;
mod bench;
pub mod catalogue;
pub mod cli;
mod collector;
mod components;
mod configuration;
mod control;
mod demo;
pub mod distribution;
mod dlq;
mod doctor;
mod durability;
mod explain;
mod export;
mod first_screen;
mod health;
mod human;
mod import;
mod print_config;
mod queue;
mod redis_section;
pub mod reference;
mod run;
mod streams;
mod validate;
mod watch;
