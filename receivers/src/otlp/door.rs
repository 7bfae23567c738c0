//! One request from body to answer.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{self, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use streamgauge_component::{
    Ack, Authenticator, Batch, Context, Host, InstrumentKind, Outcome, Outlet, Outlets, Part, Reason, Signal,
    Source, Unauthenticated,
};
use streamgauge_pdata::{check, json};
use streamgauge_transport::{
    Code, Denied, Encoding, Handler, HeaderMap, HeaderValue, Protocol, Reply, Request, Status, grpc_path,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer;
use super::config::{HttpServer, WaitFor};

/// What stands behind one listener.
pub(super) struct Door {
    pub host: Host,
    pub outlets: Outlets,
    pub wait_for: WaitFor,
    pub include_metadata: bool,
    /// Who knows the senders; without it everybody may send.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// The paths, when the listener speaks HTTP.
    pub http: Option<HttpServer>,
}

impl Handler for Door {
    type Route = Signal;

    fn route(&self, protocol: Protocol, path: &str) -> Option<Signal> {
        let signal = match protocol {
            Protocol::Grpc => Signal::ALL.into_iter().find(|signal| grpc_path(*signal) == path),
            Protocol::Http => self.http.as_ref()?.signal(path),
        };
        signal.filter(|signal| self.outlets.get(*signal).is_some())
    }

    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
        query: Option<&'a str>,
    ) -> Option<BoxFuture<'a, Result<Arc<str>, Denied>>> {
        let authenticator = self.authenticator.as_ref()?;
        let by_http = self.http.as_ref().and_then(|http| http.auth.as_ref());
        Some(Box::pin(async move {
            let header = authenticator.header();
            let value = headers.get(header).map(HeaderValue::as_bytes);
            let shown = match by_http {
                Some(auth) => auth.shown(header, value, query),
                None => value.map(Cow::Borrowed),
            };
            let denied =
                |why: Unauthenticated| Denied { message: why.0, challenge: authenticator.challenge() };
            authenticator.authenticate(shown.as_deref()).await.map_err(denied)
        }))
    }

    fn handle(&self, request: Request<Signal>) -> BoxFuture<'_, Reply> {
        let encoding = request.encoding;
        Box::pin(async move { answer::written(self.take(request).await, encoding) })
    }

    fn refused(&self, signal: Signal, status: &Status) {
        let reason = match status.code {
            Code::ResourceExhausted if status.retry_after.is_some() => Reason::MemoryLimit,
            Code::ResourceExhausted => Reason::TooLarge,
            Code::Unauthenticated => Reason::Unauthenticated,
            Code::Unimplemented => Reason::Unsupported,
            _ => Reason::Malformed,
        };
        self.refuse(signal, reason);
    }
}

impl Door {
    async fn take(&self, mut request: Request<Signal>) -> Reply {
        let signal = request.route;
        let deadline = request.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let Some(outlet) = self.outlets.get(signal) else {
            return Reply::Refused(Status::new(Code::Unimplemented, "no pipeline takes this signal"));
        };
        let body = std::mem::take(&mut request.body);
        let body = match request.encoding {
            Encoding::Proto => body,
            Encoding::Json => match self.protobuf(signal, body.into()) {
                Ok(bytes) => bytes.into(),
                Err(refusal) => return refusal,
            },
        };
        let items = match check(signal, &body) {
            Ok(0) => return answer::TAKEN,
            Ok(items) => items,
            Err(malformed) => return self.malformed(signal, &malformed),
        };
        let (tell, mut told) = oneshot::channel();
        let call = Arc::new(Call {
            host: self.host.clone(),
            signal,
            items,
            tell: Mutex::new(Some(tell)),
            refusal: OnceLock::new(),
            answered: AtomicBool::new(false),
            let_go: AtomicBool::new(false),
        });
        let ack = Ack::to(call.clone());
        let context = Arc::new(self.context(&request));
        let batch = Batch::of(signal, context, Part { bytes: body, items, ack });
        let outcome = match self.wait_for {
            WaitFor::Accepted => {
                outlet.consume(batch).await;
                match (told.try_recv(), call.refusal.get()) {
                    (Ok(outcome), _) => outcome,
                    (Err(_), Some(outcome)) => {
                        call.answered.store(true, Ordering::Relaxed);
                        outcome.clone()
                    }
                    (Err(_), None) => {
                        call.let_go.store(true, Ordering::Release);
                        return answer::TAKEN;
                    }
                }
            }
            WaitFor::Delivered => match delivered(outlet, batch, &mut told, deadline).await {
                Some(outcome) => outcome,
                None => {
                    let text = "not delivered within the request's deadline";
                    return Reply::Refused(Status::new(Code::DeadlineExceeded, text));
                }
            },
        };
        came_back(&self.host, signal, &outcome, items, "error");
        answer::to(&outcome)
    }

    fn context(&self, request: &Request<Signal>) -> Context {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let mut context = Context::new(self.host.id().clone(), self.host.clock().wall());
        context.peer = request.peer.clone();
        context.identity = request.identity.clone();
        context.awaited = self.wait_for == WaitFor::Delivered;
        context.traceparent = header("traceparent").map(Into::into);
        if self.include_metadata {
            context.headers = metadata(request.headers());
        }
        context
    }

    /// Writes OTLP/JSON over into protobuf, which then takes the text's place within the memory's bound.
    fn protobuf(&self, signal: Signal, text: Bytes) -> Result<Bytes, Reply> {
        let bytes = json::read(signal, &text).map_err(|error| self.malformed(signal, &error))?;
        drop(text);
        self.host.budget().charge(bytes.into()).map_err(|_| {
            self.refuse(signal, Reason::MemoryLimit);
            answer::to(&Outcome::retry(Reason::MemoryLimit))
        })
    }

    fn malformed(&self, signal: Signal, error: &dyn std::error::Error) -> Reply {
        self.refuse(signal, Reason::Malformed);
        Reply::Refused(Status::new(Code::InvalidArgument, error.to_string()))
    }

    /// Counts a request that never came in. What cannot be read has no number of items: it counts as one.
    fn refuse(&self, signal: Signal, reason: Reason) {
        self.host.node(signal).refused.add(reason, 1);
    }
}

/// A request as the source of its data.
struct Call {
    host: Host,
    signal: Signal,
    items: usize,
    tell: Mutex<Option<oneshot::Sender<Outcome>>>,
    /// What a branch said while others were under way: the client is not kept in good faith.
    refusal: OnceLock<Outcome>,
    /// The client has heard of it.
    answered: AtomicBool,
    /// The client was told that the data is taken.
    let_go: AtomicBool,
}

impl Source for Call {
    fn settle(&self, outcome: Outcome) {
        let tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nobody listens any more: the client has had its answer, or is gone.
        if let Some(Err(outcome)) = tell.map(|tell| tell.send(outcome))
            && !self.answered.load(Ordering::Relaxed)
        {
            came_back(&self.host, self.signal, &outcome, self.items, "none");
        }
    }

    fn warn(&self, outcome: &Outcome) {
        let _ = self.refusal.set(outcome.clone());
    }

    fn can_replay(&self) -> bool {
        !self.let_go.load(Ordering::Acquire)
    }
}

/// What became of a batch, unless the deadline passes first: that ends the waiting, not the data's way.
async fn delivered(
    outlet: &Outlet,
    batch: Batch,
    told: &mut oneshot::Receiver<Outcome>,
    deadline: Option<Instant>,
) -> Option<Outcome> {
    let outlet = outlet.clone();
    let way = GoesOn(Some(Box::pin(async move { outlet.consume(batch).await })));
    let waiting = async {
        way.await;
        (&mut *told).await.unwrap_or(Outcome::retry(Reason::Abandoned))
    };
    match deadline {
        None => Some(waiting.await),
        Some(deadline) => match tokio::time::timeout_at(deadline, waiting).await {
            Ok(outcome) => Some(outcome),
            Err(_) => told.try_recv().ok(),
        },
    }
}

/// A future that goes on by itself when nobody waits for it any longer.
struct GoesOn(Option<BoxFuture<'static, ()>>);

impl Future for GoesOn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let Some(future) = self.0.as_mut() else { return Poll::Ready(()) };
        future.as_mut().poll(cx).map(|()| self.0 = None)
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        // Where the runtime is gone, so is the process: the ack says that the data was abandoned.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current())
            && !std::thread::panicking()
        {
            runtime.spawn(future);
        }
    }
}

/// Counts what a pipeline did not take for good, by what the client heard of it. `answer` is `error`, or `none`
/// when it came too late to tell: such items are lost unless they stand in somebody's queue.
fn came_back(host: &Host, signal: Signal, outcome: &Outcome, items: usize, answer: &'static str) {
    let Some(reason) = outcome.reason() else { return };
    let attributes = vec![
        ("signal", signal.name().to_owned()),
        ("reason", reason.as_str().to_owned()),
        ("answer", answer.to_owned()),
    ];
    let help = "Items that a pipeline gave back or rejected, by what the client heard of it.";
    let name = "streamgauge.receiver.came_back.items";
    let counter = host.instrument(InstrumentKind::Counter, name, "{item}", help, attributes);
    counter.value.add(items as u64);
}

/// The headers that are text, for the components behind.
fn metadata(headers: &HeaderMap) -> Vec<(Arc<str>, Arc<str>)> {
    let text = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    text.map(|(name, value)| (name.into(), value.into())).collect()
}
