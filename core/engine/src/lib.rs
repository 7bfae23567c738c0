//! Runs components: builds the graph, starts it against the flow, supervises it, stops it with the flow.
//!
//! Knows every component only through `core/component` and none by name.

mod backoff;
mod distribution;
mod fanout;
mod graph;
mod keeper;
mod ledger;
mod outbox;
mod plan;
mod processor_node;
mod running;

pub use distribution::Distribution;
pub use ledger::{Ledger, LedgerRow};
pub use plan::Plan;
pub use running::{Running, StopReport};
