//! Another exporter as a dead letter.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamgauge_component::{Ack, Batch, Context, Outcome, Outlet, Part};

use super::{Burial, DeadLetter, Letter};

/// Sends letters by an edge of the graph. A letter is held once the exporter there holds it: in its queue, on its disk, or
/// with its peer where it has no queue.
#[derive(Debug)]
pub struct DeadLetterEdge(Outlet);

impl DeadLetterEdge {
    /// Letters go where the outlet leads.
    pub fn new(outlet: Outlet) -> Self {
        DeadLetterEdge(outlet)
    }
}

#[async_trait]
impl DeadLetter for DeadLetterEdge {
    async fn bury(&self, letter: &Letter) -> Burial {
        let refused = Arc::new(Mutex::new(false));
        // Nobody sends a letter again: its source hears that it is held.
        let let_go = Arc::new(AtomicBool::new(true));
        let parts = letter.parts.iter().map(|(bytes, items)| {
            let heard = refused.clone();
            let ack = Ack::new(move |outcome| {
                if outcome != Outcome::Delivered {
                    *heard.lock().unwrap_or_else(PoisonError::into_inner) = true;
                }
            });
            Part { bytes: letter.stamped(bytes).into(), items: *items, ack: ack.until_let_go(let_go.clone()) }
        });
        let parts = parts.collect();
        // A full queue there gives it back at once: waiting for room would hold up the exporter here.
        let context = Arc::new(Context { answered: false, ..(*letter.context).clone() });
        self.0.consume(Batch { signal: letter.signal, context, parts }).await;
        let refused = *refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused { Burial::Returned } else { Burial::Held }
    }
}
