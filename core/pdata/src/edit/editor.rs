//! One message's attributes under change.

use std::ops::Range;

use crate::build::{ToValue, put_pair};
use crate::malformed::{Fault, Malformed, What};
use crate::rope::Rope;
use crate::view::{Value, find_key, plain_pair, value_of};
use crate::wire::{self, Span};

/// An attribute: where it is, and what it takes the place of.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The field in the old request that it came from or takes the place of.
    old: Option<Range<usize>>,
    /// In the arena, not in the old request.
    new: bool,
    removed: bool,
    /// The field, and in it the KeyValue and its key.
    field: Range<usize>,
    pair: Span,
    key: Span,
}

/// The attributes of one resource, span, log record or data point, to be read and changed. Changes are seen at once by
/// what is read after them. Keys that come twice: the first counts when reading, writing leaves only one.
#[derive(Debug)]
pub struct Editor<'e> {
    buf: &'e [u8],
    arena: &'e mut Vec<u8>,
    entries: &'e mut Vec<Entry>,
    /// The number of the attributes' field.
    number: u32,
    changed: bool,
}

impl<'e> Editor<'e> {
    pub(crate) fn new(
        buf: &'e [u8],
        arena: &'e mut Vec<u8>,
        entries: &'e mut Vec<Entry>,
        number: u32,
    ) -> Self {
        entries.clear();
        Editor { buf, arena, entries, number, changed: false }
    }

    /// The tag of an attribute, where that is one byte; else none that there is.
    fn tag(&self) -> u8 {
        if self.number < 16 { (self.number as u8) << 3 | wire::LEN } else { 0 }
    }

    /// Finds the attributes in the parts of a message.
    pub(crate) fn load(&mut self, parts: &[Span]) -> Result<(), Fault> {
        let tag = self.tag();
        for part in parts {
            let mut rest = *part;
            loop {
                while let Some(entry) = plain_entry(self.buf, &mut rest, tag) {
                    self.entries.push(entry);
                }
                let Some(field) = rest.next(self.buf)? else { break };
                if field.number != self.number {
                    continue;
                }
                field.expect(wire::LEN)?;
                let (pair, old) = (field.span(), field.start..field.end);
                let (key, _) = find_key(self.buf, pair)?;
                let entry =
                    Entry { old: Some(old.clone()), new: false, removed: false, field: old, pair, key };
                self.entries.push(entry);
            }
        }
        Ok(())
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    fn bytes(&self, entry: &Entry) -> &[u8] {
        if entry.new { self.arena } else { self.buf }
    }

    fn find(&self, key: &str) -> Option<usize> {
        let is = |entry: &Entry| {
            let span = entry.key;
            let is_as_long = (span.end - span.at) as usize == key.len();
            is_as_long && !entry.removed && span.of(self.bytes(entry)) == key.as_bytes()
        };
        self.entries.iter().position(is)
    }

    /// The value under this key.
    ///
    /// # Errors
    /// The value is malformed.
    pub fn get(&self, key: &str) -> Result<Option<Value<'_>>, Malformed> {
        let Some(entry) = self.find(key).and_then(|at| self.entries.get(at)) else { return Ok(None) };
        self.read(entry).map(|(_, value)| Some(value))
    }

    fn read(&self, entry: &Entry) -> Result<(&str, Value<'_>), Malformed> {
        let buf = self.bytes(entry);
        let pair = find_key(buf, entry.pair).and_then(|(key, values)| {
            let text = std::str::from_utf8(key.of(buf));
            let text = text.map_err(|_| Fault::new(key.at as usize, What::Utf8))?;
            Ok((text, value_of(buf, entry.pair, values)?))
        });
        pair.map_err(|fault| fault.within("an attribute"))
    }

    /// All attributes, in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<(&str, Value<'_>), Malformed>> {
        self.entries.iter().filter(|entry| !entry.removed).map(|entry| self.read(entry))
    }

    /// Whether there is a value under this key.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Adds an attribute unless there is one under this key. Tells whether it did.
    pub fn insert(&mut self, key: &str, value: impl ToValue) -> bool {
        if self.contains(key) {
            return false;
        }
        self.put(None, key, &value);
        true
    }

    /// Gives an attribute that is there another value. Tells whether it was there.
    pub fn update(&mut self, key: &str, value: impl ToValue) -> bool {
        let found = self.find(key);
        if found.is_some() {
            self.put(found, key, &value);
        }
        found.is_some()
    }

    /// Sets an attribute, be it there or not.
    pub fn upsert(&mut self, key: &str, value: impl ToValue) {
        self.put(self.find(key), key, &value);
    }

    /// Takes an attribute away. Tells whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.remove_where(|other| other == key) > 0
    }

    /// Takes away the attributes whose key is chosen. Tells how many.
    pub fn remove_where(&mut self, mut chosen: impl FnMut(&str) -> bool) -> usize {
        let mut removed = 0;
        for at in 0..self.entries.len() {
            if self.key_at(at).is_some_and(&mut chosen) {
                self.remove_at(at);
                removed += 1;
            }
        }
        removed
    }

    /// Gives the attributes whose key is chosen the value that `change` makes of theirs, which is an error where it
    /// cannot be read. Keys that come twice are changed twice.
    pub fn update_where<V: ToValue>(
        &mut self,
        mut chosen: impl FnMut(&str) -> bool,
        mut change: impl FnMut(Result<Value<'_>, Malformed>) -> V,
    ) {
        for at in 0..self.entries.len() {
            let Some(key) = self.key_at(at).filter(|key| chosen(key)).map(str::to_owned) else { continue };
            let Some(entry) = self.entries.get(at) else { continue };
            let value = change(self.read(entry).map(|(_, value)| value));
            self.replace(at, &key, &value);
        }
    }

    fn key_at(&self, at: usize) -> Option<&str> {
        let entry = self.entries.get(at).filter(|entry| !entry.removed)?;
        std::str::from_utf8(entry.key.of(self.bytes(entry))).ok()
    }

    fn remove_at(&mut self, at: usize) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.removed = true;
            self.changed = true;
        }
    }

    fn put(&mut self, at: Option<usize>, key: &str, value: &impl ToValue) {
        let Some(at) = at else {
            if let Some(entry) = self.encode(key, value) {
                self.entries.push(entry);
                self.changed = true;
            }
            return;
        };
        // Later ones under the same key give way.
        for other in at + 1..self.entries.len() {
            if self.key_at(other) == Some(key) {
                self.remove_at(other);
            }
        }
        self.replace(at, key, value);
    }

    /// Puts an attribute in the place of another, unless that is the same.
    fn replace(&mut self, at: usize, key: &str, value: &impl ToValue) {
        let (Some(mut new), Some(old)) = (self.encode(key, value), self.entries.get(at)) else { return };
        if old.pair.of(self.bytes(old)) == new.pair.of(self.arena) {
            self.arena.truncate(new.field.start);
            return;
        }
        new.old = old.old.clone();
        if let Some(place) = self.entries.get_mut(at) {
            *place = new;
            self.changed = true;
        }
    }

    /// Encodes an attribute at the end of the arena.
    fn encode(&mut self, key: &str, value: &impl ToValue) -> Option<Entry> {
        let start = self.arena.len();
        put_pair(self.arena, self.number, key, value);
        let (end, mut pos) = (self.arena.len(), start);
        if let Ok(last) = u32::try_from(end)
            && let Some(entry) =
                plain_entry(self.arena, &mut Span { at: start as u32, end: last }, self.tag())
        {
            return Some(Entry { old: None, new: true, ..entry });
        }
        let pair = wire::next_field(self.arena, &mut pos, end).ok()??.span();
        let (key, _) = find_key(self.arena, pair).ok()?;
        Some(Entry { old: None, new: true, removed: false, field: start..end, pair, key })
    }
}

/// The attribute at the beginning of `rest`, and steps over it, if it has the tag `tag` and is short and of the usual form.
#[inline]
fn plain_entry(buf: &[u8], rest: &mut Span, tag: u8) -> Option<Entry> {
    let [first, len, inner @ ..] = rest.of(buf) else { return None };
    if *first != tag || *len >= 0x80 || inner.len() < usize::from(*len) {
        return None;
    }
    let start = rest.at as usize;
    let pair = Span { at: rest.at + 2, end: rest.at + 2 + u32::from(*len) };
    let (key, _) = plain_pair(buf, pair)?;
    rest.at = pair.end;
    let field = start..pair.end as usize;
    Some(Entry { old: Some(field.clone()), new: false, removed: false, field, pair, key })
}

/// Writes the parts of a message with its entries' changes.
pub(crate) fn write(entries: &[Entry], parts: &[Span], rope: &mut Rope) {
    let mut at = 0;
    for part in parts {
        let mut from = part.at as usize;
        while let Some(entry) = entries.get(at) {
            let Some(old) = entry.old.as_ref().filter(|old| old.end <= part.end as usize) else { break };
            if entry.removed || entry.new {
                rope.old(from, old.start);
                from = old.end;
            }
            if entry.new && !entry.removed {
                rope.new_bytes(entry.field.start, entry.field.end);
            }
            at += 1;
        }
        rope.old(from, part.end as usize);
    }
    for entry in entries.iter().skip(at).filter(|entry| !entry.removed) {
        rope.new_bytes(entry.field.start, entry.field.end);
    }
}
