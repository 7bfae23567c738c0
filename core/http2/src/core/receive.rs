//! Frames of requests: their heads and bodies.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

use super::{Core, Leaving};
use crate::Service;
use crate::fault::{Fault, calm, flow, protocol};
use crate::frame::{HEAD, Head, MOST, Reason, flag, kind, number, unpadded};
use crate::head::{Collected, Known, Unfit};
use crate::stream::{Stream, Work};

/// A packed head may be so many times as large as it may be unpacked: a client that packs badly is let through.
const PACKED: usize = 4;
/// Of so many frames a block may be made.
const PIECES: usize = 32;
/// A frame that is not data and larger than this is abuse.
const LARGEST: usize = 256 << 10;
/// A frame of data from here on is not read into the next one's buffer.
const ALONE: usize = 128 << 10;
/// A piece of a body below this, if it is not the last, is a crumb.
const CRUMB: usize = 256;

/// A head of which not all frames have come.
#[derive(Debug)]
pub(super) struct Block {
    stream: u32,
    end: bool,
    bytes: Vec<u8>,
    pieces: usize,
}

impl<S: Service> Core<S> {
    /// Serves the first frame among the bytes; while it is not whole, says how long it is with its head.
    pub(super) fn frame(&mut self, bytes: &mut BytesMut) -> Result<Option<usize>, Fault> {
        let Some(head) = Head::read(bytes) else { return Ok(Some(HEAD)) };
        self.admit(&head)?;
        let whole = HEAD + head.length;
        if bytes.len() < whole {
            return Ok(Some(whole));
        }
        bytes.advance(HEAD);
        if head.kind == kind::DATA {
            // What is large and alone takes its buffer along: who has the only bytes in it may change them where they are.
            let payload = match head.length >= ALONE && bytes.len() == head.length {
                true => std::mem::take(bytes),
                false => bytes.split_to(head.length),
            };
            return self.data(&head, payload.freeze()).map(|()| None);
        }
        let served = self.no_data(&head, bytes.get(..head.length).unwrap_or_default());
        bytes.advance(head.length);
        served.map(|()| None)
    }

    /// What can be said of a frame before its payload is there.
    fn admit(&mut self, head: &Head) -> Result<(), Fault> {
        if head.length > self.settings.frame as usize {
            return Err(Fault::Connection(Reason::FRAME_SIZE_ERROR, "a frame above MAX_FRAME_SIZE"));
        }
        if !self.greeted && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(protocol("the first frame is not SETTINGS"));
        }
        self.greeted = true;
        if let Some(block) = &self.block
            && (head.kind != kind::CONTINUATION || head.stream != block.stream)
        {
            return Err(protocol("a head is broken off by another frame"));
        }
        match head.kind {
            kind::DATA if head.length as i64 > self.receive => {
                Err(flow("more data than the connection's window"))
            }
            kind::DATA => Ok(()),
            _ if head.length > LARGEST => Err(calm("a frame without data that is too large")),
            _ => Ok(()),
        }
    }

    fn no_data(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        match head.kind {
            kind::HEADERS => self.headers(head, payload),
            kind::CONTINUATION => self.continuation(head, payload),
            kind::SETTINGS => self.settings(head, payload),
            kind::PING => self.ping_came(head, payload),
            kind::WINDOW_UPDATE => self.window_update(head, payload),
            kind::RST_STREAM => self.rst_stream(head, payload),
            kind::PRIORITY => self.priority(head, payload),
            kind::GOAWAY => self.goaway_came(head, payload),
            kind::PUSH_PROMISE => Err(protocol("a client cannot push")),
            _ => self.spend_control(),
        }
    }

    fn headers(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream.is_multiple_of(2) {
            return Err(protocol("a client's streams have odd numbers"));
        }
        let mut block = unpadded(head, payload)?;
        let mut itself = false;
        if head.has(flag::PRIORITY) {
            let wrong = Fault::Connection(Reason::FRAME_SIZE_ERROR, "HEADERS without their priority");
            let (priority, rest) = block.split_at_checked(5).ok_or(wrong)?;
            itself = number(priority, 0) & MOST == head.stream;
            block = rest;
        }
        let end = head.has(flag::END_STREAM);
        if !head.has(flag::END_HEADERS) {
            self.block = Some(Block { stream: head.stream, end, bytes: block.to_vec(), pieces: 1 });
            return self.bound_block();
        }
        self.head_came(head.stream, block, end)?;
        if itself { Err(Fault::Stream(head.stream, Reason::PROTOCOL_ERROR)) } else { Ok(()) }
    }

    fn continuation(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        let Some(block) = &mut self.block else {
            return Err(protocol("CONTINUATION of nothing"));
        };
        block.bytes.extend_from_slice(payload);
        block.pieces += 1;
        self.bound_block()?;
        match self.block.take_if(|_| head.has(flag::END_HEADERS)) {
            Some(block) => self.head_came(block.stream, &block.bytes, block.end),
            None => Ok(()),
        }
    }

    fn bound_block(&self) -> Result<(), Fault> {
        let most = self.settings.header_list as usize * PACKED;
        match &self.block {
            Some(block) if block.bytes.len() > most || block.pieces > PIECES => {
                Err(calm("a head of too many bytes or frames"))
            }
            _ => Ok(()),
        }
    }

    /// A whole block. It is read in any case, or the tables would differ from now on.
    fn head_came(&mut self, id: u32, block: &[u8], end: bool) -> Result<(), Fault> {
        let slot = self.streams.find(id);
        if slot.is_none() && id > self.last {
            let known = match self.heads.get(block, self.decoder.age()) {
                Some(known) => Ok(known.clone()),
                None => self.read_head(block)?,
            };
            return self.open(id, known, end);
        }
        let collected = self.collect(block)?;
        match (slot, self.streams.was_closed(id)) {
            (Some(slot), _) => self.trailers(slot, id, collected, end),
            (None, Some(true)) => Ok(()), // it did not know yet
            (None, Some(false)) => Err(Fault::Connection(Reason::STREAM_CLOSED, "HEADERS after the end")),
            (None, None) => Err(protocol("the numbers of streams ascend")),
        }
    }

    fn collect(&mut self, block: &[u8]) -> Result<Collected, Fault> {
        let mut collected = Collected::new(self.settings.header_list as usize);
        self.decoder
            .decode(block, |field| collected.add(field))
            .map_err(|_| Fault::Connection(Reason::COMPRESSION_ERROR, "a head that cannot be unpacked"))?;
        Ok(collected)
    }

    fn read_head(&mut self, block: &[u8]) -> Result<Result<Known, Unfit>, Fault> {
        let age = self.decoder.age();
        let known = self.collect(block)?.request();
        if let Ok(known) = &known
            && self.decoder.age() == age
        {
            self.heads.keep(block, age, known.clone());
        }
        Ok(known)
    }

    fn open(&mut self, id: u32, known: Result<Known, Unfit>, end: bool) -> Result<(), Fault> {
        self.last = id;
        self.control.earn(super::CONTROL.2);
        if self.leaving == Leaving::Final || self.streams.len() >= self.settings.streams as usize {
            return Err(Fault::Stream(id, Reason::REFUSED_STREAM));
        }
        let (work, left) = match known {
            Ok(known) => {
                let length = known.length;
                (Work::Waiting(known, VecDeque::new()), length)
            }
            Err(Unfit::TooLarge) => (Work::Over, None),
            Err(Unfit::Malformed) => return Err(Fault::Stream(id, Reason::PROTOCOL_ERROR)),
        };
        let fits = matches!(work, Work::Waiting(..));
        if end && left.is_some_and(|left| left > 0) {
            return Err(Fault::Stream(id, Reason::PROTOCOL_ERROR));
        }
        let slot = self.streams.add(Stream {
            id,
            ended: end,
            left,
            receive: self.settings.stream_window.into(),
            send: self.peer.window,
            came: 0,
            work,
            feed: None,
            rest: None,
            sent: false,
        });
        match (fits, end) {
            (false, _) => self.too_large(slot),
            (true, true) => self.begin(slot),
            (true, false) => self.waiting.push(slot),
        }
        Ok(())
    }

    fn trailers(&mut self, slot: usize, id: u32, collected: Collected, end: bool) -> Result<(), Fault> {
        let Some(stream) = self.streams.get(slot) else { return Ok(()) };
        if stream.ended {
            return Err(Fault::Stream(id, Reason::STREAM_CLOSED));
        }
        if !end || collected.trailers().is_err() {
            return Err(Fault::Stream(id, Reason::PROTOCOL_ERROR));
        }
        self.end(slot, id)
    }

    fn data(&mut self, head: &Head, payload: Bytes) -> Result<(), Fault> {
        if head.stream == 0 {
            return Err(protocol("DATA without a stream"));
        }
        let length = payload.len();
        let end = head.has(flag::END_STREAM);
        self.receive -= length as i64;
        if length < CRUMB && !end && !self.crumbs.spend(if length == 0 { 20 } else { 1 }) {
            return Err(calm("too many frames with hardly any data"));
        }
        let data = match head.has(flag::PADDED) {
            false => payload,
            true => payload.slice_ref(unpadded(head, &payload)?),
        };
        self.freed += length - data.len();
        let Some(slot) = self.streams.find(head.stream) else {
            self.freed += data.len();
            return self.late_data(head.stream);
        };
        let Some(stream) = self.streams.get(slot) else { return Ok(()) };
        let fault = |reason| Err(Fault::Stream(head.stream, reason));
        if stream.ended {
            self.freed += data.len();
            return fault(Reason::STREAM_CLOSED);
        }
        stream.receive -= length as i64;
        let left = stream.left.map(|left| left.checked_sub(data.len() as u64));
        if stream.receive < 0 || left == Some(None) {
            self.freed += data.len();
            return fault(if left == Some(None) {
                Reason::PROTOCOL_ERROR
            } else {
                Reason::FLOW_CONTROL_ERROR
            });
        }
        stream.left = left.flatten();
        stream.came += data.len();
        self.chunk(slot, data);
        if end { self.end(slot, head.stream) } else { Ok(()) }
    }

    /// Data of a stream that is not there any more.
    fn late_data(&mut self, id: u32) -> Result<(), Fault> {
        self.is_no_new_stream(id)?;
        match self.streams.was_closed(id) {
            Some(true) => Ok(()),
            _ => Err(Fault::Stream(id, Reason::STREAM_CLOSED)),
        }
    }

    fn chunk(&mut self, slot: usize, data: Bytes) {
        let Some(stream) = self.streams.get(slot) else { return };
        let length = data.len();
        let kept = match (&mut stream.work, &stream.feed) {
            _ if data.is_empty() => false,
            (Work::Waiting(_, chunks), _) => {
                chunks.push_back(data);
                true
            }
            (_, Some(feed)) => feed.push(data),
            (_, None) => false,
        };
        if !kept {
            self.freed += length;
            stream.receive += length as i64;
            if length > 0 {
                // Nobody reads it: the client may go on until it hears so.
                let more = (length as u32).to_be_bytes();
                crate::frame::put(&mut self.out, kind::WINDOW_UPDATE, 0, stream.id, &more);
            }
        }
    }

    /// The client has said all.
    fn end(&mut self, slot: usize, id: u32) -> Result<(), Fault> {
        let Some(stream) = self.streams.get(slot) else { return Ok(()) };
        if stream.left.is_some_and(|left| left > 0) {
            return Err(Fault::Stream(id, Reason::PROTOCOL_ERROR));
        }
        stream.ended = true;
        if let Some(feed) = &stream.feed {
            feed.end();
        }
        match stream.work {
            Work::Waiting(..) => self.begin(slot),
            _ if stream.sent => self.close(slot, false),
            _ => {}
        }
        Ok(())
    }
}
