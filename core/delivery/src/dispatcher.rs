//! From the queue to the workers.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::load::Load;
use crate::sender::Sender;

/// Takes loads off the queue in order and starts one worker for each, as many at once as there are consumers.
pub(crate) struct Dispatcher {
    pub(crate) queue: mpsc::UnboundedReceiver<Load>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) consumers: Arc<Semaphore>,
}

impl Dispatcher {
    /// Runs until the queue is closed and empty.
    pub(crate) async fn run(mut self) {
        while let Some(load) = self.queue.recv().await {
            self.start(load).await;
        }
    }

    async fn start(&self, load: Load) {
        // Never closed: the error is a panic-free way to end.
        let Ok(turn) = self.consumers.clone().acquire_owned().await else { return };
        let sender = self.sender.clone();
        tokio::spawn(async move {
            sender.deliver(load).await;
            drop(turn);
        });
    }
}
