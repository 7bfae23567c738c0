//! What is said to a request.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};

use crate::frame::{flag, kind, put, put_head};
use crate::hpack;

/// The answer to a request.
#[derive(Debug)]
pub enum Answer {
    /// One that was written before, and is copied.
    Same(&'static Same),
    /// Any other.
    Composed(Box<Response<Content>>),
}

/// What comes after an answer's head.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The body.
    pub data: Bytes,
    /// Fields after it.
    pub trailers: Option<HeaderMap>,
}

impl From<Response<Content>> for Answer {
    fn from(response: Response<Content>) -> Self {
        Answer::Composed(Box::new(response))
    }
}

/// An answer that is always the same, as frames: all that is missing is the number of the stream.
#[derive(Debug)]
pub struct Same {
    frames: Vec<u8>,
    /// Where each frame begins.
    heads: Vec<usize>,
    /// The bytes of data among them, which windows have to have room for.
    pub(crate) data: usize,
    /// The same for a client whose windows have not.
    pub(crate) parts: Parts,
}

/// An answer's blocks and data.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub head: Vec<u8>,
    pub data: Bytes,
    pub trailers: Option<Vec<u8>>,
}

impl Same {
    /// Writes an answer down; its data is at most one small frame (16 KiB).
    pub fn new(response: Response<Content>) -> Self {
        let parts = Parts::of(response);
        let mut frames = Vec::new();
        let mut heads = vec![0];
        let last = parts.trailers.is_none() && parts.data.is_empty();
        put_block(&mut frames, 0, &parts.head, last, usize::MAX);
        if !parts.data.is_empty() {
            heads.push(frames.len());
            let flags = if parts.trailers.is_none() { flag::END_STREAM } else { 0 };
            put(&mut frames, kind::DATA, flags, 0, &parts.data);
        }
        if let Some(trailers) = &parts.trailers {
            heads.push(frames.len());
            put_block(&mut frames, 0, trailers, true, usize::MAX);
        }
        Same { frames, heads, data: parts.data.len(), parts }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>, stream: u32) {
        let start = out.len();
        out.extend_from_slice(&self.frames);
        for head in &self.heads {
            let at = start + head + 5;
            if let Some(place) = out.get_mut(at..at + 4) {
                place.copy_from_slice(&stream.to_be_bytes());
            }
        }
    }
}

impl Parts {
    pub fn of(response: Response<Content>) -> Self {
        let (head, content) = response.into_parts();
        let mut block = Vec::with_capacity(128);
        hpack::status(&mut block, head.status);
        fields(&mut block, &head.headers);
        if content.trailers.is_none()
            && !content.data.is_empty()
            && !head.headers.contains_key(CONTENT_LENGTH)
        {
            let length = content.data.len().to_string();
            hpack::field(&mut block, CONTENT_LENGTH.as_str(), length.as_bytes(), false);
        }
        let trailers = content.trailers.map(|trailers| {
            let mut block = Vec::with_capacity(64);
            fields(&mut block, &trailers);
            block
        });
        Parts { head: block, data: content.data, trailers }
    }
}

fn fields(block: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        hpack::field(block, name.as_str(), value.as_bytes(), value.is_sensitive());
    }
}

/// Writes a block as HEADERS, and what is more than a frame may have as CONTINUATION.
pub(crate) fn put_block(out: &mut Vec<u8>, stream: u32, block: &[u8], last: bool, most: usize) {
    let (first, mut rest) = block.split_at(block.len().min(most));
    let end = |rest: &[u8]| if rest.is_empty() { flag::END_HEADERS } else { 0 };
    let flags = end(rest) | if last { flag::END_STREAM } else { 0 };
    put(out, kind::HEADERS, flags, stream, first);
    while !rest.is_empty() {
        let (next, after) = rest.split_at(rest.len().min(most));
        rest = after;
        put(out, kind::CONTINUATION, end(rest), stream, next);
    }
}

/// Writes as much of the data as fits as DATA frames; `last` when nothing comes after all of it.
pub(crate) fn put_data(
    out: &mut Vec<u8>,
    stream: u32,
    data: &mut Bytes,
    fits: usize,
    last: bool,
    most: usize,
) {
    let mut now = data.split_to(fits.min(data.len()));
    while !now.is_empty() {
        let frame = now.split_to(now.len().min(most));
        let end = last && now.is_empty() && data.is_empty();
        put_head(out, frame.len(), kind::DATA, if end { flag::END_STREAM } else { 0 }, stream);
        out.extend_from_slice(&frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{HEAD, Head};

    #[test]
    fn a_written_answer_has_the_number_of_its_stream_in_every_frame() {
        let content = Content { data: Bytes::from_static(&[0; 5]), trailers: Some(HeaderMap::new()) };
        let same = Same::new(Response::new(content));
        let mut out = vec![9; 3];
        same.put(&mut out, 77);
        let mut kinds = Vec::new();
        let mut rest = &out[3..];
        while let Some(head) = Head::read(rest) {
            assert_eq!(head.stream, 77);
            kinds.push(head.kind);
            rest = &rest[HEAD + head.length..];
        }
        assert_eq!(kinds, [kind::HEADERS, kind::DATA, kind::HEADERS]);
    }

    #[test]
    fn a_block_and_data_above_a_frame_are_cut() {
        let mut out = Vec::new();
        put_block(&mut out, 1, &[1; 25], true, 10);
        put_data(&mut out, 1, &mut Bytes::from(vec![2; 25]), 30, true, 10);
        let mut heads = Vec::new();
        let mut rest = &out[..];
        while let Some(head) = Head::read(rest) {
            heads.push((head.kind, head.length, head.flags));
            rest = &rest[HEAD + head.length..];
        }
        let (headers, continuation) = (kind::HEADERS, kind::CONTINUATION);
        let blocks =
            [(headers, 10, flag::END_STREAM), (continuation, 10, 0), (continuation, 5, flag::END_HEADERS)];
        let data = [(kind::DATA, 10, 0), (kind::DATA, 10, 0), (kind::DATA, 5, flag::END_STREAM)];
        assert_eq!(heads, [&blocks[..], &data[..]].concat());
    }
}
