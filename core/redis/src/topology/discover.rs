//! One look at the deployment.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::*;
use crate::command::ReadCommand;
use crate::info::Info;
use crate::reply::{bytes, items, text};

/// The most nodes that are followed: more is a mistake, or an attack by whoever answers.
const MOST: usize = 2000;

impl Deployment {
    /// Asks who is where. The last view stays when nobody answers.
    pub(super) async fn read(&self, state: &mut State, deadline: Instant) -> Result<(), Unreachable> {
        if !self.follow {
            let node = Node { monitor: self.seed.clone(), ..state.view.nodes[0].clone() };
            state.view = Arc::new(View { nodes: vec![node] });
            return Ok(());
        }
        // A node that hangs must leave time for others, and for the round that wants the view.
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = left / 4;
        let last = state.source.clone().and_then(|address| state.monitors.get(&address).cloned());
        let mut candidates: Vec<_> = last.into_iter().chain([self.seed.clone()]).collect();
        candidates.extend(state.monitors.values().cloned());
        let mut asked = BTreeSet::new();
        let mut problem = None;
        for monitor in candidates {
            if !asked.insert(monitor.target().address.clone()) {
                continue;
            }
            let until = (Instant::now() + patience).min(deadline);
            match self.ask(state, &monitor, until).await {
                Ok(members) if !members.is_empty() => {
                    state.source = Some(monitor.target().address.clone());
                    self.settle(state, members, deadline).await;
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => problem = problem.or(Some(error)),
            }
            if Instant::now() + patience >= deadline {
                break;
            }
        }
        Err(problem
            .unwrap_or_else(|| Unreachable::new("call", "no node tells who belongs to the deployment")))
    }

    async fn ask(
        &self,
        state: &mut State,
        monitor: &Arc<Monitor>,
        until: Instant,
    ) -> Result<Vec<Member>, Unreachable> {
        let identity = monitor.hello(until).await?;
        let known = state.view.nodes.len();
        match identity.mode.as_str() {
            "cluster" => self.ask_cluster(state, monitor, known, until).await,
            "sentinel" => self.ask_sentinel(state, monitor, until).await,
            _ if state.events.is_some() => Ok(Vec::new()),
            _ => self.follow_replication(state, until).await,
        }
    }

    async fn ask_cluster(
        &self,
        state: &mut State,
        monitor: &Monitor,
        known: usize,
        until: Instant,
    ) -> Result<Vec<Member>, Unreachable> {
        let here = &monitor.target().address;
        let host = match here {
            Address::Tcp(host, _) => host.as_str(),
            Address::Unix(_) => "localhost",
        };
        let new = monitor.identity().is_some_and(|identity| identity.commands >= (7, 0));
        let mut commands = vec![ReadCommand::cluster_my_id()];
        commands.extend(new.then(|| ReadCommand::cluster_shards(known)));
        let mut answers = monitor.call(0, &commands, until).await?;
        let shards = if new { answers.pop() } else { None };
        let id = answers.pop().and_then(Result::ok).map(|id| text(&id).into_owned());
        let mut members =
            shards.and_then(|answer| members::cluster_shards(&answer.ok()?, host, self.target.tls));
        if members.is_none() {
            let nodes = monitor.call(0, &[ReadCommand::cluster_nodes(known)], until).await?.pop();
            members = match nodes {
                Some(Ok(value)) => Some(members::cluster_nodes(&text(&value), host)),
                Some(Err(error)) => {
                    let why = format!("{here}: the other nodes of the cluster are not known: {error}");
                    return Err(Unreachable::new("call", why));
                }
                None => None,
            };
        }
        let members = members.unwrap_or_default();
        // The node that was asked may call itself by another name than we do.
        let itself = members.iter().find(|member| member.id == id && id.is_some());
        if let Some(member) = itself.filter(|member| member.address != *here) {
            state.aliases.insert(member.address.clone(), here.clone());
        }
        Ok(members)
    }

    async fn ask_sentinel(
        &self,
        state: &mut State,
        monitor: &Arc<Monitor>,
        until: Instant,
    ) -> Result<Vec<Member>, Unreachable> {
        let here = monitor.target().address.clone();
        let answers =
            monitor.call(0, &[ReadCommand::sentinel_my_id(), ReadCommand::sentinel_masters()], until).await?;
        let [id, masters] = answers.as_slice() else { return Ok(Vec::new()) };
        let id = id.as_ref().ok().and_then(bytes).map(|id| String::from_utf8_lossy(id).into_owned());
        if let Some(id) = &id {
            state.sentinels.entry(id.clone()).or_insert_with(|| here.clone());
        }
        let itself = Member {
            address: here.clone(),
            id,
            role: Some(Role::Sentinel),
            shard: None,
            serves: false,
            slots: None,
        };
        let mut found = vec![itself];
        let Ok(masters) = masters else { return Ok(found) };
        let wanted = |name: &String| self.options.masters.is_empty() || self.options.masters.contains(name);
        for master in items(masters).unwrap_or_default() {
            let Some(name) = members::sentinel_name(master).filter(wanted) else { continue };
            found.extend(members::sentinel_member(master, Role::Primary, Some(&name)));
            let commands = [ReadCommand::sentinel_replicas(&name), ReadCommand::sentinel_sentinels(&name)];
            let answers = monitor.call(0, &commands, until).await?;
            for (answer, role) in answers.iter().zip([Role::Replica, Role::Sentinel]) {
                let shard = (role == Role::Replica).then_some(name.as_str());
                let list = answer.as_ref().ok().and_then(items).unwrap_or_default();
                found.extend(list.iter().filter_map(|value| members::sentinel_member(value, role, shard)));
            }
        }
        if state.events.as_ref().is_none_or(|events| events.address != here) {
            state.events = Some(Events::of(monitor.clone(), self.suspect.clone()));
        }
        Ok(found)
    }

    /// From the seed, and from whoever was there before, along masters and replicas. A node that says nothing stays as
    /// long as another one speaks of it, or it was the primary.
    async fn follow_replication(
        &self,
        state: &mut State,
        until: Instant,
    ) -> Result<Vec<Member>, Unreachable> {
        let mut known: BTreeMap<Address, Option<Member>> = BTreeMap::new();
        let mut next: BTreeSet<Address> =
            state.view.nodes.iter().map(|node| node.address().clone()).collect();
        next.insert(self.seed.target().address.clone());
        let mut spoken_of: BTreeSet<Address> = [self.seed.target().address.clone()].into();
        while !next.is_empty() && known.len() < MOST {
            let monitors: Vec<_> = std::mem::take(&mut next)
                .into_iter()
                .map(|address| self.monitor(state, &address, false))
                .collect();
            let asked = monitors.iter().map(|monitor| async move {
                monitor.call(0, &[ReadCommand::info_replication()], until).await.ok()?.pop()?.ok()
            });
            let answers = join_all(asked).await;
            for (monitor, answer) in monitors.iter().zip(answers) {
                let address = state.canonical(monitor);
                let text = answer.as_ref().map(text);
                let told = text.as_deref().map(|text| members::replication(&Info::parse(text), &address));
                let (member, others) =
                    told.map_or((None, Vec::new()), |(member, others)| (Some(member), others));
                for other in others {
                    let other = state.aliases.get(&other).cloned().unwrap_or(other);
                    spoken_of.insert(other.clone());
                    if !known.contains_key(&other) {
                        next.insert(other);
                    }
                }
                known.insert(address, member);
            }
            next.retain(|address| !known.contains_key(address));
        }
        if known.values().all(Option::is_none) {
            return Err(Unreachable::new("call", format!("{} does not answer", self.seed.target().address)));
        }
        let has_primary = known.values().flatten().any(|member| member.serves);
        let mut members = Vec::new();
        for (address, member) in known {
            let before = state.view.at(&address);
            match member {
                Some(member) => members.push(member),
                None if spoken_of.contains(&address)
                    || (!has_primary && before.is_some_and(|node| node.serves)) =>
                {
                    let (role, serves) =
                        before.map_or((None, false), |node| (node.role, node.serves && !has_primary));
                    members.push(Member { address, id: None, role, shard: None, serves, slots: None });
                }
                None => {}
            }
        }
        // Two that call themselves primary: the one that others follow, else the one that was it before.
        let primaries = members.iter().filter(|member| member.serves).count();
        if primaries > 1 {
            let score = |member: &Member| {
                let before = state.view.at(&member.address).is_some_and(|node| node.serves);
                (spoken_of.contains(&member.address) as u8, before as u8)
            };
            let best =
                members.iter().filter(|m| m.serves).max_by_key(|m| score(m)).map(|m| m.address.clone());
            for member in &mut members {
                member.serves &= Some(&member.address) == best.as_ref();
            }
        }
        Ok(members)
    }

    /// From what was said to connections and names that last.
    async fn settle(&self, state: &mut State, members: Vec<Member>, deadline: Instant) {
        let mut nodes: BTreeMap<Address, Node> = BTreeMap::new();
        let mut monitors = Vec::new();
        for member in members.into_iter().take(MOST) {
            let is_sentinel = member.role == Some(Role::Sentinel);
            let known =
                member.id.as_ref().filter(|_| is_sentinel).and_then(|id| state.sentinels.get(id)).cloned();
            let address = known.or_else(|| state.aliases.get(&member.address).cloned());
            let address = address.unwrap_or_else(|| member.address.clone());
            let is_new = !state.monitors.contains_key(&address);
            let monitor = self.monitor(state, &address, is_sentinel);
            monitors.push((monitor, member, is_new));
        }
        // Who answers there? It may be somebody we know by another name.
        let patience = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 3;
        join_all(
            monitors.iter().filter(|(_, _, is_new)| *is_new).map(|(monitor, _, _)| monitor.hello(patience)),
        )
        .await;
        for (monitor, member, _) in monitors {
            let address = state.canonical(&monitor);
            let monitor = state.monitors.get(&address).cloned().unwrap_or(monitor);
            let shard = state.shard(&member);
            let node = nodes.entry(address).or_insert_with(|| Node {
                monitor,
                id: member.id.clone(),
                role: member.role,
                shard: shard.clone(),
                serves: false,
                aliases: Vec::new(),
                slots: member.slots.clone(),
            });
            if !node.answers_to(&member.address) {
                node.aliases.push(member.address.clone());
            }
            if member.serves {
                (node.serves, node.role, node.slots) = (true, member.role, member.slots);
            }
        }
        state
            .monitors
            .retain(|address, _| nodes.contains_key(address) || *address == self.seed.target().address);
        state.sentinels.retain(|_, address| state.monitors.contains_key(address));
        state.aliases.retain(|_, address| state.monitors.contains_key(address));
        let ids: BTreeSet<_> = nodes.values().filter_map(|node| node.id.as_deref()).collect();
        state.shards.retain(|id, _| ids.contains(id.as_str()));
        state.view = Arc::new(View { nodes: nodes.into_values().collect() });
    }

    fn monitor(&self, state: &mut State, address: &Address, is_sentinel: bool) -> Arc<Monitor> {
        let target = match &self.options.login {
            Some(login) if is_sentinel => login,
            _ => &self.target,
        };
        let connect = || (self.connect)(target.at(address.clone()));
        state.monitors.entry(address.clone()).or_insert_with(connect).clone()
    }
}

impl State {
    /// The address by which the process that answers here is known; learns it when it is new.
    fn canonical(&mut self, monitor: &Arc<Monitor>) -> Address {
        let address = monitor.target().address.clone();
        let Some(identity) = monitor.identity().filter(|identity| !identity.run_id.is_empty()) else {
            return address;
        };
        let twin =
            self.view.nodes.iter().map(|node| &node.monitor).chain(self.monitors.values()).find(|other| {
                other.target().address != address
                    && other.identity().is_some_and(|other| other.run_id == identity.run_id)
            });
        let Some(twin) = twin.map(|twin| twin.target().address.clone()) else { return address };
        // The first of the two stays: the one that a view has, or the seed.
        let is_settled = |address: &Address| self.view.at(address).is_some();
        if is_settled(&address) && !is_settled(&twin) {
            return address;
        }
        self.monitors.remove(&address);
        self.aliases.insert(address, twin.clone());
        twin
    }

    /// The shard of a member: the one that it, or its primary, was in before.
    fn shard(&mut self, member: &Member) -> Option<String> {
        let named = member.shard.clone()?;
        let Some(id) = &member.id else { return Some(named) };
        let shard = self.shards.get(id).or_else(|| self.shards.get(&named)).cloned().unwrap_or(named);
        self.shards.insert(id.clone(), shard.clone());
        Some(shard)
    }
}
