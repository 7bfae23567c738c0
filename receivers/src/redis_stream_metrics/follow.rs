//! What needs more than one answer: counting entries that the server does not count, the oldest entry that was not
//! delivered, and walks through long lists of pending entries. All of it within budgets of a round, one page at a time.

use std::collections::HashMap;

use streamgauge_redis::{
    CallResult, Fault, PendingEntry, ReadCommand, StreamId, StreamInfo, Unreachable, entry_ids,
};
use tokio::time::Instant;

use super::claims::Claims;
use super::config::StreamConfig;
use super::known::{Known, oldest_left, parsed};
use super::lag::Counted;
use super::observe::FEW;
use super::pending::Walk;
use super::seen::{Asked, Group, Stream, Wants};
use crate::scrape::redis::Server;

/// Groups whose oldest undelivered entry is asked for in a round.
const NEXT: usize = 100;
/// Questions in a row that a round may take: each waits for the answer to the last.
const WAVES: usize = 8;
/// Pending entries of a page.
const PENDING_PAGE: u32 = 500;
/// Entries of a page, and the bytes that they may about have together.
const ENTRIES_PAGE: u32 = 100;
const PAGE_BYTES: usize = 256 << 10;

/// What lasts from round to round for one group.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    pub(super) walk: Walk,
    pub(super) claims: Claims,
    /// The oldest entry that was not delivered when the group stood at the first id.
    next: Option<(StreamId, StreamId)>,
    counted: Option<Box<Count>>,
}

/// A count, and what the stream was like then.
#[derive(Clone, Debug)]
struct Count {
    delivered: StreamId,
    stream: StreamInfo,
    counted: Counted,
}

/// Asks on.
pub(crate) struct FollowUp {
    count_entries: u32,
    pending_entries: u32,
    poison: u64,
    lag_time: bool,
    pending: bool,
    left: Left,
    shed: u64,
}

/// What may still be asked in this round: entries to count, pending ones to look at, oldest undelivered ones.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    entries: u32,
    pending: u32,
    next: usize,
}

/// What is wanted of a group.
struct Want {
    stream: usize,
    group: usize,
    what: What,
}

enum What {
    /// Entries behind the id, of which so many are counted already; one alone when only the first matters.
    Entries {
        after: StreamId,
        counted: u64,
        all: bool,
    },
    Pending {
        after: Option<StreamId>,
    },
}

impl FollowUp {
    pub(crate) fn new(config: &StreamConfig, wants: Wants) -> Self {
        FollowUp {
            count_entries: config.count_entries,
            pending_entries: config.pending_entries,
            poison: config.poison_deliveries,
            lag_time: wants.lag_time,
            pending: wants.pending,
            left: Left::default(),
            shed: 0,
        }
    }

    /// A new round begins.
    pub(crate) fn begin(&mut self) {
        self.left = Left { entries: self.count_entries, pending: self.pending_entries, next: NEXT };
    }

    pub(crate) fn poison(&self) -> u64 {
        self.poison
    }

    /// What the budget of server time did not allow in this round.
    pub(crate) fn shed(&mut self) -> u64 {
        std::mem::take(&mut self.shed)
    }

    pub(crate) async fn go_on(
        &mut self,
        server: &Server,
        asked: &[Asked],
        streams: &mut [Stream],
        known: &mut HashMap<Vec<u8>, Box<Known>>,
        round: u64,
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let mut wants = self.wants(streams, known, round);
        let Left { mut entries, mut pending, .. } = self.left;
        for _ in 0..WAVES {
            let mut commands = Vec::new();
            let mut sent: Vec<(Want, u32)> = Vec::new();
            for want in std::mem::take(&mut wants) {
                let (stream, group) = (&streams[want.stream], &streams[want.stream].groups[want.group]);
                let (command, n) = match &want.what {
                    What::Entries { after, all: false, .. } => {
                        (ReadCommand::xrange_next(&stream.name, *after), 1)
                    }
                    What::Entries { after, .. } => {
                        let left = u32::try_from(stream.length).unwrap_or(u32::MAX);
                        let n = page_of(stream.info.as_ref()).min(left).min(entries);
                        entries -= n;
                        (ReadCommand::xrange_page(&stream.name, *after, n), n)
                    }
                    What::Pending { after } => {
                        let all = u32::try_from(group.info.pending).unwrap_or(u32::MAX - 1) + 1;
                        let n = PENDING_PAGE.min(all).min(pending);
                        pending -= n;
                        (ReadCommand::xpending_page(&stream.name, &group.info.name, *after, n), n)
                    }
                };
                if n == 0 {
                    continue;
                }
                commands.push(if asked[want.stream].asking { command.asking() } else { command });
                sent.push((want, n));
            }
            if commands.is_empty() {
                break;
            }
            let answers = server.call(&commands, deadline).await?;
            for ((want, n), answer) in sent.into_iter().zip(answers) {
                let stream = &streams[want.stream];
                let Some(known) = known.get_mut(&stream.name) else { continue };
                let group = &stream.groups[want.group];
                let follow = known.follows.of(&group.info.name);
                wants.extend(self.take(want, n, answer, stream, group, follow));
            }
        }
        (self.left.entries, self.left.pending) = (entries, pending);
        for stream in streams {
            let Some(known) = known.get(&stream.name) else { continue };
            for group in &mut stream.groups {
                let Some(follow) = known.follows.get(&group.info.name) else { continue };
                let delivered = group.info.last_delivered_id;
                group.next = follow.next.filter(|(id, _)| Some(*id) == delivered).map(|(_, next)| next);
                group.counted = follow.counted(group, stream.info.as_ref());
                group.tally = (group.info.pending > 0).then(|| follow.walk.tally());
            }
        }
        Ok(())
    }

    /// What this round would like to know. Who goes first changes from round to round, so that a small budget serves all.
    fn wants(&mut self, streams: &[Stream], known: &HashMap<Vec<u8>, Box<Known>>, round: u64) -> Vec<Want> {
        let mut wants = Vec::new();
        for (s, stream) in streams.iter().enumerate() {
            let Some(known) = known.get(&stream.name) else { continue };
            for (g, group) in stream.groups.iter().enumerate() {
                let follow = known.follows.get(&group.info.name);
                let entries = self.wants_entries(stream, group, follow);
                let pending = self.wants_pending(group, follow);
                wants.extend(entries.into_iter().chain(pending).map(|what| Want {
                    stream: s,
                    group: g,
                    what,
                }));
            }
        }
        let first = (round as usize).wrapping_mul(NEXT) % wants.len().max(1);
        wants.rotate_left(first);
        let next = &mut self.left.next;
        wants.retain(|want| {
            let is_next = matches!(want.what, What::Entries { all: false, .. });
            let fits = !is_next || *next > 0;
            *next = next.saturating_sub(usize::from(is_next));
            fits
        });
        wants
    }

    fn wants_entries(&self, stream: &Stream, group: &Group, follow: Option<&Follow>) -> Option<What> {
        let after = group.info.last_delivered_id?;
        let info = stream.info.as_ref()?;
        // Where ids settle it nothing needs to be read.
        let is_between = info.first_entry.is_some_and(|first| first <= after)
            && info.last_entry.is_some_and(|last| after < last)
            && group.info.lag != Some(0);
        if !is_between {
            return None;
        }
        if group.info.lag.is_none() && self.count_entries > 0 {
            let is_enough =
                |counted: Counted| counted.is_all || counted.entries >= u64::from(self.count_entries);
            let is_known = follow.and_then(|follow| follow.counted(group, Some(info))).is_some_and(is_enough);
            return (!is_known).then_some(What::Entries { after, counted: 0, all: true });
        }
        // The youngest entry is the only one that waits.
        let is_known = group.info.lag == Some(1)
            || follow.and_then(|follow| follow.next).is_some_and(|(id, _)| id == after);
        (self.lag_time && !is_known).then_some(What::Entries { after, counted: 0, all: false })
    }

    fn wants_pending(&self, group: &Group, follow: Option<&Follow>) -> Option<What> {
        if !self.pending || group.info.pending == 0 {
            return None;
        }
        // Few were looked at with the oldest; a walk through many begins again when the group moved or has its turn.
        let after = follow.and_then(|follow| follow.walk.after());
        let is_due = group.is_fresh && group.info.pending > u64::from(FEW);
        (after.is_some() || is_due).then_some(What::Pending { after })
    }

    /// Takes an answer, and tells what is wanted next.
    fn take(
        &mut self,
        want: Want,
        n: u32,
        answer: CallResult,
        stream: &Stream,
        group: &Group,
        follow: &mut Follow,
    ) -> Option<Want> {
        if matches!(&answer, Err(error) if error.fault == Fault::Shed) {
            self.shed += 1;
        }
        let Want { what, .. } = want;
        let what = match what {
            // A refusal is not repeated for each stream: the connection remembers it, and the quality tells.
            What::Pending { .. } => {
                let page = parsed(answer, PendingEntry::parse_page).ok()?;
                let first = oldest_left(stream.length, stream.info.as_ref());
                follow.walk.take(&page, n, first, self.poison);
                What::Pending { after: Some(follow.walk.after()?) }
            }
            What::Entries { after, counted, all } => {
                let ids = parsed(answer, entry_ids).ok()?;
                let delivered = group.info.last_delivered_id?;
                if counted == 0 {
                    follow.next = ids.first().map(|next| (delivered, *next));
                }
                let info = stream.info.clone().filter(|_| all)?;
                let entries = counted + ids.len() as u64;
                let is_all = ids.len() < n as usize;
                follow.counted =
                    Some(Box::new(Count { delivered, stream: info, counted: Counted { entries, is_all } }));
                let after = ids.last().filter(|_| !is_all).copied().unwrap_or(after);
                (!is_all).then_some(What::Entries { after, counted: entries, all })?
            }
        };
        Some(Want { what, ..want })
    }
}

impl Follow {
    /// The count, where it still holds: the same place, nothing gone since; what was added since counts with it.
    fn counted(&self, group: &Group, stream: Option<&StreamInfo>) -> Option<Counted> {
        let (Count { delivered, stream: then, counted }, now) = (self.counted.as_deref()?, stream?);
        if group.info.last_delivered_id != Some(*delivered) || group.info.lag.is_some() {
            return None;
        }
        if (then.length, then.last_generated_id, then.first_entry, then.max_deleted_id)
            == (now.length, now.last_generated_id, now.first_entry, now.max_deleted_id)
        {
            return Some(*counted);
        }
        let gone = |info: &StreamInfo| info.entries_added.and_then(|added| added.checked_sub(info.length));
        let more = now.length.checked_sub(then.length)?;
        let is_same = gone(then)? == gone(now)? && counted.is_all;
        is_same.then_some(Counted { entries: counted.entries + more, is_all: true })
    }
}

/// Entries of a page, so that it is not too large: the first and the last entry tell how large they are.
fn page_of(stream: Option<&StreamInfo>) -> u32 {
    let size = stream.map_or(1, |info| info.reply_bytes / 2).max(1);
    u32::try_from(PAGE_BYTES / size).unwrap_or(ENTRIES_PAGE).clamp(1, ENTRIES_PAGE)
}
