//! The requests that are under way on a connection.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tokio::task::AbortHandle;

use crate::answer::Parts;
use crate::body::Feed;
use crate::head::Known;
use crate::shared::{Shared, Slot};

/// One request and its answer.
pub(crate) struct Stream<F> {
    pub id: u32,
    /// The client has said all.
    pub ended: bool,
    /// What is left of an announced length.
    pub left: Option<u64>,
    /// How much more it may send, and how much more we may.
    pub receive: i64,
    pub send: i64,
    /// Bytes that came.
    pub came: usize,
    pub work: Work<F>,
    /// Where chunks go once the handler is at work; none for a request that came whole.
    pub feed: Option<Feed>,
    /// What is not sent of the answer.
    pub rest: Option<Parts>,
    /// All of the answer is.
    pub sent: bool,
}

/// Who works on a request.
pub(crate) enum Work<F> {
    /// Nobody yet: what came meanwhile.
    Waiting(Known, VecDeque<Bytes>),
    /// The connection's own task.
    Inside(F),
    /// A task of its own.
    Outside {
        _task: Outside,
    },
    Over,
}

/// Ends the task with the stream.
#[derive(Debug)]
pub(crate) struct Outside(pub AbortHandle);

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All streams of a connection, in slots that are used again and again.
pub(crate) struct Streams<F> {
    places: Vec<Place<F>>,
    free: Vec<usize>,
    by_id: HashMap<u32, usize, BuildHasherDefault<Spread>>,
    /// The last that were closed, and whether by a reset of ours: what comes for such a one was under way.
    closed: [(u32, bool); CLOSED],
    next: usize,
    shared: Arc<Shared>,
}

const CLOSED: usize = 64;

struct Place<F> {
    stream: Option<Stream<F>>,
    slot: Arc<Slot>,
    waker: Waker,
}

impl<F> Streams<F> {
    pub fn new(shared: Arc<Shared>) -> Self {
        let by_id = HashMap::default();
        Streams { places: Vec::new(), free: Vec::new(), by_id, closed: [(0, false); CLOSED], next: 0, shared }
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The slot of a stream.
    pub fn find(&self, id: u32) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub fn get(&mut self, slot: usize) -> Option<&mut Stream<F>> {
        self.places.get_mut(slot)?.stream.as_mut()
    }

    /// The stream in a slot and the waker of its handler. What wakes it from now on is news.
    pub fn visit(&mut self, slot: usize) -> Option<(&mut Stream<F>, &Waker)> {
        let place = self.places.get_mut(slot)?;
        place.slot.seen();
        Some((place.stream.as_mut()?, &place.waker))
    }

    pub fn add(&mut self, stream: Stream<F>) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            let slot = Slot::new(self.places.len(), &self.shared);
            let waker = Waker::from(slot.clone());
            self.places.push(Place { stream: None, slot, waker });
            self.places.len() - 1
        });
        self.by_id.insert(stream.id, index);
        if let Some(place) = self.places.get_mut(index) {
            place.stream = Some(stream);
        }
        index
    }

    /// Takes a stream out. `reset` says that the client may not know yet.
    pub fn remove(&mut self, slot: usize, reset: bool) -> Option<Stream<F>> {
        let stream = self.places.get_mut(slot)?.stream.take()?;
        self.by_id.remove(&stream.id);
        self.free.push(slot);
        self.note(stream.id, reset);
        Some(stream)
    }

    /// Remembers a stream that is closed.
    pub fn note(&mut self, id: u32, reset: bool) {
        self.closed[self.next] = (id, reset);
        self.next = (self.next + 1) % CLOSED;
    }

    /// The client knows by now that a stream is closed.
    pub fn settled(&mut self, id: u32) {
        if let Some(closed) = self.closed.iter_mut().find(|closed| closed.0 == id) {
            closed.1 = false;
        }
    }

    /// Whether a stream was closed lately, and if by a reset of ours.
    pub fn was_closed(&self, id: u32) -> Option<bool> {
        self.closed.iter().find(|closed| closed.0 == id).map(|closed| closed.1)
    }

    pub fn each(&mut self) -> impl Iterator<Item = &mut Stream<F>> {
        self.places.iter_mut().filter_map(|place| place.stream.as_mut())
    }
}

/// Spreads ascending numbers.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
