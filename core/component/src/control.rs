//! What the process itself can be asked for, by the extensions that serve people.

use futures_util::future::BoxFuture;

/// The running collector as a whole. See [`Host::control`](crate::Host::control).
pub trait Control: Send + Sync {
    /// The whole ledger now, as JSON.
    fn ledger(&self) -> serde_json::Value;

    /// Reads the configuration again, and says what came of it.
    fn reload(&self) -> BoxFuture<'_, Reloaded>;
}

/// What came of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What was kept, replaced, added and removed, as JSON.
    pub changes: serde_json::Value,
    /// Why the old configuration runs on, in the words of a start; nothing when the new one runs.
    pub errors: Vec<String>,
}
