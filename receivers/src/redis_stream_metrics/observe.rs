//! What the server says about the streams in one round.

use std::collections::HashMap;
use std::time::Duration;

use streamgauge_redis::{
    CallResult, CommandError, ConsumerInfo, Fault, GroupInfo, Info, PendingSummary, ReadCommand, StreamInfo,
    Unreachable, Value,
};
use streamgauge_series::Pattern;
use tokio::time::Instant;

use super::catalog::Catalog;
use super::config::{StreamConfig, literal};
use super::failures::Failures;
use crate::scrape::redis::Server;

/// A reply of XINFO STREAM above this is nearly all payload that nobody wants: the stream is asked for its length alone.
const LARGE: usize = 64 << 10;
/// When such a stream is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(600);
/// XINFO CONSUMERS takes 1 us a consumer: a larger group would hold the server for longer than we may.
const MOST_CONSUMERS: u64 = 500;

/// One stream.
pub(crate) struct Stream {
    pub(crate) name: Vec<u8>,
    pub(crate) length: u64,
    /// Missing where only the length was asked for.
    pub(crate) info: Option<StreamInfo>,
    pub(crate) group_count: u64,
    pub(crate) groups: Vec<Group>,
}

/// One watched group.
pub(crate) struct Group {
    pub(crate) info: GroupInfo,
    pub(crate) oldest_pending: Option<PendingSummary>,
    pub(crate) consumers: Vec<ConsumerInfo>,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Observation {
    pub(crate) version: Option<String>,
    /// The server's clock, milliseconds since 1970.
    pub(crate) server_ms: Option<u64>,
    pub(crate) streams: Vec<Stream>,
    /// Streams that are there as far as anybody knows, but did not answer.
    pub(crate) unanswered: Vec<Vec<u8>>,
}

/// Asks, within the limits of the section.
pub(crate) struct Observer {
    groups: Vec<Pattern>,
    max_groups: usize,
    consumers: Option<usize>,
    wants_oldest: bool,
    /// Streams with large entries, and when to try them again.
    large: HashMap<Vec<u8>, Instant>,
    /// How many groups a stream had, for the cost of asking.
    group_counts: HashMap<Vec<u8>, u64>,
}

/// What is asked about a group.
enum Question {
    Oldest,
    Consumers,
}

impl Observer {
    pub(crate) fn new(config: &StreamConfig, wants_consumers: bool, wants_oldest: bool) -> Self {
        Observer {
            groups: config.groups.clone(),
            max_groups: config.max_groups,
            consumers: (config.consumers.enabled && wants_consumers).then_some(config.consumers.max),
            wants_oldest,
            large: HashMap::new(),
            group_counts: HashMap::new(),
        }
    }

    /// One round: a pipeline for the streams, and one for the groups they have.
    pub(crate) async fn observe(
        &mut self,
        server: &Server,
        catalog: &mut Catalog,
        failures: &mut Failures,
        deadline: Instant,
    ) -> Result<Observation, Unreachable> {
        let names: Vec<(Vec<u8>, bool)> =
            catalog.streams().map(|(name, named)| (name.to_vec(), named)).collect();
        let mut commands = vec![ReadCommand::info_server()];
        for (name, _) in &names {
            // Groups before the stream: what is added in between cannot make a group look further than it is.
            commands.push(ReadCommand::xinfo_groups(name, self.group_counts.get(name).copied().unwrap_or(1)));
            let large = self.large.get(name).is_some_and(|until| Instant::now() < *until);
            commands.push(if large { ReadCommand::xlen(name) } else { ReadCommand::xinfo_stream(name) });
        }
        let mut answers = server.call(&commands, deadline).await?.into_iter();
        let mut seen = Observation::default();
        if let Some(Ok(value)) = answers.next() {
            let text = text(&value);
            let info = Info::parse(&text);
            (seen.version, seen.server_ms) = (info.version().map(str::to_owned), info.server_time_ms());
        }
        self.group_counts.clear();
        let mut too_many_groups = 0;
        for (name, named) in names {
            let (Some(groups), Some(stream)) = (answers.next(), answers.next()) else { break };
            match self.stream(&name, named, groups, stream, failures, &mut too_many_groups) {
                Ok(stream) => seen.streams.push(stream),
                Err(error) => {
                    let gone = matches!(error.fault, Fault::NoSuchKey | Fault::WrongType);
                    if error.fault != Fault::NoSuchKey || named {
                        failures.add(&name, None, &error);
                    }
                    if gone {
                        catalog.forget(&name);
                    } else {
                        seen.unanswered.push(name);
                    }
                }
            }
        }
        failures.limit("max_groups", too_many_groups);
        self.large.retain(|_, until| Instant::now() < *until);
        self.ask_groups(server, &mut seen, failures, deadline).await?;
        Ok(seen)
    }

    fn stream(
        &mut self,
        name: &[u8],
        named: bool,
        groups: CallResult,
        stream: CallResult,
        failures: &mut Failures,
        too_many: &mut u64,
    ) -> Result<Stream, CommandError> {
        if matches!(&stream, Err(error) if error.fault == Fault::TooLarge) {
            self.large.insert(name.to_vec(), Instant::now() + TRY_AGAIN);
        }
        let groups = GroupInfo::parse_all(&groups?).ok_or_else(CommandError::unexpected)?;
        let (length, info) = match stream? {
            Value::Int(length) => (u64::try_from(length).unwrap_or(0), None),
            value => {
                let info = StreamInfo::parse(&value).ok_or_else(CommandError::unexpected)?;
                (info.length, Some(info))
            }
        };
        if info.as_ref().is_some_and(|info| info.reply_bytes > LARGE) {
            self.large.insert(name.to_vec(), Instant::now() + TRY_AGAIN);
        }
        let group_count = groups.len() as u64;
        self.group_counts.insert(name.to_vec(), group_count);
        if named {
            self.miss(name, &groups, failures);
        }
        let mut watched: Vec<_> = groups.into_iter().filter(|group| self.watches(&group.name)).collect();
        *too_many += watched.len().saturating_sub(self.max_groups) as u64;
        watched.truncate(self.max_groups);
        let group = |info| Group { info, oldest_pending: None, consumers: Vec::new() };
        let groups = watched.into_iter().map(group).collect();
        Ok(Stream { name: name.to_vec(), length, info, group_count, groups })
    }

    fn watches(&self, group: &[u8]) -> bool {
        let name = String::from_utf8_lossy(group);
        self.groups.iter().any(|pattern| pattern.matches(&name))
    }

    /// Counts the groups that were named and are not there.
    fn miss(&self, stream: &[u8], groups: &[GroupInfo], failures: &mut Failures) {
        for name in self.groups.iter().filter_map(literal).map(str::as_bytes) {
            if groups.iter().all(|group| group.name != name) {
                let message = "the stream has no such group".to_owned();
                failures.add(stream, Some(name), &CommandError { fault: Fault::NoSuchGroup, message });
            }
        }
    }

    async fn ask_groups(
        &self,
        server: &Server,
        seen: &mut Observation,
        failures: &mut Failures,
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let (mut commands, mut questions, mut left_out) = (Vec::new(), Vec::new(), 0);
        for (s, stream) in seen.streams.iter().enumerate() {
            for (g, Group { info, .. }) in stream.groups.iter().enumerate() {
                if self.wants_oldest && info.pending > 0 {
                    commands.push(ReadCommand::xpending_oldest(&stream.name, &info.name, 1));
                    questions.push((s, g, Question::Oldest));
                }
                match self.consumers {
                    Some(_) if info.consumers > MOST_CONSUMERS => left_out += info.consumers,
                    Some(_) if info.consumers > 0 => {
                        commands.push(ReadCommand::xinfo_consumers(&stream.name, &info.name, info.consumers));
                        questions.push((s, g, Question::Consumers));
                    }
                    _ => {}
                }
            }
        }
        let answers = if commands.is_empty() { Vec::new() } else { server.call(&commands, deadline).await? };
        for ((s, g, question), answer) in questions.into_iter().zip(answers) {
            let Some(stream) = seen.streams.get_mut(s) else { continue };
            let Some(group) = stream.groups.get_mut(g) else { continue };
            let failed = match question {
                Question::Oldest => {
                    let read = parsed(answer, PendingSummary::parse);
                    read.map(|oldest| group.oldest_pending = Some(oldest)).err()
                }
                Question::Consumers => {
                    let read = parsed(answer, ConsumerInfo::parse_all);
                    read.map(|all| group.consumers = self.most_pending(all, &mut left_out)).err()
                }
            };
            if let Some(error) = failed {
                failures.add(&stream.name, Some(&group.info.name), &error);
            }
        }
        failures.limit("consumers.max", left_out);
        Ok(())
    }

    fn most_pending(&self, mut all: Vec<ConsumerInfo>, left_out: &mut u64) -> Vec<ConsumerInfo> {
        let max = self.consumers.unwrap_or(0);
        if all.len() > max {
            all.sort_by(|a, b| b.pending.cmp(&a.pending).then_with(|| a.name.cmp(&b.name)));
            *left_out += (all.len() - max) as u64;
            all.truncate(max);
        }
        all
    }
}

fn parsed<T>(answer: CallResult, parse: impl Fn(&Value) -> Option<T>) -> Result<T, CommandError> {
    parse(&answer?).ok_or_else(CommandError::unexpected)
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.clone(),
        _ => String::new(),
    }
}
