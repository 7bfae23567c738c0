//! Spikes that the latency monitor has seen.

use std::collections::BTreeMap;

use streamgauge_redis::{LatencyEvent, ReadCommand, latency_events};
use tokio::time::Instant;

use super::record::{Record, Severity};
use crate::redis::detail::ask;
use crate::scrape::redis::Server;

/// By kind: when the last spike was, seconds since 1970, and how long, milliseconds.
pub(super) type Spikes = BTreeMap<String, (u64, u64)>;

/// The last spike of each kind; `None` when the server does not say.
pub(super) async fn latest(server: &Server, deadline: Instant) -> Option<Vec<LatencyEvent>> {
    let answer = ask(server, ReadCommand::latency_latest(), deadline).await?;
    Some(latency_events(&answer))
}

/// Those that are not in the book yet. Before the first look nothing is.
pub(super) fn fresh(
    known: &mut Option<Spikes>,
    latest: Vec<LatencyEvent>,
    from_now: bool,
) -> Vec<LatencyEvent> {
    let is_first = known.is_none();
    let known = known.get_or_insert_default();
    let mut fresh = Vec::new();
    for event in latest {
        let spike = (event.at, event.last_ms);
        if known.insert(event.name.clone(), spike) != Some(spike) && !(is_first && from_now) {
            fresh.push(event);
        }
    }
    fresh
}

pub(super) fn record(event: &LatencyEvent, run_id: &str) -> Record {
    let seconds = |ms: u64| ms as f64 / 1e3;
    let body = format!("{} took {} ms; the longest so far {} ms", event.name, event.last_ms, event.max_ms);
    Record::new("redis.latency.spike", Severity::Warn, body)
        .at(event.at)
        .text("redis.latency.event", event.name.as_str())
        .double("redis.latency.duration", seconds(event.last_ms))
        .double("redis.latency.max", seconds(event.max_ms))
        .text("redis.run_id", run_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, at: u64, last_ms: u64) -> LatencyEvent {
        LatencyEvent { name: name.to_owned(), at, last_ms, max_ms: 900 }
    }

    #[test]
    fn a_spike_is_told_once_and_another_of_its_kind_again() {
        let mut known = Some(Spikes::new());
        assert_eq!(fresh(&mut known, vec![event("fork", 5, 7)], true).len(), 1);
        assert_eq!(fresh(&mut known, vec![event("fork", 5, 7)], true), []);
        assert_eq!(fresh(&mut known, vec![event("fork", 5, 8), event("command", 5, 7)], true).len(), 2);
        // LATENCY RESET
        assert_eq!(fresh(&mut known, vec![], true), []);
        assert_eq!(fresh(&mut known, vec![event("fork", 6, 8)], true).len(), 1);
    }

    #[test]
    fn what_was_before_the_first_look_is_told_only_where_the_book_is_kept() {
        assert_eq!(fresh(&mut None, vec![event("fork", 5, 7)], true), []);
        assert_eq!(fresh(&mut None, vec![event("fork", 5, 7)], false).len(), 1);
    }
}
