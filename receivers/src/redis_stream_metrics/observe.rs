//! What a server says about its streams in one round: the basic numbers of all, and details of those that have moved, in
//! rotation of the others.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use streamgauge_redis::{
    CallResult, CommandError, ConsumerInfo, Fault, GroupInfo, Identity, Info, PendingSummary, Priority,
    ReadCommand, StreamInfo, Unreachable, Value, text,
};
use streamgauge_series::Pattern;
use tokio::time::Instant;

use super::config::{StreamConfig, literal};
use super::failures::LeftOut;
use super::node::Moved;
use crate::scrape::redis::Server;

/// A reply of XINFO STREAM above this is nearly all payload that nobody wants: the stream is asked for its length alone.
const LARGE: usize = 64 << 10;
/// When such a stream is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(600);
/// Rounds in which every stream is asked for its details once, whether a number moved or not.
const ROTATION: u64 = 6;

/// A stream to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) name: Vec<u8>,
    /// Whether the settings name it.
    pub(crate) named: bool,
    /// Whether its slot is on its way to the node.
    pub(crate) asking: bool,
}

/// One stream.
pub(crate) struct Stream {
    pub(crate) name: Vec<u8>,
    pub(crate) length: u64,
    /// What XINFO STREAM said, in this round or since when no number moved; missing where it was not asked.
    pub(crate) info: Option<StreamInfo>,
    /// Whether that is of this round.
    pub(crate) is_fresh: bool,
    pub(crate) group_count: Option<u64>,
    pub(crate) groups: Vec<Group>,
    /// How old the oldest detail is.
    pub(crate) age: Option<Duration>,
    /// Whether a number moved and the details could not be asked for: the last ones are not right any more.
    pub(crate) is_outdated: bool,
}

/// One watched group.
pub(crate) struct Group {
    pub(crate) info: GroupInfo,
    pub(crate) oldest_pending: Option<PendingSummary>,
    pub(crate) consumers: Vec<ConsumerInfo>,
    /// Whether the consumers are of this round: how long they idle is known then only.
    pub(crate) is_fresh: bool,
}

/// What could not be asked: the stream, the group, and why.
type Failed = (Vec<u8>, Option<Vec<u8>>, CommandError);

/// All of it.
#[derive(Default)]
pub(crate) struct Observation {
    pub(crate) identity: Option<Identity>,
    /// The server's clock, milliseconds since 1970.
    pub(crate) server_ms: Option<u64>,
    pub(crate) streams: Vec<Stream>,
    /// Streams that are there as far as anybody knows, but did not answer.
    pub(crate) unanswered: Vec<Vec<u8>>,
    /// Streams that are no more.
    pub(crate) gone: Vec<Vec<u8>>,
    /// Streams that another node has.
    pub(crate) moved: Vec<Moved>,
    pub(crate) failed: Vec<Failed>,
    pub(crate) left_out: LeftOut,
}

/// Asks, within the limits of the section.
pub(crate) struct Observer {
    groups: Vec<Pattern>,
    max_groups: usize,
    consumers: Option<usize>,
    wants_oldest: bool,
    /// Streams with large entries, and when to try them again.
    large: HashMap<Vec<u8>, Instant>,
    known: HashMap<Vec<u8>, Known>,
    round: u64,
}

/// What was seen of a stream before.
#[derive(Default)]
struct Known {
    round: u64,
    length: u64,
    groups: Vec<GroupInfo>,
    info: Option<(StreamInfo, Instant)>,
    details: HashMap<Vec<u8>, Detail>,
}

/// What was asked about a group, when its numbers were these.
struct Detail {
    group: GroupInfo,
    oldest: Option<PendingSummary>,
    consumers: Vec<ConsumerInfo>,
    at: Instant,
}

/// What is asked for in the second pipeline.
enum Question {
    Stream(usize),
    Oldest(usize, usize),
    Consumers(usize, usize),
}

impl Observer {
    pub(crate) fn new(config: &StreamConfig, wants_consumers: bool, wants_oldest: bool) -> Self {
        Observer {
            groups: config.groups.clone(),
            max_groups: config.max_groups,
            consumers: (config.consumers.enabled && wants_consumers).then_some(config.consumers.max),
            wants_oldest,
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
    }

    /// The basic numbers of the streams, and then the details that are due.
    pub(crate) async fn observe(
        &mut self,
        server: &Server,
        streams: Vec<Asked>,
        seen: &mut Observation,
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let mut commands = vec![ReadCommand::info_server()];
        for Asked { name, asking, .. } in &streams {
            let groups = self.known.get(name).map_or(1, |known| known.groups.len() as u64);
            let pair = [ReadCommand::xinfo_groups(name, groups), ReadCommand::xlen(name)];
            commands.extend(pair.into_iter().map(|c| if *asking { c.asking() } else { c }));
        }
        let mut answers = server.call(&commands, deadline).await?.into_iter();
        if let Some(Ok(value)) = answers.next() {
            let text = text(&value);
            let info = Info::parse(&text);
            (seen.identity, seen.server_ms) = (Some(Identity::of(&info)), info.server_time_ms());
        }
        let first = seen.streams.len();
        let mut asked = Vec::new();
        for stream in streams {
            let (Some(groups), Some(length)) = (answers.next(), answers.next()) else { break };
            if let Some(found) = self.basics(&stream, groups, length, seen) {
                seen.streams.push(found);
                asked.push(stream);
            }
        }
        self.details(server, &asked, first, seen, deadline).await
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
        let mut watched: Vec<_> =
            groups.unwrap_or_default().into_iter().filter(|group| self.watches(&group.name)).collect();
        seen.left_out.groups += watched.len().saturating_sub(self.max_groups) as u64;
        watched.truncate(self.max_groups);
        let group = |info| Group { info, oldest_pending: None, consumers: Vec::new(), is_fresh: false };
        let groups = watched.into_iter().map(group).collect();
        let (info, age) = (None, None);
        let name = name.clone();
        Some(Stream { name, length, info, is_fresh: false, group_count, groups, age, is_outdated: false })
    }

    fn missing(&self, asked: &Asked, error: CommandError, seen: &mut Observation) {
        let name = asked.name.clone();
        if let Some((to, asking)) = error.redirect()
            && !asked.asking
        {
            seen.moved.push(Moved { stream: Asked { asking, ..asked.clone() }, to });
            // Until the other node has answered, or the view is known again.
            seen.unanswered.push(name);
            return;
        }
        if matches!(error.fault, Fault::NoSuchKey | Fault::WrongType) {
            seen.gone.push(name.clone());
        } else {
            seen.unanswered.push(name.clone());
        }
        if error.fault != Fault::NoSuchKey || asked.named {
            seen.failed.push((name, None, error));
        }
    }

    fn watches(&self, group: &[u8]) -> bool {
        let name = String::from_utf8_lossy(group);
        self.groups.iter().any(|pattern| pattern.matches(&name))
    }

    /// Notes the groups that were named and are not there.
    fn miss(&self, stream: &[u8], groups: &[GroupInfo], seen: &mut Observation) {
        for name in self.groups.iter().filter_map(literal).map(str::as_bytes) {
            if groups.iter().all(|group| group.name != name) {
                let message = "the stream has no such group".to_owned();
                let error = CommandError { fault: Fault::NoSuchGroup, message };
                seen.failed.push((stream.to_vec(), Some(name.to_vec()), error));
            }
        }
    }

    /// Asks for the details of streams whose numbers moved, or whose turn it is, and gives the others what is known.
    async fn details(
        &mut self,
        server: &Server,
        asked: &[Asked],
        first: usize,
        seen: &mut Observation,
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let (mut commands, mut questions) = (Vec::new(), Vec::new());
        for (n, (stream, asked)) in seen.streams[first..].iter().zip(asked).enumerate() {
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
                ask(
                    ReadCommand::xinfo_stream(&stream.name).with_priority(priority),
                    Question::Stream(first + n),
                );
            }
            for (g, Group { info, .. }) in stream.groups.iter().enumerate() {
                let detail = known.and_then(|known| known.details.get(&info.name));
                if !turn && detail.is_some_and(|detail| !detail.has_moved(info)) {
                    continue;
                }
                if self.wants_oldest && info.pending > 0 {
                    ask(
                        ReadCommand::xpending_oldest(&stream.name, &info.name, 1),
                        Question::Oldest(first + n, g),
                    );
                }
                if self.consumers.is_some() && info.consumers > 0 {
                    let command = ReadCommand::xinfo_consumers(&stream.name, &info.name, info.consumers);
                    ask(command, Question::Consumers(first + n, g));
                }
            }
        }
        let answers = if commands.is_empty() { Vec::new() } else { server.call(&commands, deadline).await? };
        let mut fresh = Fresh::default();
        for (question, answer) in questions.into_iter().zip(answers) {
            self.take(question, answer, seen, &mut fresh);
        }
        for (n, stream) in seen.streams.iter_mut().enumerate().skip(first) {
            self.remember(n, stream, &mut fresh, &mut seen.left_out);
        }
        Ok(())
    }

    fn take(&mut self, question: Question, answer: CallResult, seen: &mut Observation, fresh: &mut Fresh) {
        let place = match &question {
            Question::Stream(s) => (*s, None),
            Question::Oldest(s, g) | Question::Consumers(s, g) => (*s, Some(*g)),
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
            Question::Oldest(s, g) => {
                let read = parsed(answer, PendingSummary::parse);
                read.map(|oldest| fresh.oldest.insert((s, g), oldest)).err()
            }
            Question::Consumers(s, g) => {
                let read = parsed(answer, ConsumerInfo::parse_all);
                read.map(|all| fresh.consumers.insert((s, g), all)).err()
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
        }
        stream.info =
            known.info.as_ref().filter(|_| stream.is_fresh || !is_outdated).map(|(info, _)| info.clone());
        let mut oldest_at = known.info.as_ref().map(|(_, at)| *at);
        let mut details = HashMap::new();
        for (g, group) in stream.groups.iter_mut().enumerate() {
            let before = known.details.remove(&group.info.name);
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
                _ => Detail {
                    group: group.info.clone(),
                    oldest: fresh.oldest.remove(&(s, g)),
                    consumers: most_pending(
                        fresh.consumers.remove(&(s, g)).unwrap_or_default(),
                        self.consumers,
                        left_out,
                    ),
                    at: now,
                },
            };
            group.is_fresh = detail.at == now;
            group.oldest_pending.clone_from(&detail.oldest);
            group.consumers.clone_from(&detail.consumers);
            oldest_at = oldest_at.map(|at| at.min(detail.at));
            details.insert(group.info.name.clone(), detail);
        }
        stream.age = oldest_at.map(|at| now.saturating_duration_since(at));
        stream.is_outdated = is_outdated;
        known.details = details;
        if !is_outdated {
            (known.length, known.groups) =
                (stream.length, stream.groups.iter().map(|group| group.info.clone()).collect());
        }
        known.round = self.round;
    }
}

/// Answers of the second pipeline, by number of the stream, and of the group in it.
#[derive(Default)]
struct Fresh {
    streams: HashMap<usize, StreamInfo>,
    oldest: HashMap<(usize, usize), PendingSummary>,
    consumers: HashMap<(usize, usize), Vec<ConsumerInfo>>,
    missing: Vec<(usize, Option<usize>)>,
}

impl Known {
    fn has_moved(&self, stream: &Stream) -> bool {
        self.length != stream.length || !self.groups.iter().eq(stream.groups.iter().map(|group| &group.info))
    }
}

impl Detail {
    /// A longer stream alone changes nothing about who holds what.
    fn has_moved(&self, group: &GroupInfo) -> bool {
        let numbers =
            |group: &GroupInfo| (group.consumers, group.pending, group.last_delivered_id, group.entries_read);
        numbers(&self.group) != numbers(group)
    }
}

fn most_pending(mut all: Vec<ConsumerInfo>, max: Option<usize>, left_out: &mut LeftOut) -> Vec<ConsumerInfo> {
    let max = max.unwrap_or(0);
    if all.len() > max {
        all.sort_by(|a, b| b.pending.cmp(&a.pending).then_with(|| a.name.cmp(&b.name)));
        left_out.consumers += (all.len() - max) as u64;
        all.truncate(max);
    }
    all
}

fn parsed<T>(answer: CallResult, parse: impl Fn(&Value) -> Option<T>) -> Result<T, CommandError> {
    parse(&answer?).ok_or_else(CommandError::unexpected)
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
