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
    Pieces(Arc<Pieces>),
}

struct Pieces {
    len: usize,
    pieces: Vec<Bytes>,
    whole: OnceLock<Bytes>,
}

impl Body {
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
            Inner::Whole(bytes) => bytes.len(),
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
            Inner::Whole(bytes) => std::slice::from_ref(bytes),
            Inner::Pieces(pieces) => pieces.whole.get().map_or(&pieces.pieces, std::slice::from_ref),
        }
    }

    /// All bytes in one piece.
    pub fn whole(&self) -> &Bytes {
        match &self.0 {
            Inner::Whole(bytes) => bytes,
            Inner::Pieces(pieces) => pieces.whole.get_or_init(|| pieces.pieces.concat().into()),
        }
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
}
