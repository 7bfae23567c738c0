//! Joining small requests and cutting large ones: the one mechanism behind `batch` and `sending_queue.batch`.
//!
//! It knows no tasks and no timers: time is handed in. Joining puts parts in a row and copies nothing; only a part that is
//! larger than the largest batch is cut. Parts stay whole otherwise, so a batch may end before its largest size.

mod together;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge_pdata::{Limit, Signal, split};

use crate::batch::{Batch, Context, Part};
use crate::delivery::Sizer;
use crate::processor::Held;

use self::together::Together;

/// When a batch is complete.
#[derive(Clone, Debug)]
pub struct JoinRules {
    /// What the sizes count: items or bytes.
    pub sizer: Sizer,
    /// Size from which a batch goes at once; 0 joins nothing.
    pub min_size: usize,
    /// Size that a batch never exceeds unless a single item does; 0 is no limit.
    pub max_size: usize,
    /// How long the first part of a batch waits for more; zero joins nothing. What a sender waits for goes sooner.
    pub timeout: Duration,
    /// Names of headers, in any case: data with different values of them is kept apart.
    pub keys: Vec<String>,
    /// How many different values may wait at the same time; 0 is no limit.
    pub max_groups: usize,
}

/// No batch waits longer, whatever the rules say: the clock could not count beyond it.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Holds parts until a batch is complete.
#[derive(Debug)]
pub struct Joiner {
    rules: JoinRules,
    groups: HashMap<Key, Group>,
    held: Held,
    together: Together,
}

/// All values of each partition header, in the order of the rules' keys.
type Key = Vec<Vec<Arc<str>>>;

/// What waits together.
#[derive(Debug)]
struct Group {
    signal: Signal,
    context: Arc<Context>,
    parts: Vec<Part>,
    size: usize,
    held: Held,
    /// Parts whose senders wait for their delivery.
    awaited: usize,
    due: Instant,
}

impl Joiner {
    /// A joiner that holds nothing yet.
    pub fn new(mut rules: JoinRules) -> Self {
        rules.keys.iter_mut().for_each(|key| *key = key.to_lowercase());
        rules.timeout = rules.timeout.min(LONGEST_WAIT);
        Joiner { rules, groups: HashMap::new(), held: Held::default(), together: Together::new() }
    }

    /// Takes a batch; what is complete by it, in order.
    ///
    /// # Errors
    /// The batch, when it would need one group more than the limit.
    pub fn push(&mut self, batch: Batch, now: Instant) -> Result<Vec<Batch>, Batch> {
        let key = self.key(&batch.context);
        let limit = self.rules.max_groups;
        let mut group = match self.groups.remove(&key) {
            Some(group) => self.release(group),
            None if limit > 0 && self.groups.len() >= limit => return Err(batch),
            None => Group::new(batch.signal, batch.context.clone(), now + self.rules.timeout),
        };
        let mut complete = Vec::new();
        let Batch { signal, context, parts } = batch;
        for part in parts.into_iter().flat_map(|part| self.cut(signal, part)) {
            let size = self.size(&part);
            if !group.parts.is_empty() && self.rules.max_size > 0 && group.size + size > self.rules.max_size {
                let next = Group::new(signal, context.clone(), now + self.rules.timeout);
                complete.push(std::mem::replace(&mut group, next).into_batch());
            }
            group.add(part, size, &context);
        }
        if context.awaited {
            group.due = group.due.min(now + together::LONGEST);
        }
        let all_here = context.awaited && self.together.are_all(group.awaited);
        if group.size >= self.rules.min_size || group.due <= now || all_here {
            complete.push(group.into_batch());
        } else if !group.parts.is_empty() {
            self.hold(key, group);
        }
        complete.retain(|batch| !batch.parts.is_empty());
        Ok(complete)
    }

    /// When something held must go at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.groups.values().map(|group| group.due).min()
    }

    /// What has waited long enough.
    pub fn wake(&mut self, now: Instant) -> Vec<Batch> {
        let groups: Vec<Group> =
            self.groups.extract_if(|_, group| group.due <= now).map(|(_, g)| g).collect();
        if let Some(awaited) = groups.iter().map(|group| group.awaited).filter(|awaited| *awaited > 0).max() {
            self.together.were(awaited);
        }
        groups.into_iter().map(|group| self.release(group).into_batch()).collect()
    }

    /// Everything.
    pub fn flush(&mut self) -> Vec<Batch> {
        let groups = std::mem::take(&mut self.groups);
        groups.into_values().map(|group| self.release(group).into_batch()).collect()
    }

    /// What is held.
    pub fn held(&self) -> Held {
        self.held
    }

    fn hold(&mut self, key: Key, group: Group) {
        let held = group.held;
        self.held.items += held.items;
        self.held.bytes += held.bytes;
        self.groups.insert(key, group);
    }

    /// A group that was held: its senders may have had their answer meanwhile.
    fn release(&mut self, mut group: Group) -> Group {
        let held = group.held;
        self.held.items -= held.items;
        self.held.bytes -= held.bytes;
        if !group.context.answered {
            Arc::make_mut(&mut group.context).answered = true;
        }
        group
    }

    fn key(&self, context: &Context) -> Key {
        let values = |name: &str| {
            let own = context.headers.iter().filter(|(n, _)| **n == *name);
            own.map(|(_, value)| value.clone()).collect()
        };
        self.rules.keys.iter().map(|name| values(name)).collect()
    }

    fn size(&self, part: &Part) -> usize {
        match self.rules.sizer {
            Sizer::Bytes => part.bytes.len(),
            Sizer::Items | Sizer::Requests => part.items,
        }
    }

    /// The part itself, or its pieces if it is larger than the largest batch.
    fn cut(&self, signal: Signal, part: Part) -> Vec<Part> {
        let max = self.rules.max_size;
        if max == 0 || self.size(&part) <= max {
            return vec![part];
        }
        let limit = match self.rules.sizer {
            Sizer::Bytes => Limit::Bytes(max),
            Sizer::Items | Sizer::Requests => Limit::Items(max),
        };
        // The door has checked it: should it be broken all the same, the peer decides about it as a whole.
        let Ok(pieces) = split(signal, &part.bytes, limit) else { return vec![part] };
        let acks = part.ack.split(pieces.len());
        pieces
            .into_iter()
            .zip(acks)
            .map(|(p, ack)| Part { bytes: p.bytes.into(), items: p.items, ack })
            .collect()
    }
}

impl Group {
    fn new(signal: Signal, context: Arc<Context>, due: Instant) -> Self {
        Group { signal, context, parts: Vec::new(), size: 0, held: Held::default(), awaited: 0, due }
    }

    fn add(&mut self, part: Part, size: usize, context: &Arc<Context>) {
        if !Arc::ptr_eq(&self.context, context) {
            Arc::make_mut(&mut self.context).join(context);
        }
        self.held.items += part.items as u64;
        self.held.bytes += part.bytes.len() as u64;
        self.size += size;
        self.awaited += usize::from(context.awaited);
        self.parts.push(part);
    }

    fn into_batch(self) -> Batch {
        Batch { signal: self.signal, context: self.context, parts: self.parts }
    }
}

#[cfg(test)]
mod tests;
