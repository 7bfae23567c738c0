//! What one round asks for, and what it has seen.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use streamgauge_redis::{CommandError, GroupInfo, Identity, StreamId, StreamInfo};
use tokio::time::Instant;

use super::consumers::Consumers;
use super::failures::LeftOut;
use super::lag::Counted;
use super::node::Moved;
use super::pending::Tally;

/// What the metrics that are on are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    pub(crate) consumers: bool,
    pub(crate) pending: bool,
    pub(crate) lag_time: bool,
}

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
    /// Groups that would be too many.
    pub(crate) rest: Vec<GroupInfo>,
    /// How old the oldest detail is.
    pub(crate) age: Option<Duration>,
    /// Whether a number moved and the details could not be asked for: the last ones are not right any more.
    pub(crate) is_outdated: bool,
}

/// The pending entry that was added first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oldest {
    pub(crate) id: StreamId,
    /// Since its last delivery.
    pub(crate) idle_ms: Option<u64>,
}

/// One watched group.
pub(crate) struct Group {
    pub(crate) info: GroupInfo,
    pub(crate) oldest: Option<Oldest>,
    /// What its pending entries are like.
    pub(crate) tally: Option<Tally>,
    pub(crate) consumers: Consumers,
    /// Entries that went from one consumer to another; `None` when not all are known.
    pub(crate) claimed: Option<u64>,
    /// The oldest entry that was not delivered.
    pub(crate) next: Option<StreamId>,
    /// Entries that were not delivered, where the server does not know.
    pub(crate) counted: Option<Counted>,
    /// Whether the consumers are of this round: how long they idle is known then only.
    pub(crate) is_fresh: bool,
}

/// What could not be asked: the stream, the group, and why.
type Failed = (Vec<u8>, Option<Vec<u8>>, CommandError);

/// What one round has seen so far.
#[derive(Default)]
pub(crate) struct Observation {
    pub(crate) identity: Option<Identity>,
    /// The server's clock, milliseconds since 1970, and when it showed that.
    pub(crate) clock: Option<(u64, Instant)>,
    /// The streams that were asked for last.
    pub(crate) streams: Vec<Stream>,
    /// Streams whose series go on without points: all of them, or all but the basic ones.
    pub(crate) kept: HashMap<Vec<u8>, Kept>,
    /// Streams that are no more.
    pub(crate) gone: Vec<Vec<u8>>,
    /// Streams that another node has.
    pub(crate) moved: Vec<Moved>,
    pub(crate) failed: Vec<Failed>,
    /// Streams and groups that the settings name, and whether they are there.
    pub(crate) named: Vec<(Vec<u8>, Vec<u8>, bool)>,
    pub(crate) left_out: LeftOut,
    /// Groups of any stream, where the settings name some, and whether there was a stream, one that is named.
    pub(super) groups: HashSet<Vec<u8>>,
    pub(super) has_streams: bool,
    pub(super) has_named: bool,
}

/// Which series of a stream go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is there as far as anybody knows, but did not answer.
    All,
    /// Its numbers moved, and there was no time for more.
    Details,
}
