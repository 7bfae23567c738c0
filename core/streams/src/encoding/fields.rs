//! The fields of an entry that is being made.

use crate::Entry;

/// Fields in one piece of memory, which the next entry uses again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    bytes: Vec<u8>,
    /// Where each name and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Fields {
    /// Forgets all fields, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.push_with(name, |out| out.extend_from_slice(value));
    }

    /// Adds a field whose value is appended by `write`.
    pub fn push_with(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(name);
        let name = self.bytes.len();
        write(&mut self.bytes);
        self.ends.push((name, self.bytes.len().max(name)));
    }

    /// Adds the fields of an entry.
    pub fn extend(&mut self, entry: &Entry<'_>) {
        for (name, value) in entry.fields {
            self.push(name, value);
        }
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Names and values, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(name, value)| {
            let from = std::mem::replace(&mut start, value);
            (self.slice(from, name), self.slice(name, value))
        })
    }

    fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// The last field as the one at `position`; those in between move up.
    pub(super) fn last_to(&mut self, position: usize) {
        let Some(last) = self.ends.len().checked_sub(1).filter(|last| position < *last) else { return };
        let end = |at: usize| at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |e| e.1);
        let (from, tail) = (end(position), end(last));
        let moved = self.bytes.len() - tail;
        if let Some(range) = self.bytes.get_mut(from..) {
            range.rotate_right(moved);
        }
        if let Some((name, value)) = self.ends.pop() {
            for (name, value) in self.ends.iter_mut().skip(position) {
                *name += moved;
                *value += moved;
            }
            self.ends.insert(position, (name - tail + from, value - tail + from));
        }
    }
}
