//! What one read became: a part that is offered until it is settled, and the entries that it stands for.

use std::sync::Arc;

use bytes::Bytes;
use streamgauge_component::Signal;
use streamgauge_pdata::{Limit, split};
use streamgauge_streams::StreamId;
use tokio::sync::oneshot;

use super::bound::Grip;
use super::config::Level;
use super::stream::Stream;

/// Tries that are remembered of one part, the last ones.
const HISTORY: usize = 10;

/// An entry that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub id: StreamId,
    /// Its items in the part.
    pub items: u32,
    /// How often Redis had delivered it before.
    pub deliveries: u32,
    /// Offers that the peer may answer with "not now" before it is given up.
    pub tries: u32,
}

/// Entries of one stream, in their order.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub stream: Arc<Stream>,
    pub taken: Vec<Taken>,
}

/// What came of a try.
#[derive(Clone, Debug)]
pub(super) struct Try {
    /// Milliseconds since 1970.
    pub at: u64,
    pub reason: &'static str,
    pub detail: String,
}

/// A part with its entries, in hand until they are acknowledged.
#[derive(Debug)]
pub(super) struct Held {
    pub signal: Signal,
    pub level: Level,
    pub bytes: Bytes,
    pub items: usize,
    pub runs: Arc<[Run]>,
    /// Offers so far, and those that the peer answered.
    pub offers: u32,
    pub answered: u32,
    /// It has had all its tries and is being cut to find the entry at fault.
    pub is_last_chance: bool,
    /// When it was read, in milliseconds since 1970.
    pub read_at: u64,
    pub history: Vec<Try>,
    pub grip: Grip,
    /// Who waits for the first outcome: whether it was delivered.
    pub first: Option<oneshot::Sender<bool>>,
}

impl Held {
    /// How many entries it stands for.
    pub fn entries(&self) -> usize {
        self.runs.iter().map(|run| run.taken.len()).sum()
    }

    /// Whether one of its entries has had all its tries.
    pub fn is_exhausted(&self) -> bool {
        self.runs.iter().flat_map(|run| &run.taken).any(|taken| self.answered >= taken.tries)
    }

    /// The first outcome, when it is there: whether it was delivered.
    pub fn hear(&mut self) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        self.first = Some(tell);
        told
    }

    /// Tells the first outcome.
    pub fn heard(&mut self, delivered: bool) {
        if let Some(first) = self.first.take() {
            // Nobody listens any more.
            let _ = first.send(delivered);
        }
    }

    /// Remembers what came of an offer.
    pub fn note(&mut self, at: u64, reason: &'static str, detail: Option<&str>) {
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        self.history.push(Try { at, reason, detail: detail.unwrap_or_default().to_owned() });
    }

    /// Its two halves, by entries. It comes back whole when it has one entry, or its bytes cannot be cut.
    pub fn halve(self) -> Result<[Held; 2], Held> {
        let middle = self.entries() / 2;
        if middle == 0 {
            return Err(self);
        }
        let (first, second) = cut(&self.runs, middle);
        let items = |runs: &[Run]| -> usize {
            runs.iter().flat_map(|run| &run.taken).map(|taken| taken.items as usize).sum()
        };
        let (before, after) = (items(&first), items(&second));
        let Some((head, tail)) = cut_bytes(self.signal, &self.bytes, before, after) else { return Err(self) };
        let half = |bytes: Bytes, items: usize, runs: Arc<[Run]>| Held {
            signal: self.signal,
            level: self.level,
            items,
            grip: self.grip.on(&runs, bytes.len()),
            bytes,
            runs,
            offers: 0,
            answered: self.answered,
            is_last_chance: self.is_last_chance,
            read_at: self.read_at,
            history: self.history.clone(),
            first: None,
        };
        Ok([half(head, before, first), half(tail, after, second)])
    }
}

/// Entries before the `middle` and from there on.
fn cut(runs: &[Run], middle: usize) -> (Arc<[Run]>, Arc<[Run]>) {
    let (mut first, mut second, mut left) = (Vec::new(), Vec::new(), middle);
    for run in runs {
        let here = left.min(run.taken.len());
        left -= here;
        for (into, taken) in [(&mut first, &run.taken[..here]), (&mut second, &run.taken[here..])] {
            if !taken.is_empty() {
                into.push(Run { stream: run.stream.clone(), taken: taken.to_vec() });
            }
        }
    }
    (first.into(), second.into())
}

/// The request of the first `before` items and that of the `after` others.
fn cut_bytes(signal: Signal, bytes: &Bytes, before: usize, after: usize) -> Option<(Bytes, Bytes)> {
    if before == 0 || after == 0 {
        let (none, all) = (Bytes::new(), bytes.clone());
        return Some(if before == 0 { (none, all) } else { (all, none) });
    }
    let pieces = split(signal, bytes, Limit::Items(before)).ok()?;
    let (head, tail) = pieces.split_first()?;
    let rest: usize = tail.iter().map(|piece| piece.items).sum();
    if (head.items, rest) != (before, after) {
        return None;
    }
    let tail = match tail {
        [one] => one.bytes.clone(),
        many => many.iter().map(|piece| &piece.bytes[..]).collect::<Vec<_>>().concat().into(),
    };
    Some((head.bytes.clone(), tail))
}
