//! A client's side of one connection, made for unary calls: a request's body is there as a whole, and so is its answer in the end.
//!
//! As with the server, a connection is one task. It takes the calls that came since it last looked, packs heads that it knows as
//! copies of what it packed before, and writes all frames that the server's windows have room for in one go: bodies are not copied,
//! however small the frames are that the server takes.

mod calls;
mod driver;
mod head;
mod out;
mod receive;
mod send;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::oneshot;

pub use driver::Driver;
pub use head::{Fields, Head};

/// What a client needs to know of its connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientSettings {
    /// After how much silence the server is asked whether it is there, and how long it may take to say so.
    pub ping: Option<(Duration, Duration)>,
    /// Also while no call is under way.
    pub ping_idle: bool,
}

/// Calls over one connection. When the last of its clones and calls is gone, the connection ends.
#[derive(Clone, Debug)]
pub struct Client(Arc<Handle>);

/// What a server said to a call.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its head.
    pub head: Arc<Fields>,
    /// Its body.
    pub data: Bytes,
    /// The fields after the body.
    pub trailers: Option<Arc<Fields>>,
}

/// A call without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The server has not looked at it, and says so or was not reached: it may be sent again.
    Unprocessed(String),
    /// The server may have seen it.
    Broken(String),
    /// The answer's body has more bytes than were allowed.
    TooLarge(usize),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallError::Unprocessed(why) | CallError::Broken(why) => f.write_str(why),
            CallError::TooLarge(limit) => write!(f, "the answer has more than {limit} bytes"),
        }
    }
}

impl std::error::Error for CallError {}

impl PartialEq for Client {
    /// Whether both are of the same connection.
    fn eq(&self, other: &Client) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

type Answer = Result<Response, CallError>;

impl Client {
    /// Sends a request; the answer's body may have up to `limit` bytes. The call is taken back when the future is dropped.
    pub fn call(&self, head: Arc<Head>, body: VecDeque<Bytes>, limit: usize) -> Call {
        let (reply, answer) = oneshot::channel();
        let ticket = self.0.0.ask(Ask { ticket: 0, head, body, limit, reply });
        Call { answer, ticket, handle: self.0.clone(), ended: false }
    }

    /// Whether the connection takes no further calls.
    pub fn is_closed(&self) -> bool {
        self.0.0.lock().closed
    }
}

/// An answer to come.
#[derive(Debug)]
pub struct Call {
    answer: oneshot::Receiver<Answer>,
    ticket: u64,
    handle: Arc<Handle>,
    ended: bool,
}

impl Future for Call {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.answer).poll(context).map(|answer| {
            self.ended = true;
            answer.unwrap_or_else(|_| Err(CallError::Broken("the connection is gone".into())))
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.handle.0.tell(|inbox| inbox.taken_back.push(self.ticket));
        }
    }
}

/// The last one to be dropped ends the connection.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.tell(|inbox| inbox.left = true);
    }
}

/// A call on its way to the connection's task.
#[derive(Debug)]
struct Ask {
    ticket: u64,
    head: Arc<Head>,
    body: VecDeque<Bytes>,
    limit: usize,
    reply: oneshot::Sender<Answer>,
}

/// What reaches the connection's task.
#[derive(Debug, Default)]
struct Shared(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    asks: Vec<Ask>,
    taken_back: Vec<u64>,
    /// There will be no more calls.
    left: bool,
    /// The connection takes none.
    closed: bool,
    tickets: u64,
    /// There only while the task sleeps.
    task: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, put: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.lock();
        put(&mut inbox);
        let task = inbox.task.take();
        drop(inbox);
        if let Some(task) = task {
            task.wake();
        }
    }

    fn ask(&self, mut ask: Ask) -> u64 {
        let mut ticket = 0;
        let mut late = None;
        self.tell(|inbox| {
            inbox.tickets += 1;
            ticket = inbox.tickets;
            ask.ticket = ticket;
            match inbox.closed {
                true => late = Some(ask),
                false => inbox.asks.push(ask),
            }
        });
        if let Some(ask) = late {
            let _gone = ask.reply.send(Err(CallError::Unprocessed("the connection is closed".into())));
        }
        ticket
    }

    /// Takes what came. Nobody wakes the task until it sleeps.
    fn collect(&self, asks: &mut Vec<Ask>, taken_back: &mut Vec<u64>) -> bool {
        let mut inbox = self.lock();
        inbox.task = None;
        std::mem::swap(&mut inbox.asks, asks);
        std::mem::swap(&mut inbox.taken_back, taken_back);
        inbox.left
    }

    /// Has the task woken by what comes from now on; `false` when something has come already.
    fn sleep(&self, task: &Waker, left: bool) -> bool {
        let mut inbox = self.lock();
        if !inbox.asks.is_empty() || !inbox.taken_back.is_empty() || inbox.left != left {
            return false;
        }
        inbox.task = Some(task.clone());
        true
    }

    /// Takes no more calls; what had come gets this answer.
    fn close(&self, why: &str) {
        let mut inbox = self.lock();
        inbox.closed = true;
        let late = std::mem::take(&mut inbox.asks);
        drop(inbox);
        for ask in late {
            let _gone = ask.reply.send(Err(CallError::Unprocessed(why.to_owned())));
        }
    }
}
