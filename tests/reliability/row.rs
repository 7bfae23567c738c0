//! What scenarios came to, and the page about it.

use std::fmt::Write as _;

use crate::scenarios::Scenario;

/// What a scenario came to, in records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    pub sent: usize,
    pub acked: usize,
    pub delivered: usize,
    pub duplicated: usize,
    /// Acknowledged and not arrived.
    pub missing: usize,
    /// What the collector has counted as not delivered.
    pub accounted: usize,
    /// How many may be duplicated: what was on its way at the crashes.
    pub most_duplicated: usize,
}

impl Row {
    /// Acknowledged, not arrived, and not counted by anybody.
    pub fn lost(&self) -> usize {
        self.missing.saturating_sub(self.accounted)
    }

    pub fn check(&self, name: &str) {
        assert!(self.acked > 0, "{name}: {self:?}");
        assert_eq!(self.lost(), 0, "{name}: {self:?}");
        // What is counted beyond that can only be what was never acknowledged.
        assert!(self.accounted <= self.missing + self.sent - self.acked, "{name}: {self:?}");
        assert!(self.duplicated <= self.most_duplicated, "{name}: {self:?}");
    }

    pub fn add(&mut self, other: Row) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.delivered += other.delivered;
        self.duplicated += other.duplicated;
        self.missing += other.missing;
        self.accounted += other.accounted;
        self.most_duplicated += other.most_duplicated;
    }
}

/// Text above the tables.
const HEAD: &str = "# What happens to records

Numbered log records are sent to the collector by OTLP/HTTP and counted where they arrive. Where nothing else is said the
exporter has a queue on disk (`sending_queue.storage`). Written by `UPDATE=1 cargo test --test reliability`; `make chaos` runs
the same for longer. [What the Go Collector loses and keeps](reliability-peers.md) stands beside it.

- acknowledged: the sender had its 200.
- duplicated: arrived more than once. A crash, or an answer that does not come, repeats what was on its way at that moment, or had arrived
  while the disk was syncing, and no more.
- accounted: not delivered, and counted as such by the collector itself: in its ledger by reason, in `streamgauge.queue.disk.*`
  for what the disk gave back damaged (ten records a request here), in the log for what was left at a stop.
- lost: acknowledged, not arrived and not accounted. The test fails when it is not 0.

Where a stream is consumed, entries are added by XADD and go out by OTLP/HTTP with a queue in memory. Acknowledged is what Redis
gave an id for, accounted what lies in the dead letter or is in Redis no more (not persisted, not replicated, deleted, trimmed).
After each scenario the pending list is empty.

What a process cannot be brought to from the outside stands beside the code: a panicking component under load and 200 reloads
without a task left (`core/engine/tests`), a disk that fails at any call and bits that flip at any place (`core/storage`), acks
through every component (`tests/conformance`), 200 reloads without growth of memory and sockets (`tests/e2e/reload.rs`).
";

/// The page, with a table for each kind of scenario.
pub fn page(rows: &[(&Scenario, Row)]) -> String {
    let mut page = HEAD.to_owned();
    let mut kind = "";
    for (scenario, row) in rows {
        if scenario.kind != kind {
            kind = scenario.kind;
            write!(
                page,
                "\n## {kind}\n\n| what happens | sent | acknowledged | delivered | duplicated | accounted | lost |\n\
                 |---|---:|---:|---:|---:|---:|---:|\n"
            )
            .unwrap();
        }
        let Row { sent, acked, delivered, duplicated, accounted, .. } = row;
        let (name, lost) = (scenario.name, row.lost());
        writeln!(page, "| {name} | {sent} | {acked} | {delivered} | {duplicated} | {accounted} | {lost} |")
            .unwrap();
    }
    page
}
