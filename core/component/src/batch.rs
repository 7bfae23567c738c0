//! What flows: OTLP requests as bytes, each with its ack.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use streamgauge_pdata::{Body, Signal};

use crate::ack::Ack;
use crate::outcome::Outcome;

/// Requests of one signal on their way through a pipeline.
#[derive(Debug)]
pub struct Batch {
    /// What the parts hold.
    pub signal: Signal,
    /// Where they came from. Never changed on the way.
    pub context: Arc<Context>,
    /// One `Export*ServiceRequest` each; in a row they are a valid request again.
    pub parts: Vec<Part>,
}

/// One `Export*ServiceRequest` as OTLP protobuf bytes.
#[derive(Debug)]
pub struct Part {
    /// The encoded request.
    pub bytes: Body,
    /// Spans, data points or log records in it.
    pub items: usize,
    /// Tells the source what became of it.
    pub ack: Ack,
}

/// Where a batch came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Id of the receiver (or connector) that made the batch; empty where batches of several were joined.
    pub receiver: Arc<str>,
    /// When it arrived.
    pub arrival: SystemTime,
    /// Address of the sender.
    pub peer: Option<Arc<str>>,
    /// Who the sender proved to be.
    pub identity: Option<Arc<str>>,
    /// Request headers that configuration asked for; names in lower case.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The sender's `traceparent`, for the collector's own traces.
    pub traceparent: Option<Arc<str>>,
    /// The senders may have had their answer: a batcher held the parts. A full queue lets them wait, whatever it does
    /// with others: refusing them would be loss.
    pub answered: bool,
    /// A sender waits for its answer until this is delivered: whoever joins it with others must not keep it for long.
    pub awaited: bool,
}

impl Context {
    /// A context that only knows its receiver and the time.
    pub fn new(receiver: impl Into<Arc<str>>, arrival: SystemTime) -> Self {
        Context {
            receiver: receiver.into(),
            arrival,
            peer: None,
            identity: None,
            headers: Vec::new(),
            traceparent: None,
            answered: false,
            awaited: false,
        }
    }

    /// Keeps what is true of both.
    pub(crate) fn join(&mut self, other: &Context) {
        let same = |mine: &mut Option<Arc<str>>, theirs: &Option<Arc<str>>| {
            if mine != theirs {
                *mine = None;
            }
        };
        if self.receiver != other.receiver {
            self.receiver = "".into();
        }
        self.arrival = self.arrival.min(other.arrival);
        same(&mut self.peer, &other.peer);
        same(&mut self.identity, &other.identity);
        same(&mut self.traceparent, &other.traceparent);
        self.headers.retain(|header| other.headers.contains(header));
        self.answered |= other.answered;
        self.awaited |= other.awaited;
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| &**n == name).map(|(_, v)| &**v)
    }
}

impl Batch {
    /// A batch of one part.
    pub fn of(signal: Signal, context: Arc<Context>, part: Part) -> Self {
        Batch { signal, context, parts: vec![part] }
    }

    /// Spans, data points or log records in all parts.
    pub fn items(&self) -> usize {
        self.parts.iter().map(|p| p.items).sum()
    }

    /// Encoded size of all parts.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|p| p.bytes.len()).sum()
    }

    /// Settles every part with the same outcome.
    pub fn settle(self, outcome: &Outcome) {
        for part in self.parts {
            part.ack.settle(outcome.clone());
        }
    }

    /// As many batches as asked for, sharing the bytes; each part's ack waits for all of them.
    pub fn share(self, copies: usize) -> Vec<Batch> {
        let mut batches: Vec<Batch> = (0..copies)
            .map(|_| Batch {
                signal: self.signal,
                context: self.context.clone(),
                parts: Vec::with_capacity(self.parts.len()),
            })
            .collect();
        for part in self.parts {
            for (batch, ack) in batches.iter_mut().zip(part.ack.split(copies)) {
                batch.parts.push(Part { bytes: part.bytes.clone(), items: part.items, ack });
            }
        }
        batches
    }
}

impl Part {
    /// A part without a source.
    pub fn created(bytes: Bytes, items: usize) -> Self {
        Part { bytes: bytes.into(), items, ack: Ack::none() }
    }
}
