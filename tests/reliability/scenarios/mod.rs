//! What can happen.

mod clock;
mod crashes;
mod damage;
mod disks;
mod neighbours;
mod peers;
mod reloads;
mod streams;

use crate::row::Row;

/// One thing that can happen, by name; `None` where the machine does not allow it.
type Run = fn() -> Option<Row>;

pub struct Scenario {
    pub kind: &'static str,
    pub name: &'static str,
    pub run: Run,
}

/// In the order of the page.
pub fn all() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let mut add = |kind, all: &'static [(&str, Run)]| {
        scenarios.extend(all.iter().map(|(name, run)| Scenario { kind, name, run: *run }));
    };
    add("The collector is killed or stopped", crashes::ALL);
    add("The peer misbehaves, and then is well", peers::ALL);
    add("The disk gives back something else than was written", damage::ALL);
    add("The disk takes nothing", disks::ALL);
    add("Another configuration under load", reloads::ALL);
    add("A dead exporter beside one that is well", neighbours::ALL);
    add("The wall clock jumps", clock::ALL);
    add("A stream is consumed (`redis_stream`)", streams::ALL);
    scenarios
}
