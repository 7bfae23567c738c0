//! The one list of components in this binary.

use streamgauge_connectors as connectors;
use streamgauge_engine::Distribution;
use streamgauge_exporters as exporters;
use streamgauge_extensions as extensions;
use streamgauge_processors as processors;
use streamgauge_receivers as receivers;

/// What this binary can run. Registration is these slices and nothing else.
pub static DISTRIBUTION: Distribution = Distribution {
    receivers: &[
        &receivers::nop::FACTORY,
        &receivers::otlp::FACTORY,
        &receivers::redis::FACTORY,
        &receivers::redis_stream::FACTORY,
        &receivers::redis_stream_metrics::FACTORY,
    ],
    processors: &[
        &processors::alerting::FACTORY,
        &processors::attributes::FACTORY,
        &processors::batch::FACTORY,
        &processors::memory_limiter::FACTORY,
        &processors::metricsgeneration::FACTORY,
        &processors::percentile::FACTORY,
        &processors::project::FACTORY,
        &processors::rate::FACTORY,
        &processors::resource::FACTORY,
    ],
    connectors: &[
        &processors::alerting::CONNECTOR,
        &connectors::forward::FACTORY,
        &processors::percentile::CONNECTOR,
        &connectors::routing::FACTORY,
    ],
    exporters: &[
        &exporters::debug::FACTORY,
        &exporters::nop::FACTORY,
        &exporters::otlp_grpc::FACTORY,
        &exporters::otlp_http::FACTORY,
        &exporters::prometheus::FACTORY,
        &exporters::prometheus_remote_write::FACTORY,
        &exporters::redis_stream::FACTORY,
    ],
    extensions: &[
        &extensions::api::FACTORY,
        &extensions::basicauth::FACTORY,
        &extensions::bearertokenauth::FACTORY,
        &extensions::file_storage::FACTORY,
        &extensions::health_check::FACTORY,
    ],
};
