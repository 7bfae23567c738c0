//! Unary gRPC calls over a few HTTP/2 connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;

use super::connect::{ClientOptions, Io, Through, connect};
use super::endpoint::Endpoint;
use super::error::{ClientError, Failure, causes};
use crate::code::Code;
use crate::compression::Codec;
use crate::deframe::{self, Deframer, FrameError};
use crate::headers::introduce;
use crate::payload::{OneFrame, Payload};
use crate::status::Status;

/// How a call ended.
#[derive(Debug)]
pub struct GrpcAnswer {
    /// The server's status; `Ok` when it took the request.
    pub status: Status,
    /// The answer's message; empty unless the status is `Ok`.
    pub message: Bytes,
    /// The answer's headers.
    pub headers: HeaderMap,
}

/// Makes unary calls to one server. A call goes over the connection with the fewest calls under way; another one is
/// opened, up to [`ClientOptions::connections`], when all are busy.
#[derive(Debug)]
pub struct GrpcClient {
    endpoint: Endpoint,
    options: ClientOptions,
    slots: Vec<Slot>,
}

/// Room for a connection.
#[derive(Debug, Default)]
struct Slot {
    connection: Mutex<Option<SendRequest<OneFrame>>>,
    under_way: AtomicUsize,
}

/// A call on a slot's connection.
struct UnderWay<'a>(&'a Slot);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl GrpcClient {
    /// A client for this server; connects with the first call.
    pub fn new(endpoint: Endpoint, options: ClientOptions) -> Self {
        let slots = (0..options.connections.max(1)).map(|_| Slot::default()).collect();
        Self { endpoint, options, slots }
    }

    /// Calls `path` (`/package.Service/Method`). `packed` names the `grpc-encoding` that the message is
    /// packed with already. Without a timeout the call may take for ever. Dropping the future ends the call.
    pub async fn unary(
        &self,
        path: &str,
        headers: &HeaderMap,
        message: Payload,
        packed: Option<&'static str>,
        timeout: Option<Duration>,
    ) -> Result<GrpcAnswer, ClientError> {
        let request = self.request(path, headers, message, packed, timeout)?;
        match timeout {
            None => self.call(request).await,
            Some(limit) => tokio::time::timeout(limit, self.call(request))
                .await
                .unwrap_or_else(|_| Err(ClientError::timeout(&self.endpoint.to_string(), limit))),
        }
    }

    fn request(
        &self,
        path: &str,
        headers: &HeaderMap,
        mut message: Payload,
        packed: Option<&'static str>,
        timeout: Option<Duration>,
    ) -> Result<Request<OneFrame>, ClientError> {
        let invalid = |why: &str| ClientError::new(Failure::Invalid, format!("{}: {why}", self.endpoint));
        let prefix = deframe::prefix(packed.is_some(), message.len())
            .ok_or_else(|| invalid("a gRPC message cannot be larger than 4 GiB"))?;
        message.push_front(Bytes::copy_from_slice(&prefix));
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{scheme}://{}{path}", self.endpoint.authority))
            .body(OneFrame::new(message))
            .map_err(|error| invalid(&error.to_string()))?;
        let into = request.headers_mut();
        *into = headers.clone();
        introduce(into);
        into.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        into.insert(TE, HeaderValue::from_static("trailers"));
        into.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
        if let Some(encoding) = packed {
            into.insert(ENCODING, HeaderValue::from_static(encoding));
        }
        if let Some(limit) = timeout {
            into.insert(TIMEOUT, timeout_value(limit));
        }
        Ok(request)
    }

    async fn call(&self, mut request: Request<OneFrame>) -> Result<GrpcAnswer, ClientError> {
        let mut fresh = false;
        let (turn, slot) = self.least_loaded();
        slot.under_way.fetch_add(1, Ordering::Relaxed);
        let _under_way = UnderWay(slot);
        loop {
            let mut connection = self.connection(turn, slot, &mut fresh).await?;
            let unanswered = Unanswered(&slot.connection);
            let sent = match connection.try_send_request(request).await {
                Ok(response) => self.answer(response).await.map(Ok),
                Err(error) => Ok(Err(error)),
            };
            std::mem::forget(unanswered);
            match sent? {
                Ok(answer) => return Ok(answer),
                // A connection that closed while it lay idle gives back what it did not send: once more.
                Err(mut error) => match error.take_message().filter(|_| !fresh) {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(error.error())),
                },
            }
        }
    }

    /// The first of those with the fewest calls: what is little enough for one connection stays on it.
    fn least_loaded(&self) -> (usize, &Slot) {
        let load = |(_, slot): &(usize, &Slot)| slot.under_way.load(Ordering::Relaxed);
        self.slots.iter().enumerate().min_by_key(load).unwrap_or((0, &self.slots[0]))
    }

    /// The connection that is there, or a new one (`fresh`). One caller connects, the others wait for it.
    async fn connection(
        &self,
        turn: usize,
        slot: &Slot,
        fresh: &mut bool,
    ) -> Result<SendRequest<OneFrame>, ClientError> {
        let mut slot = slot.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        *fresh = true;
        *slot = None;
        let io = self.connect(turn).await?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        if let Some(keepalive) = &self.options.keepalive {
            builder
                .keep_alive_interval(keepalive.time)
                .keep_alive_timeout(keepalive.timeout)
                .keep_alive_while_idle(keepalive.permit_without_stream);
        }
        let (connection, driver) = builder.handshake(TokioIo::new(io)).await.map_err(|error| {
            let text = format!("HTTP/2 handshake with {}: {}", self.endpoint, causes(&error));
            ClientError::new(Failure::Connect, text)
        })?;
        let endpoint = self.endpoint.to_string();
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(endpoint, %error, "gRPC connection ended");
            }
        });
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// With `wait_for_ready`, again and again until there is one: the call's timeout ends it.
    async fn connect(&self, turn: usize) -> Result<Box<dyn Io>, ClientError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match connect(&self.endpoint, turn, Through::Tunnel, &self.options).await {
                Ok(connected) => return Ok(connected.io),
                Err(error) if !self.options.wait_for_ready => return Err(error),
                Err(error) => tracing::debug!(endpoint = %self.endpoint, %error, "no server yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn answer(&self, response: Response<Incoming>) -> Result<GrpcAnswer, ClientError> {
        let (head, mut body) = response.into_parts();
        if let Some(status) = Status::from_trailers(&head.headers) {
            return Ok(GrpcAnswer { status, message: Bytes::new(), headers: head.headers });
        }
        if head.status != StatusCode::OK {
            let status = Status::new(
                Code::from_http(head.status),
                format!("unexpected HTTP status {} from {}", head.status.as_u16(), self.endpoint),
            );
            return Ok(GrpcAnswer { status, message: Bytes::new(), headers: head.headers });
        }
        let mut deframer = Deframer::new(self.options.max_answer);
        let mut status = None;
        let mut seen = false;
        while let Some(frame) = body.frame().await {
            match frame.map_err(|error| self.broken(&error))?.into_data() {
                Ok(data) => {
                    seen |= !data.is_empty();
                    deframer.push(data).map_err(|error| self.bad_answer(&error))?;
                }
                Err(other) => {
                    status = other.trailers_ref().and_then(Status::from_trailers).or(status);
                }
            }
        }
        let status = status.unwrap_or_else(|| Status::new(Code::Unknown, "an answer without grpc-status"));
        let message = match seen && status.code == Code::Ok {
            true => self.unpack(deframer, &head.headers)?,
            false => Bytes::new(),
        };
        Ok(GrpcAnswer { status, message, headers: head.headers })
    }

    fn unpack(&self, deframer: Deframer, headers: &HeaderMap) -> Result<Bytes, ClientError> {
        let framed = deframer.finish().map_err(|error| self.bad_answer(&error))?;
        if !framed.packed {
            return Ok(framed.bytes);
        }
        let name = headers.get(ENCODING).and_then(|name| name.to_str().ok()).unwrap_or_default();
        let bad = |why: String| ClientError::new(Failure::Broken, format!("{}: {why}", self.endpoint));
        let codec = Codec::from_name(name).flatten();
        let codec = codec.ok_or_else(|| bad(format!("an answer with unknown grpc-encoding {name:?}")))?;
        codec.unpack(&framed.bytes, self.options.max_answer).map_err(|error| bad(format!("{error:?}")))
    }

    fn broken(&self, error: &hyper::Error) -> ClientError {
        ClientError::new(Failure::Broken, format!("{}: {}", self.endpoint, causes(error)))
    }

    fn bad_answer(&self, error: &FrameError) -> ClientError {
        let why = match error {
            FrameError::Malformed(why) => (*why).to_owned(),
            FrameError::TooLarge { size, limit } => format!("{size} bytes, the limit is {limit}"),
        };
        ClientError::new(Failure::Broken, format!("{}: bad answer: {why}", self.endpoint))
    }
}

/// Pauses between two tries to connect, where a call waits for its server.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Dropped before there is an answer (a timeout), it gives the connection up: the peer may have vanished without a word,
/// which TCP alone notices after many minutes. Other calls on the connection go on.
struct Unanswered<'a>(&'a Mutex<Option<SendRequest<OneFrame>>>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Ok(mut slot) = self.0.try_lock() {
            *slot = None;
        }
    }
}

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// `grpc-timeout` has at most eight digits.
fn timeout_value(limit: Duration) -> HeaderValue {
    let millis = limit.as_millis().max(1);
    let text = if millis < 100_000_000 {
        format!("{millis}m")
    } else {
        format!("{}S", limit.as_secs().min(99_999_999))
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("99999999S"))
}
