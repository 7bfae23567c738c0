//! What was seen of streams before.

use std::collections::HashMap;

use streamgauge_redis::{CallResult, CommandError, GroupInfo, PendingEntry, StreamId, StreamInfo, Value};
use tokio::time::Instant;

use super::consumers::Consumers;
use super::follow::Follow;
use super::observe::Stream;

/// What was seen of a stream before.
#[derive(Default)]
pub(super) struct Known {
    pub(super) round: u64,
    pub(super) length: u64,
    pub(super) groups: Vec<GroupInfo>,
    pub(super) info: Option<(StreamInfo, Instant)>,
    pub(super) details: HashMap<Vec<u8>, Detail>,
    /// What goes on over several rounds, by group.
    pub(super) follows: HashMap<Vec<u8>, Follow>,
}

/// What was asked about a group, when its numbers were these.
pub(super) struct Detail {
    pub(super) group: GroupInfo,
    pub(super) oldest: Option<PendingEntry>,
    pub(super) consumers: Consumers,
    pub(super) at: Instant,
}

impl Known {
    pub(super) fn has_moved(&self, stream: &Stream) -> bool {
        self.length != stream.length || !self.groups.iter().eq(stream.groups.iter().map(|group| &group.info))
    }
}

impl Detail {
    /// A longer stream alone changes nothing about who holds what.
    pub(super) fn has_moved(&self, group: &GroupInfo) -> bool {
        let numbers =
            |group: &GroupInfo| (group.consumers, group.pending, group.last_delivered_id, group.entries_read);
        numbers(&self.group) != numbers(group)
    }
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
