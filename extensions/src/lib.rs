//! The extensions, one folder each.

pub mod api;
pub mod basicauth;
pub mod bearertokenauth;
mod constant_time;
pub mod file_storage;
pub mod health_check;
mod listen;
