//! What the server says.

use std::sync::Arc;

use bytes::{Buf as _, BytesMut};

use super::CallError;
use super::calls::{Core, WINDOW};
use super::head::{Collected, Fields};
use crate::fault::{Fault, calm, flow, protocol, size};
use crate::frame::{HEAD, Head, MOST, Reason, flag, kind, number, put, unpadded};
use crate::settings::{DEFAULT_FRAME, DEFAULT_WINDOW, Offer};

/// The most bytes of an answer's packed head.
const PACKED: usize = 64 << 10;
/// Frames to be answered that may pile up while the server takes nothing.
const ASKED: usize = 10_000;
/// What our own questions carry.
pub(super) const ALIVE: &[u8; 8] = b"alive?..";

/// A head of which not all frames have come.
pub(super) struct Block {
    stream: u32,
    end: bool,
    bytes: Vec<u8>,
}

impl Core {
    /// Reads the whole frames among the bytes. Returns how many bytes the next one has in all, as far as that is known.
    pub fn receive(&mut self, bytes: &mut BytesMut) -> Result<usize, Fault> {
        loop {
            let Some(head) = Head::read(bytes) else { return Ok(HEAD) };
            self.admit(&head)?;
            let whole = HEAD + head.length;
            if bytes.len() < whole {
                return Ok(whole);
            }
            let served = self.frame(&head, bytes.get(HEAD..whole).unwrap_or_default());
            bytes.advance(whole);
            match served {
                Err(Fault::Stream(id, reason)) => {
                    self.reset(id, reason);
                    if let Some(index) = self.find(id) {
                        let why = format!("the server broke the protocol: {reason}");
                        self.failed(index, CallError::Broken(why));
                    }
                }
                served => served?,
            }
        }
    }

    /// What can be said of a frame before its payload is there.
    fn admit(&mut self, head: &Head) -> Result<(), Fault> {
        if !self.greeted && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(protocol("the first frame is not SETTINGS"));
        }
        if head.length > DEFAULT_FRAME {
            return Err(size("a frame above MAX_FRAME_SIZE"));
        }
        let cut = self.block.as_ref().map(|block| block.stream);
        match (head.kind, cut) {
            (kind::CONTINUATION, Some(stream)) if stream == head.stream => Ok(()),
            (kind::CONTINUATION, _) => Err(protocol("CONTINUATION of nothing")),
            (_, Some(_)) => Err(protocol("a head is broken off by another frame")),
            _ => Ok(()),
        }
    }

    fn frame(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        match head.kind {
            kind::DATA => self.data(head, payload),
            kind::HEADERS => self.headers(head, payload),
            kind::CONTINUATION => self.continuation(head, payload),
            kind::SETTINGS => self.settings_came(head, payload),
            kind::PING => self.ping(head, payload),
            kind::GOAWAY => self.goaway(head, payload),
            kind::WINDOW_UPDATE => self.window_update(head, payload),
            kind::RST_STREAM => self.rst_stream(head, payload),
            kind::PUSH_PROMISE => Err(protocol("a push, which was not allowed")),
            _ => Ok(()),
        }
    }

    /// The server's frames belong to calls that there were.
    fn was_opened(&self, id: u32) -> Result<(), Fault> {
        match id.is_multiple_of(2) || id >= self.next {
            true => Err(protocol("a frame of a stream that nobody opened")),
            false => Ok(()),
        }
    }

    fn headers(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        self.was_opened(head.stream)?;
        let mut block = unpadded(head, payload)?;
        if head.has(flag::PRIORITY) {
            block = block.get(5..).ok_or(size("HEADERS without their priority"))?;
        }
        let end = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.head_came(head.stream, block, end);
        }
        self.block = Some(Block { stream: head.stream, end, bytes: block.to_vec() });
        Ok(())
    }

    fn continuation(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        let Some(mut block) = self.block.take() else { return Ok(()) };
        block.bytes.extend_from_slice(payload);
        if block.bytes.len() > PACKED {
            return Err(calm("a head of too many bytes"));
        }
        if head.has(flag::END_HEADERS) {
            return self.head_came(block.stream, &block.bytes, block.end);
        }
        self.block = Some(block);
        Ok(())
    }

    /// A whole block. It is read in any case, or the tables would differ from now on.
    fn head_came(&mut self, id: u32, block: &[u8], end: bool) -> Result<(), Fault> {
        let fields = self.fields(block)?;
        let Some(index) = self.find(id) else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(index) else { return Ok(()) };
        let wrong = Fault::Stream(id, Reason::PROTOCOL_ERROR);
        let fields = fields.map_err(|_| wrong)?;
        match (&stream.head, fields.status) {
            (None, Some(status)) if status.is_informational() && !end => Ok(()),
            (None, Some(_)) => {
                stream.head = Some(fields);
                if end {
                    self.answered(index, None);
                }
                Ok(())
            }
            (Some(_), None) if end => {
                self.answered(index, Some(fields));
                Ok(())
            }
            _ => Err(wrong),
        }
    }

    fn fields(&mut self, block: &[u8]) -> Result<Result<Arc<Fields>, &'static str>, Fault> {
        let age = self.decoder.age();
        if let Some(known) = self.heads.get(block, age) {
            return Ok(Ok(known.clone()));
        }
        let mut collected = Collected::new(Offer::HEADER_LIST as usize);
        let read = self.decoder.decode(block, |field| collected.add(field));
        read.map_err(|_| Fault::Connection(Reason::COMPRESSION_ERROR, "a head that cannot be unpacked"))?;
        let fields = collected.fields().map(Arc::new);
        if let Ok(fields) = &fields
            && self.decoder.age() == age
        {
            self.heads.keep(block, age, fields.clone());
        }
        Ok(fields)
    }

    fn data(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        self.was_opened(head.stream)?;
        self.receive -= payload.len() as i64;
        if self.receive < 0 {
            return Err(flow("more data than the connection's window"));
        }
        self.freed += payload.len();
        if self.freed >= WINDOW as usize / 2 {
            put(self.out.small(), kind::WINDOW_UPDATE, 0, 0, &(self.freed as u32).to_be_bytes());
            self.receive += self.freed as i64;
            self.freed = 0;
        }
        let data = unpadded(head, payload)?;
        let Some(index) = self.find(head.stream) else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(index) else { return Ok(()) };
        stream.receive -= payload.len() as i64;
        if stream.receive < 0 {
            return Err(Fault::Stream(head.stream, Reason::FLOW_CONTROL_ERROR));
        }
        if stream.head.is_none() {
            return Err(Fault::Stream(head.stream, Reason::PROTOCOL_ERROR));
        }
        stream.data.extend_from_slice(data);
        if stream.data.len() > stream.limit {
            let limit = stream.limit;
            self.reset(head.stream, Reason::CANCEL);
            self.failed(index, CallError::TooLarge(limit));
            return Ok(());
        }
        if head.has(flag::END_STREAM) {
            self.answered(index, None);
        } else if stream.receive < i64::from(DEFAULT_WINDOW / 2) {
            let more = i64::from(DEFAULT_WINDOW) - stream.receive;
            stream.receive += more;
            put(self.out.small(), kind::WINDOW_UPDATE, 0, head.stream, &(more as u32).to_be_bytes());
        }
        Ok(())
    }

    fn settings_came(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 || !payload.len().is_multiple_of(6) {
            return Err(size("SETTINGS that are cut or on a stream"));
        }
        if head.has(flag::ACK) {
            return Ok(());
        }
        if !self.greeted {
            self.greeted = true;
            self.peer.streams = usize::MAX;
        }
        self.must_answer()?;
        let before = self.peer.window;
        self.peer.read(payload)?;
        let change = self.peer.window - before;
        for stream in &mut self.streams {
            stream.send += change;
            if stream.send > i64::from(MOST) {
                return Err(flow("a window above 2^31-1"));
            }
        }
        self.encoder.limit(self.peer.smallest_table);
        self.encoder.limit(self.peer.table);
        put(self.out.small(), kind::SETTINGS, flag::ACK, 0, &[]);
        self.windows_changed();
        Ok(())
    }

    fn must_answer(&mut self) -> Result<(), Fault> {
        self.asked += 1;
        if self.asked > ASKED { Err(calm("questions whose answers are not taken")) } else { Ok(()) }
    }

    fn ping(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 || payload.len() != 8 {
            return Err(size("a PING is 8 bytes"));
        }
        if !head.has(flag::ACK) {
            self.must_answer()?;
            put(self.out.small(), kind::PING, flag::ACK, 0, payload);
        }
        Ok(())
    }

    fn goaway(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        let Some((numbers, text)) = payload.split_at_checked(8).filter(|_| head.stream == 0) else {
            return Err(size("a GOAWAY is at least 8 bytes"));
        };
        let reason = Reason(number(numbers, 4));
        let text = String::from_utf8_lossy(text.get(..text.len().min(200)).unwrap_or_default());
        let mut why = format!("the server ended the connection: {reason}");
        if !text.is_empty() {
            why = format!("{why} ({text})");
        }
        self.take_no_more(number(numbers, 0) & MOST, why);
        Ok(())
    }

    fn window_update(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(size("a WINDOW_UPDATE is 4 bytes"));
        }
        let more = i64::from(number(payload, 0) & MOST);
        if head.stream == 0 {
            self.send += more;
            if more == 0 || self.send > i64::from(MOST) {
                return Err(flow("a WINDOW_UPDATE of nothing, or a window above 2^31-1"));
            }
            self.windows_changed();
            return Ok(());
        }
        self.was_opened(head.stream)?;
        let Some(index) = self.find(head.stream) else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(index) else { return Ok(()) };
        stream.send += more;
        if more == 0 || stream.send > i64::from(MOST) {
            return Err(Fault::Stream(head.stream, Reason::FLOW_CONTROL_ERROR));
        }
        self.send_body(index);
        Ok(())
    }

    fn rst_stream(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(size("a RST_STREAM is 4 bytes"));
        }
        self.was_opened(head.stream)?;
        let Some(index) = self.find(head.stream) else { return Ok(()) };
        let reason = Reason(number(payload, 0));
        let why = format!("the server ended the call: {reason}");
        self.failed(
            index,
            match reason {
                Reason::REFUSED_STREAM => CallError::Unprocessed(why),
                _ => CallError::Broken(why),
            },
        );
        Ok(())
    }
}
