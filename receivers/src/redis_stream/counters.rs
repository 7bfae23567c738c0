//! What this receiver counts beside the ledger: one table.

use std::sync::Arc;

use streamgauge_component::{Host, Instrument, InstrumentKind};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $kind:ident $unit:literal = $help:literal,)*) => {
        /// The instruments.
        #[derive(Debug)]
        pub(super) struct Counters {
            host: Host,
            $($(#[$doc])* pub $name: Arc<Instrument>,)*
        }

        impl Counters {
            pub fn new(host: &Host) -> Self {
                Counters {
                    host: host.clone(),
                    $($name: host.instrument(
                        InstrumentKind::$kind,
                        concat!("streamgauge.redis_stream.", stringify!($name)),
                        $unit,
                        $help,
                        Vec::new(),
                    ),)*
                }
            }
        }
    };
}

counters! {
    read: Counter "{entry}" = "Entries that were read for the first time.",
    recovered: Counter "{entry}" = "Pending entries of this consumer that were read again, after a start or a lost connection.",
    claimed: Counter "{entry}" = "Entries that were taken over from consumers that are gone.",
    acknowledged: Counter "{entry}" = "Entries that Redis has taken off the pending list.",
    not_pending: Counter "{entry}" = "Acknowledged entries that were not pending any more: the group was made anew, or somebody else had them.",
    lost_by_trim: Counter "{entry}" = "Pending entries that were trimmed or deleted before they were delivered: their fields are gone.",
    undecodable: Counter "{entry}" = "Entries that are not what the encoding says.",
    offered_again: Counter "{entry}" = "Entries that were offered again without being read again.",
    handed_back: Counter "{entry}" = "Entries that were handed back to the group at the end.",
    lost_after_accept: Counter "{entry}" = "Entries that were acknowledged when they were accepted (ack.on: accepted) and not delivered.",
    consumers_removed: Counter "{consumer}" = "Consumers that were gone, held nothing and were removed.",
    reconnects: Counter "{connection}" = "Connections that were lost.",
    overdue: Counter "{read}" = "Reads that the server did not answer in time: the watchdog let go of the connection.",
    blocked: Counter "ms" = "Time that reading stood still because as much was on its way as may be.",
    unknown_events: Counter "{message}" = "Messages of OpsConductor of a type that it does not publish.",
    in_flight: Gauge "{entry}" = "Entries that are read and not acknowledged.",
    in_flight_bytes: Gauge "By" = "Bytes of what is read and not acknowledged.",
    leases: Gauge "{stream}" = "Streams that this replica reads in order.",
    waiting: Gauge "{entry}" = "Entries that wait to be offered again.",
}

impl Counters {
    /// A refusal or a lost connection, by its class.
    pub fn error(&self, command: &'static str, class: &'static str) {
        let attributes = vec![("command", command.to_owned()), ("class", class.to_owned())];
        let help = "Commands that Redis refused, and connections that were lost, by class.";
        let name = "streamgauge.redis_stream.errors";
        self.host.instrument(InstrumentKind::Counter, name, "{error}", help, attributes).value.add(1);
    }

    /// Messages of a type that OpsConductor publishes.
    pub fn events(&self, event_type: &str, messages: u64) {
        let attributes = vec![("event_type", event_type.to_owned())];
        let help = "Messages of OpsConductor that were read, by their type.";
        let name = "streamgauge.redis_stream.events";
        self.host
            .instrument(InstrumentKind::Counter, name, "{message}", help, attributes)
            .value
            .add(messages);
    }

    /// An entry that went to the dead letter.
    pub fn dead_lettered(&self, reason: &str, entries: u64) {
        self.by_reason(
            "streamgauge.redis_stream.dead_lettered",
            "Entries that went to the dead letter.",
            reason,
            entries,
        );
    }

    /// An entry that was acknowledged without having been delivered, where there is no dead letter.
    pub fn dropped(&self, reason: &str, entries: u64) {
        self.by_reason(
            "streamgauge.redis_stream.dropped",
            "Entries that nobody takes, where there is no dead letter.",
            reason,
            entries,
        );
    }

    fn by_reason(&self, name: &'static str, help: &'static str, reason: &str, entries: u64) {
        let attributes = vec![("reason", reason.to_owned())];
        self.host.instrument(InstrumentKind::Counter, name, "{entry}", help, attributes).value.add(entries);
    }
}
