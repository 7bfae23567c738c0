//! Reads a log in order, while it is written.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::StorageError;
use crate::format::FRAME;
use crate::log::{RecordId, Shared};
use crate::quarantine;
use crate::segment::Slot;
use crate::walk::{CHUNK, Step, Walk};

/// A record as it was appended.
#[derive(Clone, Debug)]
pub struct Record {
    /// What settles it.
    pub id: RecordId,
    /// Its pieces in a row. A slice of what was read at once, about 1 MiB.
    pub payload: Bytes,
    /// When it was appended, seconds since the Unix epoch.
    pub at: u32,
}

/// Gives a log's records that are not settled, in order. It can be one of several.
pub struct Reader {
    shared: Arc<Shared>,
    /// The number of the next record behind those that are ready.
    next: u64,
    ready: VecDeque<Record>,
    place: Option<Place>,
}

/// Where in which use of a segment.
struct Place {
    salt: u32,
    walk: Walk,
}

/// A segment as it was at one moment.
struct View {
    first: u64,
    next: u64,
    end: u64,
    salt: u32,
    slot: Slot,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, next: u64) -> Self {
        Reader { shared, next, ready: VecDeque::new(), place: None }
    }

    /// The next record; waits for one. `None` once the log is closed. Dropped while it waits, nothing is missed.
    ///
    /// # Errors
    /// When the disk cannot be read. A further call tries again.
    pub async fn next(&mut self) -> Result<Option<Record>, StorageError> {
        let mut head = self.shared.head.subscribe();
        loop {
            head.mark_unchanged();
            if let Some(record) = self.try_next().await? {
                return Ok(Some(record));
            }
            if *self.shared.ended.borrow() {
                return Ok(None);
            }
            // The other end is `self.shared`.
            let _ = head.changed().await;
        }
    }

    /// The next record that is there already, if any.
    ///
    /// # Errors
    /// When the disk cannot be read. A further call tries again.
    pub async fn try_next(&mut self) -> Result<Option<Record>, StorageError> {
        if let Some(record) = self.ready.pop_front() {
            return Ok(Some(record));
        }
        // Nothing of `self` changes before the blocking part has ended, but for `place`, which only saves a walk.
        let (shared, place, next) = (self.shared.clone(), self.place.take(), self.next);
        let filled = tokio::task::spawn_blocking(move || fill(&shared, place, next)).await;
        (self.place, self.ready, self.next) = filled.map_err(|_| self.shared.closed())??;
        Ok(self.ready.pop_front())
    }
}

/// Reads up to a chunk of records from number `next` on. None of them is settled. Returns where the next are.
fn fill(
    shared: &Shared,
    mut place: Option<Place>,
    mut next: u64,
) -> Result<(Option<Place>, VecDeque<Record>, u64), StorageError> {
    while let Some(view) = view(shared, next) {
        let mut at = match place.take().filter(|place| place.salt == view.salt && place.walk.expected <= next)
        {
            Some(place) => place,
            None => {
                let known = Some((view.end, view.next));
                let walk = Walk::new(view.slot.clone(), view.salt, view.first, known);
                Place { salt: view.salt, walk }
            }
        };
        at.walk.extend(view.end, view.next);
        let (mut found, complete) = read(shared, &view, &mut at.walk, next)?;
        {
            let state = shared.lock();
            let segment = state.segments.get(&view.first).filter(|segment| segment.header.salt == view.salt);
            match segment {
                Some(segment) => found.retain(|record| !segment.is_settled(record.id.seq)),
                // Settled as a whole while it was read, and perhaps written over.
                None => found.clear(),
            }
        }
        next = if complete { view.next } else { at.walk.expected };
        if !found.is_empty() {
            return Ok((Some(at), found, next));
        }
        place = Some(at);
    }
    Ok((place, VecDeque::new(), next))
}

/// The segment that has the record, or else the next.
fn view(shared: &Shared, next: u64) -> Option<View> {
    let state = shared.lock();
    let segment = state.segments.values().find(|segment| segment.next > next && segment.left > 0)?;
    Some(View {
        first: segment.header.first,
        next: segment.next,
        end: segment.end,
        salt: segment.header.salt,
        slot: segment.slot.clone(),
    })
}

/// Records from a number on, and whether the segment was read to its end.
fn read(
    shared: &Shared,
    view: &View,
    walk: &mut Walk,
    from: u64,
) -> Result<(VecDeque<Record>, bool), StorageError> {
    let (mut found, mut bytes) = (VecDeque::new(), 0);
    while bytes < CHUNK {
        match walk.step()? {
            Step::Record { header, payload } => {
                if header.seq < from {
                    continue;
                }
                let id = RecordId { seq: header.seq, size: header.framed() };
                bytes += (FRAME + payload.len()) as u64;
                found.push_back(Record { id, payload, at: header.at });
            }
            Step::Damaged { at, len, lost } => set_aside(shared, view, at, len, lost),
            Step::Torn { .. } | Step::End => return Ok((found, true)),
        }
    }
    Ok((found, false))
}

/// Damaged bytes leave the log. As long as they cannot be copied they keep their segment.
fn set_aside(shared: &Shared, view: &View, at: u64, len: u64, lost: std::ops::Range<u64>) {
    let missing = {
        let state = shared.lock();
        let segment = state.segments.get(&view.first).filter(|segment| segment.header.salt == view.salt);
        segment.map_or(0, |segment| lost.clone().filter(|seq| !segment.is_settled(*seq)).count())
    };
    if missing == 0 {
        return;
    }
    let file = view.slot.path.display();
    match quarantine::copy(&shared.directory, &view.slot, at, len) {
        Ok(()) => {
            tracing::error!(log = shared.name, %file, at, len, records = missing, "damaged records were set aside");
            shared.lose(lost, len);
        }
        Err(error) => {
            tracing::error!(log = shared.name, %file, at, len, records = missing, %error,
                "damaged records cannot be set aside");
        }
    }
}
