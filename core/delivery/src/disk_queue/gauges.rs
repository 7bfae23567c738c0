//! What is shown of a queue on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use streamgauge_component::{Host, Instrument, InstrumentKind, Signal, Sizer};

use super::store::Core;

pub(super) struct Gauges {
    host: Host,
    signal: Signal,
    /// What the size counts: the sizer of the present queue.
    sizer: AtomicU8,
    requests: Arc<Instrument>,
    bytes: Arc<Instrument>,
    allocated: Arc<Instrument>,
    oldest: Arc<Instrument>,
    appended: Arc<Instrument>,
    commits: Arc<Instrument>,
    damaged: Arc<Instrument>,
    torn: Arc<Instrument>,
}

const SIZERS: [Sizer; 3] = [Sizer::Requests, Sizer::Items, Sizer::Bytes];

impl Gauges {
    pub(super) fn new(signal: Signal, host: &Host) -> Self {
        let show = |kind, name, unit, help| {
            host.instrument(kind, name, unit, help, vec![("data_type", signal.name().to_owned())])
        };
        let gauge = |name, unit, help| show(InstrumentKind::Gauge, name, unit, help);
        Gauges {
            host: host.clone(),
            signal,
            sizer: AtomicU8::new(0),
            requests: gauge(
                "streamgauge.queue.disk.requests",
                "{request}",
                "Requests in the sending queue on disk.",
            ),
            bytes: gauge(
                "streamgauge.queue.disk.bytes",
                "By",
                "Bytes of what waits in the sending queue on disk.",
            ),
            allocated: gauge(
                "streamgauge.queue.disk.allocated",
                "By",
                "Bytes of disk that the sending queue takes.",
            ),
            oldest: gauge(
                "streamgauge.queue.disk.oldest_age",
                "s",
                "How long the oldest request has waited on disk.",
            ),
            appended: show(
                InstrumentKind::Counter,
                "streamgauge.queue.disk.appended",
                "{request}",
                "Requests that were written to the sending queue on disk, since the start.",
            ),
            commits: show(
                InstrumentKind::Counter,
                "streamgauge.queue.disk.commits",
                "{commit}",
                "Writes with a sync of the sending queue on disk, since the start: each takes all that waits for it.",
            ),
            damaged: show(
                InstrumentKind::Counter,
                "streamgauge.queue.disk.damaged",
                "{request}",
                "Requests that the disk gave back damaged and that were set aside, since the start.",
            ),
            torn: show(
                InstrumentKind::Counter,
                "streamgauge.queue.disk.torn",
                "{write}",
                "Writes at the end of the log that were found unfinished at the start and set aside. Nobody was told that \
                 they are safe, unless the disk lost what it had synced.",
            ),
        }
    }

    /// From now on the size is counted so.
    pub(super) fn capacity(&self, sizer: Sizer, capacity: u64) {
        self.sizer.store(SIZERS.iter().position(|s| *s == sizer).unwrap_or(0) as u8, Ordering::Relaxed);
        let help = "What the sending queue can hold.";
        self.of_queue(sizer, "otelcol_exporter_queue_capacity", help).value.set(capacity);
    }

    fn of_queue(&self, sizer: Sizer, name: &'static str, help: &'static str) -> Arc<Instrument> {
        let unit = match sizer {
            Sizer::Requests => "{request}",
            Sizer::Items => "{item}",
            Sizer::Bytes => "By",
        };
        let attributes = vec![("data_type", self.signal.name().to_owned())];
        self.host.instrument(InstrumentKind::Gauge, name, unit, help, attributes)
    }

    pub(super) fn read(&self, core: &Core) {
        let sizer = SIZERS[usize::from(self.sizer.load(Ordering::Relaxed)) % SIZERS.len()];
        let help = "What the sending queue holds, counted by its sizer.";
        self.of_queue(sizer, "otelcol_exporter_queue_size", help).value.set(core.used(sizer));
        let stats = core.log.stats();
        self.requests.value.set(stats.records);
        self.bytes.value.set(stats.bytes);
        self.allocated.value.set(stats.allocated);
        self.oldest.value.set(stats.oldest.unwrap_or_default().as_secs());
        self.appended.value.set(stats.appended);
        self.commits.value.set(stats.commits);
        self.damaged.value.set(stats.damaged_records);
        self.torn.value.set(stats.torn_tails);
    }
}
