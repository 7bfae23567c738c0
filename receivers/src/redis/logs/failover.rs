//! Who is the primary of what, and since when it is another.

use std::collections::BTreeMap;

use streamgauge_redis::{Role, View};

use super::record::{Record, Severity};

/// By shard, empty where there is only one: the primary's address.
pub(super) type Primaries = BTreeMap<String, String>;

/// A primary that has followed another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failover {
    pub(super) shard: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// Takes in what the servers say of themselves in this round, by address. A shard without a primary keeps the last one,
/// and of two that both say so it is the one that the deployment takes for it.
pub(super) fn failovers(known: &mut Primaries, view: &View, roles: &BTreeMap<String, Role>) -> Vec<Failover> {
    let mut claims: BTreeMap<&str, Vec<(String, bool)>> = BTreeMap::new();
    for node in &view.nodes {
        let address = node.address().to_string();
        if roles.get(&address) == Some(&Role::Primary) {
            let claim = (address, node.role == Some(Role::Primary));
            claims.entry(node.shard.as_deref().unwrap_or("")).or_default().push(claim);
        }
    }
    let mut failovers = Vec::new();
    for (shard, mut claims) in claims {
        if claims.iter().any(|(_, is_recognized)| *is_recognized) {
            claims.retain(|(_, is_recognized)| *is_recognized);
        }
        let before = known.get(shard);
        if claims.iter().any(|(address, _)| Some(address) == before) {
            continue;
        }
        let to = claims.swap_remove(0).0;
        let from = known.insert(shard.to_owned(), to.clone());
        failovers.extend(from.map(|from| Failover { shard: shard.to_owned(), from, to }));
    }
    failovers
}

impl Failover {
    pub(super) fn record(&self, run_id: &str) -> Record {
        let Failover { shard, from, to } = self;
        let of = if shard.is_empty() { String::new() } else { format!(" of {shard}") };
        Record::new("redis.failover", Severity::Error, format!("the primary{of} is {to} now, it was {from}"))
            .text("redis.failover.from", from.as_str())
            .text("redis.failover.to", to.as_str())
            .text("redis.shard", shard.as_str())
            .text("redis.run_id", run_id)
    }
}
