//! Runs components: builds the graph, starts it against the flow, supervises it, changes it while it runs,
//! stops it with the flow.
//!
//! Knows every component only through `core/component` and none by name.

mod backoff;
mod changes;
mod dead_letters;
mod deadline;
mod distribution;
mod fanout;
mod graph;
mod instances;
mod keeper;
mod lasting;
mod ledger;
mod origin;
mod outbox;
mod plan;
mod processor_node;
mod retiring;
mod routes;
mod running;
mod settings;
mod storages;
mod supervisor;
mod turn;

pub use changes::Changes;
pub use distribution::Distribution;
pub use ledger::{Books, EdgeRow, LastWrite, Ledger, LedgerRow, PipelineRow, Saved, Summary};
pub use plan::Plan;
pub use running::{Running, StopReport};
pub use settings::{ReloadSettings, ServiceSettings};
