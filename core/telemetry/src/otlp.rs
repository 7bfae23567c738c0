//! The own metrics and spans pushed by OTLP.
//!
//! The SDK's reader has a thread and a timer of its own and asks for one metric after the other; all of a push are
//! answered from one look at the counters.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader as SdkReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanProcessor as _,
};
use streamgauge_component::Signal;
use streamgauge_transport::http_path;
use tokio::task::JoinHandle;

use crate::TelemetryError;
use crate::client::Client;
use crate::config::{PeriodicReader, Protocol, SpanProcessor};
use crate::families::{Attributes, Families, Source};

const SCOPE: &str = "streamgauge";
/// A look at the counters serves all metrics that are asked for within this time.
const ONE_LOOK: Duration = Duration::from_millis(500);
/// How soon a metric that appears while the collector runs joins the pushes.
const DISCOVERY: Duration = Duration::from_secs(5);

/// Pushes the own metrics again and again.
#[derive(Debug)]
pub(crate) struct MetricsPush {
    provider: SdkMeterProvider,
    discovery: JoinHandle<()>,
}

impl MetricsPush {
    pub fn start(
        reader: &PeriodicReader,
        source: Source,
        resource: &BTreeMap<String, String>,
    ) -> Result<Self, TelemetryError> {
        let otlp = &reader.exporter.otlp;
        let url = otlp.url(http_path(Signal::Metrics));
        let timeout = Duration::from_millis(otlp.timeout.unwrap_or(reader.timeout));
        let builder = MetricExporter::builder();
        let exporter = match otlp.protocol {
            Protocol::Grpc => builder.with_tonic().with_endpoint(&url).with_timeout(timeout).build(),
            Protocol::HttpProtobuf => {
                let client = Client::new(otlp, &url, timeout)?;
                builder.with_http().with_http_client(client).with_endpoint(&url).with_timeout(timeout).build()
            }
        };
        let exporter = exporter.map_err(|error| bad_endpoint("metrics::readers", &url, &error))?;
        let timer =
            SdkReader::builder(exporter).with_interval(Duration::from_millis(reader.interval.max(1))).build();
        let provider =
            SdkMeterProvider::builder().with_reader(timer).with_resource(sdk_resource(resource)).build();
        let instruments = Instruments::new(provider.meter(SCOPE), source);
        instruments.discover();
        let discovery = tokio::spawn(async move {
            let mut timer = tokio::time::interval(DISCOVERY);
            loop {
                timer.tick().await;
                instruments.discover();
            }
        });
        Ok(Self { provider, discovery })
    }

    /// Pushes once more and closes. Blocks.
    pub fn shutdown(self) {
        self.discovery.abort();
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last push of own metrics failed");
        }
    }
}

/// The SDK's observable instruments, one a family, made as families appear.
struct Instruments {
    meter: Meter,
    look: Arc<Look>,
    known: Mutex<HashSet<String>>,
}

impl Instruments {
    fn new(meter: Meter, source: Source) -> Self {
        Self { meter, look: Arc::new(Look { source, last: Mutex::new(None) }), known: Mutex::default() }
    }

    fn discover(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, family) in self.look.families().iter() {
            if !known.insert(name.clone()) {
                continue;
            }
            let (look, key) = (self.look.clone(), name.clone());
            let points = move || look.points(&key);
            if family.counter {
                let builder = self.meter.f64_observable_counter(name.clone());
                let builder = builder.with_unit(family.unit).with_description(family.help);
                builder
                    .with_callback(move |observer| {
                        points()
                            .into_iter()
                            .for_each(|(attributes, value)| observer.observe(value, &attributes));
                    })
                    .build();
            } else {
                let builder = self.meter.f64_observable_gauge(name.clone());
                let builder = builder.with_unit(family.unit).with_description(family.help);
                builder
                    .with_callback(move |observer| {
                        points()
                            .into_iter()
                            .for_each(|(attributes, value)| observer.observe(value, &attributes));
                    })
                    .build();
            }
        }
    }
}

/// The last look at the counters.
struct Look {
    source: Source,
    last: Mutex<Option<(Instant, Arc<Families>)>>,
}

impl Look {
    fn families(&self) -> Arc<Families> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, families)) if at.elapsed() < ONE_LOOK => families.clone(),
            _ => {
                let families = Arc::new(self.source.read());
                *last = Some((Instant::now(), families.clone()));
                families
            }
        }
    }

    fn points(&self, name: &str) -> Vec<(Vec<KeyValue>, f64)> {
        let families = self.families();
        let points = families.get(name).map(|family| &family.points);
        points.into_iter().flatten().map(|(attributes, value)| (key_values(attributes), *value)).collect()
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| KeyValue::new(*key, value.clone())).collect()
}

/// Sends the collector's own spans.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    pub fn start(
        processors: &[SpanProcessor],
        resource: &BTreeMap<String, String>,
    ) -> Result<Self, TelemetryError> {
        let mut builder = SdkTracerProvider::builder().with_resource(sdk_resource(resource));
        for SpanProcessor { batch } in processors {
            let otlp = &batch.exporter.otlp;
            let url = otlp.url(http_path(Signal::Traces));
            let timeout = Duration::from_millis(otlp.timeout.unwrap_or(batch.export_timeout));
            let spans = SpanExporter::builder();
            let exporter = match otlp.protocol {
                Protocol::Grpc => spans.with_tonic().with_endpoint(&url).with_timeout(timeout).build(),
                Protocol::HttpProtobuf => {
                    let client = Client::new(otlp, &url, timeout)?;
                    spans
                        .with_http()
                        .with_http_client(client)
                        .with_endpoint(&url)
                        .with_timeout(timeout)
                        .build()
                }
            };
            let exporter = exporter.map_err(|error| bad_endpoint("traces::processors", &url, &error))?;
            let config = BatchConfigBuilder::default()
                .with_scheduled_delay(Duration::from_millis(batch.schedule_delay))
                .with_max_queue_size(batch.max_queue_size)
                .with_max_export_batch_size(batch.max_export_batch_size)
                .build();
            let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
            processor.set_resource(&sdk_resource(resource));
            builder = builder.with_span_processor(processor);
        }
        Ok(Self { provider: builder.build() })
    }

    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer(SCOPE)
    }

    /// Sends what is left and closes. Blocks.
    pub fn shutdown(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last push of own traces failed");
        }
    }
}

fn sdk_resource(attributes: &BTreeMap<String, String>) -> Resource {
    let pairs = attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(pairs).build()
}

fn bad_endpoint(place: &str, endpoint: &str, error: &dyn std::fmt::Display) -> TelemetryError {
    TelemetryError(format!(
        "service::telemetry::{place}: cannot push to {endpoint:?}: {error}; an endpoint is a URL such as http://host:4317"
    ))
}
