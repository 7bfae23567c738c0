//! Writing a new request from slices of an old one: first a plan, then one buffer of the right size.

use bytes::{BufMut, Bytes, BytesMut};

use crate::body::Body;
use crate::wire;

/// Runs of the old request that are as long are shared and not copied. Below, a slice of its own costs more than a copy, also for
/// whoever writes them (docs/adr/0027).
const SHARE_FROM: usize = 16 << 10;

/// What the new request is made of.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// A nested message begins: its field number and, once it is closed, its length.
    Open { number: u32, len: usize },
    /// Bytes of the old request.
    Old { start: usize, end: usize },
    /// Bytes of the arena.
    New { start: usize, end: usize },
}

/// The plan of a new request. Costs nothing per record as long as neighbours stay neighbours.
#[derive(Debug)]
pub(crate) struct Rope<'a> {
    old: &'a Bytes,
    pieces: Vec<Piece>,
    /// Bytes that are not in the old request.
    pub arena: Vec<u8>,
    /// Open messages: their place in `pieces`, and how long the plan was before them.
    open: Vec<(usize, usize)>,
    /// How long what is planned will be, without the heads of open messages.
    len: usize,
}

/// A state of the plan to return to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pieces: usize,
    last: Option<Piece>,
    arena: usize,
    open: usize,
    len: usize,
}

impl<'a> Rope<'a> {
    pub(crate) fn new(old: &'a Bytes) -> Self {
        Rope { old, pieces: Vec::new(), arena: Vec::new(), open: Vec::new(), len: 0 }
    }

    /// Starts a nested message in field `number`.
    pub(crate) fn open(&mut self, number: u32) {
        self.open.push((self.pieces.len(), self.len));
        self.pieces.push(Piece::Open { number, len: 0 });
    }

    /// Ends the innermost open message.
    pub(crate) fn close(&mut self) {
        let Some((at, before)) = self.open.pop() else { return };
        if let Some(Piece::Open { number, len }) = self.pieces.get_mut(at) {
            *len = self.len - before;
            self.len += head(*number, *len);
        }
    }

    /// Adds bytes of the old request.
    #[inline]
    pub(crate) fn old(&mut self, start: usize, end: usize) {
        if start >= end {
            return;
        }
        self.len += end - start;
        match self.pieces.last_mut() {
            Some(Piece::Old { end: last, .. }) if *last == start => *last = end,
            _ => self.pieces.push(Piece::Old { start, end }),
        }
    }

    /// Adds what the arena has from `start` to `end`.
    pub(crate) fn new_bytes(&mut self, start: usize, end: usize) {
        if start < end {
            self.len += end - start;
            self.pieces.push(Piece::New { start, end });
        }
    }

    /// How long the request would be if every open message ended here.
    pub(crate) fn closed_len(&self) -> usize {
        let mut total = self.len;
        for (at, before) in self.open.iter().rev() {
            if let Some(Piece::Open { number, .. }) = self.pieces.get(*at) {
                total += head(*number, total - before);
            }
        }
        total
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            pieces: self.pieces.len(),
            last: self.pieces.last().copied(),
            arena: self.arena.len(),
            open: self.open.len(),
            len: self.len,
        }
    }

    /// Forgets what came after `mark`. Messages that were open then must still be.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.pieces.truncate(mark.pieces);
        if let (Some(place), Some(last)) = (self.pieces.last_mut(), mark.last) {
            *place = last;
        }
        self.arena.truncate(mark.arena);
        self.open.truncate(mark.open);
        self.len = mark.len;
    }

    /// Ends all open messages and writes the request. A request that is one run of the old bytes shares them.
    pub(crate) fn take(&mut self) -> Bytes {
        while !self.open.is_empty() {
            self.close();
        }
        let bytes = match self.pieces[..] {
            [Piece::Old { start, end }] => self.old.slice(start..end),
            _ => self.write().into(),
        };
        self.pieces.clear();
        self.arena.clear();
        self.len = 0;
        bytes
    }

    /// The request, its long runs of the old bytes shared. Ends all open messages, as [`Rope::take`] does.
    pub(crate) fn body(&mut self) -> Body {
        while !self.open.is_empty() {
            self.close();
        }
        let long = |piece: &Piece| match *piece {
            Piece::Old { start, end } if end - start >= SHARE_FROM => Some((start, end)),
            _ => None,
        };
        let shared: usize = self.pieces.iter().filter_map(long).map(|(start, end)| end - start).sum();
        if shared == 0 {
            return self.take().into();
        }
        let mut pieces = Vec::new();
        let mut written = BytesMut::with_capacity(self.len - shared);
        for piece in &self.pieces {
            match long(piece) {
                None => self.put(piece, &mut written),
                Some((start, end)) => {
                    if !written.is_empty() {
                        pieces.push(written.split().freeze());
                    }
                    pieces.push(self.old.slice(start..end));
                }
            }
        }
        if !written.is_empty() {
            pieces.push(written.freeze());
        }
        Body::of(pieces)
    }

    fn put(&self, piece: &Piece, out: &mut impl BufMut) {
        match *piece {
            Piece::Open { number, len } => {
                wire::put_tag(out, number, wire::LEN);
                wire::put_varint(out, len as u64);
            }
            Piece::Old { start, end } => out.put_slice(&self.old[start..end]),
            Piece::New { start, end } => out.put_slice(&self.arena[start..end]),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        self.pieces.iter().for_each(|piece| self.put(piece, &mut out));
        out
    }
}

/// The bytes of a nested message's tag and length.
fn head(number: u32, len: usize) -> usize {
    wire::varint_len(u64::from(number) << 3) + wire::varint_len(len as u64)
}
