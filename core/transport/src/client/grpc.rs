//! Unary gRPC calls over a few HTTP/2 connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use streamgauge_http2::{self as http2, CallError, Client, ClientSettings, Head};
use tokio::sync::Mutex;

use super::connect::{ClientOptions, Io, Through, connect};
use super::endpoint::Endpoint;
use super::error::{ClientError, Failure};
use super::grpc_heads::{Asked, Heads};
use crate::code::Code;
use crate::compression::Codec;
use crate::deframe::{self, Deframer, FrameError, PREFIX};
use crate::payload::Payload;
use crate::status::Status;

/// How a call ended.
#[derive(Debug)]
pub struct GrpcAnswer {
    /// The server's status; `Ok` when it took the request.
    pub status: Status,
    /// The answer's message; empty unless the status is `Ok`.
    pub message: Bytes,
}

/// Makes unary calls to one server. A call goes over the connection with the fewest calls under way; another one is
/// opened, up to [`ClientOptions::connections`], when all are busy.
#[derive(Debug)]
pub struct GrpcClient {
    endpoint: Endpoint,
    options: ClientOptions,
    slots: Vec<Slot>,
    heads: Heads,
}

/// Room for a connection.
#[derive(Debug, Default)]
struct Slot {
    connection: Mutex<Option<Client>>,
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
        Self { endpoint, options, slots, heads: Heads::default() }
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
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let asked = Asked { scheme, authority: &self.endpoint.authority, path, headers, packed, timeout };
        let head = self.heads.get(&asked).map_err(|why| self.invalid(&why))?;
        let call = self.call(head, self.framed(message, packed.is_some())?);
        match timeout {
            None => call.await,
            Some(limit) => tokio::time::timeout(limit, call)
                .await
                .unwrap_or_else(|_| Err(ClientError::timeout(&self.endpoint.to_string(), limit))),
        }
    }

    fn framed(&self, mut message: Payload, packed: bool) -> Result<Payload, ClientError> {
        let prefix = deframe::prefix(packed, message.len())
            .ok_or_else(|| self.invalid("a gRPC message cannot be larger than 4 GiB"))?;
        message.push_front(Bytes::copy_from_slice(&prefix));
        Ok(message)
    }

    async fn call(&self, head: Arc<Head>, body: Payload) -> Result<GrpcAnswer, ClientError> {
        let (turn, slot) = self.least_loaded();
        slot.under_way.fetch_add(1, Ordering::Relaxed);
        let _under_way = UnderWay(slot);
        let limit = self.options.max_answer.saturating_add(PREFIX);
        let mut again = true;
        loop {
            let connection = self.connection(turn, slot).await?;
            let mut unanswered = Unanswered { slot, connection: Some(connection.clone()) };
            let answer = connection.call(head.clone(), body.clone().into_slices(), limit).await;
            unanswered.connection = None;
            match answer {
                Ok(answer) => return self.answer(answer),
                // As when a connection closed while it lay idle: once more.
                Err(CallError::Unprocessed(_)) if again => again = false,
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// The first of those with the fewest calls: what is little enough for one connection stays on it.
    fn least_loaded(&self) -> (usize, &Slot) {
        let load = |(_, slot): &(usize, &Slot)| slot.under_way.load(Ordering::Relaxed);
        self.slots.iter().enumerate().min_by_key(load).unwrap_or((0, &self.slots[0]))
    }

    /// The connection that is there, or a new one. One caller connects, the others wait for it.
    async fn connection(&self, turn: usize, slot: &Slot) -> Result<Client, ClientError> {
        let mut slot = slot.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        *slot = None;
        let keepalive = self.options.keepalive.as_ref();
        let settings = ClientSettings {
            ping: keepalive.map(|keepalive| (or(keepalive.time, PING), or(keepalive.timeout, PING_TIMEOUT))),
            ping_idle: keepalive.is_some_and(|keepalive| keepalive.permit_without_stream),
        };
        let (connection, driver) = Client::new(self.connect(turn).await?, settings);
        let endpoint = self.endpoint.to_string();
        tokio::spawn(async move {
            if let Err(error) = driver.run().await {
                tracing::debug!(endpoint, error, "gRPC connection ended");
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

    fn answer(&self, answer: http2::Response) -> Result<GrpcAnswer, ClientError> {
        let headers = &answer.head.headers;
        if let Some(status) = Status::from_trailers(headers) {
            return Ok(GrpcAnswer { status, message: Bytes::new() });
        }
        if answer.status != StatusCode::OK {
            let text = format!("unexpected HTTP status {} from {}", answer.status.as_u16(), self.endpoint);
            let status = Status::new(Code::from_http(answer.status), text);
            return Ok(GrpcAnswer { status, message: Bytes::new() });
        }
        let status = answer.trailers.and_then(|trailers| Status::from_trailers(&trailers.headers));
        let status = status.unwrap_or_else(|| Status::new(Code::Unknown, "an answer without grpc-status"));
        let message = match !answer.data.is_empty() && status.code == Code::Ok {
            true => self.unpack(answer.data, headers)?,
            false => Bytes::new(),
        };
        Ok(GrpcAnswer { status, message })
    }

    fn unpack(&self, data: Bytes, headers: &HeaderMap) -> Result<Bytes, ClientError> {
        let mut deframer = Deframer::new(self.options.max_answer);
        let framed = deframer.push(data).and_then(|()| deframer.finish());
        let framed = framed.map_err(|error| self.bad_answer(&error))?;
        if !framed.packed {
            return Ok(framed.bytes);
        }
        let name = headers.get(ENCODING).and_then(|name| name.to_str().ok()).unwrap_or_default();
        let bad = |why: String| ClientError::new(Failure::Broken, format!("{}: {why}", self.endpoint));
        let codec = Codec::from_name(name).flatten();
        let codec = codec.ok_or_else(|| bad(format!("an answer with unknown grpc-encoding {name:?}")))?;
        codec.unpack(&framed.bytes, self.options.max_answer).map_err(|error| bad(format!("{error:?}")))
    }

    fn invalid(&self, why: &str) -> ClientError {
        ClientError::new(Failure::Invalid, format!("{}: {why}", self.endpoint))
    }

    fn broken(&self, error: &CallError) -> ClientError {
        let text = match error {
            CallError::TooLarge(_) => format!("bad answer: the limit is {} bytes", self.options.max_answer),
            error => error.to_string(),
        };
        ClientError::new(Failure::Broken, format!("{}: {text}", self.endpoint))
    }

    fn bad_answer(&self, error: &FrameError) -> ClientError {
        let why = match error {
            FrameError::Malformed(why) => (*why).to_owned(),
            FrameError::TooLarge { size, limit } => format!("{size} bytes, the limit is {limit}"),
        };
        ClientError::new(Failure::Broken, format!("{}: bad answer: {why}", self.endpoint))
    }
}

/// What grpc-go takes for a keepalive of 0.
const PING: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

fn or(time: Duration, otherwise: Duration) -> Duration {
    if time.is_zero() { otherwise } else { time }
}

/// Pauses between two tries to connect, where a call waits for its server.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Dropped before there is an answer (a timeout), it gives the connection up: the peer may have vanished without a word,
/// which TCP alone notices after many minutes. Other calls on the connection go on.
struct Unanswered<'a> {
    slot: &'a Slot,
    /// Until there is an answer.
    connection: Option<Client>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if let Ok(mut slot) = self.slot.connection.try_lock() {
            slot.take_if(|there| *there == connection);
        }
    }
}

pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
