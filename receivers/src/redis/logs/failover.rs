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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use streamgauge_redis::{EndpointKeys, Monitor, Node, Target};

    use super::*;

    /// Address, shard, and what the deployment takes it for.
    fn view(nodes: &[(&str, &str, Role)]) -> View {
        let node = |(endpoint, shard, role): &(&str, &str, Role)| {
            let target = Target::new(&EndpointKeys { endpoint, ..EndpointKeys::default() }).unwrap();
            Node {
                monitor: Arc::new(Monitor::new(target, None, None)),
                id: None,
                role: Some(*role),
                shard: (!shard.is_empty()).then(|| (*shard).to_owned()),
                serves: true,
                aliases: Vec::new(),
                slots: None,
            }
        };
        View { nodes: nodes.iter().map(node).collect() }
    }

    fn roles(nodes: &[(&str, Role)]) -> BTreeMap<String, Role> {
        nodes.iter().map(|(address, role)| ((*address).to_owned(), *role)).collect()
    }

    fn told(known: &mut Primaries, view: &View, say: &[(&str, Role)]) -> Vec<(String, String)> {
        failovers(known, view, &roles(say)).into_iter().map(|failover| (failover.from, failover.to)).collect()
    }

    #[test]
    fn a_failover_is_told_once_and_a_gap_without_a_primary_is_none() {
        use Role::{Primary, Replica};
        let mut known = Primaries::new();
        let before = view(&[("a:1", "", Primary), ("b:1", "", Replica)]);
        let after = view(&[("a:1", "", Replica), ("b:1", "", Primary)]);
        assert_eq!(told(&mut known, &before, &[("a:1", Primary), ("b:1", Replica)]), []);
        assert_eq!(told(&mut known, &before, &[("b:1", Replica)]), []);
        let pair = ("a:1".to_owned(), "b:1".to_owned());
        assert_eq!(told(&mut known, &after, &[("b:1", Primary)]), [pair]);
        assert_eq!(told(&mut known, &after, &[("a:1", Replica), ("b:1", Primary)]), []);
    }

    #[test]
    fn of_two_that_say_so_the_one_that_the_deployment_takes_for_it_is_the_primary() {
        use Role::{Primary, Replica};
        let mut known = Primaries::from([(String::new(), "a:1".to_owned())]);
        let both = [("a:1", Primary), ("b:1", Primary)];
        // Promoted already, while nobody has said so.
        let before = view(&[("a:1", "", Primary), ("b:1", "", Replica)]);
        assert_eq!(told(&mut known, &before, &both), []);
        // The old one has come back and does not know yet.
        let after = view(&[("a:1", "", Replica), ("b:1", "", Primary)]);
        assert_eq!(told(&mut known, &after, &both).len(), 1);
        assert_eq!(told(&mut known, &after, &both), []);
    }

    #[test]
    fn each_shard_has_a_primary_of_its_own() {
        use Role::{Primary, Replica};
        let mut known = Primaries::new();
        let before = view(&[("a:1", "x", Primary), ("b:1", "y", Primary), ("c:1", "y", Replica)]);
        assert_eq!(told(&mut known, &before, &[("a:1", Primary), ("b:1", Primary), ("c:1", Replica)]), []);
        let after = view(&[("a:1", "x", Primary), ("b:1", "y", Replica), ("c:1", "y", Primary)]);
        let pair = ("b:1".to_owned(), "c:1".to_owned());
        assert_eq!(told(&mut known, &after, &[("a:1", Primary), ("c:1", Primary)]), [pair]);
    }
}
