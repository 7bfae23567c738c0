//! Parts whose outcomes are remembered.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use streamgauge_pdata::Signal;

use crate::ack::Ack;
use crate::batch::{Batch, Context, Part};
use crate::outcome::Outcome;

/// Makes parts and remembers what their acks said.
#[derive(Clone, Debug, Default)]
pub struct Source {
    outcomes: Arc<Mutex<Vec<Option<Outcome>>>>,
}

impl Source {
    /// A source that has made nothing yet.
    pub fn new() -> Self {
        Source::default()
    }

    /// A part with an ack that this source remembers.
    pub fn part(&self, bytes: impl Into<Bytes>, items: usize) -> Part {
        let mut outcomes = self.outcomes.lock().unwrap();
        let index = outcomes.len();
        outcomes.push(None);
        let into = self.outcomes.clone();
        let ack = Ack::new(move |outcome| {
            let mut outcomes = into.lock().unwrap();
            assert!(outcomes[index].is_none(), "part {index} was settled twice");
            outcomes[index] = Some(outcome);
        });
        Part { bytes: bytes.into().into(), items, ack }
    }

    /// A batch of one part.
    pub fn batch(&self, signal: Signal, bytes: impl Into<Bytes>, items: usize) -> Batch {
        Batch::of(signal, self.context(), self.part(bytes, items))
    }

    /// The context of this source's batches.
    pub fn context(&self) -> Arc<Context> {
        Arc::new(Context::new("test", SystemTime::UNIX_EPOCH))
    }

    /// What became of each part, in the order they were made; `None` is unsettled.
    pub fn outcomes(&self) -> Vec<Option<Outcome>> {
        self.outcomes.lock().unwrap().clone()
    }

    /// Whether every part is settled.
    pub fn all_settled(&self) -> bool {
        self.outcomes.lock().unwrap().iter().all(Option::is_some)
    }

    /// Whether every part was delivered.
    pub fn all_delivered(&self) -> bool {
        self.outcomes.lock().unwrap().iter().all(|o| *o == Some(Outcome::Delivered))
    }
}
