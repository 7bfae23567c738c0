//! Cutting a request into smaller ones that together say the same.

use std::ops::Range;

use bytes::Bytes;

use crate::check::{self, is_child, items};
use crate::malformed::{Fault, Malformed};
use crate::rope::{self, Rope};
use crate::signal::{Level, Signal};
use crate::wire::{self, Field};

/// How large a piece may be. A single item that is larger goes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// At most so many items.
    Items(usize),
    /// At most so many bytes.
    Bytes(usize),
}

/// A request and how many items it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The request.
    pub bytes: Bytes,
    /// Its items.
    pub items: usize,
}

/// Cuts a request, also inside one ResourceX, ScopeX or Metric, into pieces that keep to the limit and the order.
/// Every piece has copies of the headers (resource, scope, unknown fields) that its items were under. Nothing is
/// copied where a piece is one run of the old bytes. A limit of 0 is one of 1.
///
/// The copies of headers are bounded (by four times the request, at least 64 MiB): what remains of a request that is
/// made of large headers and tiny records when they are spent comes in one piece, whatever the limit.
///
/// # Errors
/// A fault at a border, as in [`check`](crate::check()).
pub fn split(signal: Signal, request: &Bytes, limit: Limit) -> Result<Vec<Piece>, Malformed> {
    let total = check::check(signal, request)?;
    let fits = match limit {
        Limit::Items(most) => total <= most,
        Limit::Bytes(most) => request.len() <= most,
    };
    if fits || total <= 1 {
        return Ok(vec![Piece { bytes: request.clone(), items: total }]);
    }
    let mut splitter = Splitter {
        buf: request,
        limit,
        rope: Rope::default(),
        items: 0,
        path: Vec::new(),
        copied: 0,
        open: 0,
        headers: Vec::new(),
        out: Vec::new(),
    };
    let walked = splitter.message(signal.request(), 0, request.len());
    walked.map_err(|fault| check::locate(signal, request, fault))?;
    splitter.cut();
    Ok(splitter.out)
}

/// Cuts a request between its resources; the pieces in a row are the request. Nothing is copied.
///
/// # Errors
/// A fault at a border, as in [`check`](crate::check()).
pub fn split_resources(signal: Signal, request: &Bytes) -> Result<Vec<Piece>, Malformed> {
    check::check(signal, request)?;
    let (level, mut pos, mut starts) = (signal.request(), 0, Vec::new());
    while let Ok(Some(field)) = wire::next_field(request, &mut pos, request.len()) {
        if matches!(is_child(level, &field), Ok(true)) {
            // What stands before the first resource goes with it.
            starts.push(if starts.is_empty() { 0 } else { field.start });
        }
    }
    let ends = starts.iter().copied().skip(1).chain([request.len()]);
    let piece = |(start, end): (usize, usize)| {
        let bytes = request.slice(start..end);
        Piece { items: check::count(signal, &bytes), bytes }
    };
    Ok(starts.iter().copied().zip(ends).map(piece).collect())
}

/// How many bytes of headers may be copied for a request of `len` bytes. Without a bound, a request of one large
/// resource and many tiny records would grow by a factor of its number of records.
pub(crate) fn header_budget(len: usize) -> usize {
    (4 * len).max(64 << 20)
}

struct Splitter<'a> {
    buf: &'a Bytes,
    limit: Limit,
    rope: Rope,
    items: usize,
    /// The messages that the walk is in: their field number, and their part of `headers`.
    path: Vec<(u32, Range<usize>)>,
    /// The bytes of headers that were copied so far.
    copied: usize,
    /// How many of them the piece has opened.
    open: usize,
    /// The header fields of the messages in `path`, as ranges of the request.
    headers: Vec<Range<usize>>,
    out: Vec<Piece>,
}

/// The state of a piece to return to.
struct Mark {
    rope: rope::Mark,
    open: usize,
    copied: usize,
}

impl Splitter<'_> {
    /// Takes the message `pos..end` apart.
    fn message(&mut self, level: &'static Level, pos: usize, end: usize) -> Result<(), Fault> {
        if level.is_oneof() {
            return self.oneof(level, pos, end);
        }
        let mut at = pos;
        while let Some(field) = wire::next_field(self.buf, &mut at, end)? {
            if is_child(level, &field)? {
                self.child(level, &field)?;
            } else if self.path.is_empty() {
                // An unknown field of the request itself goes where it stands.
                self.whole(&field, 0);
            }
        }
        Ok(())
    }

    /// Takes a child whole if it fits, else apart if it has more than one item.
    fn child(&mut self, level: &'static Level, field: &Field) -> Result<(), Fault> {
        let Some(below) = level.below(field.number) else {
            self.whole(field, 1);
            return Ok(());
        };
        let n = items(below, self.buf, field.body, field.end)?;
        if n <= 1 || self.whole_fits(field, n) {
            self.whole(field, n);
            return Ok(());
        }
        let before = self.headers.len();
        headers(below, self.buf, field.body, field.end, &mut self.headers)?;
        self.enter(field.number, before);
        self.message(below, field.body, field.end)?;
        self.leave(before);
        Ok(())
    }

    /// Takes the members of a oneof apart as if they were one message, which is what they mean.
    fn oneof(&mut self, level: &'static Level, pos: usize, end: usize) -> Result<(), Fault> {
        let before = self.headers.len();
        let Some((number, first)) = live(level, self.buf, pos, end, &mut self.headers)? else {
            return Ok(());
        };
        let Some(below) = level.below(number) else { return Ok(()) };
        self.enter(number, before);
        let mut at = first;
        while let Some(field) = wire::next_field(self.buf, &mut at, end)? {
            if is_child(level, &field)? {
                self.message(below, field.body, field.end)?;
            }
        }
        self.leave(before);
        Ok(())
    }

    /// Goes into a message whose headers are those from `headers` on.
    fn enter(&mut self, number: u32, headers: usize) {
        self.path.push((number, headers..self.headers.len()));
    }

    fn leave(&mut self, headers: usize) {
        if self.open == self.path.len() {
            self.rope.close();
            self.open -= 1;
        }
        self.path.pop();
        self.headers.truncate(headers);
    }

    fn whole_fits(&mut self, field: &Field, n: usize) -> bool {
        match self.limit {
            Limit::Items(most) => self.items + n <= most.max(1),
            Limit::Bytes(most) => {
                let mark = self.mark();
                self.add(field);
                let fits = self.rope.closed_len() <= most;
                self.back_to(mark);
                fits
            }
        }
    }

    /// Adds a field with `n` items, in a new piece if this one has no room for it.
    fn whole(&mut self, field: &Field, n: usize) {
        match self.limit {
            Limit::Items(most) => {
                if self.items > 0 && self.items + n > most.max(1) {
                    self.cut();
                }
                self.add(field);
            }
            Limit::Bytes(most) => {
                let (mark, alone) = (self.mark(), self.rope.is_empty());
                self.add(field);
                if !alone && self.rope.closed_len() > most {
                    self.back_to(mark);
                    self.cut();
                    self.add(field);
                }
            }
        }
        self.items += n;
    }

    fn add(&mut self, field: &Field) {
        while let Some((number, headers)) = self.path.get(self.open) {
            self.rope.open(*number);
            for header in &self.headers[headers.clone()] {
                self.rope.old(header.start, header.end);
                self.copied += header.len();
            }
            self.open += 1;
        }
        self.rope.old(field.start, field.end);
    }

    fn mark(&self) -> Mark {
        Mark { rope: self.rope.mark(), open: self.open, copied: self.copied }
    }

    /// Forgets what was added since `mark`.
    fn back_to(&mut self, mark: Mark) {
        self.rope.back_to(mark.rope);
        (self.open, self.copied) = (mark.open, mark.copied);
    }

    /// Ends the piece.
    fn cut(&mut self) {
        if !self.rope.is_empty() {
            let bytes = self.rope.take(self.buf);
            self.out.push(Piece { bytes, items: std::mem::take(&mut self.items) });
        }
        if self.copied > header_budget(self.buf.len()) {
            self.limit = Limit::Items(usize::MAX);
        }
        self.open = 0;
    }
}

/// The live kind of a oneof and where its members begin; their header fields are appended to `out`.
pub(crate) fn live(
    level: &Level,
    buf: &[u8],
    pos: usize,
    end: usize,
    out: &mut Vec<Range<usize>>,
) -> Result<Option<(u32, usize)>, Fault> {
    let (mut at, mut kind, first) = (pos, None, out.len());
    while let Some(field) = wire::next_field(buf, &mut at, end)? {
        if !is_child(level, &field)? {
            continue;
        }
        if kind.is_none_or(|(number, _)| number != field.number) {
            kind = Some((field.number, field.start));
            out.truncate(first);
        }
        if let Some(below) = level.below(field.number) {
            headers(below, buf, field.body, field.end, out)?;
        }
    }
    Ok(kind)
}

/// The fields of the message `pos..end` that are not children: what every copy of it must have.
pub(crate) fn headers(
    level: &Level,
    buf: &[u8],
    mut pos: usize,
    end: usize,
    out: &mut Vec<Range<usize>>,
) -> Result<(), Fault> {
    let first = out.len();
    while let Some(field) = wire::next_field(buf, &mut pos, end)? {
        if is_child(level, &field)? {
            continue;
        }
        match out.get_mut(first..).and_then(|fields| fields.last_mut()) {
            Some(last) if last.end == field.start => last.end = field.end,
            _ => out.push(field.start..field.end),
        }
    }
    Ok(())
}
