//! What was told and is not yet delivered, and the book of what is.
//!
//! A round goes on from the book after the last parcel; what is stored is the book after the last one that was delivered,
//! and so were all before it. A parcel that comes back is sent again as it was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::{Ack, Batch, Context, Host, Outcome, Outlet, Part, Signal};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::book::Book;

/// Parcels, and their bytes, beyond which no round reads more: what comes then stays with the server.
const PARCELS: usize = 64;
const BYTES: usize = 8 << 20;
/// How long a parcel that came back waits, where nobody says how long.
const PAUSE: Duration = Duration::from_secs(1);

/// In the order of the rounds.
pub(super) struct Outbox {
    host: Host,
    outlet: Outlet,
    /// Id of the extension that stores the book.
    storage: Option<String>,
    cell: String,
    parcels: VecDeque<Parcel>,
    /// After the last parcel that is delivered, and as it was last stored.
    delivered: Book,
    stored: Option<Book>,
    /// Something was settled.
    pub(super) settled: Arc<Notify>,
}

struct Parcel {
    bytes: Bytes,
    items: usize,
    after: Book,
    outcome: Arc<Mutex<Option<Outcome>>>,
    /// When it is to be sent again.
    again: Option<Instant>,
}

impl Outbox {
    /// The book of the last run is read; `inherited` is that of the instance before, in this process.
    ///
    /// # Errors
    /// The storage is not there yet, or cannot be read.
    pub(super) async fn open(
        host: &Host,
        outlet: &Outlet,
        storage: Option<String>,
        inherited: &Option<Book>,
    ) -> Result<Outbox, String> {
        let cell = format!("receiver/{}/logs", host.id());
        let mut stored = None;
        if let Some(id) = &storage {
            let storage = host.storage(id).map_err(|error| error.to_string())?;
            let bytes = storage.cell(&cell).read().await.map_err(|error| error.to_string())?;
            stored = bytes.and_then(|bytes| {
                serde_json::from_slice(&bytes)
                    .inspect_err(|error| {
                        let id = &**host.id();
                        tracing::error!(id, %error, "how far the logs were told cannot be read: it begins anew");
                    })
                    .ok()
            });
        }
        let delivered = inherited.clone().or_else(|| stored.clone()).unwrap_or_default();
        Ok(Outbox {
            host: host.clone(),
            outlet: outlet.clone(),
            storage,
            cell,
            parcels: VecDeque::new(),
            delivered,
            stored,
            settled: Arc::default(),
        })
    }

    /// Where the next round goes on.
    pub(super) fn book(&self) -> &Book {
        self.parcels.back().map_or(&self.delivered, |parcel| &parcel.after)
    }

    /// What is delivered for sure.
    pub(super) fn delivered(&self) -> &Book {
        &self.delivered
    }

    /// Whether so much is under way that nothing more is read.
    pub(super) fn is_full(&self) -> bool {
        let bytes: usize = self.parcels.iter().map(|parcel| parcel.bytes.len()).sum();
        self.parcels.len() >= PARCELS || bytes >= BYTES
    }

    /// Sends what a round has told; `after` is the book after it.
    pub(super) async fn send(&mut self, told: Option<(Bytes, usize)>, after: Book) {
        match told {
            Some((bytes, items)) => {
                let outcome = Arc::default();
                self.parcels.push_back(Parcel { bytes, items, after, outcome, again: None });
                self.consume(self.parcels.len() - 1).await;
            }
            None => match self.parcels.back_mut() {
                Some(last) => last.after = after,
                None => self.delivered = after,
            },
        }
    }

    async fn consume(&self, at: usize) {
        let Some(parcel) = self.parcels.get(at) else { return };
        self.host.node(Signal::Logs).created.add(parcel.items as u64);
        let (outcome, settled) = (parcel.outcome.clone(), self.settled.clone());
        let ack = Ack::new(move |what| {
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
            settled.notify_one();
        });
        let part = Part { bytes: parcel.bytes.clone().into(), items: parcel.items, ack };
        let context = Arc::new(Context::new(self.host.id().clone(), self.host.clock().wall()));
        self.outlet.consume(Batch::of(Signal::Logs, context, part)).await;
    }

    /// Learns what became of the parcels, and stores the book.
    ///
    /// # Errors
    /// It cannot be stored: a restart would tell of things again.
    pub(super) async fn commit(&mut self) -> Result<(), String> {
        for parcel in &mut self.parcels {
            let mut outcome = parcel.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Outcome::Retry { after, .. }) = *outcome {
                parcel.again = Some(Instant::now() + after.unwrap_or(PAUSE));
                *outcome = None;
            }
        }
        // What is rejected never comes through: whoever refused it has counted it.
        let is_over =
            |parcel: &Parcel| parcel.outcome.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        while let Some(first) = self.parcels.pop_front_if(|parcel| is_over(parcel)) {
            self.delivered = first.after;
        }
        let Some(id) = &self.storage else { return Ok(()) };
        if self.stored.as_ref() == Some(&self.delivered) {
            return Ok(());
        }
        let storage = self.host.storage(id).map_err(|error| error.to_string())?;
        let text = serde_json::to_vec(&self.delivered).map_err(|error| error.to_string())?;
        storage.cell(&self.cell).write(text).await.map_err(|error| error.to_string())?;
        self.stored = Some(self.delivered.clone());
        Ok(())
    }

    /// Sends again what has come back, when it is time.
    pub(super) async fn send_again(&mut self) {
        for at in 0..self.parcels.len() {
            let due = |parcel: &mut Parcel| parcel.again.take_if(|again| *again <= Instant::now());
            if self.parcels.get_mut(at).and_then(due).is_some() {
                self.consume(at).await;
            }
        }
    }
}
