//! From a request to its answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Context;

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::Core;
use crate::Service;
use crate::answer::{Answer, Content};
use crate::body::{Body, Feed};
use crate::frame::{Reason, kind, put};
use crate::stream::{Outside, Work};

/// A request from this size on is worth a task of its own, where another thread may take it.
const LARGE: usize = 16 << 10;

impl<S: Service> Core<S> {
    /// Hands a request over to the service, whole or with what has come of it.
    pub(super) fn begin(&mut self, slot: usize) {
        let Some((stream, waker)) = self.streams.visit(slot) else { return };
        if !matches!(stream.work, Work::Waiting(..)) {
            return;
        }
        let Work::Waiting(known, mut chunks) = std::mem::replace(&mut stream.work, Work::Over) else {
            return;
        };
        let body = if stream.ended && chunks.len() < 2 {
            let data = chunks.pop_front();
            self.freed += data.as_ref().map_or(0, Bytes::len);
            Body::whole(data)
        } else {
            let feed = Feed::new(chunks, waker, &self.shared, self.settings.stream_window as usize / 2);
            if stream.ended {
                feed.end();
            }
            let body = Body::piped(feed.pipe(), known.length);
            stream.feed = Some(feed);
            body
        };
        stream.work = Work::Inside(self.service.call(known.head, body));
        self.run(slot);
    }

    /// Lets a handler go on.
    pub(super) fn run(&mut self, slot: usize) {
        let Some((stream, waker)) = self.streams.visit(slot) else { return };
        if let Some(taken) = stream.feed.as_ref().filter(|_| !stream.ended).and_then(Feed::taken) {
            stream.receive += taken as i64;
            put(&mut self.out, kind::WINDOW_UPDATE, 0, stream.id, &(taken as u32).to_be_bytes());
        }
        let Work::Inside(handler) = &mut stream.work else { return self.settle(slot) };
        if self.parallel && stream.ended && stream.came >= LARGE {
            return self.move_outside(slot);
        }
        let polled = catch_unwind(AssertUnwindSafe(|| handler.poll_unpin(&mut Context::from_waker(waker))));
        match polled {
            Ok(std::task::Poll::Pending) => {}
            Ok(std::task::Poll::Ready(answer)) => self.handled(slot, Some(answer)),
            Err(_) => self.handled(slot, None),
        }
    }

    fn move_outside(&mut self, slot: usize) {
        let Some(stream) = self.streams.get(slot) else { return };
        let Work::Inside(handler) = std::mem::replace(&mut stream.work, Work::Over) else { return };
        let (id, shared) = (stream.id, self.shared.clone());
        let task = tokio::spawn(async move {
            let answer = AssertUnwindSafe(handler).catch_unwind().await;
            shared.done(id, answer.ok());
        });
        stream.work = Work::Outside { _task: Outside(task.abort_handle()) };
    }

    /// A handler has ended; without an answer it fell.
    pub(super) fn handled(&mut self, slot: usize, answer: Option<Answer>) {
        let Some(stream) = self.streams.get(slot) else { return };
        stream.work = Work::Over;
        match answer {
            Some(answer) => {
                self.resets.earn(super::RESETS.2);
                self.send(slot, answer);
            }
            None => self.reset_slot(slot, Reason::INTERNAL_ERROR),
        }
    }

    /// The head was too large to be one.
    pub(super) fn too_large(&mut self, slot: usize) {
        let mut response = http::Response::new(Content::default());
        *response.status_mut() = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        self.send(slot, response.into());
    }

    /// Ends a stream whose answer is sent: at once when the client has said all, or nobody listens to the rest.
    pub(super) fn settle(&mut self, slot: usize) {
        let Some(stream) = self.streams.get(slot) else { return };
        if !stream.sent {
            return;
        }
        if stream.ended {
            self.close(slot, false);
        } else if stream.feed.as_ref().is_none_or(Feed::is_gone) {
            self.reset_slot(slot, Reason::NO_ERROR);
        }
    }

    /// Ends a stream from our side.
    pub(super) fn reset(&mut self, id: u32, reason: Reason) {
        match self.streams.find(id) {
            Some(slot) => self.reset_slot(slot, reason),
            None => {
                put(&mut self.out, kind::RST_STREAM, 0, id, &reason.0.to_be_bytes());
                if self.streams.was_closed(id).is_none() {
                    self.streams.note(id, true);
                }
            }
        }
    }

    fn reset_slot(&mut self, slot: usize, reason: Reason) {
        if let Some(stream) = self.streams.get(slot) {
            put(&mut self.out, kind::RST_STREAM, 0, stream.id, &reason.0.to_be_bytes());
            self.close(slot, true);
        }
    }

    /// Forgets a stream, its handler and what nobody has read of it.
    pub(super) fn close(&mut self, slot: usize, reset: bool) {
        let Some(stream) = self.streams.remove(slot, reset) else { return };
        if let Work::Waiting(_, chunks) = &stream.work {
            self.freed += chunks.iter().map(Bytes::len).sum::<usize>();
        }
        self.waiting.retain(|waiting| *waiting != slot);
        self.blocked.retain(|blocked| *blocked != slot);
        drop(stream);
    }

    /// Gives the client back what it has used of the connection's window, in large steps.
    pub(super) fn give_back(&mut self) {
        if self.freed >= self.settings.connection_window as usize / 2 {
            put(&mut self.out, kind::WINDOW_UPDATE, 0, 0, &(self.freed as u32).to_be_bytes());
            self.receive += self.freed as i64;
            self.freed = 0;
        }
    }
}
