//! Writing a new request from slices of an old one: first a plan, then one buffer of the right size, or the old one.

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
#[derive(Debug, Default)]
pub(crate) struct Rope {
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

impl Rope {
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
    pub(crate) fn take(&mut self, old: &Bytes) -> Bytes {
        self.close_all();
        let bytes = match self.pieces[..] {
            [Piece::Old { start, end }] => old.slice(start..end),
            _ => self.copy(old).into(),
        };
        self.pieces.clear();
        self.arena.clear();
        self.len = 0;
        bytes
    }

    /// The request, its long runs of the old bytes shared. Ends all open messages, as [`Rope::take`] does.
    pub(crate) fn body(&mut self, old: &Bytes) -> Body {
        self.close_all();
        match self.shared() {
            0 => self.take(old).into(),
            shared => self.share(old, shared),
        }
    }

    /// Makes the old request the new one: in its own buffer, where nobody else reads that and no long run can stay where it is.
    /// A fresh buffer is memory that no cache has seen: writing it costs more than moving what lies in one.
    pub(crate) fn write(mut self, body: &mut Body) {
        self.close_all();
        let moves = self.moves();
        if moves.in_place && body.change(self.len, |buffer| self.move_in(buffer, moves.left)) {
            return;
        }
        *body = self.body(body.whole());
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close();
        }
    }

    /// How many bytes are in runs that are long enough to be shared.
    fn shared(&self) -> usize {
        self.pieces.iter().filter_map(Piece::long).map(|(start, end)| end - start).sum()
    }

    fn share(&self, old: &Bytes, shared: usize) -> Body {
        let mut pieces = Vec::new();
        let mut written = BytesMut::with_capacity(self.len - shared);
        for piece in &self.pieces {
            match piece.long() {
                None => self.put(piece, old, &mut written),
                Some((start, end)) => {
                    if !written.is_empty() {
                        pieces.push(written.split().freeze());
                    }
                    pieces.push(old.slice(start..end));
                }
            }
        }
        if !written.is_empty() {
            pieces.push(written.freeze());
        }
        Body::of(pieces)
    }

    fn copy(&self, old: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        self.pieces.iter().for_each(|piece| self.put(piece, old, &mut out));
        out
    }

    fn put(&self, piece: &Piece, old: &[u8], out: &mut impl BufMut) {
        match *piece {
            Piece::Open { number, len } => {
                wire::put_tag(out, number, wire::LEN);
                wire::put_varint(out, len as u64);
            }
            Piece::Old { start, end } => out.put_slice(&old[start..end]),
            Piece::New { start, end } => out.put_slice(&self.arena[start..end]),
        }
    }

    /// How the runs of old bytes would move. In place they must keep their order, and none may come twice.
    fn moves(&self) -> Moves {
        let (mut at, mut last) = (0, 0);
        let mut moves = Moves { in_place: true, left: false };
        for piece in &self.pieces {
            if let Piece::Old { start, end } = *piece {
                moves.in_place &= start >= last && end - start < SHARE_FROM;
                moves.left |= at < start;
                last = end;
            }
            at += piece.len();
        }
        moves
    }

    /// Writes the new request over the old one, in a buffer that has room for both. What moves to the left goes first to
    /// last, then what moves to the right last to first: so nothing is written over before it was moved.
    fn move_in(&self, buffer: &mut [u8], left: bool) {
        if left {
            let mut at = 0;
            for piece in &self.pieces {
                if let Piece::Old { start, end } = *piece
                    && at < start
                {
                    buffer.copy_within(start..end, at);
                }
                at += piece.len();
            }
        }
        let mut at = self.len;
        for piece in self.pieces.iter().rev() {
            at -= piece.len();
            match *piece {
                Piece::Old { start, end } if at > start => buffer.copy_within(start..end, at),
                Piece::Old { .. } => {}
                _ => self.put(piece, &[], &mut &mut buffer[at..]),
            }
        }
    }
}

struct Moves {
    in_place: bool,
    /// Some run moves to the left.
    left: bool,
}

impl Piece {
    fn len(&self) -> usize {
        match *self {
            Piece::Open { number, len } => head(number, len),
            Piece::Old { start, end } | Piece::New { start, end } => end - start,
        }
    }

    /// The run, if it is long enough to be shared.
    fn long(&self) -> Option<(usize, usize)> {
        match *self {
            Piece::Old { start, end } if end - start >= SHARE_FROM => Some((start, end)),
            _ => None,
        }
    }
}

/// The bytes of a nested message's tag and length.
fn head(number: u32, len: usize) -> usize {
    wire::varint_len(u64::from(number) << 3) + wire::varint_len(len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

    /// A request of these pieces: `Ok` are runs of the old one, `Err` is how much is new.
    fn rope(pieces: &[Result<(usize, usize), usize>]) -> Rope {
        let mut rope = Rope::default();
        rope.open(1);
        for piece in pieces {
            match *piece {
                Ok((start, end)) => rope.old(start, end),
                Err(length) => {
                    let start = rope.arena.len();
                    rope.arena.resize(start + length, 0xee);
                    rope.new_bytes(start, start + length);
                }
            }
        }
        rope
    }

    #[test]
    fn runs_may_move_both_ways_in_one_request() {
        for pieces in [
            &[Err(3), Ok((0, 4)), Ok((5, 8))][..],
            &[Ok((1, 2)), Ok((3, 8))],
            &[Ok((3, 5)), Err(4), Ok((5, 8))],
            &[Ok((2, 6)), Err(1), Ok((7, 8)), Err(5)],
            &[Err(9)],
            &[],
        ] {
            let mut buffer = bytes::BytesMut::with_capacity(32);
            buffer.extend_from_slice(&OLD);
            let mut body = Body::from(buffer.freeze());
            let at = body.as_ptr();
            rope(pieces).write(&mut body);
            assert_eq!((body.as_ptr(), body.whole()), (at, &rope(pieces).take(&OLD.to_vec().into())));
        }
    }

    #[test]
    fn runs_that_change_places_or_come_twice_are_copied() {
        for pieces in [[Ok((4, 8)), Ok((0, 2))], [Ok((0, 4)), Ok((3, 6))]] {
            let mut body = Body::from(OLD.to_vec());
            rope(&pieces).write(&mut body);
            assert_eq!(body.whole(), &rope(&pieces).take(&OLD.to_vec().into()));
        }
    }
}
