//! The HTTP client under the SDK's exporters: our own, so that there is one TLS in this binary.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient as SdkClient, HttpError, Request, Response};
use streamgauge_transport::{
    ClientOptions, Endpoint, HTTP_ALPN, HeaderMap, HttpClient, Payload, TlsClient, header_map,
};
use tokio::runtime::Handle;

use crate::TelemetryError;
use crate::config::OtlpConfig;

/// Posts what the SDK encoded.
#[derive(Debug)]
pub(crate) struct Client {
    client: std::sync::Arc<HttpClient>,
    headers: HeaderMap,
    timeout: Duration,
    /// The SDK calls from threads of its own, which have no runtime.
    runtime: Handle,
}

impl Client {
    /// Inside a tokio runtime.
    pub fn new(otlp: &OtlpConfig, url: &str, timeout: Duration) -> Result<Self, TelemetryError> {
        let failed =
            |why: String| TelemetryError(format!("service::telemetry: cannot push to {url:?}: {why}"));
        let endpoint = Endpoint::parse(url).map_err(|error| failed(error.to_string()))?;
        let tls = endpoint.is_https().then(|| TlsClient::default().load(&HTTP_ALPN)).transpose();
        let tls = tls.map_err(|error| failed(error.to_string()))?;
        let options = ClientOptions { tls, ..ClientOptions::default() };
        let headers = header_map(otlp.header_pairs()).map_err(failed)?;
        let client = std::sync::Arc::new(HttpClient::new(endpoint, options));
        Ok(Self { client, headers, timeout, runtime: Handle::current() })
    }
}

#[async_trait]
impl SdkClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let mut headers = head.headers;
        headers.extend(self.headers.clone());
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let (client, timeout) = (self.client.clone(), self.timeout);
        let post = async move { client.post(&path, &headers, Payload::from(body), Some(timeout)).await };
        let answer = self.runtime.spawn(post).await??;
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
