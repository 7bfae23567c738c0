//! A request's body: what came with its head, and what comes after.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::shared::Shared;

/// The body of a request. Dropped before its end, the rest is thrown away, and the client is told once the answer is sent.
#[derive(Debug)]
pub struct Body {
    first: Option<Bytes>,
    more: Option<Arc<Pipe>>,
    /// What is left of an announced length.
    left: Option<u64>,
}

/// The client reset its request, or the connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client reset the request, or the connection ended")
    }
}

impl std::error::Error for BrokenOff {}

impl Body {
    /// Of a request that came whole.
    pub(crate) fn whole(data: Option<Bytes>) -> Self {
        let left = data.as_ref().map_or(0, Bytes::len) as u64;
        Body { first: data.filter(|data| !data.is_empty()), more: None, left: Some(left) }
    }

    pub(crate) fn piped(pipe: Arc<Pipe>, left: Option<u64>) -> Self {
        Body { first: None, more: Some(pipe), left }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let next = match (self.first.take(), &self.more) {
            (Some(first), _) => Poll::Ready(Some(Ok(first))),
            (None, Some(pipe)) => pipe.poll(context),
            (None, None) => Poll::Ready(None),
        };
        next.map_ok(|data| {
            self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
            Frame::data(data)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.more.as_ref().is_none_or(|pipe| pipe.at_end())
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(pipe) = &self.more {
            pipe.let_go();
        }
    }
}

/// From a connection's task to the reader of one body.
#[derive(Debug)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    /// Tells the connection that the body took something, or is gone.
    slot: Waker,
    shared: Arc<Shared>,
    /// So much taken is worth a larger window.
    step: usize,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Nothing comes any more: all of it did, or never will.
    ended: Option<Result<(), BrokenOff>>,
    reader: Option<Waker>,
    /// The body is.
    gone: bool,
    taken: usize,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let mut state = self.lock();
        let Some(chunk) = state.chunks.pop_front() else {
            return match state.ended {
                Some(Ok(())) => Poll::Ready(None),
                Some(Err(broken)) => Poll::Ready(Some(Err(broken))),
                None => {
                    state.reader = Some(context.waker().clone());
                    Poll::Pending
                }
            };
        };
        state.taken += chunk.len();
        let enough = state.taken >= self.step && state.ended.is_none();
        drop(state);
        self.shared.freed(chunk.len());
        if enough {
            self.slot.wake_by_ref();
        }
        Poll::Ready(Some(Ok(chunk)))
    }

    fn at_end(&self) -> bool {
        let state = self.lock();
        state.chunks.is_empty() && state.ended == Some(Ok(()))
    }

    fn let_go(&self) {
        let mut state = self.lock();
        state.gone = true;
        let left = std::mem::take(&mut state.chunks);
        drop(state);
        self.shared.freed(left.iter().map(Bytes::len).sum());
        self.slot.wake_by_ref();
    }
}

/// The connection's end of a pipe. Dropped before the end of the body, it breaks it off.
#[derive(Debug)]
pub(crate) struct Feed(Arc<Pipe>);

impl Feed {
    pub fn new(chunks: VecDeque<Bytes>, slot: &Waker, shared: &Arc<Shared>, step: usize) -> Self {
        let state = Mutex::new(State { chunks, ..State::default() });
        Feed(Arc::new(Pipe { state, slot: slot.clone(), shared: shared.clone(), step }))
    }

    pub fn pipe(&self) -> Arc<Pipe> {
        self.0.clone()
    }

    /// Hands a chunk on; `false` when nobody is there for it.
    pub fn push(&self, chunk: Bytes) -> bool {
        let mut state = self.0.lock();
        if state.gone {
            return false;
        }
        state.chunks.push_back(chunk);
        Feed::wake(state);
        true
    }

    pub fn end(&self) {
        self.close(Ok(()));
    }

    fn close(&self, how: Result<(), BrokenOff>) {
        let mut state = self.0.lock();
        if state.ended.is_none() {
            state.ended = Some(how);
            Feed::wake(state);
        }
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// What was taken since the last time, when it is worth a larger window.
    pub fn taken(&self) -> Option<usize> {
        let mut state = self.0.lock();
        let enough = state.taken >= self.0.step;
        enough.then(|| std::mem::take(&mut state.taken))
    }

    /// Whether the body is.
    pub fn is_gone(&self) -> bool {
        self.0.lock().gone
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.close(Err(BrokenOff));
    }
}
