//! What was seen of streams before.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use streamgauge_redis::{CallResult, CommandError, GroupInfo, StreamId, StreamInfo, Value};
use tokio::time::Instant;

use super::by_name::ByName;
use super::consumers::Consumers;
use super::follow::Follow;
use super::seen::{Oldest, Stream};

/// What was seen of a stream before.
#[derive(Default)]
pub(super) struct Known {
    pub(super) round: u64,
    pub(super) length: u64,
    /// How many groups there were, and what tells whether any number of them moved.
    pub(super) groups: u64,
    pub(super) groups_hash: u64,
    pub(super) info: Option<(StreamInfo, Instant)>,
    pub(super) details: ByName<Detail>,
    /// What goes on over several rounds, by group.
    pub(super) follows: ByName<Follow>,
}

/// What was asked about a group, when its numbers were these.
pub(super) struct Detail {
    pub(super) numbers: Numbers,
    pub(super) oldest: Option<Oldest>,
    pub(super) consumers: Consumers,
    pub(super) at: Instant,
    /// Whether the consumers are of the same round as the numbers.
    pub(super) is_whole: bool,
}

impl Known {
    pub(super) fn has_moved(&self, stream: &Stream) -> bool {
        self.length != stream.length || self.groups_hash != groups_hash(stream)
    }
}

impl Detail {
    /// A longer stream alone changes nothing about who holds what.
    pub(super) fn has_moved(&self, group: &GroupInfo) -> bool {
        self.numbers != numbers(group)
    }
}

/// All numbers of a stream's groups as one.
pub(super) fn groups_hash(stream: &Stream) -> u64 {
    let mut hasher = DefaultHasher::new();
    stream.groups.iter().for_each(|group| group.info.hash(&mut hasher));
    hasher.finish()
}

/// What changes when who holds what changes.
pub(super) type Numbers = (u64, u64, Option<StreamId>, Option<u64>);

pub(super) fn numbers(group: &GroupInfo) -> Numbers {
    (group.consumers, group.pending, group.last_delivered_id, group.entries_read)
}

/// The oldest id that is left in a stream; above all ids when nothing is left.
pub(super) fn oldest_left(length: u64, stream: Option<&StreamInfo>) -> Option<StreamId> {
    if length == 0 {
        return Some(StreamId { ms: u64::MAX, seq: u64::MAX });
    }
    stream.and_then(|info| info.first_entry)
}

pub(super) fn parsed<T>(answer: CallResult, parse: impl Fn(&Value) -> Option<T>) -> Result<T, CommandError> {
    parse(&answer?).ok_or_else(CommandError::unexpected)
}
