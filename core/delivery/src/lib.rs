//! What stands before an exporter: queue, batching, retry, circuit breaker, timeout.
//!
//! The way of a batch: [`Delivery`] takes it (or refuses it: the queue is full, the collector is stopping), the
//! dispatcher joins and splits it if batching is on, and the sender makes attempts until the peer has it or the data is
//! known to be at fault, the retries end, or the stop's deadline passes. What is on its way is a `Load`: it keeps the
//! parts, their acks and the ledger together, so that nothing leaves without being settled and counted.
//!
//! This crate knows nothing of wires, configuration files or the graph; it sees an exporter as one attempt.

mod backoff;
mod breaker;
mod dead_letter;
mod delivery;
mod disk_queue;
mod dispatcher;
mod fallback;
mod follower;
mod lanes;
mod load;
mod memory;
mod queue;
mod sampler;
mod sender;
mod source;
mod stop;

pub use dead_letter::{Burial, DeadLetter, DeadLetterEdge, DeadLetterFile, Letter};
pub use delivery::{Delivery, Elsewhere};
