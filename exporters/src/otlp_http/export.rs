//! One attempt, and what its answer means for delivery.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ExportError, Exporter, Host, Reason, Request, Signal,
};
use streamgauge_transport::{
    ClientError, ClientOptions, Codec, Failure, HTTP_ALPN, HeaderMap, HeaderName, HeaderValue, HttpAnswer,
    HttpClient, PartialSuccess, Payload, Status, retry_after,
};

use crate::identity::Identity;

use super::config::OtlpHttpConfig;

/// The Collector reads no more of an answer either.
const MAX_ANSWER: usize = 64 << 10;
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
const CONTENT_ENCODING: HeaderName = HeaderName::from_static("content-encoding");
const PROTOBUF: &str = "application/x-protobuf";

/// Exporter `otlp_http`.
#[derive(Debug)]
pub(super) struct OtlpHttp {
    targets: Vec<(Signal, Target)>,
    headers: HeaderMap,
    identity: Identity,
    codec: Option<Codec>,
    level: Option<i32>,
    timeout: Option<Duration>,
}

#[derive(Debug)]
struct Target {
    client: HttpClient,
    path: String,
    /// For messages: without the query, which may hold a key.
    url: String,
}

impl OtlpHttp {
    pub fn new(config: &OtlpHttpConfig) -> Result<Self, ComponentError> {
        let mut targets = Vec::new();
        for signal in Signal::ALL {
            let Some((endpoint, path)) = config.target(signal)? else { continue };
            let tls = endpoint.is_https().then(|| config.tls.load(&HTTP_ALPN)).transpose();
            let options = ClientOptions {
                tls: tls.map_err(ComponentError::new)?,
                server_name: config.tls.server_name_override.clone(),
                idle_timeout: config.idle_conn_timeout,
                max_idle: if config.max_idle_conns == 0 { 100 } else { config.max_idle_conns },
                max_answer: MAX_ANSWER,
                ..ClientOptions::default()
            };
            let scheme = if endpoint.is_https() { "https" } else { "http" };
            let shown = path.split('?').next().unwrap_or_default();
            let url = format!("{scheme}://{endpoint}{shown}");
            targets.push((signal, Target { client: HttpClient::new(endpoint, options), path, url }));
        }
        let mut headers = config.header_map()?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        let codec = config.compression.http();
        if let Some((_, name)) = codec {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        Ok(Self {
            targets,
            headers,
            identity: Identity::new(config.auth.clone()),
            codec: codec.map(|(codec, _)| codec),
            level: Some(config.compression_params.level).filter(|level| *level > 0),
            timeout: Some(config.timeout).filter(|timeout| !timeout.is_zero()),
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Accepted, ExportError> {
        let target = self.targets.iter().find(|(signal, _)| *signal == request.signal);
        let Some((_, target)) = target else {
            let text = format!("no endpoint for {}: set endpoint or {0}_endpoint", request.signal);
            return Err(ExportError::peer(text));
        };
        let headers = self.identity.add_to(&self.headers)?;
        let mut payload = Payload::new(request.parts.iter().cloned());
        if let Some(codec) = self.codec {
            let packed = codec.pack(&payload.into_bytes(), self.level);
            payload = packed.map_err(|e| ExportError::content(format!("cannot pack: {e}")))?.into();
        }
        let answer = target.client.post(&target.path, &headers, payload, self.timeout).await;
        let answer = answer.map_err(unanswered)?;
        if answer.status.is_success() {
            return Ok(accepted(&answer, request.items));
        }
        Err(refusal(&target.url, &answer))
    }
}

#[async_trait]
impl Exporter for OtlpHttp {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        self.identity.resolve(&host)
    }

    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(self.attempt(request))
    }
}

fn unanswered(error: ClientError) -> ExportError {
    let message = format!("failed to make an HTTP request: {error}");
    match error.failure {
        Failure::Invalid => ExportError::peer(message),
        _ => ExportError::unreachable(message),
    }
}

/// What a refusal asks for.
fn refusal(url: &str, answer: &HttpAnswer) -> ExportError {
    let code = answer.status.as_u16();
    let mut message =
        format!("error exporting items, request to {url} responded with HTTP Status Code {code}");
    if is_protobuf(answer) {
        let words = Status::decode(&answer.body).message;
        if !words.is_empty() {
            message.push_str(&format!(", Message={words}"));
        }
    }
    match code {
        429 | 502 | 503 | 504 => ExportError::busy(retry_after(&answer.headers, SystemTime::now()), message),
        400 | 413 | 422 => ExportError::content(message),
        _ => ExportError::peer(message),
    }
}

/// What the server says of a request that it took.
fn accepted(answer: &HttpAnswer, items: usize) -> Accepted {
    let partial = PartialSuccess::decode(&answer.body).filter(|_| is_protobuf(answer));
    let Some(partial) = partial else { return Accepted::default() };
    let rejected = partial.rejected.min(items as u64);
    let dropped = if rejected > 0 { vec![(Reason::PeerRefused, rejected)] } else { Vec::new() };
    Accepted { dropped, message: Some(partial.message).filter(|message| !message.is_empty()) }
}

fn is_protobuf(answer: &HttpAnswer) -> bool {
    let value = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(';').next().is_some_and(|kind| kind.trim() == PROTOBUF))
}
