//! Exporters: where data goes out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use streamgauge_pdata::Signal;

use crate::batch::Context;
use crate::error::ComponentError;
use crate::host::Host;
use crate::outcome::Reason;

/// Sends data out. One instance an id; queue, retry and timeout stand before it and are not its business.
#[async_trait]
pub trait Exporter: Send + Sync {
    /// Prepares. A peer that does not answer yet is no error here.
    async fn start(&self, host: Host) -> Result<(), ComponentError>;

    /// One attempt. May be dropped at any await (a timeout).
    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>>;

    /// Whether it only puts a request's bytes in a row: it is then given parts in the pieces they are in, and no bytes are
    /// copied for it. Who reads a part wants it whole.
    fn takes_pieces(&self) -> bool {
        false
    }

    /// What of a part did not get to the peer, asked when an attempt failed and no other will be made: only that goes to
    /// a dead letter. An exporter that sends a request as a whole has nothing to say.
    fn left(&self, _signal: Signal, _part: &Bytes) -> Left {
        Left::All
    }

    /// Closes.
    async fn shutdown(&self) {}
}

/// What one attempt sends: requests of one signal, in a row a valid request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the parts hold.
    pub signal: Signal,
    /// Where the first part came from.
    pub context: Arc<Context>,
    /// One `Export*ServiceRequest` each, or pieces of them for who [takes those](Exporter::takes_pieces).
    pub parts: Vec<Bytes>,
    /// Spans, data points or log records in all parts.
    pub items: usize,
}

impl Request {
    /// Encoded size of all parts.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

/// The peer took the request, perhaps without some items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Items that the peer (or the exporter, before it sent) refused for good, by reason.
    pub dropped: Vec<(Reason, u64)>,
    /// The peer's words about them.
    pub message: Option<String>,
}

/// What of a part did not get to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// All of it, as far as anybody knows.
    All,
    /// This request, with so many items.
    Some(Bytes, usize),
    /// None of it.
    Nothing,
}

/// Whom a permanent error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The data: another request may pass. A joined request is halved to find the part at fault.
    Content,
    /// The peer or the way to it: credentials, a path that does not exist.
    Peer,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportError {
    /// Trying again would not help.
    Permanent {
        /// Whom it is about.
        about: About,
        /// The peer's words.
        message: String,
    },
    /// Trying again may help.
    Retryable {
        /// The peer's wish.
        after: Option<Duration>,
        /// Whether the peer answered at all.
        answered: bool,
        /// What happened.
        message: String,
    },
}

impl ExportError {
    /// Content that the peer will never take.
    pub fn content(message: impl Into<String>) -> Self {
        ExportError::Permanent { about: About::Content, message: message.into() }
    }

    /// A peer that will never take anything sent like this.
    pub fn peer(message: impl Into<String>) -> Self {
        ExportError::Permanent { about: About::Peer, message: message.into() }
    }

    /// No answer: the connection failed or broke.
    pub fn unreachable(message: impl Into<String>) -> Self {
        ExportError::Retryable { after: None, answered: false, message: message.into() }
    }

    /// The peer answered "not now".
    pub fn busy(after: Option<Duration>, message: impl Into<String>) -> Self {
        ExportError::Retryable { after, answered: true, message: message.into() }
    }
}

impl std::fmt::Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExportError::Permanent { message, .. } => write!(f, "not retryable error: {message}"),
            ExportError::Retryable { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for ExportError {}
