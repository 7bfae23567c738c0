//! POST over HTTP/1.1 with a pool of connections, or over one HTTP/2 connection where TLS chooses that.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connect::{ClientOptions, Through, connect};
use super::cookies::To;
use super::endpoint::Endpoint;
use super::error::{ClientError, Failure, causes};
use crate::headers::introduce;
use crate::payload::{OneFrame, Payload};

/// A server's answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, cut off at [`ClientOptions::max_answer`].
    pub body: Bytes,
}

/// Posts bytes to one server.
#[derive(Debug)]
pub struct HttpClient {
    endpoint: Endpoint,
    options: ClientOptions,
    pool: Mutex<Pool>,
    /// One permit for each HTTP/1.1 connection that may be open; those that lie idle are used before a new one.
    room: Option<Semaphore>,
}

#[derive(Debug, Default)]
struct Pool {
    /// HTTP/1.1 connections without a request, the one used last at the end.
    idle: VecDeque<(Instant, http1::SendRequest<OneFrame>)>,
    h2: Option<http2::SendRequest<OneFrame>>,
}

enum Connection {
    H1(http1::SendRequest<OneFrame>),
    H2(http2::SendRequest<OneFrame>),
}

impl HttpClient {
    /// A client for the server of this endpoint; connects with the first request.
    pub fn new(endpoint: Endpoint, options: ClientOptions) -> Self {
        let room = options.max_connections.map(Semaphore::new);
        Self { endpoint, options, pool: Mutex::default(), room }
    }

    /// Posts `body` to `path` (with its query; empty means `/`). Without a timeout it may take for ever.
    /// Dropping the future ends the request.
    pub async fn post(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: Payload,
        timeout: Option<Duration>,
    ) -> Result<HttpAnswer, ClientError> {
        let request = self.request(path, headers, body)?;
        let answer = match timeout {
            None => self.send(request).await,
            Some(limit) => tokio::time::timeout(limit, self.send(request))
                .await
                .unwrap_or_else(|_| Err(ClientError::timeout(&self.endpoint.to_string(), limit))),
        }?;
        if let Some(cookies) = &self.options.cookies {
            cookies.keep(self.to(path), &answer.headers, SystemTime::now());
        }
        Ok(answer)
    }

    fn request(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: Payload,
    ) -> Result<Request<OneFrame>, ClientError> {
        let invalid = |why: String| ClientError::new(Failure::Invalid, format!("{}: {why}", self.endpoint));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let path = Uri::try_from(path).map_err(|error| invalid(error.to_string()))?;
        let host = HeaderValue::try_from(&self.endpoint.authority).map_err(|e| invalid(e.to_string()))?;
        let mut request = Request::new(OneFrame::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path;
        *request.headers_mut() = headers.clone();
        introduce(request.headers_mut());
        request.headers_mut().entry(HOST).or_insert(host);
        if let Some(cookies) = &self.options.cookies {
            let path = request.uri().path().to_owned();
            cookies.show(self.to(&path), request.headers_mut(), SystemTime::now());
        }
        if let (Some(proxy), Through::Forward) = (&self.options.proxy, self.through()) {
            *request.uri_mut() = self.absolute_uri("http", request.uri())?;
            if let Some(authorization) = proxy.authorization() {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
            }
        }
        Ok(request)
    }

    /// Without TLS a proxy reads the requests, with it they go through a tunnel.
    fn through(&self) -> Through {
        if self.options.tls.is_some() { Through::Tunnel } else { Through::Forward }
    }

    fn to<'a>(&'a self, path: &'a str) -> To<'a> {
        To { host: self.endpoint.host(), path, secure: self.options.tls.is_some() }
    }

    fn absolute_uri(&self, scheme: &str, uri: &Uri) -> Result<Uri, ClientError> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Uri::try_from(format!("{scheme}://{}{path}", self.endpoint.authority))
            .map_err(|error| ClientError::new(Failure::Invalid, format!("{}: {error}", self.endpoint)))
    }

    async fn send(&self, mut request: Request<OneFrame>) -> Result<HttpAnswer, ClientError> {
        let _permit = match &self.room {
            Some(room) if self.pool().h2.is_none() => room.acquire().await.ok(),
            _ => None,
        };
        loop {
            let (connection, fresh) = self.connection().await?;
            let sent = match connection {
                Connection::H1(mut sender) => match sender.try_send_request(request).await {
                    Ok(response) => {
                        let (answer, whole) = self.answer(response).await?;
                        if whole {
                            self.put_back(sender);
                        }
                        return Ok(answer);
                    }
                    Err(error) => error,
                },
                Connection::H2(mut sender) => {
                    let request = self.absolute(request)?;
                    let unanswered = Unanswered(&self.pool);
                    let sent = match sender.try_send_request(request).await {
                        Ok(response) => self.answer(response).await.map(Ok),
                        Err(error) => Ok(Err(error)),
                    };
                    std::mem::forget(unanswered);
                    match sent? {
                        Ok((answer, _)) => return Ok(answer),
                        Err(error) => error,
                    }
                }
            };
            // A connection that closed while it lay idle gives back what it did not send: once more.
            let mut error = sent;
            match error.take_message().filter(|_| !fresh) {
                Some(unsent) => request = unsent,
                None => return Err(self.broken(error.error())),
            }
        }
    }

    /// HTTP/2 wants scheme and authority in the URI and no `host`.
    fn absolute(&self, mut request: Request<OneFrame>) -> Result<Request<OneFrame>, ClientError> {
        request.headers_mut().remove(HOST);
        *request.uri_mut() = self.absolute_uri("https", request.uri())?;
        Ok(request)
    }

    /// A connection from the pool, or a new one (`true`).
    async fn connection(&self) -> Result<(Connection, bool), ClientError> {
        if let Some(h2) = self.pool().h2.clone().filter(|h2| !h2.is_closed()) {
            return Ok((Connection::H2(h2), false));
        }
        while let Some(mut sender) = self.take_idle() {
            // The exchange before is over; the connection's own task may not have noticed yet.
            if sender.ready().await.is_ok() {
                return Ok((Connection::H1(sender), false));
            }
        }
        let connected = connect(&self.endpoint, 0, self.through(), &self.options).await?;
        let handshake = |error: hyper::Error| {
            let text = format!("HTTP handshake with {}: {}", self.endpoint, causes(&error));
            ClientError::new(Failure::Connect, text)
        };
        let io = TokioIo::new(connected.io);
        if connected.h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new());
            if let Some(keepalive) = &self.options.keepalive {
                builder
                    .keep_alive_interval(keepalive.time)
                    .keep_alive_timeout(keepalive.timeout)
                    .keep_alive_while_idle(keepalive.permit_without_stream);
            }
            let (sender, driver) = builder.handshake(io).await.map_err(handshake)?;
            tokio::spawn(driver);
            self.pool().h2 = Some(sender.clone());
            Ok((Connection::H2(sender), true))
        } else {
            let (sender, driver) = http1::handshake(io).await.map_err(handshake)?;
            tokio::spawn(driver);
            Ok((Connection::H1(sender), true))
        }
    }

    fn take_idle(&self) -> Option<http1::SendRequest<OneFrame>> {
        let mut pool = self.pool();
        pool.drop_old(self.options.idle_timeout);
        pool.idle.pop_back().map(|(_, sender)| sender)
    }

    fn put_back(&self, sender: http1::SendRequest<OneFrame>) {
        let mut pool = self.pool();
        pool.drop_old(self.options.idle_timeout);
        if pool.idle.len() < self.options.max_idle && !sender.is_closed() {
            pool.idle.push_back((Instant::now(), sender));
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, and whether all of its body was read, so that the connection can be used again.
    async fn answer(&self, response: Response<Incoming>) -> Result<(HttpAnswer, bool), ClientError> {
        let (head, mut incoming) = response.into_parts();
        let mut body = BytesMut::new();
        let mut whole = true;
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| self.broken(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            let room = self.options.max_answer - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                whole = false;
                break;
            }
        }
        Ok((HttpAnswer { status: head.status, headers: head.headers, body: body.freeze() }, whole))
    }

    fn broken(&self, error: &hyper::Error) -> ClientError {
        ClientError::new(Failure::Broken, format!("{}: {}", self.endpoint, causes(error)))
    }
}

/// Dropped before there is an answer (a timeout), it gives the shared connection up, as the gRPC client does.
struct Unanswered<'a>(&'a Mutex<Pool>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).h2 = None;
    }
}

impl Pool {
    fn drop_old(&mut self, idle_timeout: Duration) {
        while self.idle.front().is_some_and(|(since, _)| since.elapsed() > idle_timeout) {
            self.idle.pop_front();
        }
    }
}
