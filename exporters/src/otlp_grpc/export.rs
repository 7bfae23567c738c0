//! One attempt, and what its answer means for delivery.

use std::time::Duration;

use async_trait::async_trait;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ExportError, Exporter, Host, Reason, Request,
};
use streamgauge_transport::{
    ClientError, ClientOptions, Code, Codec, Endpoint, Failure, GRPC_ALPN, GrpcClient, HeaderMap, PACK_FROM,
    PartialSuccess, Payload, Proxy, Status, grpc_path,
};

use crate::identity::Identity;

use super::config::OtlpGrpcConfig;

/// Exporter `otlp_grpc`.
#[derive(Debug)]
pub(super) struct OtlpGrpc {
    client: GrpcClient,
    headers: HeaderMap,
    identity: Identity,
    codec: Option<(Codec, &'static str)>,
    timeout: Option<Duration>,
    /// TLS is spoken though the endpoint does not ask for it: the usual mistake.
    tls_by_default: bool,
}

impl OtlpGrpc {
    pub fn new(config: &OtlpGrpcConfig) -> Result<Self, ComponentError> {
        let mut endpoint = Endpoint::parse(&config.endpoint).map_err(ComponentError::new)?;
        let https = endpoint.is_https();
        let tls = (https || !config.tls.insecure).then(|| config.tls.load(&GRPC_ALPN)).transpose();
        let tls = tls.map_err(ComponentError::new)?;
        if let Some(authority) = &config.authority {
            endpoint = endpoint.with_authority(authority);
        }
        let tls_by_default = tls.is_some() && !https;
        // As gRPC's own clients do: HTTPS_PROXY is for plain text too.
        let proxy = Proxy::before(&endpoint, true, None, &config.tls)?;
        let options = ClientOptions {
            tls,
            proxy,
            wait_for_ready: config.wait_for_ready,
            server_name: config.tls.server_name_override.clone(),
            connections: config.most_connections(),
            keepalive: config.keepalive.as_ref().cloned(),
            ..ClientOptions::default()
        };
        Ok(Self {
            client: GrpcClient::new(endpoint, options),
            headers: config.header_map()?,
            identity: Identity::new(config.auth.as_ref().cloned()),
            codec: config.compression.grpc()?,
            timeout: Some(config.timeout).filter(|timeout| !timeout.is_zero()),
            tls_by_default,
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Accepted, ExportError> {
        let headers = self.identity.add_to(&self.headers)?;
        let mut payload = Payload::new(request.parts.iter().cloned());
        let mut packed = None;
        if let Some((codec, name)) = self.codec.filter(|_| payload.len() >= PACK_FROM) {
            let bytes = codec.pack(&payload.into_bytes(), None);
            payload = bytes.map_err(|e| ExportError::content(format!("cannot pack: {e}")))?.into();
            packed = Some(name);
        }
        let path = grpc_path(request.signal);
        let answer = self.client.unary(path, &headers, payload, packed, self.timeout).await;
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        if answer.status.code != Code::Ok {
            return Err(refusal(&answer.status));
        }
        Ok(accepted(&answer.message, request.items))
    }

    fn unanswered(&self, error: &ClientError) -> ExportError {
        let hint = match error.failure {
            Failure::Connect if self.tls_by_default && error.message.contains("TLS handshake") => {
                " (for a server that speaks plain text set tls.insecure: true)"
            }
            Failure::Invalid => return ExportError::peer(error.to_string()),
            _ => "",
        };
        ExportError::unreachable(format!("{error}{hint}"))
    }
}

#[async_trait]
impl Exporter for OtlpGrpc {
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

/// What a refusal asks for. "Message too large" comes as `RESOURCE_EXHAUSTED` without a delay: smaller requests pass. What
/// cannot be decoded is `INTERNAL` for every gRPC server, so that may be about one request of several too.
fn refusal(status: &Status) -> ExportError {
    let message = format!("rpc error: code = {} desc = {}", status.code, status.message);
    if status.is_retryable() {
        return ExportError::busy(status.retry_after, message);
    }
    match status.code {
        Code::InvalidArgument | Code::ResourceExhausted | Code::Internal => ExportError::content(message),
        _ => ExportError::peer(message),
    }
}

/// What the server says of a request that it took.
fn accepted(answer: &[u8], items: usize) -> Accepted {
    let Some(partial) = PartialSuccess::decode(answer) else { return Accepted::default() };
    let rejected = partial.rejected.min(items as u64);
    let dropped = if rejected > 0 { vec![(Reason::PeerRefused, rejected)] } else { Vec::new() };
    Accepted { dropped, message: Some(partial.message).filter(|message| !message.is_empty()) }
}
