//! The exporter: points go into the store, scrapes come out of it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ExportError, Exporter, Host, Instrument, InstrumentKind, Reason,
    Request, edge_name,
};
use streamgauge_prometheus::{Dropped, Translated, Translator};
use streamgauge_transport::{HTTP_ALPN, Pages, Sockets};

use super::config::PrometheusConfig;
use super::render::Rules;
use super::serve::Scrapes;
use super::store::Store;

/// Exporter `prometheus`.
pub(super) struct PrometheusExporter {
    config: Arc<PrometheusConfig>,
    host: Host,
    translator: Translator,
    store: Arc<Mutex<Store>>,
    pages: Mutex<Option<Pages>>,
    series: Arc<Instrument>,
}

impl PrometheusExporter {
    pub fn new(config: Arc<PrometheusConfig>, host: Host) -> Self {
        // Whoever follows after a reload shows on what it would hold itself: no scrape between finds nothing.
        let store = host.shared(&format!("{} {:?}", host.id(), config.of_the_store()), || {
            Mutex::new(Store::new(config.max_series, config.metric_expiration))
        });
        let series = host.instrument(
            InstrumentKind::Gauge,
            "streamgauge.prometheus.series",
            "{series}",
            "Series that are held for scrapes.",
            Vec::new(),
        );
        let translator = Translator::new(config.translation());
        PrometheusExporter { config, host, translator, store, pages: Mutex::default(), series }
    }

    fn take(&self, request: &Request) -> Accepted {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let mut translated = Translated::new(store.intake(self.host.clock().now().instant));
        for part in &request.parts {
            if let Err(fault) = self.translator.translate(part, &mut translated) {
                tracing::debug!(%fault, "a metrics request cannot be read to its end");
            }
        }
        self.translator.finish(&mut translated);
        let (points, refused) = (u64::from(translated.points), translated.dropped);
        let mut dropped = translated.series.lost;
        let mut add = |reason: Reason, count: u64| {
            match dropped.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, sum)) => *sum += count,
                None if count > 0 => dropped.push((reason, count)),
                None => {}
            };
        };
        for (why, count) in refused {
            let reason = match why {
                Dropped::Delta => Reason::DeltaTemporality,
                Dropped::Unsupported => Reason::Unsupported,
                Dropped::Malformed => Reason::Malformed,
            };
            add(reason, count);
        }
        // Points inside a metric or resource that is broken as a whole were never seen.
        add(Reason::Malformed, (request.items as u64).saturating_sub(points));
        self.series.value.set(store.series() as u64);
        dropped.sort();
        Accepted { message: told(&dropped), dropped }
    }

    /// Where it listens; for tests.
    #[cfg(test)]
    pub fn address(&self) -> String {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.as_ref().map(|pages| pages.local_addr().to_string()).unwrap_or_default()
    }
}

/// What a user can do about the first reason.
fn told(dropped: &[(Reason, u64)]) -> Option<String> {
    let why = match dropped.first()?.0 {
        Reason::DeltaTemporality => "deltas of sums that may fall cannot be added up: make them cumulative",
        Reason::Unsupported => {
            "a name of one type cannot have another, nor can a metric without a name be shown"
        }
        Reason::CardinalityLimit => "there are more series than max_series",
        Reason::OutOfOrder => "a newer point of the series is shown already",
        Reason::Duplicate => {
            "two points of one series and time: is an attribute missing that tells sources apart? See \
             resource_to_telemetry_conversion"
        }
        _ => "the bytes are broken",
    };
    Some(why.to_owned())
}

#[async_trait]
impl Exporter for PrometheusExporter {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        let config = &self.config;
        let authenticator =
            config.auth.as_ref().map(|auth| host.authenticator(&auth.authenticator)).transpose()?;
        let tls = config.tls.as_ref().map(|tls| tls.load(&HTTP_ALPN[1..])).transpose();
        let tls = tls.map_err(ComponentError::new)?;
        let sockets = host.shared("", Sockets::default);
        let listener = sockets
            .bind(&edge_name(host.kind(), host.id()), &config.endpoint)
            .await
            .map_err(|error| ComponentError(format!("{error}; free the port or set another `endpoint`")))?;
        let rules = Rules { timestamps: config.send_timestamps, expiration: config.metric_expiration };
        let mut scrapes = Scrapes::new(self.store.clone(), rules, host.clock().clone());
        scrapes.path.clone_from(&config.path);
        scrapes.open_metrics = config.enable_open_metrics;
        scrapes.headers = config.header_map().map_err(ComponentError)?;
        scrapes.authenticator = authenticator;
        scrapes.auth = config.auth.as_ref().cloned().unwrap_or_default();
        let scrapes = Arc::new(scrapes);
        let pages = Pages::serve_tls(listener, tls, move |request| {
            let scrapes = scrapes.clone();
            async move { scrapes.answer(request).await }
        });
        *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = Some(pages);
        Ok(())
    }

    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(async move { Ok(self.take(request)) })
    }

    async fn shutdown(&self) {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pages) = pages {
            pages.stop().await;
        }
    }
}
