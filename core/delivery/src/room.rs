//! How much the queue holds, and who waits for room.

use std::sync::Arc;

use streamgauge_component::InstrumentKind;
use streamgauge_component::{Batch, Host, Instrument, QueueSettings, Signal, Sizer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The queue's size, counted by its sizer from taking until settling. Those who wait are served in order.
pub(crate) struct Room {
    sizer: Sizer,
    capacity: usize,
    free: Arc<Semaphore>,
    used: Arc<Instrument>,
}

/// Room that one taken batch needs; given back when the last of its parts is settled.
pub(crate) struct Ticket {
    permit: OwnedSemaphorePermit,
    used: Arc<Instrument>,
    settled: Option<oneshot::Sender<()>>,
}

/// Why there is no room.
#[derive(Debug, PartialEq)]
pub(crate) enum NoRoom {
    Full,
    Closed,
}

impl Room {
    pub(crate) fn new(settings: &QueueSettings, signal: Signal, host: &Host) -> Self {
        let capacity = settings.queue_size.clamp(1, Semaphore::MAX_PERMITS);
        let unit = match settings.sizer {
            Sizer::Requests => "{request}",
            Sizer::Items => "{item}",
            Sizer::Bytes => "By",
        };
        let gauge = |name, help| {
            let attributes = vec![("data_type", signal.name().to_owned())];
            host.instrument(InstrumentKind::Gauge, name, unit, help, attributes)
        };
        let used =
            gauge("otelcol_exporter_queue_size", "What the sending queue holds, counted by its sizer.");
        let bound = gauge("otelcol_exporter_queue_capacity", "What the sending queue can hold.");
        bound.value.set(capacity as u64);
        Room { sizer: settings.sizer, capacity, free: Arc::new(Semaphore::new(capacity)), used }
    }

    /// How much room a batch takes. One larger than the whole queue takes all of it: it would never fit
    /// otherwise, and its sender would retry for ever.
    pub(crate) fn need(&self, batch: &Batch) -> u32 {
        let size = match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => batch.items(),
            Sizer::Bytes => batch.bytes(),
        };
        u32::try_from(size.min(self.capacity)).unwrap_or(u32::MAX)
    }

    /// Room at once, or none.
    pub(crate) fn take(&self, need: u32) -> Result<Ticket, NoRoom> {
        match self.free.clone().try_acquire_many_owned(need) {
            Ok(permit) => Ok(self.ticket(permit)),
            Err(_) if self.free.is_closed() => Err(NoRoom::Closed),
            Err(_) => Err(NoRoom::Full),
        }
    }

    /// Waits for room, in order of asking. Dropped, it leaves nothing behind.
    pub(crate) async fn wait(&self, need: u32) -> Result<Ticket, NoRoom> {
        let permit = self.free.clone().acquire_many_owned(need).await;
        permit.map(|permit| self.ticket(permit)).map_err(|_| NoRoom::Closed)
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    fn ticket(&self, permit: OwnedSemaphorePermit) -> Ticket {
        self.used.value.add(permit.num_permits() as u64);
        Ticket { permit, used: self.used.clone(), settled: None }
    }
}

impl Ticket {
    /// Fires when the last part is settled.
    pub(crate) fn settled(&mut self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.settled = Some(tell);
        told
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.used.value.sub(self.permit.num_permits() as u64);
        if let Some(tell) = self.settled.take() {
            let _ = tell.send(()); // the caller may have gone
        }
    }
}
