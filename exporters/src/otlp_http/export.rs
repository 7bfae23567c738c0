//! One attempt, and what its answer means for delivery.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ExportError, Exporter, Host, Reason, Request, Signal,
};
use streamgauge_pdata::json;
use streamgauge_transport::{
    ClientError, ClientOptions, Codec, Encoding, Failure, HeaderMap, HeaderName, HeaderValue, HttpAnswer,
    HttpClient, PACK_FROM, PartialSuccess, Payload, Proxy, Status, retry_after,
};

use crate::identity::Identity;

use super::config::OtlpHttpConfig;

/// The Collector reads no more of an answer either.
const MAX_ANSWER: usize = 64 << 10;
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
const CONTENT_ENCODING: HeaderName = HeaderName::from_static("content-encoding");

/// Exporter `otlp_http`.
#[derive(Debug)]
pub(super) struct OtlpHttp {
    targets: Vec<(Signal, Target)>,
    headers: HeaderMap,
    identity: Identity,
    codec: Option<(Codec, &'static str)>,
    level: Option<i32>,
    timeout: Option<Duration>,
    encoding: Encoding,
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
        let common = config.client_options();
        for signal in Signal::ALL {
            let Some((endpoint, path)) = config.target(signal)? else { continue };
            let proxy =
                Proxy::before(&endpoint, endpoint.is_https(), config.proxy_url.as_deref(), &config.tls)?;
            let tls = endpoint.is_https().then(|| config.tls.load(config.alpn())).transpose();
            let options = ClientOptions {
                tls: tls.map_err(ComponentError::new)?,
                max_answer: MAX_ANSWER,
                proxy,
                ..common.clone()
            };
            let scheme = if endpoint.is_https() { "https" } else { "http" };
            let shown = path.split('?').next().unwrap_or_default();
            let url = format!("{scheme}://{endpoint}{shown}");
            targets.push((signal, Target { client: HttpClient::new(endpoint, options), path, url }));
        }
        let mut headers = config.header_map()?;
        let encoding = config.encoding.of_the_wire();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
        Ok(Self {
            targets,
            headers,
            identity: Identity::new(config.auth.as_ref().cloned()),
            codec: config.compression.http(),
            level: Some(config.compression_params.level).filter(|level| *level > 0),
            timeout: Some(config.timeout).filter(|timeout| !timeout.is_zero()),
            encoding,
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Accepted, ExportError> {
        let target = self.targets.iter().find(|(signal, _)| *signal == request.signal);
        let Some((_, target)) = target else {
            let text = format!("no endpoint for {}: set endpoint or {0}_endpoint", request.signal);
            return Err(ExportError::peer(text));
        };
        let mut headers = self.identity.add_to(&self.headers)?;
        let (mut payload, broken) = self.payload(request)?;
        if let Some((codec, name)) = self.codec.filter(|_| payload.len() >= PACK_FROM) {
            let packed = codec.pack(&payload.into_bytes(), self.level);
            payload = packed.map_err(|e| ExportError::content(format!("cannot pack: {e}")))?.into();
            headers.to_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        let answer = target.client.post(&target.path, &headers, payload, self.timeout).await;
        let answer = answer.map_err(unanswered)?;
        if answer.status.is_success() {
            return Ok(accepted(&answer, request.items, broken));
        }
        Err(refusal(&target.url, &answer))
    }
}

impl OtlpHttp {
    /// The request's body, and how many of its items are not in it: JSON cannot carry what cannot be read.
    fn payload(&self, request: &Request) -> Result<(Payload, usize), ExportError> {
        let payload = Payload::new(request.parts.iter().cloned());
        if self.encoding == Encoding::Proto {
            return Ok((payload, 0));
        }
        let written = json::write(request.signal, &payload.into_bytes());
        let written = written.map_err(|e| ExportError::content(format!("cannot write JSON: {e}")))?;
        Ok((Bytes::from(written.json).into(), written.broken))
    }
}

#[async_trait]
impl Exporter for OtlpHttp {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        self.identity.resolve(&host)
    }

    fn takes_pieces(&self) -> bool {
        true
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
    let words = Status::from_answer(&answer.headers, &answer.body).map(|status| status.message);
    if let Some(words) = words.filter(|words| !words.is_empty()) {
        message.push_str(&format!(", Message={words}"));
    }
    match code {
        429 | 502 | 503 | 504 => ExportError::busy(retry_after(&answer.headers, SystemTime::now()), message),
        400 | 413 | 422 => ExportError::content(message),
        _ => ExportError::peer(message),
    }
}

/// What became of a request that the server took: what it says, and what was not in the request at all.
fn accepted(answer: &HttpAnswer, items: usize, broken: usize) -> Accepted {
    let partial = PartialSuccess::from_answer(&answer.headers, &answer.body).unwrap_or_default();
    let (broken, items) = (broken as u64, items as u64);
    let rejected = partial.rejected.min(items.saturating_sub(broken));
    let dropped = [(Reason::PeerRefused, rejected), (Reason::Malformed, broken)];
    let dropped = dropped.into_iter().filter(|(_, items)| *items > 0).collect();
    Accepted { dropped, message: Some(partial.message).filter(|message| !message.is_empty()) }
}
