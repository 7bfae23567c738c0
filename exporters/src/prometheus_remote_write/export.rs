//! One attempt, and what is left of it for the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ExportError, Exporter, Host, Reason, Request,
};
use streamgauge_prometheus::Translator;
use streamgauge_transport::{
    ClientOptions, HTTP_ALPN, HeaderMap, HeaderName, HeaderValue, HttpClient, Payload, Proxy,
};

use crate::identity::Identity;

use super::answer::{self, Refusal};
use super::config::RemoteWriteConfig;
use super::prepare::{Bounds, Lost, Message, halves, last_of, messages, prepare};
use super::sent::Sent;

/// Of a refusal's text more is not read.
const MAX_ANSWER: usize = 64 << 10;
/// Requests beyond the first that one refused message may cost: enough to single out a few bad samples of thousands.
const HALVINGS: u32 = 64;

/// Exporter `prometheus_remote_write`.
pub(super) struct RemoteWrite {
    client: HttpClient,
    path: String,
    /// For messages: without the query, which may hold a key.
    url: String,
    headers: HeaderMap,
    identity: Identity,
    timeout: Option<Duration>,
    translator: Translator,
    bounds: Bounds,
    max_bytes: usize,
    parallelism: usize,
    host: Host,
    accepted_without_effect: Vec<&'static str>,
    /// One request is under way at a time, whoever calls.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Reasons of drops that were logged once already, as bits.
    told: AtomicU64,
}

struct State {
    sent: Sent,
    /// The request that was not finished by the last attempt.
    unfinished: Option<Unfinished>,
}

/// What is left of a request.
struct Unfinished {
    /// The request's bytes: by them it is known when it comes again.
    parts: Vec<Bytes>,
    messages: Vec<Arc<Message>>,
    lost: Lost,
    /// What the receiver said about what it refused.
    words: Option<String>,
    /// Types and helps that are still to be sent.
    metadata: Option<Bytes>,
}

impl RemoteWrite {
    pub fn new(config: &RemoteWriteConfig, host: Host) -> Result<Self, ComponentError> {
        let endpoint = config.url()?;
        let tls = config.tls_settings();
        let proxy = Proxy::before(&endpoint, endpoint.is_https(), config.http.proxy_url.as_deref(), &tls)?;
        let options = ClientOptions {
            proxy,
            tls: endpoint
                .is_https()
                .then(|| tls.load(&HTTP_ALPN))
                .transpose()
                .map_err(ComponentError::new)?,
            server_name: tls.server_name_override,
            max_answer: MAX_ANSWER,
            ..ClientOptions::default()
        };
        let mut headers = config.header_map()?;
        for (name, value) in [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
            ("user-agent", concat!("streamgauge/", env!("CARGO_PKG_VERSION"))),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let path = endpoint.path().to_owned();
        let scheme = if endpoint.is_https() { "https" } else { "http" };
        let url = format!("{scheme}://{endpoint}{}", path.split('?').next().unwrap_or_default());
        let idle = [
            ("wal", config.wal.as_ref().is_some()),
            ("include_metadata_keys", !config.include_metadata_keys.is_empty()),
        ];
        Ok(Self {
            client: HttpClient::new(endpoint, options),
            path,
            url,
            headers,
            identity: Identity::new(config.auth_settings()),
            timeout: config.message_timeout(),
            translator: Translator::new(config.translation()),
            bounds: Bounds { max_age: config.max_sample_age, max_future: config.max_future },
            max_bytes: config.max_batch_size_bytes,
            parallelism: config.parallelism(),
            host,
            accepted_without_effect: idle.into_iter().filter(|(_, set)| *set).map(|(key, _)| key).collect(),
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::new(State { sent: Sent::new(config.max_series), unfinished: None }),
            told: AtomicU64::new(0),
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Accepted, ExportError> {
        let _turn = self.turn.lock().await;
        let todo = self.todo(request)?;
        let failed: Mutex<Option<ExportError>> = Mutex::default();
        let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
        futures_util::stream::iter(todo)
            .for_each_concurrent(self.parallelism, async |message| {
                // What a receiver refuses for now it would refuse again: the rest waits for the next attempt.
                if lock().is_none()
                    && let Err(error) = self.deliver(message).await
                {
                    lock().get_or_insert(error);
                }
            })
            .await;
        if let Some(error) = lock().take() {
            return Err(error);
        }
        self.metadata().await;
        Ok(self.finished())
    }

    /// The messages to send: what is left of this request, or all of a new one.
    fn todo(&self, request: &Request) -> Result<Vec<Arc<Message>>, ExportError> {
        let mut state = self.state();
        if let Some(rest) = state.unfinished.as_ref().filter(|rest| same(&rest.parts, &request.parts)) {
            return Ok(rest.messages.clone());
        }
        let now_ms = i64::try_from(self.host.clock().now().unix_nanos / 1_000_000).unwrap_or(i64::MAX);
        let made = prepare(request, &self.translator, &state.sent, self.bounds, self.max_bytes, now_ms);
        let made = made.map_err(ExportError::content)?;
        let messages: Vec<_> = made.messages.into_iter().map(Arc::new).collect();
        state.unfinished = Some(Unfinished {
            parts: request.parts.clone(),
            messages: messages.clone(),
            lost: made.lost,
            words: None,
            metadata: made.metadata,
        });
        Ok(messages)
    }

    /// Sends one message; what is refused for its content is halved until the sample at fault stands alone.
    async fn deliver(&self, message: Arc<Message>) -> Result<(), ExportError> {
        let mut left = HALVINGS;
        let mut stack = vec![message];
        while let Some(message) = stack.pop() {
            match self.post(message.body.clone()).await {
                Ok(()) => self.settle(&message, |state, message| state.remember(message)),
                Err(Refusal::Error(error)) => return Err(error),
                Err(Refusal::Content(words)) => match halves(&message.series).filter(|_| left > 0) {
                    None => self.settle(&message, |state, message| state.refused(message, words)),
                    Some((first, second)) => {
                        left -= 1;
                        let mut pieces = Vec::new();
                        for half in [first, second] {
                            pieces.extend(messages(half, self.max_bytes).map_err(ExportError::content)?);
                        }
                        let pieces: Vec<_> = pieces.into_iter().map(Arc::new).collect();
                        self.settle(&message, |state, _| state.add(&pieces));
                        // The earlier half goes first: of one series it holds the earlier samples.
                        stack.extend(pieces.into_iter().rev());
                    }
                },
            }
        }
        Ok(())
    }

    async fn post(&self, body: Bytes) -> Result<(), Refusal> {
        let headers = self.identity.add_to(&self.headers).map_err(Refusal::Error)?;
        let answer = self.client.post(&self.path, &headers, Payload::from(body), self.timeout).await;
        answer::read(answer, &self.url)
    }

    /// Takes a message off what is left, with what became of it.
    fn settle(&self, message: &Arc<Message>, then: impl FnOnce(&mut State, &Message)) {
        let mut state = self.state();
        if let Some(rest) = &mut state.unfinished {
            rest.messages.retain(|other| !Arc::ptr_eq(other, message));
        }
        then(&mut state, message);
    }

    /// Types and helps are a courtesy: when they are refused, nothing is lost that was measured.
    async fn metadata(&self) {
        let body = self.state().unfinished.as_mut().and_then(|rest| rest.metadata.take());
        if let Some(body) = body
            && let Err(refusal) = self.post(body).await
        {
            tracing::debug!(exporter = &**self.host.id(), ?refusal, "metadata was not taken");
        }
    }

    fn finished(&self) -> Accepted {
        let Some(done) = self.state().unfinished.take() else { return Accepted::default() };
        let dropped = done.lost.counts();
        for (reason, points) in &dropped {
            self.tell(*reason, *points);
        }
        Accepted { dropped, message: done.words }
    }

    /// Logs the first drop for a reason of the exporter's own; the counters have all of them.
    fn tell(&self, reason: Reason, points: u64) {
        let why = match reason {
            Reason::PeerRefused => return, // said in the receiver's words
            Reason::DeltaTemporality => {
                "delta sums and histograms have no place in Prometheus: make them cumulative"
            }
            Reason::OutOfOrder => "a newer sample of the series was sent before",
            Reason::Duplicate => {
                "another value of the series has the same time: is an attribute missing that tells sources apart?"
            }
            Reason::TooOld => "the time is unset or older than max_sample_age",
            Reason::TooFarInFuture => "the time is later than max_future: is a clock wrong?",
            Reason::Malformed => "the bytes are broken",
            _ => "Prometheus has no form for them",
        };
        let bit = 1 << (reason as u64 % 64);
        if self.told.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            let (exporter, reason) = (&**self.host.id(), reason.as_str());
            tracing::warn!(
                exporter,
                reason,
                points,
                "data points are dropped (further ones are only counted): {why}"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, message: &Message) {
        for series in &message.series {
            if let Some((key, last)) = last_of(series, &self.sent) {
                self.sent.set(key, last);
            }
        }
    }

    fn refused(&mut self, message: &Message, words: String) {
        if let Some(rest) = &mut self.unfinished {
            message.series.iter().for_each(|series| rest.lost.series(series, Reason::PeerRefused));
            rest.words.get_or_insert(words);
        }
    }

    fn add(&mut self, pieces: &[Arc<Message>]) {
        if let Some(rest) = &mut self.unfinished {
            rest.messages.extend_from_slice(pieces);
        }
    }
}

/// Whether two requests are the same bytes in the same place, not only equal ones.
fn same(a: &[Bytes], b: &[Bytes]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.as_ptr() == b.as_ptr() && a.len() == b.len())
}

#[async_trait]
impl Exporter for RemoteWrite {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        self.identity.resolve(&host)?;
        for key in &self.accepted_without_effect {
            tracing::warn!(exporter = &**self.host.id(), key, "the setting is accepted but has no effect");
        }
        Ok(())
    }

    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(self.attempt(request))
    }
}
