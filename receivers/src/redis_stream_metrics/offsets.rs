//! How many entries were ever added up to an id: a note of each round, for lags that the server has forgotten.

use std::collections::VecDeque;

use streamgauge_redis::{StreamId, StreamInfo};

/// Notes of one stream. Beyond this every other one of the older half is dropped.
const MOST: usize = 32;

/// What was known of a stream at a moment: so many entries were added up to this id, and so many were gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) id: StreamId,
    pub(crate) added: u64,
    pub(crate) removed: u64,
}

/// The notes of a stream, by id.
#[derive(Debug, Default)]
pub(crate) struct Offsets(VecDeque<Offset>);

impl Offsets {
    /// Notes a round. A stream that was made anew is another one.
    pub(crate) fn note(&mut self, stream: &StreamInfo) {
        let (Some(id), Some(added)) = (stream.last_generated_id, stream.entries_added) else { return };
        let new = Offset { id, added, removed: added.saturating_sub(stream.length) };
        if let Some(last) = self.0.back_mut() {
            if id < last.id || added < last.added {
                self.0.clear();
            } else if id == last.id {
                // The same end: the note is as good as new, unless entries went away since.
                return;
            }
        }
        self.make_room();
        self.0.push_back(new);
        if self.0.len() > MOST {
            self.thin();
        }
    }

    /// Notes that so many entries were added up to a group's id.
    pub(crate) fn anchor(&mut self, delivered: StreamId, position: u64, stream: &StreamInfo) {
        let Some(added) = stream.entries_added else { return };
        let at = self.0.partition_point(|offset| offset.id < delivered);
        if self.0.get(at).is_some_and(|offset| offset.id == delivered) || at == self.0.len() {
            return;
        }
        let removed = added.saturating_sub(stream.length);
        self.make_room();
        self.0.insert(at, Offset { id: delivered, added: position, removed });
        if self.0.len() > MOST {
            self.thin();
        }
    }

    /// The least and the most entries that may lie behind an id; `None` when it is older than the notes.
    pub(crate) fn bounds(&self, delivered: StreamId, stream: &StreamInfo) -> Option<(u64, u64)> {
        let added = stream.entries_added?;
        let after = self.0.partition_point(|offset| offset.id <= delivered);
        let below = self.0.get(after.checked_sub(1)?)?;
        let most = added.saturating_sub(below.added);
        let above = if below.id == delivered { Some(below) } else { self.0.get(after) };
        let least = above.map_or(0, |above| added.saturating_sub(above.added));
        // Of what has gone since, nobody knows whether it lay behind the id, unless XDEL never reached so far: then the
        // stream was cut at its beginning, which is before the id.
        let gone = if stream.max_deleted_id.is_some_and(|deleted| deleted <= delivered) {
            0
        } else {
            added.saturating_sub(stream.length).saturating_sub(below.removed)
        };
        Some((least.saturating_sub(gone), most))
    }

    /// Room for a few more: there is such a list for every stream.
    fn make_room(&mut self) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(4);
        }
    }

    /// Every other note of the older half goes: the young ones are asked for most.
    fn thin(&mut self) {
        let half = self.0.len() / 2;
        let mut n = 0;
        self.0.retain(|_| {
            n += 1;
            n > half || n % 2 == 0
        });
    }
}

#[cfg(test)]
mod tests;
