//! A connection without its socket: calls in, bytes out, and answers from what comes back.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::head::{Fields, Head};
use super::out::Out;
use super::receive::Block;
use super::{Answer, Ask, CallError, ClientSettings, Response, Shared};
use crate::frame::{MOST, PREFACE, Reason, kind, put};
use crate::heads::Heads;
use crate::hpack::{Decoder, Encoder};
use crate::settings::{DEFAULT_WINDOW, Offer, Peer};

/// What answers may be ahead of us, together.
pub(super) const WINDOW: u32 = 1 << 20;
/// Calls at once until the server has said how many it takes.
const CALLS: usize = 100;

pub(super) struct Core {
    pub settings: ClientSettings,
    shared: Arc<Shared>,
    pub(super) peer: Peer,
    pub(super) encoder: Encoder,
    /// Heads as they were packed last.
    pub(super) packed: Vec<(Arc<Head>, u64, Box<[u8]>)>,
    pub(super) decoder: Decoder,
    pub(super) heads: Heads<Arc<Fields>>,
    pub(super) block: Option<Block>,
    /// The server's first frame has come.
    pub(super) greeted: bool,
    /// Calls under way, oldest first.
    pub(super) streams: Vec<Stream>,
    /// Calls that the server takes when others have ended.
    waiting: VecDeque<Ask>,
    /// The number of the next stream.
    pub(super) next: u32,
    /// How much more we may send, how much more the server may, and what of that can be given back.
    pub(super) send: i64,
    pub(super) receive: i64,
    pub(super) freed: usize,
    pub out: Out,
    /// Bodies wait until what stands before them is written.
    pub(super) held: bool,
    /// Frames that we had to answer since all was written.
    pub(super) asked: usize,
    /// Why the server takes no more calls.
    pub goodbye: Option<String>,
}

/// A call under way.
pub(super) struct Stream {
    pub id: u32,
    ticket: u64,
    /// What is not sent of the body, and how much that is.
    pub body: VecDeque<Bytes>,
    pub left: usize,
    pub send: i64,
    pub receive: i64,
    /// The answer so far.
    pub head: Option<Arc<Fields>>,
    pub data: Vec<u8>,
    pub limit: usize,
    reply: oneshot::Sender<Answer>,
}

impl Core {
    pub fn new(settings: ClientSettings, shared: Arc<Shared>) -> Self {
        let mut out = Out::default();
        out.small().extend_from_slice(PREFACE);
        Offer::put(out.small());
        put(out.small(), kind::WINDOW_UPDATE, 0, 0, &(WINDOW - DEFAULT_WINDOW).to_be_bytes());
        Core {
            settings,
            shared,
            peer: Peer { streams: CALLS, ..Peer::default() },
            encoder: Encoder::new(),
            packed: Vec::new(),
            decoder: Decoder::new(),
            heads: Heads::default(),
            block: None,
            greeted: false,
            streams: Vec::new(),
            waiting: VecDeque::new(),
            next: 1,
            send: DEFAULT_WINDOW.into(),
            receive: WINDOW.into(),
            freed: 0,
            out,
            held: false,
            asked: 0,
            goodbye: None,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.waiting.is_empty()
    }

    /// Takes a call, as soon as the server does.
    pub fn ask(&mut self, ask: Ask) {
        match &self.goodbye {
            Some(why) => {
                let _gone = ask.reply.send(Err(CallError::Unprocessed(why.clone())));
            }
            None if self.streams.len() < self.peer.streams => self.begin(ask),
            None => self.waiting.push_back(ask),
        }
    }

    fn begin(&mut self, ask: Ask) {
        let Ask { ticket, head, body, limit, reply } = ask;
        let id = self.next;
        self.next += 2;
        let left = body.iter().map(Bytes::len).sum();
        self.send_head(id, &head, left == 0);
        self.streams.push(Stream {
            id,
            ticket,
            body,
            left,
            send: self.peer.window,
            receive: DEFAULT_WINDOW.into(),
            head: None,
            data: Vec::new(),
            limit,
            reply,
        });
        self.send_body(self.streams.len() - 1);
        if self.next > MOST {
            self.take_no_more(id, "the connection has no numbers left for calls".into());
        }
    }

    /// The caller does not wait any more.
    pub fn take_back(&mut self, ticket: u64) {
        self.waiting.retain(|ask| ask.ticket != ticket);
        if let Some(index) = self.streams.iter().position(|stream| stream.ticket == ticket) {
            let stream = self.streams.remove(index);
            self.reset(stream.id, Reason::CANCEL);
            self.next_in_line();
        }
    }

    pub(super) fn reset(&mut self, id: u32, reason: Reason) {
        put(self.out.small(), kind::RST_STREAM, 0, id, &reason.0.to_be_bytes());
    }

    /// The place of a stream among those that are under way.
    pub(super) fn find(&self, id: u32) -> Option<usize> {
        self.streams.binary_search_by_key(&id, |stream| stream.id).ok()
    }

    /// The answer is whole. A body that the server did not want to see to its end is not sent on.
    pub(super) fn answered(&mut self, index: usize, trailers: Option<Arc<Fields>>) {
        let stream = self.streams.remove(index);
        if stream.left > 0 {
            self.reset(stream.id, Reason::CANCEL);
        }
        let answer = stream.head.and_then(|head| Some((head.status?, head)));
        let answer =
            answer.map(|(status, head)| Response { status, head, data: stream.data.into(), trailers });
        let none = || CallError::Broken("an answer without a status".into());
        let _gone = stream.reply.send(answer.ok_or_else(none));
        self.next_in_line();
    }

    pub(super) fn failed(&mut self, index: usize, error: CallError) {
        let stream = self.streams.remove(index);
        let _gone = stream.reply.send(Err(error));
        self.next_in_line();
    }

    fn next_in_line(&mut self) {
        while self.streams.len() < self.peer.streams
            && self.goodbye.is_none()
            && let Some(ask) = self.waiting.pop_front()
        {
            self.begin(ask);
        }
    }

    /// The server may take more than before.
    pub(super) fn windows_changed(&mut self) {
        for index in 0..self.streams.len() {
            self.send_body(index);
        }
        self.next_in_line();
    }

    /// There are no further calls here, and those above this number have not been looked at. The connection is closed before
    /// their callers hear it, so that they go to another one.
    pub(super) fn take_no_more(&mut self, last: u32, why: String) {
        self.shared.close(&why);
        let unprocessed = || CallError::Unprocessed(why.clone());
        for stream in self.streams.extract_if(.., |stream| stream.id > last) {
            let _gone = stream.reply.send(Err(unprocessed()));
        }
        for ask in self.waiting.drain(..) {
            let _gone = ask.reply.send(Err(unprocessed()));
        }
        self.goodbye = Some(why);
    }

    /// Nothing comes any more.
    pub fn fail(&mut self, why: &str) {
        let why = self.goodbye.as_deref().unwrap_or(why);
        for stream in self.streams.drain(..) {
            let _gone = stream.reply.send(Err(CallError::Broken(why.to_owned())));
        }
        for ask in self.waiting.drain(..) {
            let _gone = ask.reply.send(Err(CallError::Unprocessed(why.to_owned())));
        }
    }
}
