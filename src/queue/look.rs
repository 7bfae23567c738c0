//! One queue as it is now: as the collector tells it where that runs and can be asked, else read from its directory.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use streamgauge_component::restored;
use streamgauge_component::storage::snapshot::{self, Holder, Snapshot};

use super::find::{Places, Queue};
use crate::cli::Failure;

/// Numbers of a queue.
pub(super) struct Look {
    pub(super) queue: Queue,
    pub(super) holder: Option<Holder>,
    pub(super) records: u64,
    pub(super) items: u64,
    pub(super) bytes: u64,
    /// Age of the oldest record, seconds.
    pub(super) oldest: Option<u64>,
    /// Records that are being sent; known of a collector that can be asked.
    pub(super) under_way: Option<u64>,
    /// Files with what was damaged, and their bytes.
    pub(super) quarantined: (u64, u64),
    /// Records that are damaged, or that this version cannot read.
    pub(super) unreadable: u64,
}

impl Look {
    pub(super) fn at(places: &Places, queue: Queue) -> Result<Look, Failure> {
        let holder = snapshot::holder(&queue.directory).map_err(Failure::runtime)?;
        let mut snapshot = Snapshot::open(&queue.directory, &queue.log()).map_err(Failure::runtime)?;
        let quarantined = snapshot.quarantined();
        // One that cannot be asked is looked at from outside.
        let api = places.api.as_ref().filter(|_| holder.is_some());
        let told = api.and_then(|api| api.status(&queue).ok().flatten());
        let mut look = Look {
            queue,
            holder,
            records: 0,
            items: 0,
            bytes: 0,
            oldest: None,
            under_way: None,
            quarantined,
            unreadable: 0,
        };
        if let Some(told) = &told {
            look.under_way = told["under_way"].as_u64();
            if let Some(items) = told["items"].as_u64() {
                look.items = items;
                look.records = told["records"].as_u64().unwrap_or_default();
                look.bytes = told["bytes"].as_u64().unwrap_or_default();
                look.oldest = told["oldest_seconds"].as_u64();
                return Ok(look);
            }
        }
        while let Some(record) = snapshot.next().transpose().map_err(Failure::runtime)? {
            look.records += 1;
            look.bytes += record.bytes;
            look.oldest = look.oldest.or(Some(age(record.at)));
            match restored(&record.payload) {
                Ok(batch) => look.items += batch.items() as u64,
                Err(_) => look.unreadable += 1,
            }
        }
        look.unreadable += snapshot.damaged();
        Ok(look)
    }

    /// `running (process 17)` or `stopped`.
    pub(super) fn collector(&self) -> String {
        match self.holder {
            None => "stopped".to_owned(),
            Some(Holder { pid: Some(pid) }) => format!("running (process {pid})"),
            Some(Holder { pid: None }) => "running".to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "queue": self.queue.name(),
            "exporter": self.queue.exporter,
            "signal": self.queue.signal.name(),
            "directory": self.queue.directory,
            "running": self.holder.is_some(),
            "pid": self.holder.and_then(|holder| holder.pid),
            "records": self.records,
            "items": self.items,
            "bytes": self.bytes,
            "oldest_seconds": self.oldest,
            "under_way": self.under_way,
            "quarantined": {"files": self.quarantined.0, "bytes": self.quarantined.1},
            "unreadable": self.unreadable,
        })
    }
}

/// Seconds since then.
pub(super) fn age(at: u32) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    now.saturating_sub(u64::from(at))
}
