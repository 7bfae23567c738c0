//! Changing attributes in place: a splice of the old bytes, never a decode.
//!
//! What a callback leaves alone is copied as slices; a request in which nothing changes is returned as it is.

mod editor;
mod records;

use bytes::Bytes;

pub use editor::Editor;
pub(crate) use editor::Entry;
pub(crate) use records::announce;
pub use records::{Headers, Record, RecordEditor, ResourceHeader, ScopeHeader, Unread, edit_records};

use crate::body::Body;
use crate::check::{is_child, locate};
use crate::malformed::{Fault, Malformed};
use crate::rope::Rope;
use crate::signal::{HEADER, Level, RESOURCE_ATTRIBUTES, Signal};
use crate::wire::{self, Field, Span};

/// What an edit did to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edited {
    /// How many resources or items are different now.
    pub changed: usize,
    /// How many resources or items were left as they are because their attributes are malformed.
    pub broken: usize,
}

/// Lets `edit` change the attributes of every resource. A ResourceX without a Resource gets one with its first
/// attribute.
///
/// # Errors
/// A fault at a border, as in [`check`](crate::check()): the request is as it was.
pub fn edit_resources(
    signal: Signal,
    request: &mut Body,
    mut edit: impl FnMut(&mut Editor<'_>),
) -> Result<Edited, Malformed> {
    let mut splice = Splice::new(request);
    let walked = splice.resources(signal.request(), &mut edit);
    walked.map_err(|fault| locate(signal, request, fault))?;
    Ok(splice.done().write(request))
}

/// An edit that was planned and is to be done.
pub(crate) struct Done {
    pub edited: Edited,
    rope: Rope,
}

impl Done {
    pub(crate) fn write(self, request: &mut Body) -> Edited {
        if self.edited.changed > 0 {
            self.rope.write(request);
        }
        self.edited
    }
}

/// A request under change.
pub(crate) struct Splice<'a> {
    pub request: &'a Bytes,
    pub rope: Rope,
    pub changed: usize,
    pub broken: usize,
    entries: Vec<Entry>,
    spans: Vec<Span>,
    /// Where the field of the last of them begins, when they are those of a Resource.
    header_start: usize,
}

impl<'a> Splice<'a> {
    pub(crate) fn new(request: &'a Bytes) -> Self {
        let (rope, entries, spans) = (Rope::default(), Vec::new(), Vec::new());
        Splice { request, rope, changed: 0, broken: 0, entries, spans, header_start: 0 }
    }

    pub(crate) fn done(self) -> Done {
        Done { edited: Edited { changed: self.changed, broken: self.broken }, rope: self.rope }
    }

    fn resources(
        &mut self,
        level: &'static Level,
        edit: &mut impl FnMut(&mut Editor<'_>),
    ) -> Result<(), Fault> {
        let (request, mut pos) = (self.request, 0);
        while let Some(field) = wire::next_field(request, &mut pos, request.len())? {
            match is_child(level, &field)?.then(|| level.below(field.number)).flatten() {
                Some(below) => self.resource(below, &field, edit)?,
                None => self.rope.old(field.start, field.end),
            }
        }
        Ok(())
    }

    /// Writes the ResourceX in `field` with its resource edited.
    pub(crate) fn resource(
        &mut self,
        level: &'static Level,
        field: &Field,
        edit: &mut impl FnMut(&mut Editor<'_>),
    ) -> Result<(), Fault> {
        let mark = self.rope.mark();
        self.rope.open(field.number);
        match self.resource_fields(level, field, edit)? {
            Outcome::Changed => {
                self.rope.close();
                self.changed += 1;
            }
            outcome => {
                self.broken += usize::from(outcome == Outcome::Broken);
                self.rope.back_to(mark);
                self.rope.old(field.start, field.end);
            }
        }
        Ok(())
    }

    /// Writes the inside of a ResourceX with its resource edited. Several Resource messages become one, which is what
    /// they mean.
    fn resource_fields(
        &mut self,
        level: &'static Level,
        field: &Field,
        edit: &mut impl FnMut(&mut Editor<'_>),
    ) -> Result<Outcome, Fault> {
        let request: &Bytes = self.request;
        self.find_resource(level, field, |_| {})?;
        let outcome = self.attributes(RESOURCE_ATTRIBUTES, edit);
        let mut written = false;
        match self.spans[..] {
            [] => self.write_header(outcome, &mut written),
            // What stands before and behind the one Resource stays as it is.
            [header] => {
                let start = self.header_start;
                self.rope.old(field.body, start);
                self.write_header(outcome, &mut written);
                self.rope.old(header.end as usize, field.end);
                return Ok(outcome);
            }
            _ => {}
        }
        let mut pos = field.body;
        while let Some(inner) = wire::next_field(request, &mut pos, field.end)? {
            match inner.number {
                HEADER => self.write_header(outcome, &mut written),
                _ => self.rope.old(inner.start, inner.end),
            }
        }
        Ok(outcome)
    }

    /// Finds the parts of the Resource of the ResourceX in `field`, and tells `each` of its fields that are not scopes.
    pub(crate) fn find_resource(
        &mut self,
        level: &'static Level,
        field: &Field,
        mut each: impl FnMut(&Field),
    ) -> Result<(), Fault> {
        self.spans.clear();
        let mut pos = field.body;
        while let Some(inner) = wire::next_field(self.request, &mut pos, field.end)? {
            if is_child(level, &inner)? {
                continue;
            }
            if inner.number == HEADER {
                self.spans.push(inner.span());
                self.header_start = inner.start;
            }
            each(&inner);
        }
        Ok(())
    }

    /// Writes the Resource that was found last, edited.
    pub(crate) fn copy_resource(&mut self, edit: &mut impl FnMut(&mut Editor<'_>)) -> Outcome {
        let outcome = self.attributes(RESOURCE_ATTRIBUTES, edit);
        self.write_header(outcome, &mut false);
        outcome
    }

    fn write_header(&mut self, outcome: Outcome, written: &mut bool) {
        if std::mem::replace(written, true) || (self.spans.is_empty() && outcome != Outcome::Changed) {
            return;
        }
        self.rope.open(HEADER);
        editor::write(&self.entries, &self.spans, &mut self.rope);
        self.rope.close();
    }

    /// Edits the attributes in field `number` of the message that `self.spans` are the parts of.
    fn attributes(&mut self, number: u32, edit: &mut impl FnMut(&mut Editor<'_>)) -> Outcome {
        let mut editor = Editor::new(self.request, &mut self.rope.arena, &mut self.entries, number);
        if editor.load(&self.spans).is_err() {
            self.entries.clear();
            return Outcome::Broken;
        }
        edit(&mut editor);
        if editor.is_changed() { Outcome::Changed } else { Outcome::Same }
    }
}

/// What became of one message's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Same,
    Changed,
    Broken,
}
