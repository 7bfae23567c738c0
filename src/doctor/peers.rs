//! Whom the exporters send to: is somebody there, and does TLS succeed? Nothing is sent.

use std::io::ErrorKind;

use streamgauge_config::{Component, Config, Diagnostics};
use streamgauge_exporters::otlp_grpc::OtlpGrpcConfig;
use streamgauge_exporters::otlp_http::OtlpHttpConfig;
use streamgauge_exporters::prometheus::PrometheusConfig;
use streamgauge_exporters::prometheus_remote_write::RemoteWriteConfig;
use streamgauge_transport::{ClientOptions, Endpoint, GRPC_ALPN, HTTP_ALPN, TlsClient, reach};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::finding::{Chart, Finding};
use super::progress::Examination;
use super::{Limits, tls};
use crate::durability::text;

/// One address of an exporter.
enum Peer {
    /// It sends there.
    Remote { endpoint: Endpoint, tls: Option<Box<TlsClient>>, alpn: &'static [&'static str] },
    /// It is asked there.
    Own(String),
}

/// One examination for each address of an exporter that a pipeline uses.
pub(super) fn examinations(config: &Config, limits: Limits) -> Result<Vec<Examination>, Diagnostics> {
    let mut all = Vec::new();
    for exporter in in_use(config) {
        for peer in peers(exporter)? {
            let id = exporter.id.to_string();
            let name = match &peer {
                Peer::Remote { endpoint, .. } => endpoint.to_string(),
                Peer::Own(address) => address.clone(),
            };
            all.push(Examination { name, run: Box::pin(examine(id, peer, limits)) });
        }
    }
    Ok(all)
}

/// The exporters of the pipelines, and those that get what they do not deliver.
pub(super) fn in_use(config: &Config) -> impl Iterator<Item = &Component> {
    let is_fed = |exporter: &Component| {
        config.service.pipelines.iter().any(|pipeline| pipeline.exporters.contains(&exporter.id))
    };
    let fed = config.exporters.iter().filter(|exporter| is_fed(exporter));
    let behind = |exporter| ["dead_letter", "fallback"].map(|key| text(exporter, &[key, "exporter"]));
    let letters: Vec<_> = fed.flat_map(behind).flatten().collect();
    config
        .exporters
        .iter()
        .filter(move |exporter| is_fed(exporter) || letters.contains(&exporter.id.to_string().as_str()))
}

fn peers(exporter: &Component) -> Result<Vec<Peer>, Diagnostics> {
    let section = &exporter.section;
    let mut found: Vec<Peer> = Vec::new();
    match exporter.type_name.as_str() {
        "otlp_grpc" => {
            let config: OtlpGrpcConfig = section.read()?;
            if let Ok(endpoint) = Endpoint::parse(&config.endpoint) {
                let tls = (endpoint.is_https() || !config.tls.insecure).then_some(Box::new(config.tls));
                found.push(Peer::Remote { endpoint, tls, alpn: &GRPC_ALPN });
            }
        }
        "otlp_http" => {
            let config: OtlpHttpConfig = section.read()?;
            let urls =
                [&config.endpoint, &config.traces_endpoint, &config.metrics_endpoint, &config.logs_endpoint];
            add(&mut found, urls.into_iter().flatten(), &config.tls);
        }
        "prometheus_remote_write" => {
            let config: RemoteWriteConfig = section.read()?;
            let tls = config.http.tls.or(config.tls).unwrap_or_default();
            add(&mut found, config.http.endpoint.or(config.endpoint).iter(), &tls);
        }
        "prometheus" => {
            let config: PrometheusConfig = section.read()?;
            found.push(Peer::Own(config.endpoint));
        }
        _ => {}
    }
    Ok(found)
}

/// The servers of these URLs, each once.
fn add<'a>(found: &mut Vec<Peer>, urls: impl Iterator<Item = &'a String>, tls: &TlsClient) {
    for endpoint in urls.filter_map(|url| Endpoint::parse(url).ok()) {
        let name = endpoint.to_string();
        let known =
            |peer: &Peer| matches!(peer, Peer::Remote { endpoint, .. } if endpoint.to_string() == name);
        if !found.iter().any(known) {
            let tls = endpoint.is_https().then(|| Box::new(tls.clone()));
            found.push(Peer::Remote { endpoint, tls, alpn: &HTTP_ALPN });
        }
    }
}

async fn examine(id: String, peer: Peer, limits: Limits) -> Vec<Finding> {
    match peer {
        Peer::Remote { endpoint, tls, alpn } => {
            let mut chart = Chart::new(id, endpoint.to_string());
            remote(&endpoint, tls.map(|tls| *tls), alpn, limits, &mut chart).await;
            chart.findings()
        }
        Peer::Own(address) => {
            let mut chart = Chart::new(id, &address);
            own(&address, &mut chart).await;
            chart.findings()
        }
    }
}

async fn remote(
    endpoint: &Endpoint,
    tls: Option<TlsClient>,
    alpn: &[&str],
    limits: Limits,
    chart: &mut Chart,
) {
    let settings = tls.clone().unwrap_or_default();
    let tls = match tls.map(|tls| tls.load(alpn)).transpose() {
        Ok(tls) => tls,
        Err(error) => {
            chart.fail("tls", error.message.clone(), format!("correct `tls: {}`", error.key));
            return;
        }
    };
    let (secured, server_name) = (tls.is_some(), settings.server_name_override.clone());
    let options = ClientOptions { tls, server_name, ..ClientOptions::default() };
    match timeout(limits.timeout, reach(endpoint, &options)).await {
        Ok(Ok(())) => chart.ok("reach", if secured { "connected with TLS" } else { "connected" }),
        Ok(Err(error)) if error.message.contains("TLS handshake") => {
            let otherwise = if endpoint.is_https() {
                "correct `endpoint`: is this a port that speaks TLS?"
            } else {
                "for a peer that speaks plain text set `tls: {insecure: true}`"
            };
            let todo = tls::advice(&error.message, &settings, otherwise);
            chart.fail("tls", error.message, todo);
        }
        Ok(Err(error)) => {
            let todo = "start the peer, or correct `endpoint`; what the queue cannot hold meanwhile is refused or lost";
            chart.fail("reach", error.message, todo);
        }
        Err(_) => {
            let what = format!("no connection within {:?}", limits.timeout);
            chart.fail(
                "reach",
                what,
                "a firewall may drop what is sent; else give it more time with --timeout",
            );
        }
    }
}

/// An address that the exporter listens on. A collector that runs has it already, which is fine.
async fn own(address: &str, chart: &mut Chart) {
    match TcpListener::bind(address).await {
        Ok(_) => chart.ok("listen", "the address is free"),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            chart.note("listen", "the address is in use", "fine when that is the running collector");
        }
        Err(error) => chart.fail("listen", format!("cannot listen: {error}"), "correct `endpoint`"),
    }
}
