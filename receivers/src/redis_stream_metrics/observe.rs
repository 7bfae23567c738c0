//! What a server says about its streams in one round: the basic numbers of all, and details of those that have moved, in
//! rotation of the others.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use streamgauge_redis::{
    CallResult, CommandError, ConsumerInfo, Fault, GroupInfo, Identity, Info, PendingEntry, Priority,
    ReadCommand, StreamInfo, Unreachable, Value, text,
};
use streamgauge_series::Pattern;
use tokio::time::Instant;

use super::absent::{absent, suggestion};
use super::by_name::ByName;
use super::config::{StreamConfig, literal};
use super::consumers::Consumers;
use super::failures::LeftOut;
use super::follow::FollowUp;
use super::known::{Detail, Known, groups_hash, numbers, oldest_left, parsed};
use super::node::Moved;
use super::seen::{Asked, Group, Kept, Observation, Oldest, Stream, Wants};
use crate::scrape::redis::Server;

/// A reply of XINFO STREAM above this is nearly all payload that nobody wants: the stream is asked for its length alone.
const LARGE: usize = 64 << 10;
/// When such a stream is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(600);
/// So many pending entries are looked at at once.
pub(super) const FEW: u32 = 20;
/// Rounds in which every stream is asked for its details once, whether a number moved or not.
const ROTATION: u64 = 6;

/// Asks, within the limits of the section.
pub(crate) struct Observer {
    groups: Vec<Pattern>,
    max_groups: usize,
    consumers: Option<usize>,
    stop_after: Duration,
    wants_oldest: bool,
    follow_up: FollowUp,
    /// Streams with large entries, and when to try them again.
    large: HashMap<Vec<u8>, Instant>,
    known: HashMap<Vec<u8>, Box<Known>>,
    round: u64,
}

/// What is asked for in the second pipeline.
enum Question {
    Stream(usize),
    /// The oldest pending entries of a group; how many were asked for.
    Oldest(usize, usize, u32),
    Consumers(usize, usize),
}

impl Observer {
    pub(crate) fn new(config: &StreamConfig, wants: Wants) -> Self {
        Observer {
            groups: config.groups.clone(),
            max_groups: config.max_groups,
            consumers: (config.consumers.enabled && wants.consumers).then_some(config.consumers.max),
            stop_after: config.states.stop_after,
            wants_oldest: wants.pending,
            follow_up: FollowUp::new(config, wants),
            large: HashMap::new(),
            known: HashMap::new(),
            round: 0,
        }
    }

    /// A new round begins; what was not seen in the last one is forgotten.
    pub(crate) fn begin(&mut self) {
        let round = self.round;
        self.known.retain(|_, known| known.round == round);
        self.large.retain(|_, until| Instant::now() < *until);
        self.round += 1;
        self.follow_up.begin();
    }

    /// The number of the round.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// The basic numbers of some streams, and then the details that are due.
    pub(crate) async fn observe(
        &mut self,
        server: &Server,
        streams: Vec<Asked>,
        seen: &mut Observation,
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let mut commands = Vec::with_capacity(1 + 2 * streams.len());
        let greets = seen.identity.is_none();
        commands.extend(greets.then(ReadCommand::info_server));
        for Asked { name, asking, .. } in &streams {
            let groups = self.known.get(name).map_or(1, |known| known.groups);
            let pair = [ReadCommand::xinfo_groups(name, groups), ReadCommand::xlen(name)];
            commands.extend(pair.into_iter().map(|c| if *asking { c.asking() } else { c }));
        }
        let mut answers = server.call(&commands, deadline).await?.into_iter();
        if greets && let Some(Ok(value)) = answers.next() {
            let text = text(&value);
            let info = Info::parse(&text);
            seen.identity = Some(Identity::of(&info));
            seen.clock = info.server_time_ms().map(|ms| (ms, Instant::now()));
        }
        seen.streams.clear();
        let mut asked = Vec::new();
        for stream in streams {
            let (Some(groups), Some(length)) = (answers.next(), answers.next()) else { break };
            if let Some(found) = self.basics(&stream, groups, length, seen) {
                seen.streams.push(found);
                asked.push(stream);
            }
        }
        drop(answers);
        seen.has_streams |= !asked.is_empty();
        seen.has_named |= asked.iter().any(|stream| stream.named);
        self.details(server, &asked, seen, deadline).await
    }

    /// The stream without details; notes why there is none.
    fn basics(
        &mut self,
        asked: &Asked,
        groups: CallResult,
        length: CallResult,
        seen: &mut Observation,
    ) -> Option<Stream> {
        let name = &asked.name;
        let length = length.and_then(|value| match value {
            Value::Int(length) => Ok(u64::try_from(length).unwrap_or(0)),
            _ => Err(CommandError::unexpected()),
        });
        let groups = match groups {
            Err(error) if error.fault == Fault::TooLong => {
                seen.failed.push((name.clone(), None, error));
                Ok(None)
            }
            answer => answer.and_then(|value| {
                GroupInfo::parse_all(&value).ok_or_else(CommandError::unexpected).map(Some)
            }),
        };
        let (groups, length) = match (groups, length) {
            (Ok(groups), Ok(length)) => (groups, length),
            (Err(error), _) | (_, Err(error)) => {
                self.missing(asked, error, seen);
                return None;
            }
        };
        if let Some(groups) = groups.as_ref().filter(|_| asked.named) {
            self.miss(name, groups, seen);
        }
        let group_count = groups.as_ref().map(|groups| groups.len() as u64);
        let groups = groups.unwrap_or_default();
        if self.named_groups().next().is_some() {
            seen.groups.extend(groups.iter().map(|group| group.name.clone()));
        }
        let mut watched: Vec<_> = groups.into_iter().filter(|group| self.watches(&group.name)).collect();
        let rest = watched.split_off(watched.len().min(self.max_groups));
        seen.left_out.groups += rest.len() as u64;
        let group = |info| Group {
            info,
            oldest: None,
            tally: None,
            consumers: Consumers::default(),
            claimed: None,
            next: None,
            counted: None,
            is_fresh: false,
        };
        let groups = watched.into_iter().map(group).collect();
        let (info, age) = (None, None);
        let name = name.clone();
        let is_fresh = false;
        Some(Stream { name, length, info, is_fresh, group_count, groups, rest, age, is_outdated: false })
    }

    fn missing(&self, asked: &Asked, error: CommandError, seen: &mut Observation) {
        let name = asked.name.clone();
        if let Some((to, asking)) = error.redirect()
            && !asked.asking
        {
            seen.moved.push(Moved { stream: Asked { asking, ..asked.clone() }, to });
            // Until the other node has answered, or the view is known again.
            seen.kept.insert(name, Kept::All);
            return;
        }
        if matches!(error.fault, Fault::NoSuchKey | Fault::WrongType) {
            seen.gone.push(name.clone());
            let absent = |group: &str| (name.clone(), group.as_bytes().to_vec(), false);
            seen.named.extend(self.named_groups().filter(|_| asked.named).map(absent));
        } else {
            seen.kept.insert(name.clone(), Kept::All);
        }
        let error = match error.fault {
            Fault::NoSuchKey => {
                let others = self.known.keys().filter(|other| **other != name);
                let message =
                    format!("{}{}", error.message, suggestion(&String::from_utf8_lossy(&name), others));
                CommandError { fault: error.fault, message }
            }
            _ => error,
        };
        if error.fault != Fault::NoSuchKey || asked.named {
            seen.failed.push((name, None, error));
        }
    }

    fn watches(&self, group: &[u8]) -> bool {
        let name = String::from_utf8_lossy(group);
        self.groups.iter().any(|pattern| pattern.matches(&name))
    }

    fn named_groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().filter_map(literal)
    }

    /// Notes which of the groups that are named the stream has, and what those that it lacks might be called.
    fn miss(&self, stream: &[u8], groups: &[GroupInfo], seen: &mut Observation) {
        for name in self.named_groups() {
            let is_there = groups.iter().any(|group| group.name == name.as_bytes());
            seen.named.push((stream.to_vec(), name.as_bytes().to_vec(), is_there));
            if !is_there {
                let error = absent("the stream has no such group", name, groups.iter().map(|g| &g.name));
                seen.failed.push((stream.to_vec(), Some(name.as_bytes().to_vec()), error));
            }
        }
    }

    /// Notes the groups that are named and that no stream has. In a cluster another node's stream may have them.
    pub(crate) fn miss_everywhere(&self, server: &Server, seen: &mut Observation) {
        if server.node.slots.is_some() || !seen.has_streams || seen.has_named {
            return;
        }
        for name in self.named_groups().filter(|name| !seen.groups.contains(name.as_bytes())) {
            let error = absent("no stream has such a group", name, seen.groups.iter());
            seen.failed.push((Vec::new(), Some(name.as_bytes().to_vec()), error));
        }
    }

    /// Asks for the details of streams whose numbers moved, or whose turn it is, and gives the others what is known.
    async fn details(
        &mut self,
        server: &Server,
        asked: &[Asked],
        seen: &mut Observation,
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let (mut commands, mut questions) = (Vec::new(), Vec::new());
        for (n, (stream, asked)) in seen.streams.iter().zip(asked).enumerate() {
            let known = self.known.get(&stream.name);
            let turn = (hash(&stream.name).wrapping_add(self.round)).is_multiple_of(ROTATION);
            let mut ask = |command: ReadCommand, question| {
                commands.push(if asked.asking { command.asking() } else { command });
                questions.push(question);
            };
            let is_large = self.large.contains_key(&stream.name);
            let lag_unknown = stream.groups.iter().any(|group| group.info.lag.is_none());
            let moved = known.is_none_or(|known| known.info.is_none() || known.has_moved(stream));
            if !is_large && (moved || turn || lag_unknown) {
                let priority = if lag_unknown { Priority::High } else { Priority::Normal };
                ask(ReadCommand::xinfo_stream(&stream.name).with_priority(priority), Question::Stream(n));
            }
            for (g, Group { info, .. }) in stream.groups.iter().enumerate() {
                let detail = known.and_then(|known| known.details.get(&info.name));
                if !turn && detail.is_some_and(|detail| !detail.has_moved(info)) {
                    continue;
                }
                if self.wants_oldest && info.pending > 0 {
                    // A few are all looked at, and one more than there are shows that they were all.
                    let few =
                        u32::try_from(info.pending).ok().filter(|few| *few <= FEW).map_or(1, |few| few + 1);
                    let command = ReadCommand::xpending_page(&stream.name, &info.name, None, few);
                    ask(command.with_priority(Priority::High), Question::Oldest(n, g, few));
                }
                if self.consumers.is_some() && info.consumers > 0 {
                    let command = ReadCommand::xinfo_consumers(&stream.name, &info.name, info.consumers);
                    ask(command, Question::Consumers(n, g));
                }
            }
        }
        let answers = if commands.is_empty() { Vec::new() } else { server.call(&commands, deadline).await? };
        let mut fresh = Fresh::default();
        for (question, answer) in questions.into_iter().zip(answers) {
            self.take(question, answer, seen, &mut fresh);
        }
        for (n, stream) in seen.streams.iter_mut().enumerate() {
            self.remember(n, stream, &mut fresh, &mut seen.left_out);
        }
        let streams = &mut seen.streams;
        self.follow_up.go_on(server, asked, streams, &mut self.known, self.round, deadline).await?;
        seen.left_out.shed += self.follow_up.shed();
        Ok(())
    }

    fn take(&mut self, question: Question, answer: CallResult, seen: &mut Observation, fresh: &mut Fresh) {
        let place = match &question {
            Question::Stream(s) => (*s, None),
            Question::Oldest(s, g, _) | Question::Consumers(s, g) => (*s, Some(*g)),
        };
        let Some(stream) = seen.streams.get(place.0) else { return };
        let failed = match question {
            Question::Stream(s) => match parsed(answer, StreamInfo::parse) {
                Ok(info) => {
                    if info.reply_bytes > LARGE {
                        self.large.insert(stream.name.clone(), Instant::now() + TRY_AGAIN);
                    }
                    fresh.streams.insert(s, info);
                    None
                }
                Err(error) => {
                    if error.fault == Fault::TooLarge {
                        self.large.insert(stream.name.clone(), Instant::now() + TRY_AGAIN);
                    }
                    Some(error)
                }
            },
            Question::Oldest(s, g, asked) => {
                let read = parsed(answer, PendingEntry::parse_page);
                read.map(|page| drop(fresh.oldest.insert((s, g), (page, asked)))).err()
            }
            Question::Consumers(s, g) => {
                let read = parsed(answer, ConsumerInfo::parse_all);
                read.map(|all| drop(fresh.consumers.insert((s, g), all))).err()
            }
        };
        let Some(error) = failed else { return };
        let group = place.1.and_then(|g| stream.groups.get(g)).map(|group| group.info.clone());
        if error.fault == Fault::TooLong {
            seen.left_out.consumers += group.as_ref().map_or(0, |group| group.consumers);
        }
        fresh.missing.push(place);
        match error.fault {
            Fault::Shed => seen.left_out.shed += 1,
            _ => seen.failed.push((stream.name.clone(), group.map(|group| group.name), error)),
        }
    }

    /// Puts together what is new and what still holds.
    fn remember(&mut self, s: usize, stream: &mut Stream, fresh: &mut Fresh, left_out: &mut LeftOut) {
        let now = Instant::now();
        let known = self.known.entry(stream.name.clone()).or_default();
        let mut is_outdated = fresh.missing.iter().any(|(n, _)| *n == s) && known.has_moved(stream);
        if let Some(info) = fresh.streams.remove(&s) {
            // Of one moment: the length, the ids and what was ever added.
            stream.length = info.length;
            known.info = Some((info, now));
            stream.is_fresh = true;
        } else if known.has_moved(stream) && !is_outdated {
            // Large entries: it was not asked for again, and what was said does not hold any more.
            known.info = None;
        }
        stream.info =
            known.info.as_ref().filter(|_| stream.is_fresh || !is_outdated).map(|(info, _)| info.clone());
        let mut oldest_at = known.info.as_ref().map(|(_, at)| *at);
        let mut details = ByName::default();
        for (g, group) in stream.groups.iter_mut().enumerate() {
            let before = known.details.remove(&group.info.name);
            if let Some(follow) = known.follows.get_mut(&group.info.name) {
                follow.claims.settle(&numbers(&group.info));
            }
            let missing = fresh.missing.contains(&(s, Some(g)));
            let asked = fresh.oldest.contains_key(&(s, g)) || fresh.consumers.contains_key(&(s, g));
            let moved = before.as_ref().is_none_or(|detail| detail.has_moved(&group.info));
            if missing && moved && !asked {
                // Asked for again in the next round.
                is_outdated = true;
                continue;
            }
            let detail = match before {
                Some(detail) if !asked && !moved => detail,
                _ => {
                    let consumers = fresh.consumers.remove(&(s, g));
                    let consumers = consumers.map(|all| Consumers::new(all, self.consumers, self.stop_after));
                    let (page, asked) = fresh.oldest.remove(&(s, g)).unwrap_or_default();
                    // Fewer than were asked for: these are all.
                    if page.len() < asked as usize && asked > 1 {
                        let follow = known.follows.of(&group.info.name);
                        let oldest = oldest_left(stream.length, stream.info.as_ref());
                        follow.walk.take_all(&page, oldest, self.follow_up.poison());
                    }
                    if let (Some(after), Some(Detail { numbers, consumers, is_whole: true, .. })) =
                        (&consumers, &before)
                    {
                        known.follows.of(&group.info.name).claims.look(consumers, numbers, after);
                    }
                    // What there was no time for stays as it was, and as old.
                    let (at, consumers, is_whole) = match (consumers, before) {
                        (Some(consumers), _) => (now, consumers, true),
                        (None, Some(before)) if missing => (before.at, before.consumers, false),
                        (None, _) => (now, Consumers::default(), true),
                    };
                    let oldest = page.first().map(|entry| Oldest { id: entry.id, idle_ms: entry.idle_ms });
                    Detail { numbers: numbers(&group.info), oldest, consumers, at, is_whole }
                }
            };
            left_out.consumers += detail.consumers.rest.count;
            group.is_fresh = detail.at == now;
            group.oldest = detail.oldest;
            group.consumers.clone_from(&detail.consumers);
            let is_known = group.consumers.active.is_some() && group.consumers.rest.count == 0;
            let claimed = known.follows.get(&group.info.name).map_or(0, |f| f.claims.total());
            group.claimed = is_known.then_some(claimed);
            oldest_at = oldest_at.map(|at| at.min(detail.at));
            details.insert(&group.info.name, detail);
        }
        stream.age = oldest_at.map(|at| now.saturating_duration_since(at));
        stream.is_outdated = is_outdated;
        known.details = details;
        let details = &known.details;
        known.follows.retain(|group, _| details.get(group).is_some());
        if !is_outdated {
            (known.length, known.groups) = (stream.length, stream.groups.len() as u64);
            known.groups_hash = groups_hash(stream);
        }
        known.round = self.round;
    }
}

/// Answers of the second pipeline, by number of the stream, and of the group in it.
#[derive(Default)]
struct Fresh {
    streams: HashMap<usize, StreamInfo>,
    oldest: HashMap<(usize, usize), (Vec<PendingEntry>, u32)>,
    consumers: HashMap<(usize, usize), Vec<ConsumerInfo>>,
    missing: Vec<(usize, Option<usize>)>,
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
