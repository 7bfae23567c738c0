//! What outlives the process: logs of records and cells of state; knows nothing of what is in them.
//!
//! A [`Storage`] is one directory, locked by one process. In it are
//! - [`Log`]s: write-ahead logs. [`Log::append`] returns when the record is on the disk, [`Reader`] gives the records
//!   back in order, [`Log::settle`] ends one, in any order. What was appended and not settled is there at the next start.
//! - [`Cell`]s: small named state, replaced as a whole.
//!
//! Whatever the disk holds, opening succeeds: a torn tail is cut, what is damaged is set aside into files and counted,
//! and only a newer format is refused. The layout is described in `format`, the order of writes in `writer`.
//!
//! [`snapshot`] looks at a directory that another process may hold.
//!
//! File calls run on a log's own writer thread or on tokio's blocking threads, never on the runtime's workers.

mod ages;
mod bits;
mod cell;
mod disk;
mod error;
mod format;
mod journal;
mod log;
mod open;
mod prepare;
mod quarantine;
mod reader;
mod recover;
mod segment;
pub mod snapshot;
mod state;
mod storage;
mod walk;
mod writer;

pub use cell::Cell;
pub use error::StorageError;
pub use log::{Condition, Log, RecordId, Stats};
pub use reader::{Reader, Record};
pub use storage::{Settings, Storage};

#[cfg(test)]
mod tests;
