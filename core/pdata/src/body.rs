//! A request's bytes, in one piece or in several.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// A request's bytes. An edit leaves large runs of the old request where they are, between the little that is new; who
/// passes the request on sends the pieces, and who reads it has them copied together once, for all clones.
#[derive(Clone)]
pub struct Body(Inner);

#[derive(Clone)]
enum Inner {
    Whole(Bytes),
    /// Slices of the bytes stand on `Held`, too.
    Held(Bytes, Arc<Held>),
    Pieces(Arc<Pieces>),
}

/// Bytes, and what is to live as long as the last slice of them: a charge to a memory limit.
struct Held {
    bytes: Bytes,
    guard: Box<dyn Send + Sync>,
}

struct OfHeld(Arc<Held>);

impl AsRef<[u8]> for OfHeld {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

struct Pieces {
    len: usize,
    pieces: Vec<Bytes>,
    whole: OnceLock<Bytes>,
}

impl Body {
    /// The bytes; `guard` lives until the last slice of them is dropped.
    pub fn held(bytes: Bytes, guard: impl Send + Sync + 'static) -> Self {
        Held { bytes, guard: Box::new(guard) }.into_body()
    }

    /// Lets `change` write in the bytes, which are `len` long after that, where nobody else has them and there is room for
    /// what they were and will be. Tells whether it did.
    pub(crate) fn change(&mut self, len: usize, change: impl FnOnce(&mut [u8])) -> bool {
        let (buffer, guard) = match std::mem::take(self).0 {
            Inner::Whole(bytes) => (bytes.try_into_mut(), None),
            Inner::Held(bytes, held) => {
                drop(bytes);
                match Arc::try_unwrap(held) {
                    Ok(Held { bytes, guard }) => (bytes.try_into_mut(), Some(guard)),
                    Err(held) => {
                        *self = Held::shared(held);
                        return false;
                    }
                }
            }
            pieces @ Inner::Pieces(_) => {
                *self = Body(pieces);
                return false;
            }
        };
        let (bytes, changed) = match buffer {
            Ok(mut buffer) if len.max(buffer.len()) <= buffer.capacity() => {
                buffer.resize(len.max(buffer.len()), 0);
                change(&mut buffer);
                buffer.truncate(len);
                (buffer.freeze(), true)
            }
            Ok(buffer) => (buffer.freeze(), false),
            Err(bytes) => (bytes, false),
        };
        *self = match guard {
            Some(guard) => Held { bytes, guard }.into_body(),
            None => bytes.into(),
        };
        changed
    }

    /// The pieces in a row.
    pub(crate) fn of(mut pieces: Vec<Bytes>) -> Self {
        if pieces.len() < 2 {
            return pieces.pop().unwrap_or_default().into();
        }
        let len = pieces.iter().map(Bytes::len).sum();
        Body(Inner::Pieces(Arc::new(Pieces { len, pieces, whole: OnceLock::new() })))
    }

    /// The number of bytes. Copies nothing.
    pub fn len(&self) -> usize {
        match &self.0 {
            Inner::Whole(bytes) | Inner::Held(bytes, _) => bytes.len(),
            Inner::Pieces(pieces) => pieces.len,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, for whoever can do with them. Copies nothing.
    pub fn pieces(&self) -> &[Bytes] {
        match &self.0 {
            Inner::Whole(bytes) | Inner::Held(bytes, _) => std::slice::from_ref(bytes),
            Inner::Pieces(pieces) => pieces.whole.get().map_or(&pieces.pieces, std::slice::from_ref),
        }
    }

    /// All bytes in one piece.
    pub fn whole(&self) -> &Bytes {
        match &self.0 {
            Inner::Whole(bytes) | Inner::Held(bytes, _) => bytes,
            Inner::Pieces(pieces) => pieces.whole.get_or_init(|| pieces.pieces.concat().into()),
        }
    }
}

impl Held {
    fn into_body(self) -> Body {
        Held::shared(Arc::new(self))
    }

    fn shared(held: Arc<Held>) -> Body {
        Body(Inner::Held(Bytes::from_owner(OfHeld(held.clone())), held))
    }
}

impl Deref for Body {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        self.whole()
    }
}

impl Default for Body {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body(Inner::Whole(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Body> for Bytes {
    fn from(body: Body) -> Bytes {
        body.whole().clone()
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        self.len() == other.len() && self.whole() == other.whole()
    }
}

impl Eq for Body {}

impl PartialEq<Bytes> for Body {
    fn eq(&self, other: &Bytes) -> bool {
        self.len() == other.len() && self.whole() == other
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whole().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_once_for_all_clones_and_not_before_somebody_reads() {
        let pieces = [Bytes::from_static(b"ab"), Bytes::from_static(b"cde")];
        let body = Body::of(pieces.to_vec());
        let other = body.clone();
        assert_eq!((body.len(), body.pieces()), (5, &pieces[..]));
        assert_eq!(body, Bytes::from_static(b"abcde"));
        assert_eq!(other.pieces(), [Bytes::from_static(b"abcde")]);
        assert_eq!(other.as_ptr(), body.as_ptr());
    }

    #[test]
    fn one_piece_is_the_body_and_none_is_empty() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        assert_eq!(Body::of(vec![bytes.clone()]).as_ptr(), bytes.as_ptr());
        assert!(Body::of(Vec::new()).is_empty() && Body::default().is_empty());
    }

    /// Three bytes with room for two more, alone in their buffer.
    fn alone() -> Bytes {
        let mut buffer = bytes::BytesMut::with_capacity(5);
        buffer.extend_from_slice(&[1, 2, 3]);
        buffer.freeze()
    }

    fn double(buffer: &mut [u8]) {
        buffer.iter_mut().for_each(|byte| *byte *= 2);
    }

    #[test]
    fn bytes_are_changed_where_they_are_when_nobody_else_has_them_and_there_is_room() {
        let guard = Arc::new(());
        for (bytes, is_held) in [(alone(), false), (alone(), true)] {
            let at = bytes.as_ptr();
            let mut body = if is_held { Body::held(bytes, guard.clone()) } else { bytes.into() };
            assert!(body.change(5, double) && body.change(2, double));
            assert_eq!((body.as_ptr(), &body[..]), (at, &[4, 8][..]));
            assert!(!body.change(6, double));
            let others = [body.whole().slice(1..), body.clone().into()];
            assert!(!body.change(2, double));
            assert_eq!((&body[..], &others[0][..]), (&[4, 8][..], &[8][..]));
            drop(others);
            assert!(body.change(1, double));
            assert_eq!(&body[..], [8]);
        }
        assert!(!Body::from(Bytes::from_static(&[1])).change(1, double));
    }

    #[test]
    fn a_guard_lives_until_the_last_slice_is_dropped_also_over_changes() {
        let guard = Arc::new(());
        let mut body = Body::held(alone(), guard.clone());
        assert!(body.change(4, double));
        let (slice, clone) = (body.slice(1..), body.clone());
        drop(body);
        drop(clone);
        assert_eq!((&slice[..], Arc::strong_count(&guard)), (&[4, 6, 0][..], 2));
        drop(slice);
        assert_eq!(Arc::strong_count(&guard), 1);
    }
}
